// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"fmt"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// Rebuilt is what Rebuild has found.
type Rebuilt struct {
	Keys        int // kept, those cleared by Delete included
	Connections int // kept
	Lost        int // allocations that were neither a sound node nor a sound share of one, or belonged to no live slot
}

// Rebuild makes a sound zone of a damaged one. It believes no link, no list and no total, only the records themselves: a node
// whose key has the hash that stands beside it, a share that names its node and the slot of a live worker. It keeps them where they are, so the holds of
// the workers stay good, and makes everything else anew: bitmaps, lists, tree, sums.
//
// The lock is held throughout: about 0.1 s for a full zone of 10 MB. A process that dies meanwhile leaves a mark, on which everybody
// else refuses to work (Damaged) until Rebuild is called again; it can be cut short and repeated any number of times, because it first
// changes only what it does not believe.
//
// alive says which slots have a live worker; nil: all.
func (z *Zone) Rebuild(alive func(slot int) bool) (Rebuilt, error) {
	if alive == nil {
		alive = func(int) bool { return true }
	}
	r := &rebuilder{z: z, alive: alive, nodes: make(map[shm.Offset]bool)}
	verdict := r.run()
	if verdict == Damaged {
		return r.done, fmt.Errorf("zone %q: rebuild: %w", z.Name(), ErrDamaged)
	}
	z.wakeAll()
	return r.done, nil
}

type rebuilder struct {
	z      *Zone
	alive  func(slot int) bool
	order  []shm.Offset        // sound nodes
	nodes  map[shm.Offset]bool // the same; true: has connections
	shares []shm.Offset        // sound ones with connections, those inside nodes too
	done   Rebuilt
}

func (r *rebuilder) run() (verdict Verdict) {
	var tx *shmtx.Tx
	z := r.z
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	tx.Step()
	z.h.state = stateRebuilding // without undo: from here on only forward
	z.pool.RestoreHeader(tx)
	r.find()
	r.done.Lost += z.pool.Rebuild(tx, r.keep)
	lists, ok := z.pool.Alloc(tx, shm.PageBytes)
	if !ok {
		panic(fmt.Sprintf("limitconn: rebuild of zone %q: no page for the slot lists", z.Name())) // Pool.Rebuild has freed at least one
	}
	clear(shm.At[slotLists](z.shm, lists)[:])
	tx.PutOffset(&z.h.slots, lists)
	tx.PutOffset(&z.h.root, 0)
	tx.Put32(&z.h.keys, 0)
	tx.Put32(&z.h.orphans, 0)
	tx.PutOffset(&z.h.lines, 0) // who waited asks anew: see Zone.Calls
	tx.PutOffset(&z.h.calls, 0)
	tx.Put32(&z.h.waiting, 0)
	tx.Put32(&z.h.called, 0)
	tx.Commit()
	r.link(tx)
	tx.Put32(&z.h.epoch, z.h.epoch+1)
	tx.Put64(&z.h.checked, z.mutex.Recoveries())
	tx.Put32(&z.h.state, stateSound)
	z.mutex.Unlock()
	return Passed
}

// find collects the sound records: nodes first, then shares of them.
func (r *rebuilder) find() {
	z := r.z
	z.pool.Each(func(off shm.Offset, slotBytes int) {
		if r.isNode(off, slotBytes) {
			r.order = append(r.order, off)
			r.nodes[off] = false
			if s := &z.node(off).own; s.count() > 0 && s.slot < SlotsMax && r.alive(int(s.slot)) {
				r.nodes[off] = true
				r.shares = append(r.shares, off+ownOffset)
			}
		}
	})
	z.pool.Each(func(off shm.Offset, slotBytes int) {
		if slotBytes != slab.SlotBytes(shareBytes) {
			return
		}
		s := z.share(off)
		if _, ok := r.nodes[s.node]; ok && s.count() > 0 && s.slot < SlotsMax && r.alive(int(s.slot)) {
			r.nodes[s.node] = true
			r.shares = append(r.shares, off)
		}
	})
}

func (r *rebuilder) isNode(off shm.Offset, slotBytes int) bool {
	if slotBytes < slab.SlotBytes(nodeBytes+1) {
		return false
	}
	n := r.z.node(off)
	return n.keyLen() > 0 && slab.SlotBytes(nodeBytes+n.keyLen()) == slotBytes && n.own.node == off &&
		n.tree.Key == zonekey.Hash(r.z.keyAt(off, n))
}

// keep says whether an allocation is one of those found to be in use.
func (r *rebuilder) keep(off shm.Offset, slotBytes int) bool {
	if slotBytes == slab.SlotBytes(shareBytes) {
		return r.isKeptShare(off)
	}
	return r.nodes[off]
}

func (r *rebuilder) isKeptShare(off shm.Offset) bool {
	s := r.z.share(off)
	return r.nodes[s.node] && s.count() > 0 && s.slot < SlotsMax && r.alive(int(s.slot))
}

// link puts the nodes into the tree and the shares into their lists, one transaction for each.
func (r *rebuilder) link(tx *shmtx.Tx) {
	z := r.z
	sums := make(map[shm.Offset]uint32)
	for _, off := range r.shares {
		s := z.share(off)
		sums[s.node] += s.count()
		r.done.Connections += int(s.count())
	}
	for _, at := range r.order {
		if !r.nodes[at] {
			continue
		}
		n := z.node(at)
		tx.PutOffset(&n.own.next, 0)
		own := counts(n.own.count())
		if !r.ownUsed(n) {
			own = 0
			tx.Put32(&n.own.slot, 0)
		}
		n.own.put(tx, own*ofShare+counts(sums[at]))
		r.insert(tx, at, n)
		r.done.Keys++
		tx.Commit()
	}
	for _, off := range r.shares {
		s := z.share(off)
		if off != s.node+ownOffset {
			n := z.node(s.node)
			s.put(tx, counts(s.count())*ofShare)
			tx.PutOffset(&s.next, n.own.next)
			tx.PutOffset(&n.own.next, off)
		}
		z.linkSlot(tx, off, false)
		tx.Commit()
	}
}

func (r *rebuilder) ownUsed(n *node) bool {
	return n.own.count() > 0 && n.own.slot < SlotsMax && r.alive(int(n.own.slot))
}

// insert puts a node into the tree, unless it was cleared by Delete, or another node with its key is there already.
func (r *rebuilder) insert(tx *shmtx.Tx, at shm.Offset, n *node) {
	z, hash := r.z, n.tree.Key
	key := z.keyAt(at, n)
	if !n.orphan() {
		found, place := z.tree.Seek(hash, func(other shm.Offset) int { return bytes.Compare(key, z.keyAt(other, z.node(other))) })
		if found == 0 {
			z.tree.Insert(tx, at, hash, place)
			tx.Put32(&z.h.keys, z.h.keys+1)
			tx.Put32(&n.own.info, uint32(n.keyLen()))
			return
		}
	}
	tx.Put32(&n.own.info, uint32(n.keyLen())|flagOrphan)
	tx.Put32(&z.h.orphans, z.h.orphans+1)
}
