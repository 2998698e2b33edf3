// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package buffer is the worker's memory for bytes: pools of fixed-size blocks outside the Go heap, with a budget, and
// arenas for what lives as long as a request.
//
// A block, in the terms of HAProxy's buffer API (doc/internals/api/buffer-api.txt):
//
//	0           R                          W                      len(Data): size
//	+-----------+--------------------------+-----------+----------+
//	|  consumed |           data           |         room         |
//	+-----------+--------------------------+-----------+----------+
//	            |<--- Len(), Bytes() ----->|<------ Room() ------>|
//	                                       |<HeadRoom->|maxrewrite|
//
// Consume moves R to the right, Produce moves W, Compact moves the data to 0.
//
// A block does not wrap around: an HTTP head has to lie in one piece to be parsed and to be passed to one system call.
// Compact makes room of what was consumed.
//
// A pool, at some moment:
//
//	|<------------------------------- Limit -------------------------------------->|
//	|                                                             |<-- Reserve --->|
//	|<------ used ------>|<-- warm (LIFO) -->|<-- cold -->|<-- not mapped yet ---->|
//	|<------------ allocated --------------->|            |
//	                                                      grow: one slab (about 1 MiB) at a time
//	      Acquire <-- warm <-- cold <-- grow              Release --> warm --> Trim --> cold
//
// Reading ahead of the receiver (ClassAhead) leaves a quarter of the limit, and the reserve. New work
// (ClassRequest) gets a block while more than Reserve are left below Limit, work in hand (ClassBody) while more than one is, and the step that ends it (ClassResponse) always while one is. With a reserve of two nobody waits in a circle: when
// heads of requests have taken all but the reserve, one of them goes on with a block of ClassBody, and the last block
// lets it come to its end and give all back. A user that gets none waits in the queue of its class. A block that comes back goes to the first waiter,
// responses before requests, and belongs to it at once; the waiter is told by Wake, which the loop runs from its
// posted work, so Release never runs anybody's code. While less than a quarter of the limit is free (Pressed), users give back
// the blocks that they can do without.
//
// An arena:
//
//	Arena --> chunk (being cut) --> chunk --> chunk        small pieces: cut off chunks from a pool, not freed singly
//	      --> large <--> large                             mapped or reused, freed singly
//	      --> cleanup --> cleanup                          run by Reset, the last one first
//
// Files: block.go the descriptor; pool.go acquire and release; slab.go growing and giving back to the kernel; wait.go
// the queue; pools.go sharing; arena.go, depot.go; poison.go and check.go what finds misuse.
//
// Who uses what in a worker: bodies and heads are in blocks of the pool "buffers"; each request has an arena of its own (nginx's r->pool) and
// one that lasts as long as its use of a connection (c->pool), with chunks from the pools of request_pool_size and connection_pool_size, and large
// pieces from one depot.
//
// Owner: a worker owns its Pools and Depot; nothing here is for several goroutines. A block belongs to whoever acquired
// it, or was handed it by OnBlock, until it is released; an arena's pieces belong to the arena.
//
// Invariants: each block is in exactly one of: in use, granted to a waiter, warm, cold. Used never exceeds
// what the class may have, memory never exceeds Limit blocks. Nobody waits while a block is there that it may have.
// Pool.Check, Arena.Check and Depot.Check walk everything and report each fault; builds with the tag "invariants"
// poison what is free.
//
// Failure: Acquire and Alloc return nil, and count why: a limit, or the kernel (the error is in the numbers).
// Releasing twice, or to another pool, is a bug and panics with a report.
//
// Not here: memory with Go pointers in it (the garbage collector would not see them), reading and writing (package
// conn), memory shared between processes (package shm).
package buffer
