// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"fmt"

	"weir/internal/shm"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// Check walks the whole zone and returns every fault. It works on a copy, while the others go on: the lock is held for as long as it takes to copy what is in use, about
// a millisecond for 10 MB. A zone found sound is no longer due for a check; one with faults is marked, for Rebuild.
func (z *Zone) Check() []error {
	faults, recoveries := z.CheckCopy(z.pool, func(private *shm.Zone) []error { return over(private, nil, NoSlot).check() })
	tx := z.mutex.Lock()
	if len(faults) == 0 {
		tx.Put64(&z.h.checked, recoveries)
	} else {
		tx.Put32(&z.h.state, max(z.h.state, stateDamaged))
	}
	z.mutex.Unlock()
	return faults
}

// checker collects the faults of a zone that nobody changes.
type checker struct {
	z      *Zone
	faults []error
	nodes  map[shm.Offset]bool     // seen; true: in the tree
	shares map[shm.Offset]bool     // with connections, found at a node; true: found in its slot's list too
	used   map[int]int             // allocations found, by slot size
	byHash map[uint32][]shm.Offset // nodes in the tree; made when it is wanted
}

func (c *checker) report(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("limitconn: "+format, args...))
}

// check is Check on a zone that nobody changes.
func (z *Zone) check() (faults []error) {
	c := &checker{z: z, nodes: make(map[shm.Offset]bool), shares: make(map[shm.Offset]bool), used: make(map[int]int)}
	c.faults = append(z.shm.Check(), z.pool.Check()...)
	defer func() {
		if err := shm.FaultOf(recover()); err != nil {
			faults = append(c.faults, err) // what comes after it cannot be reached
		}
	}()
	if z.h.state != stateSound {
		c.report("the zone is marked with state %d", z.h.state)
	}
	inTree := func(at shm.Offset) { c.node(at, true) }
	compare := func(a, b shm.Offset) int { return bytes.Compare(z.keyAt(a, z.node(a)), z.keyAt(b, z.node(b))) }
	c.faults = append(c.faults, z.tree.Check(inTree, compare)...)
	for slot := range z.lists() {
		c.slot(slot)
	}
	c.lines()
	for off, listed := range c.shares {
		if !listed {
			c.report("share %#x is not in the list of its slot %d", off, z.share(off).slot)
		}
	}
	c.compareCounts()
	return c.faults
}

// node checks one node and its shares.
func (c *checker) node(at shm.Offset, inTree bool) {
	if _, ok := c.nodes[at]; ok {
		c.report("node %#x stands in the zone twice", at)
		return
	}
	c.nodes[at] = inTree
	z := c.z
	n := z.node(at)
	size := nodeBytes + n.keyLen()
	switch {
	case n.keyLen() == 0:
		c.report("node %#x has no key", at)
	case n.tree.Key != zonekey.Hash(z.keyAt(at, n)):
		c.report("node %#x: hash %#x, its key has %#x", at, n.tree.Key, zonekey.Hash(z.keyAt(at, n)))
	case !z.pool.Allocated(at, size):
		c.report("node %#x of %d bytes is not allocated", at, size)
	case n.orphan() == inTree:
		c.report("node %#x: deleted %v, in the tree %v", at, n.orphan(), inTree)
	}
	c.used[slab.SlotBytes(size)]++
	var sum uint32
	for off := at + ownOffset; off != 0; {
		s := z.share(off)
		own := off == at+ownOffset
		if _, ok := c.shares[off]; ok {
			c.report("share %#x is listed twice", off)
			break
		}
		if s.node != at || s.slot >= SlotsMax || !own && s.count() == 0 {
			c.report("share %#x of node %#x: node %#x, slot %d, %d connections", off, at, s.node, s.slot, s.count())
		}
		if !own && s.counts.node() != 0 {
			c.report("share %#x counts %d connections for its node", off, s.counts.node())
		}
		if !own && !z.pool.Allocated(off, shareBytes) {
			c.report("share %#x is not allocated", off)
		}
		if s.count() > 0 {
			c.shares[off] = false
		}
		if !own {
			c.used[slab.SlotBytes(shareBytes)]++
		}
		sum += s.count()
		off = s.next
	}
	if n.total() != sum || sum == 0 {
		c.report("node %#x has %d connections, its shares %d", at, n.total(), sum)
	}
}

// slot checks the list of one slot's shares; nodes that are not in the tree are met here.
func (c *checker) slot(slot int) {
	prev := shm.Offset(0)
	for off := c.z.lists()[slot]; off != 0; {
		s := c.z.share(off)
		if _, ok := c.nodes[s.node]; !ok {
			c.node(s.node, false)
		}
		listed, ok := c.shares[off]
		if !ok || listed {
			c.report("share %#x in the list of slot %d: of a node %v, listed before %v", off, slot, ok, listed)
			return
		}
		c.shares[off] = true
		if s.slot != uint32(slot) || s.slotPrev != prev {
			c.report("share %#x in the list of slot %d: slot %d, prev %#x, want %#x", off, slot, s.slot, s.slotPrev, prev)
		}
		prev, off = off, s.slotNext
	}
}

func (c *checker) compareCounts() {
	var keys, orphans uint32
	for _, inTree := range c.nodes {
		if inTree {
			keys++
		} else {
			orphans++
		}
	}
	if h := c.z.h; h.keys != keys || h.orphans != orphans {
		c.report("the header counts %d keys and %d deleted ones, found %d and %d", h.keys, h.orphans, keys, orphans)
	}
	stats := c.z.pool.Stats()
	for i := range stats.Sizes {
		if s := &stats.Sizes[i]; s.Used != c.used[s.SlotBytes] {
			c.report("%d slots of %d bytes are allocated, %d are in use", s.Used, s.SlotBytes, c.used[s.SlotBytes])
		}
	}
	runs := 1
	if c.z.h.calls != 0 {
		runs += callListsBytes / shm.PageBytes
	}
	if stats.RunPages != runs {
		c.report("%d pages are allocated in runs, %d are in use", stats.RunPages, runs)
	}
}
