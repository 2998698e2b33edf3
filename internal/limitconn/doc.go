// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package limitconn counts live connections per key, over all workers, exactly. It is nginx's limit_conn, with one difference: what a worker
// held is given back when the worker is killed, at whatever instruction that was.
//
//	header (shm.UserArea)
//	  root ---> node "10.1.2.3"  total 5          slot lists (one page)
//	            |  own share: slot 0, 2  <-------- [0] first share of slot 0
//	            |     |                            [1] ------------.
//	            |     next                         [2]             |
//	            |     v                                            v
//	            |  share: slot 1, 3  <-------------------- doubly linked through
//	            |                                          all shares of slot 1
//	          left, right: other nodes, ordered by (hash, key)
//
// A node says how many connections a key has; its shares say how many of them each worker slot has. The sum of the shares is always the total. A slot's shares are also
// in one list, so that Reap finds what a dead worker held without looking at anything else. The first share stands in the node: a key that one worker has connections of
// costs one slot of 64 bytes, for an IPv4 or an IPv6 address, and one allocation.
//
// Use, in a worker:
//
//	holds, verdict, failed := limitconn.Acquire(holds[:0], limits)     when the request's head is complete
//	limitconn.Release(holds)                                          when the request ends
//
//	which, verdict := zone.Wait(who, wants, &hold, &ticket)            the same, but with a place in line where there is none: see below
//	calls, anew := zone.Calls(calls, now)                             whose turn has come, when the worker has been woken
//	hold = Leave(&ticket, late, now)                                  when it does not wait any longer
//
//	hold, verdict := zone.Move(place, slot, still)                    when a connection comes from a worker that leaves, with its place
//
// and in the master:
//
//	z, err := limitconn.Create(options, owner)      at start; workers inherit z.FD() and Attach
//	z.Reap(slot)                                    when a worker has died, before its slot is used again
//	z.Status(), z.Top(20), z.Delete(key)            for those who look
//	if z.Status().CheckDue { z.Check(); z.Rebuild(...) if it found something }
//
// Who waits for a place stands in a line, in order. A line is there for each key that somebody waits for, or for a group of keys (GroupKey) of which any will do:
//
//	lines ---> line "10.1.2.3" ---> waiter (slot 2, wants) ---> waiter (slot 0, wants) ...
//	                                   |                           |
//	call lists, of each slot: those that wait; those that have been called, with the share in which their place is counted
//
// Whoever gives a place back moves it, in the same transaction, to the first in the line that would take it and may: so a place that somebody waits for is never free, nobody can be faster, and
// the key's total stays what it was. The waiter is called then: out of its line, into its slot's list of those that its worker is to fetch, and OnCall wakes that one. A dead worker's waiters end
// before its places are given back, and those that it has called without waking are woken by Reap. While nobody waits, all that costs one look at a counter.
//
// Everything but the plain counters is written under the zone's lock, through its transaction (package shmtx). Acquire, Release, Move and Delete are
// one transaction each, Reap is one for each share. Several limits are one Acquire after the other: a worker killed between two holds the first, and
// Reap gives it back like any other.
//
// What a reader sees when the writer dies: it cannot read before it has the lock, and then the half-done transaction has been undone. A connection that was
// being counted is not counted; one that was being given back is still counted until Reap. The counters (passed, rejected, ...) may miss the operation that was killed.
//
// A key that Delete has cleared leaves the tree at once, and counts from 0 again; its node stays as an orphan until the connections that are counted in it have ended.
//
// One more connection, or one less, of a key whose first share is this worker's own is a single store, and most of what happens: Acquire and Release try that
// first, with checks that say no in place of faults that panic (another, oneLess). For everything else there is one general way, which is guarded.
//
// A full zone is a verdict. A damaged one is too: an operation that meets an impossible link undoes its transaction, marks the zone, and says Damaged. Check
// finds faults on a copy of the zone; Rebuild makes the links anew from the records.
//
// Invariants (Check): each node's total is the sum of its shares and not 0; each share with connections is in its slot's list, once; each node is in the tree, or
// is an orphan and counted as one; nobody in a line wants a place that is free; the hash is the key's; every slot allocated in the zone is one of these; the tree's and the slab's own.
//
// What is not here: rates (package limitreq); which requests are limited by what key (package request), which origins by max_conns (package upstream), what is answered and logged, how often, the bypass list; which slot is whose (package slots).
package limitconn
