// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package shm creates, maps and checks zones: segments of memory shared by the master and the workers.
//
//	0x0000  identity   magic, layout, kind, features, size, name, key      written once, before anyone else sees it
//	0x0200  lock       lock word, length of the undo log, lock counters    package shmtx
//	0x0300  allocator  header of package slab                              through the transaction
//	0x0600  user       header of what the zone is for (limitconn, ...)     through the transaction
//	0x1000  undo log   512 records of 16 bytes                             package shmtx
//	0x3000  data       pages handed out by package slab, or the user's own layout (stats, slots)
//	 size
//
// A zone is a memfd. Its pages are reserved and its size is sealed when it is created: a process that touches it later is never
// killed because the machine has no page left, or because the file became shorter.
//
// The kernel maps a zone at a different address in each process. Therefore links inside are Offsets, and an offset read from
// a zone is not trusted: At turns it into a pointer only after checking bounds and alignment. What At cannot see (a link to
// the wrong object) is found by the Check of the package that owns the structure.
//
// Failure. A damaged zone makes At panic with a *Fault. The operation that met it recovers the Fault, rolls its transaction back and reports the
// zone; no process reads or writes outside of a mapping. When a process dies, the kernel unmaps the zone for it; nothing in this
// package has to be undone, since only Create writes here, and only before anybody else has the descriptor.
//
// Numbers of processes and threads in a zone mean the same to all its users only when these share one PID namespace. The zone remembers its creator's.
//
// What is not here: locking and undo (shmtx), allocation (slab), and the passing of descriptors (ipc).
package shm
