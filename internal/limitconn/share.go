// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// addNode makes a node for a key that has none, with one connection of the slot. It returns its own share.
func (z *Zone) addNode(tx *shmtx.Tx, slot int, hash uint32, key []byte, place rbtree.Place) (shm.Offset, Verdict) {
	at, ok := z.pool.Alloc(tx, nodeBytes+len(key))
	if !ok {
		return 0, Full
	}
	n, s := z.node(at), at+ownOffset
	tx.Step()
	n.own = share{counts: ofNode + ofShare, slot: uint32(slot), node: at, info: uint32(len(key))} // free until now: nothing to undo
	copy(z.shm.Bytes(at+nodeBytes, len(key)), key)
	z.tree.Insert(tx, at, hash, place)
	z.linkSlot(tx, s, true)
	tx.Put32(&z.h.keys, z.h.keys+1)
	return s, Passed
}

// findShare is the share of a slot in a node, nil when it has none.
func (z *Zone) findShare(at shm.Offset, n *node, slot int) shm.Offset {
	if n.own.count() > 0 && n.own.slot == uint32(slot) {
		return at + ownOffset
	}
	steps := 0
	for off := n.own.next; off != 0; {
		s := z.share(off)
		if s.slot == uint32(slot) {
			return off
		}
		if steps++; steps > SlotsMax {
			shm.Faultf(z.shm, at, "limitconn: the list of shares has no end")
		}
		off = s.next
	}
	return 0
}

// addShare makes a share for a slot, in the node itself when that place is free, and counts one connection in it. nil: the
// zone is full.
func (z *Zone) addShare(tx *shmtx.Tx, at shm.Offset, n *node, slot int) shm.Offset {
	if n.own.count() == 0 {
		tx.Put32(&n.own.slot, uint32(slot))
		n.own.put(tx, n.own.counts+ofNode+ofShare)
		z.linkSlot(tx, at+ownOffset, false)
		return at + ownOffset
	}
	off, ok := z.pool.Alloc(tx, shareBytes)
	if !ok {
		return 0
	}
	tx.Step()
	*z.share(off) = share{counts: ofShare, slot: uint32(slot), node: at, next: n.own.next} // free until now: nothing to undo
	tx.PutOffset(&n.own.next, off)
	n.own.put(tx, n.own.counts+ofNode)
	z.linkSlot(tx, off, true)
	return off
}

// linkSlot puts a share at the head of its slot's list. The links of a new share need no undo.
func (z *Zone) linkSlot(tx *shmtx.Tx, off shm.Offset, isNew bool) {
	s := z.share(off)
	head := &z.lists()[s.slot%SlotsMax]
	if isNew {
		tx.Step()
		s.slotNext, s.slotPrev = *head, 0
	} else {
		tx.PutOffset(&s.slotNext, *head)
		tx.PutOffset(&s.slotPrev, 0)
	}
	if *head != 0 {
		tx.PutOffset(&z.share(*head).slotPrev, off)
	}
	tx.PutOffset(head, off)
}

func (z *Zone) unlinkSlot(tx *shmtx.Tx, s *share) {
	if s.slotPrev != 0 {
		tx.PutOffset(&z.share(s.slotPrev).slotNext, s.slotNext)
	} else {
		tx.PutOffset(&z.lists()[s.slot%SlotsMax], s.slotNext)
	}
	if s.slotNext != 0 {
		tx.PutOffset(&z.share(s.slotNext).slotPrev, s.slotPrev)
	}
}

// take takes n connections away from the share at off, and what has become empty by it: the share, the node.
func (z *Zone) take(tx *shmtx.Tx, off shm.Offset, count uint32) {
	s := z.share(off)
	at := s.node
	n := z.node(at)
	if s.count() < count || n.total() < count {
		shm.Faultf(z.shm, off, "limitconn: %d connections to take, the share has %d and its node %d", count, s.count(), n.total())
	}
	if s == &n.own {
		s.put(tx, s.counts-counts(count)*(ofNode+ofShare))
	} else {
		s.put(tx, s.counts-counts(count)*ofShare)
		n.own.put(tx, n.own.counts-counts(count)*ofNode)
	}
	if s.count() > 0 {
		return
	}
	z.unlinkSlot(tx, s)
	if s != &n.own {
		z.unlinkShare(tx, at, n, off, s.next)
		z.pool.Free(tx, off)
	}
	if n.total() > 0 {
		return
	}
	if n.own.next != 0 {
		shm.Faultf(z.shm, at, "limitconn: no connections, but shares")
	}
	if n.orphan() {
		tx.Put32(&z.h.orphans, z.h.orphans-1)
	} else {
		z.tree.Delete(tx, at)
		tx.Put32(&z.h.keys, z.h.keys-1)
	}
	z.pool.Free(tx, at)
}

// put stores both counts.
func (s *share) put(tx *shmtx.Tx, c counts) { tx.Put64((*uint64)(&s.counts), uint64(c)) }

// unlinkShare takes the share at off, which next follows, out of its node's list.
func (z *Zone) unlinkShare(tx *shmtx.Tx, at shm.Offset, n *node, off, next shm.Offset) {
	link := &n.own.next
	for range SlotsMax {
		if *link == off {
			tx.PutOffset(link, next)
			return
		}
		link = &z.share(*link).next
	}
	shm.Faultf(z.shm, at, "limitconn: the share %#x is not in its node's list", uint32(off))
}
