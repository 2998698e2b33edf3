// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// lineOf is the name of the line in which requests wait for places of a key.
func (z *Zone) lineOf(key []byte) []byte {
	if !z.grouped {
		return key
	}
	if end := bytes.IndexByte(key, 0); end >= 0 {
		return key[:end]
	}
	return key
}

func (z *Zone) line(off shm.Offset) *line { return shm.At[line](z.shm, off) }

func (z *Zone) waiter(off shm.Offset) *waiter { return shm.At[waiter](z.shm, off) }

func (z *Zone) wantAt(off shm.Offset, i uint32) *want {
	return shm.At[want](z.shm, off+waiterBytes+shm.Offset(i*wantBytes))
}

// nameAt is a line's name.
func (z *Zone) nameAt(off shm.Offset, l *line) []byte {
	return z.shm.Bytes(off+lineBytes, int(l.info&keyLenMask))
}

// callLists are the heads of the slots' lists of waiters. Nobody has waited yet when there are none.
func (z *Zone) callLists() *callLists { return shm.At[callLists](z.shm, z.h.calls) }

// findLine is the line of that name, nil when nobody waits in it, and then its place in the tree.
func (z *Zone) findLine(hash uint32, name []byte) (shm.Offset, rbtree.Place) {
	return z.lines.Seek(hash, func(other shm.Offset) int { return bytes.Compare(name, z.nameAt(other, z.line(other))) })
}

// giveBack takes one connection away from the share at off; or gives its place to the one that has waited longest for it, of those whose limit allows it one. It returns the slot of
// that one, or NoSlot. The place moves, rather than being freed and taken: what a transaction has freed it cannot allocate.
func (z *Zone) giveBack(tx *shmtx.Tx, off shm.Offset) (called int) {
	w, hash := z.nextFor(off)
	if w == 0 {
		z.take(tx, off, 1)
		return NoSlot
	}
	slot := int(z.waiter(w).slot)
	share, verdict := z.move(tx, off, slot)
	if verdict != Passed { // the zone is full, and that is what it will hear when it asks anew
		share = 0
		z.take(tx, off, 1)
	}
	z.call(tx, w, share, hash)
	return slot
}

// nextFor is the waiter that has waited longest for a place of the share at off, nil when nobody does; hash is the key's.
func (z *Zone) nextFor(off shm.Offset) (_ shm.Offset, hash uint32) {
	at := z.share(off).node
	n := z.node(at)
	name := z.lineOf(z.keyAt(at, n))
	found, _ := z.findLine(zonekey.Hash(name), name)
	if found == 0 || n.orphan() {
		return 0, 0
	}
	hash, total := n.tree.Key, n.total()-1
	steps := z.line(found).length
	for w := z.line(found).head; w != 0; w = z.waiter(w).next {
		if steps == 0 {
			shm.Faultf(z.shm, found, "limitconn: the line has no end")
		}
		steps--
		for i := range min(z.waiter(w).wants, WantsMax) {
			if x := z.wantAt(w, i); x.hash == hash && total < x.most {
				return w, hash
			}
		}
	}
	return 0, 0
}

// call takes a waiter out of its line and has its worker fetch it; share is where its place is counted.
func (z *Zone) call(tx *shmtx.Tx, off, share shm.Offset, hash uint32) {
	w := z.waiter(off)
	z.unlinkWaiter(tx, off)
	lists := z.callLists()
	z.unlinkCall(tx, &lists.waiting, w)
	tx.PutOffset(&w.share, share)
	tx.Put32(&w.hash, hash)
	z.linkCall(tx, &lists.called, off, false)
	tx.Put32(&z.h.called, z.h.called+1)
}

// callAll calls every waiter of a line without a place, so that each asks again; one transaction for each.
func (z *Zone) callAll(tx *shmtx.Tx, name []byte) {
	for z.h.waiting > 0 {
		at, _ := z.findLine(zonekey.Hash(name), name)
		if at == 0 {
			return
		}
		z.call(tx, z.line(at).head, 0, 0)
		tx.Commit()
	}
}

// addWaiter makes a waiter at the end of the line at off.
func (z *Zone) addWaiter(tx *shmtx.Tx, at shm.Offset, wants []want, id uint32, sinceNs int64) (shm.Offset, bool) {
	off, ok := z.pool.Alloc(tx, waiterBytes+wantBytes*len(wants))
	if !ok {
		return 0, false
	}
	l := z.line(at)
	tx.Step()
	*z.waiter(off) = waiter{prev: l.tail, line: at, slot: uint32(z.slot), id: id, wants: uint32(len(wants)), since: sinceNs} // free until now: nothing to undo
	for i := range wants {
		*z.wantAt(off, uint32(i)) = wants[i]
	}
	if l.tail != 0 {
		tx.PutOffset(&z.waiter(l.tail).next, off)
	} else {
		tx.PutOffset(&l.head, off)
	}
	tx.PutOffset(&l.tail, off)
	tx.Put32(&l.length, l.length+1)
	z.linkCall(tx, &z.callLists().waiting, off, true)
	tx.Put32(&z.h.waiting, z.h.waiting+1)
	return off, true
}

// unlinkWaiter takes a waiter out of its line, and the line out of the zone if it is empty then.
func (z *Zone) unlinkWaiter(tx *shmtx.Tx, off shm.Offset) {
	w := z.waiter(off)
	at := w.line
	l := z.line(at)
	if l.length == 0 || z.h.waiting == 0 {
		shm.Faultf(z.shm, at, "limitconn: a waiter in a line of %d, of %d in all", l.length, z.h.waiting)
	}
	if w.prev != 0 {
		tx.PutOffset(&z.waiter(w.prev).next, w.next)
	} else {
		tx.PutOffset(&l.head, w.next)
	}
	if w.next != 0 {
		tx.PutOffset(&z.waiter(w.next).prev, w.prev)
	} else {
		tx.PutOffset(&l.tail, w.prev)
	}
	tx.PutOffset(&w.line, 0)
	tx.Put32(&z.h.waiting, z.h.waiting-1)
	tx.Put32(&l.length, l.length-1)
	if l.length == 0 {
		z.lines.Delete(tx, at)
		z.pool.Free(tx, at)
	}
}

// linkCall puts a waiter at the head of its slot's list. The links of a new one need no undo.
func (z *Zone) linkCall(tx *shmtx.Tx, lists *[SlotsMax]shm.Offset, off shm.Offset, isNew bool) {
	w := z.waiter(off)
	head := &lists[w.slot%SlotsMax]
	if isNew {
		tx.Step()
		w.slotNext, w.slotPrev = *head, 0
	} else {
		tx.PutOffset(&w.slotNext, *head)
		tx.PutOffset(&w.slotPrev, 0)
	}
	if *head != 0 {
		tx.PutOffset(&z.waiter(*head).slotPrev, off)
	}
	tx.PutOffset(head, off)
}

func (z *Zone) unlinkCall(tx *shmtx.Tx, lists *[SlotsMax]shm.Offset, w *waiter) {
	if w.slotPrev != 0 {
		tx.PutOffset(&z.waiter(w.slotPrev).slotNext, w.slotNext)
	} else {
		tx.PutOffset(&lists[w.slot%SlotsMax], w.slotNext)
	}
	if w.slotNext != 0 {
		tx.PutOffset(&z.waiter(w.slotNext).slotPrev, w.slotPrev)
	}
}

// dismiss ends a waiter, wherever it stands. A place that it was given stays counted.
func (z *Zone) dismiss(tx *shmtx.Tx, off shm.Offset) {
	w := z.waiter(off)
	lists := &z.callLists().called
	if w.line != 0 {
		lists = &z.callLists().waiting
		z.unlinkWaiter(tx, off)
	} else {
		tx.Put32(&z.h.called, z.h.called-1)
	}
	z.unlinkCall(tx, lists, w)
	z.pool.Free(tx, off)
}

// dropWaiters ends some of a dead worker's waiters. Places that they were given are among what its slot holds.
func (z *Zone) dropWaiters(slot int) (more bool, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if z.h.state == stateRebuilding {
		z.mutex.Unlock()
		return false, Damaged
	}
	if z.h.calls != 0 {
		lists := z.callLists()
		for range reapBatch {
			off := lists.called[slot]
			if off == 0 {
				off = lists.waiting[slot]
			}
			if off == 0 {
				break
			}
			z.dismiss(tx, off)
			tx.Commit()
		}
		more = lists.called[slot] != 0 || lists.waiting[slot] != 0
	}
	z.mutex.Unlock()
	return more, Passed
}

// wake tells a slot's worker that there is somebody to fetch; NoSlot: nobody.
func (z *Zone) wake(slot int) {
	if slot != NoSlot && z.OnCall != nil {
		z.OnCall(slot)
	}
}

// wakeCalled wakes all workers that have somebody to fetch.
func (z *Zone) wakeCalled() {
	if z.OnCall == nil {
		return
	}
	var slots [SlotsMax]bool
	z.mutex.Lock()
	if z.h.called > 0 && z.h.calls != 0 && z.h.state != stateRebuilding {
		lists := shm.Look[callLists](z.shm, z.h.calls)
		for slot := range slots {
			slots[slot] = lists != nil && lists.called[slot] != 0
		}
	}
	z.mutex.Unlock()
	for slot, called := range slots {
		if called {
			z.OnCall(slot)
		}
	}
}

// wakeAll wakes every worker there may be.
func (z *Zone) wakeAll() {
	for slot := range SlotsMax {
		z.wake(slot)
	}
}
