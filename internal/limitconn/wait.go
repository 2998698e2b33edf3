// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// Want is a key of which a waiter would take a place.
type Want struct {
	Key []byte // not empty; not kept
	Max uint32 // the most connections the key may have, 1 and more
}

// Ticket is a place in a line. The zero Ticket is none.
type Ticket struct {
	zone  *Zone
	at    shm.Offset
	epoch uint32
}

// Zone is the zone whose line it is; nil for the zero Ticket.
func (t Ticket) Zone() *Zone { return t.zone }

// Under says whether the place is one of a key.
func (h Hold) Under(key []byte) bool {
	if len(key) > KeyMax {
		key = zonekey.Shorten(key)
	}
	return h.zone != nil && h.hash == zonekey.Hash(key)
}

// Waiter says who waits, and how.
type Waiter struct {
	ID    uint32 // what Calls knows it by; the worker's own
	NowNs int64  // the time, of the clock that all processes share
	Line  int    // the most that may wait in the line, 1 and more
}

// Call is a waiter's turn. Hold is its place; the zero Hold: it is to ask again, because the zone has no room for another share, or the key has been cleared.
type Call struct {
	ID   uint32
	Hold Hold
}

// Wait takes a place of one of the wanted keys, at most WantsMax, which are all of one line (see GroupKey); the first that has one free. Where none has, it puts the
// waiter into the line:
//
//	Passed    hold is the place, of the want with the index which
//	Queued    ticket is the place in line: Calls, in this process, will tell of it, or Leave ends it
//	Rejected  the line is full
//	Full      the zone has no room for a waiter
//	Damaged   as with Acquire
//
// A place that is free has nobody in line who might have it, so whoever finds one may take it; one that becomes free is given to the one that has waited longest in the same
// transaction.
func (z *Zone) Wait(who Waiter, wants []Want, hold *Hold, ticket *Ticket) (which int, verdict Verdict) {
	var known [WantsMax]want
	if len(wants) > WantsMax {
		wants = wants[:WantsMax]
	}
	for i := range wants {
		if len(wants[i].Key) > KeyMax {
			wants[i].Key = zonekey.Shorten(wants[i].Key)
		}
		known[i] = want{zonekey.Hash(wants[i].Key), wants[i].Max}
	}
	if tx := z.mutex.LockFree(); tx != nil {
		if z.another(tx, hold, known[0].hash, wants[0].Key, wants[0].Max) {
			z.mutex.Unlock()
			return 0, Passed
		}
		z.mutex.Unlock()
	}
	return z.wait(who, wants, known[:len(wants)], hold, ticket)
}

// wait is Wait in every case.
func (z *Zone) wait(who Waiter, wants []Want, known []want, hold *Hold, ticket *Ticket) (which int, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	for i := range known {
		var at shm.Offset
		if at, verdict = z.count(tx, z.slot, known[i].hash, wants[i].Key, known[i].most); verdict != Rejected {
			tx.Step()
			switch verdict {
			case Passed:
				z.h.counters.passed++
				*hold = Hold{zone: z, share: at, hash: known[i].hash, epoch: z.h.epoch}
			case Full:
				z.h.counters.full++
			}
			z.mutex.Unlock()
			return i, verdict
		}
	}
	at, verdict := z.queue(tx, who, z.lineOf(wants[0].Key), known)
	tx.Step()
	switch verdict {
	case Queued:
		z.h.waits.queued++
		*ticket = Ticket{zone: z, at: at, epoch: z.h.epoch}
	case Full:
		z.h.counters.full++
	default:
		z.h.counters.rejected++
		z.h.waits.overflowed++
	}
	z.mutex.Unlock()
	return 0, verdict
}

// queue puts a waiter into the line of that name. Full, and nothing has changed, when there is no room for it.
func (z *Zone) queue(tx *shmtx.Tx, who Waiter, name []byte, wants []want) (shm.Offset, Verdict) {
	if z.h.calls == 0 {
		lists, ok := z.pool.Alloc(tx, callListsBytes)
		if !ok {
			return 0, Full
		}
		*shm.At[callLists](z.shm, lists) = callLists{}
		tx.PutOffset(&z.h.calls, lists)
		tx.Commit()
	}
	hash := zonekey.Hash(name)
	at, place := z.findLine(hash, name)
	isNew := at == 0
	if isNew {
		var ok bool
		if at, ok = z.pool.Alloc(tx, lineBytes+len(name)); !ok {
			return 0, Full
		}
		tx.Step()
		*z.line(at) = line{info: uint32(len(name))} // free until now: nothing to undo
		copy(z.shm.Bytes(at+lineBytes, len(name)), name)
		z.lines.Insert(tx, at, hash, place)
	}
	if int64(z.line(at).length) >= int64(who.Line) {
		return 0, Rejected
	}
	off, ok := z.addWaiter(tx, at, wants, who.ID, who.NowNs)
	if !ok {
		tx.Rollback() // of the line that nobody waits in
		return 0, Full
	}
	return off, Queued
}

// Calls appends the waiters of this process whose turn it is, those that were called first at the beginning: they do not wait any more. anew: the zone was rebuilt, and all waiters of
// this process, whether appended or not, are to ask anew; their tickets are worth nothing.
func (z *Zone) Calls(calls []Call, nowNs int64) (_ []Call, anew bool) {
	first := len(calls)
	calls, anew, verdict := z.fetch(calls, nowNs)
	if verdict == Damaged {
		return calls[:first], false // the master has it rebuilt, and calls
	}
	for i, j := first, len(calls)-1; i < j; i, j = i+1, j-1 {
		calls[i], calls[j] = calls[j], calls[i]
	}
	return calls, anew
}

func (z *Zone) fetch(calls []Call, nowNs int64) (_ []Call, anew bool, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if z.h.state != stateRebuilding {
		for z.h.calls != 0 && z.callLists().called[z.slot] != 0 {
			at := z.callLists().called[z.slot]
			call, since := z.callOf(at)
			z.dismiss(tx, at)
			tx.Commit()
			z.countGiven(tx, call, nowNs-since)
			calls = append(calls, call)
		}
		anew = z.epoch != z.h.epoch
		z.epoch = z.h.epoch
	}
	z.mutex.Unlock()
	return calls, anew, Passed
}

// callOf is what a waiter has been called for, and since when it had waited.
func (z *Zone) callOf(off shm.Offset) (call Call, sinceNs int64) {
	w := z.waiter(off)
	call.ID = w.id
	if w.share != 0 {
		call.Hold = Hold{zone: z, share: w.share, hash: w.hash, epoch: z.h.epoch}
	}
	return call, w.since
}

func (z *Zone) countGiven(tx *shmtx.Tx, call Call, waitedNs int64) {
	if call.Hold.zone != nil {
		tx.Step()
		z.h.counters.passed++
		z.h.waits.given++
		z.h.took.Observe(waitedNs)
	}
}

// Leave ends the waiting of one of this process's waiters whose turn has not been told by Calls. It may have come nevertheless: then hold is the place. late says that it has waited
// as long as it may, for the counters.
func Leave(t *Ticket, late bool, nowNs int64) (hold Hold) {
	z := t.zone
	if z != nil {
		hold = z.leave(t, late, nowNs)
		*t = Ticket{}
	}
	return hold
}

func (z *Zone) leave(t *Ticket, late bool, nowNs int64) (hold Hold) {
	var tx *shmtx.Tx
	var verdict Verdict
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if t.epoch != z.h.epoch || z.h.state == stateRebuilding {
		z.mutex.Unlock()
		return Hold{}
	}
	call, since := z.callOf(t.at)
	z.dismiss(tx, t.at)
	tx.Commit()
	z.countGiven(tx, call, nowNs-since)
	tx.Step()
	switch {
	case call.Hold.zone != nil:
	case late:
		z.h.counters.rejected++
		z.h.waits.late++
	default:
		z.h.waits.left++
	}
	z.mutex.Unlock()
	return call.Hold
}
