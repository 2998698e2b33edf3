// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// lines checks the waiters, in the lines and in the slots' lists.
func (c *checker) lines() {
	z := c.z
	waiters := map[shm.Offset]bool{} // those in lines; true: found in its slot's list too
	inTree := func(at shm.Offset) { c.line(at, waiters) }
	compare := func(a, b shm.Offset) int { return bytes.Compare(z.nameAt(a, z.line(a)), z.nameAt(b, z.line(b))) }
	tree := rbtree.New(z.shm, &z.h.lines)
	c.faults = append(c.faults, tree.Check(inTree, compare)...)
	if int(z.h.waiting) != len(waiters) {
		c.report("the header counts %d waiters, found %d", z.h.waiting, len(waiters))
	}
	called := uint32(0)
	if z.h.calls != 0 {
		lists := z.callLists()
		for slot := range SlotsMax {
			c.callList(slot, lists.waiting[slot], func(off shm.Offset, _ *waiter) bool {
				listed, ok := waiters[off]
				waiters[off] = true
				return ok && !listed
			})
			c.callList(slot, lists.called[slot], func(off shm.Offset, w *waiter) bool {
				called++
				c.used[slab.SlotBytes(waiterBytes+int(w.wants)*wantBytes)]++
				counted, ok := c.shares[w.share]
				return w.line == 0 && (w.share == 0 || ok && counted && z.share(w.share).slot == w.slot)
			})
		}
	}
	if called != z.h.called {
		c.report("the header counts %d called waiters, found %d", z.h.called, called)
	}
	for off, listed := range waiters {
		if !listed {
			c.report("waiter %#x is not in the list of its slot %d", off, z.waiter(off).slot)
		}
	}
}

// line checks a line and those who wait in it: none of them may have a place that is free.
func (c *checker) line(at shm.Offset, waiters map[shm.Offset]bool) {
	z := c.z
	l := z.line(at)
	name := z.nameAt(at, l)
	size := lineBytes + len(name)
	if l.tree.Key != zonekey.Hash(name) || l.length == 0 || !z.pool.Allocated(at, size) {
		c.report("line %#x: hash %#x, its name has %#x; length %d", at, l.tree.Key, zonekey.Hash(name), l.length)
	}
	c.used[slab.SlotBytes(size)]++
	prev, n := shm.Offset(0), uint32(0)
	for off := l.head; off != 0 && n <= l.length; n++ {
		w := z.waiter(off)
		if _, ok := waiters[off]; ok || w.prev != prev || w.line != at || w.slot >= SlotsMax || w.wants == 0 || w.wants > WantsMax {
			c.report("waiter %#x in line %#x: seen before %v, line %#x, prev %#x, want %#x, slot %d, %d wants", off, at, ok, w.line, w.prev, prev, w.slot, w.wants)
			return
		}
		waiters[off] = false
		size := waiterBytes + int(w.wants)*wantBytes
		if !z.pool.Allocated(off, size) {
			c.report("waiter %#x is not allocated", off)
		}
		c.used[slab.SlotBytes(size)]++
		for i := range w.wants {
			if x := z.wantAt(off, i); c.total(name, x.hash) < x.most && z.pool.Stats().FreePages > 0 {
				c.report("waiter %#x in line %q waits while one of at most %d places is free", off, name, x.most)
			}
		}
		prev, off = off, w.next
	}
	if n != l.length || prev != l.tail {
		c.report("line %#x: length %d, found %d; tail %#x, want %#x", at, l.length, n, l.tail, prev)
	}
}

// total is how many connections the key of a line with this hash has.
func (c *checker) total(name []byte, hash uint32) uint32 {
	if c.byHash == nil {
		c.byHash = map[uint32][]shm.Offset{}
		for at, inTree := range c.nodes {
			if inTree {
				hash := c.z.node(at).tree.Key
				c.byHash[hash] = append(c.byHash[hash], at)
			}
		}
	}
	for _, at := range c.byHash[hash] {
		if n := c.z.node(at); bytes.Equal(c.z.lineOf(c.z.keyAt(at, n)), name) {
			return n.total()
		}
	}
	return 0
}

// callList checks one list of a slot's waiters.
func (c *checker) callList(slot int, head shm.Offset, sound func(off shm.Offset, w *waiter) bool) {
	prev := shm.Offset(0)
	for off := head; off != 0; {
		w := c.z.waiter(off)
		if w.slot != uint32(slot) || w.slotPrev != prev || w.wants > WantsMax || !sound(off, w) {
			c.report("waiter %#x in the list of slot %d: slot %d, prev %#x, want %#x, line %#x, share %#x", off, slot, w.slot, w.slotPrev, prev, w.line, w.share)
			return
		}
		prev, off = off, w.slotNext
	}
}
