// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package stats is the counters of all workers, in shared memory, without a lock.
//
//	0x3000  slot 0   +0     live counters      written by the worker in the slot
//	                 +2048  retired values     written by Retire
//	                 +4096  memory             written by the worker in the slot: its pools of blocks
//	0x5000  slot 1   ...
//	behind the slots: series, each of 512 bytes for its name, written by the master, and a Row of 512 bytes for each slot, written by the worker in it
//
// and in the user area the MasterPage. Memory for a series is reserved when the master registers it; nobody touches what is behind the last one.
//
// Each slot has 8192 bytes with one writer: the worker that holds the slot. Readers add up. A new holder goes on counting where
// the former one stopped, so a total is in one place only, from the first worker to the last: it can neither fall nor be counted twice, whatever
// is killed and when. Retire notes how far the totals were, to tell the present holder's share from those of its predecessors, and sets the gauges to 0.
//
// Failure: a worker that dies leaves gauges (Active, ...) that are no longer true; they count until the master calls Retire. A master
// that dies in Retire leaves a part done; the next one does it again, with the same result.
//
// A new counter: a Field, a name in String, a place in Page in the same order, and kindLayout one higher.
//
// What is not here: who holds which slot (package slots), and counters of a zone (packages limitconn, limitreq, quota).
package stats
