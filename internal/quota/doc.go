// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package quota is one budget of bytes for all workers: what their temporary files may hold together (buffers.temp_quota).
//
//	header (shm.UserArea)              shares (shm.DataArea, two pages)
//	  limit   1 GiB                      [0]   3 MiB   what the worker of slot 0 has taken
//	  used    5 MiB   <-- the sum of --- [1]   2 MiB
//	                                     [2]   0
//
// A worker takes bytes before it writes them to a file and gives them back when the file is closed. Total and share are changed together,
// under the zone's lock and through its transaction (package shmtx): a worker may be killed between the two stores, and neither has happened. What
// the worker held is in its share; the master gives it back (Reap) before the slot is used again. The kernel has closed the dead
// worker's files by then, and since they have no names, their bytes are off the disk.
//
// # Two parts
//
// Acquire, for bodies that are ahead of a slow reader, leaves half of the limit alone. Rescue may use all of it: it is for when memory is short, and
// blocks must come free so that others are served at all. So what is merely convenient never takes the room of what is needed.
//
// # Life
//
// The master makes one zone when it starts and keeps it: all workers of all generations count in it. A reload that changes temp_quota changes the limit in
// place; when it is below what is in use, nothing more is given out until enough has come back.
//
// # Failure
//
// A zone that contradicts itself (a share of less than is given back, an undo log that cannot be one) is marked. Nothing is given out from it until the master
// has added up the shares of the living workers again (Rebuild). A pipe that is refused goes on without a file: back-pressure.
//
// Invariants (Check): the total is the sum of the shares; what Acquire gave out is never more than half of the limit at that time, and the total never
// more than the limit.
//
// What is not here: files (package tempfile), and how many bytes one body may take (package eventpipe).
package quota
