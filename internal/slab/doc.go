// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package slab allocates memory inside a zone. It is nginx's slab allocator on offsets.
//
//	AllocArea  header      free runs, and per slot size: partial pages, counts
//	DataArea   descriptors 24 bytes per page
//	           pages       4096 bytes each, at multiples of 4096
//
//	              takePages                        cutPage                     last free slot taken
//	+-----------+ ---------> +----------------+    ---------> +--------------+ ---------> +-----------+
//	| free run  |            | allocated run  |  of one page  | partial page |            | full page |
//	+-----------+ <--------- +----------------+               +--------------+ <--------- +-----------+
//	              givePages: merged with the free runs    \________ uncutPage: last slot freed,      a slot freed
//	              before and after it                               unless it is the size's only partial page
//
// A request of up to 2048 bytes gets a slot of the next power of two. A page has slots of one size only. Which slots are taken is told by a bitmap: in
// the descriptor for 64 bytes and more, in the page's first slots for 8, 16 and 32. Partial pages are listed by size, full pages
// are in no list, so that Alloc and Free of slots take a constant number of steps however full the zone is. Larger requests get a run of pages; the first and the
// last page of each run know where it begins and ends, which is all that merging needs.
//
// Everything is written by the owner of the zone's lock, through its transaction: when the owner dies in the middle, the next one finds the pool as it was
// before the transaction. Requests and fails are plain counters outside of it: they may be off by the operations that were killed.
//
// The memory that Alloc returns was free when the transaction began, unless the same transaction freed it. So its new user may fill it without undo
// records, if it keeps this rule: in one transaction, allocate first, free last.
//
// A full zone is a result (false), not an error: what to say about it, and how often, is the caller's affair. That is nginx's log_nomem turned off;
// the number of refusals is in Stats.
//
// A call that can only come from a damaged zone or a bug (a second Free, an offset inside a slot) panics with a *shm.Fault, before it has changed anything.
//
// What is not here: nginx's calloc (callers fill what they get), and giving memory back: a zone may grow (grow.go), and never shrinks.
package slab
