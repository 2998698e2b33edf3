// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"fmt"
	"math/bits"

	"weir/internal/shm"
)

// checker walks the pages and collects faults.
type checker struct {
	p      *Pool
	faults []error
	listed map[shm.Offset]string // descriptors found in a list, and which
	free   uint32                // pages in free runs
	runs   uint32                // pages in allocated runs
	pages  [numClasses]uint32
	used   [numClasses]uint32
}

// Check walks the whole pool and returns every fault. The caller holds the zone's lock, or has a copy of the zone.
func (p *Pool) Check() (faults []error) {
	c := &checker{p: p, listed: make(map[shm.Offset]string)}
	defer func() {
		if err := shm.FaultOf(recover()); err != nil {
			faults = append(c.faults, err) // what comes after it cannot be reached
		}
	}()
	first, pages := p.pagesFor()
	if p.h.pages != pages || p.h.again != pages || p.h.firstPage != first || p.h.firstDesc != shm.DataArea {
		c.report("slab: %d pages (%d) from %#x, want %d from %#x", p.h.pages, p.h.again, p.h.firstPage, pages, first)
		return c.faults
	}
	c.walkList("free runs", p.h.freeRuns)
	for k := range p.h.classes {
		c.walkList(listName(k), p.h.classes[k].partial)
	}
	c.walkPages()
	c.compareTotals()
	return c.faults
}

func listName(k int) string { return fmt.Sprintf("partial pages of %d bytes", slotBytes(k)) }

func (c *checker) report(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

func (c *checker) walkList(name string, head shm.Offset) {
	prev := shm.Offset(0)
	for at := head; at != 0; {
		if at < c.p.h.firstDesc || (at-c.p.h.firstDesc)%descBytes != 0 || c.p.indexOf(at) >= c.p.h.pages {
			c.report("slab: %s: %#x is no page", name, at)
			return
		}
		if other, ok := c.listed[at]; ok {
			c.report("slab: page %d is in the list of %s and in that of %s", c.p.indexOf(at), name, other)
			return
		}
		c.listed[at] = name
		d := c.p.desc(at)
		if d.prev != prev {
			c.report("slab: page %d in the list of %s: prev is %#x, want %#x", c.p.indexOf(at), name, d.prev, prev)
		}
		prev, at = at, d.next
	}
}

func (c *checker) walkPages() {
	for i := uint32(0); i < c.p.h.pages; {
		i += max(c.page(i), 1)
	}
}

// page checks the page or run that starts at i, and returns how many pages that is.
func (c *checker) page(i uint32) uint32 {
	at := c.p.descAt(i)
	d := c.p.desc(at)
	if k, ok := d.state.slots(); ok {
		c.slots(i, at, d, k)
		return 1
	}
	switch d.state {
	case pageFreeHead, pageRunHead:
		if d.run == 0 || d.run > c.p.h.pages-i {
			c.report("slab: page %d begins a run of %d pages, %d are left", i, d.run, c.p.h.pages-i)
			return 1
		}
	default:
		c.report("slab: page %d has state %d, which begins nothing", i, d.state)
		return 1
	}
	tail := c.p.desc(c.p.descAt(i + d.run - 1))
	if d.state == pageRunHead {
		c.runs += d.run
		if d.run > 1 && tail.state != pageRunTail {
			c.report("slab: pages %d to %d are a run, but the last has state %d", i, i+d.run-1, tail.state)
		}
		return d.run
	}
	c.free += d.run
	c.wantList(at, i, "free runs")
	if d.run > 1 && (tail.state != pageFreeTail || tail.prev != at) {
		c.report("slab: pages %d to %d are free, but the last has state %d and prev %#x", i, i+d.run-1, tail.state, tail.prev)
	}
	if next := i + d.run; next < c.p.h.pages && c.p.desc(c.p.descAt(next)).state == pageFreeHead {
		c.report("slab: free runs at page %d and page %d are not merged", i, next)
	}
	return d.run
}

func (c *checker) wantList(at shm.Offset, i uint32, want string) {
	if got := c.listed[at]; got != want {
		c.report("slab: page %d is in the list %q, want %q", i, got, want)
	}
}

// slots checks a page that is cut for class k.
func (c *checker) slots(i uint32, at shm.Offset, d *desc, k int) {
	var n int
	if words := bitmapWords(k); words > 0 {
		start := c.p.pageOf(at)
		for w := range words {
			n += bits.OnesCount64(*shm.At[uint64](c.p.zone, start+shm.Offset(w*8)))
		}
		n -= bitmapSlots(k)
		if own := uint64(1)<<bitmapSlots(k) - 1; *shm.At[uint64](c.p.zone, start)&own != own {
			c.report("slab: page %d of %d bytes: the bitmap's own slots are free", i, slotBytes(k))
		}
		if d.bitmap != uint64(n) {
			c.report("slab: page %d of %d bytes: counts %d slots, its bitmap has %d", i, slotBytes(k), d.bitmap, n)
		}
	} else {
		n = bits.OnesCount64(d.bitmap)
		if d.bitmap&^fullBitmap(k) != 0 {
			c.report("slab: page %d of %d bytes: bitmap %#x has slots that do not exist", i, slotBytes(k), d.bitmap)
		}
	}
	c.pages[k]++
	c.used[k] += uint32(n)
	want := listName(k)
	if n == usable(k) {
		want = ""
	}
	c.wantList(at, i, want)
}

func (c *checker) compareTotals() {
	h := c.p.h
	if h.freePages != c.free || h.runPages != c.runs {
		c.report("slab: header counts %d free pages and %d in runs, found %d and %d", h.freePages, h.runPages, c.free, c.runs)
	}
	for k := range h.classes {
		if got := &h.classes[k]; got.pages != c.pages[k] || got.used != c.used[k] {
			c.report("slab: header counts %d pages and %d slots of %d bytes, found %d and %d", got.pages, got.used, slotBytes(k), c.pages[k], c.used[k])
		}
	}
}

// Allocated says whether off is the start of something that Alloc(sizeBytes) has given and nobody has freed. The caller holds the zone's lock, or
// has a copy of the zone.
func (p *Pool) Allocated(off shm.Offset, sizeBytes int) bool {
	if off < p.h.firstPage || uint32(off-p.h.firstPage)>>pageShift >= p.h.pages {
		return false
	}
	page := p.descFor(off)
	d := p.desc(page)
	k, ok := d.state.slots()
	if !ok {
		return d.state == pageRunHead && off == p.pageOf(page) && uint64(sizeBytes) <= uint64(d.run)<<pageShift
	}
	slot := int(off&(shm.PageBytes-1)) >> (k + minShift)
	if sizeBytes > slotMax || k != classOf(sizeBytes) || off&shm.Offset(slotBytes(k)-1) != 0 || slot < bitmapSlots(k) {
		return false
	}
	word := d.bitmap
	if bitmapWords(k) > 0 {
		word = *shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(slot/64*8))
	}
	return word>>(slot%64)&1 != 0
}

// CopyTo copies the zone's fixed areas and every page that is not free to a copy made by shm.Zone.Fork. The caller holds the zone's lock.
func (p *Pool) CopyTo(to *shm.Zone) {
	p.zone.CopyRange(to, 0, int(p.h.firstPage))
	for i := uint32(0); i < p.h.pages; {
		n := uint32(1)
		d := p.desc(p.descAt(i))
		if (d.state == pageFreeHead || d.state == pageRunHead) && d.run > 0 {
			n = min(d.run, p.h.pages-i)
		}
		if d.state != pageFreeHead {
			p.zone.CopyRange(to, p.h.firstPage+shm.Offset(i)<<pageShift, int(n)<<pageShift)
		}
		i += n
	}
}
