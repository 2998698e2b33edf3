// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"math/bits"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

// Pool is this process's handle on a zone's allocator. Every method needs the zone's lock.
type Pool struct {
	zone *shm.Zone
	h    *header
}

// Format makes the whole data area of a new zone one free run of pages. Nobody else has the zone yet, so there is no transaction.
func Format(z *shm.Zone) *Pool {
	_, pages := split(z.SizeBytes())
	return format(z, pages)
}

func format(z *shm.Zone, pages uint32) *Pool {
	p := Open(z)
	first, _ := split(z.SizeBytes())
	*p.h = header{pages: pages, again: pages, freePages: pages, firstDesc: shm.DataArea, firstPage: first, freeRuns: shm.DataArea}
	for i := range pages {
		*p.desc(p.descAt(i)) = desc{}
	}
	p.desc(p.descAt(0)).state, p.desc(p.descAt(0)).run = pageFreeHead, pages
	if pages > 1 {
		last := p.desc(p.descAt(pages - 1))
		last.state, last.prev = pageFreeTail, p.descAt(0)
	}
	return p
}

// Open is the allocator of a zone that was formatted.
func Open(z *shm.Zone) *Pool {
	return &Pool{zone: z, h: shm.At[header](z, shm.AllocArea)}
}

// split divides the data area of a zone into descriptors and pages.
func split(zoneBytes int64) (firstPage shm.Offset, pages uint32) {
	room := zoneBytes - int64(shm.DataArea)
	pages = uint32(room / (shm.PageBytes + descBytes))
	for {
		firstPage = (shm.DataArea + shm.Offset(pages)*descBytes + shm.PageBytes - 1) &^ (shm.PageBytes - 1)
		if int64(firstPage)+int64(pages)<<pageShift <= zoneBytes {
			return firstPage, pages
		}
		pages--
	}
}

// Pages is how many pages a zone of the given size has.
func Pages(zoneBytes int64) int {
	_, pages := split(zoneBytes)
	return int(pages)
}

// PerPage is how many allocations of sizeBytes, 1 to 2048, fit into one page.
func PerPage(sizeBytes int) int { return usable(classOf(sizeBytes)) }

// classOf is the smallest class whose slots hold sizeBytes.
func classOf(sizeBytes int) int {
	if sizeBytes <= 1<<minShift {
		return 0
	}
	return bits.Len(uint(sizeBytes-1)) - minShift
}

// Alloc reserves sizeBytes and returns where; false when there is no room. Up to 2048 bytes it gives a slot of the next power
// of two, aligned to its size up to 64 bytes and more; beyond that, whole pages. The memory is not cleared. For slots it takes the same time however full the
// zone is; for runs of pages it tries the free runs one after the other.
func (p *Pool) Alloc(tx *shmtx.Tx, sizeBytes int) (shm.Offset, bool) {
	if sizeBytes > slotMax {
		return p.allocRun(tx, sizeBytes)
	}
	k := classOf(sizeBytes)
	c := &p.h.classes[k]
	tx.Step()
	c.requests++
	if c.partial == 0 && !p.cutPage(tx, k) {
		tx.Step()
		c.fails++
		return 0, false
	}
	tx.Put32(&c.used, c.used+1)
	page := c.partial
	d := p.desc(page)
	if words := bitmapWords(k); words > 0 {
		return p.allocSmall(tx, page, k, words), true
	}
	slot := bits.TrailingZeros64(^d.bitmap)
	if slot >= perPage(k) {
		shm.Faultf(p.zone, page, "slab: a full page in the list of partial pages of %d bytes", slotBytes(k))
	}
	bitmap := d.bitmap | 1<<slot
	tx.Put64(&d.bitmap, bitmap)
	if bitmap == fullBitmap(k) {
		p.unlink(tx, &c.partial, d)
	}
	return p.pageOf(page) + shm.Offset(slot<<(k+minShift)), true
}

// allocSmall is Alloc in a page whose bitmap stands in the page.
func (p *Pool) allocSmall(tx *shmtx.Tx, page shm.Offset, k, words int) shm.Offset {
	d, start := p.desc(page), p.pageOf(page)
	for i := range words {
		word := shm.At[uint64](p.zone, start+shm.Offset(i*8))
		bit := bits.TrailingZeros64(^*word)
		if bit == 64 {
			continue
		}
		tx.Put64(word, *word|1<<bit)
		tx.Put64(&d.bitmap, d.bitmap+1)
		if d.bitmap == uint64(usable(k)) {
			p.unlink(tx, &p.h.classes[k].partial, d)
		}
		return start + shm.Offset((i*64+bit)<<(k+minShift))
	}
	shm.Faultf(p.zone, page, "slab: a full page in the list of partial pages of %d bytes", slotBytes(k))
	return 0
}

// Free gives back what Alloc returned, once. Anything else is a Fault: the zone is damaged, or its user has a bug.
func (p *Pool) Free(tx *shmtx.Tx, off shm.Offset) {
	page := p.descFor(off)
	d := p.desc(page)
	k, ok := d.state.slots()
	if !ok {
		p.freeRun(tx, off, page)
		return
	}
	slot := int(off&(shm.PageBytes-1)) >> (k + minShift)
	if off&shm.Offset(slotBytes(k)-1) != 0 || slot < bitmapSlots(k) {
		shm.Faultf(p.zone, off, "slab: freed, but no slot of %d bytes starts here", slotBytes(k))
	}
	c := &p.h.classes[k]
	var wasFull, isEmpty bool
	if bitmapWords(k) > 0 {
		word := shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(slot/64*8))
		p.mustBeSet(*word, slot%64, off)
		tx.Put64(word, *word&^(1<<(slot%64)))
		wasFull, isEmpty = d.bitmap == uint64(usable(k)), d.bitmap == 1
		tx.Put64(&d.bitmap, d.bitmap-1)
	} else {
		p.mustBeSet(d.bitmap, slot, off)
		wasFull, isEmpty = d.bitmap == fullBitmap(k), d.bitmap == 1<<slot
		tx.Put64(&d.bitmap, d.bitmap&^(1<<slot))
	}
	tx.Put32(&c.used, c.used-1)
	if wasFull {
		p.link(tx, &c.partial, page)
	}
	if isEmpty && (c.partial != page || d.next != 0) {
		p.uncutPage(tx, page) // one empty page per size stays, so that a single key that comes and goes is cheap
	}
}

func (p *Pool) mustBeSet(word uint64, bit int, off shm.Offset) {
	if word>>bit&1 == 0 {
		shm.Faultf(p.zone, off, "slab: freed, but it is free already")
	}
}

// cutPage cuts a free page into slots of class k and makes it the class's partial page.
func (p *Pool) cutPage(tx *shmtx.Tx, k int) bool {
	page, ok := p.takePages(tx, 1)
	if !ok {
		return false
	}
	d, c := p.desc(page), &p.h.classes[k]
	for i := range bitmapWords(k) {
		tx.Step()
		*shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(i*8)) = 0 // the page is free: nothing to undo
	}
	if n := bitmapSlots(k); n > 0 {
		tx.Step()
		*shm.At[uint64](p.zone, p.pageOf(page)) = 1<<n - 1
	}
	tx.Put64(&d.bitmap, 0)
	p.setState(tx, d, pageSlots+pageState(k), 0)
	tx.Put32(&c.pages, c.pages+1)
	p.link(tx, &c.partial, page)
	return true
}

// uncutPage makes an empty partial page a free one.
func (p *Pool) uncutPage(tx *shmtx.Tx, page shm.Offset) {
	d := p.desc(page)
	k, _ := d.state.slots()
	for i := range bitmapWords(k) {
		// The page may be cut anew in this same transaction, and its new user write over the bitmap without
		// undo. Saved here, the bitmap comes back when the transaction does not happen.
		tx.Put64(shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(i*8)), 0)
	}
	c := &p.h.classes[k]
	p.unlink(tx, &c.partial, d)
	tx.Put32(&c.pages, c.pages-1)
	p.givePages(tx, page, 1)
}

// reclaim makes free pages of the empty pages that classes have kept. It says whether there were any.
func (p *Pool) reclaim(tx *shmtx.Tx) bool {
	any := false
	for k := range p.h.classes {
		page := p.h.classes[k].partial
		if page != 0 && p.desc(page).bitmap == 0 {
			p.uncutPage(tx, page)
			any = true
		}
	}
	return any
}

func (p *Pool) setState(tx *shmtx.Tx, d *desc, s pageState, run uint32) {
	tx.Put32((*uint32)(&d.state), uint32(s))
	tx.Put32(&d.run, run)
}

// link puts a descriptor at the head of a list.
func (p *Pool) link(tx *shmtx.Tx, head *shm.Offset, at shm.Offset) {
	d := p.desc(at)
	tx.PutOffset(&d.next, *head)
	tx.PutOffset(&d.prev, 0)
	if *head != 0 {
		tx.PutOffset(&p.desc(*head).prev, at)
	}
	tx.PutOffset(head, at)
}

// unlink takes a descriptor out of a list.
func (p *Pool) unlink(tx *shmtx.Tx, head *shm.Offset, d *desc) {
	if d.prev != 0 {
		tx.PutOffset(&p.desc(d.prev).next, d.next)
	} else {
		tx.PutOffset(head, d.next)
	}
	if d.next != 0 {
		tx.PutOffset(&p.desc(d.next).prev, d.prev)
	}
	tx.PutOffset(&d.next, 0)
	tx.PutOffset(&d.prev, 0)
}

func (p *Pool) desc(off shm.Offset) *desc { return shm.At[desc](p.zone, off) }

func (p *Pool) descAt(i uint32) shm.Offset { return p.h.firstDesc + shm.Offset(i)*descBytes }

func (p *Pool) indexOf(page shm.Offset) uint32 { return uint32(page-p.h.firstDesc) / descBytes }

// pageOf is where the page of a descriptor starts.
func (p *Pool) pageOf(page shm.Offset) shm.Offset {
	return p.h.firstPage + shm.Offset(p.indexOf(page))<<pageShift
}

// descFor is the descriptor of the page that off is in.
func (p *Pool) descFor(off shm.Offset) shm.Offset {
	i := uint32(off-p.h.firstPage) >> pageShift
	if off < p.h.firstPage || i >= p.h.pages {
		shm.Faultf(p.zone, off, "slab: not in a page")
	}
	return p.descAt(i)
}

// SlotBytes is the size of the slot that an allocation of sizeBytes, 1 to 2048, takes.
func SlotBytes(sizeBytes int) int { return slotBytes(classOf(sizeBytes)) }
