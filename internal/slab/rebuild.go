// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"math/bits"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

// RestoreHeader writes anew what never changes in the header: the first step to rebuild a damaged pool.
func (p *Pool) RestoreHeader(tx *shmtx.Tx) {
	tx.Step()
	p.h.firstPage, p.h.pages = p.pagesFor()
	p.h.firstDesc, p.h.again = shm.DataArea, p.h.pages
}

// Each calls visit with every allocated slot and its size, as far as the pages themselves tell: lists and totals are not asked, runs are
// left out. The caller holds the zone's lock, or has a copy of the zone.
func (p *Pool) Each(visit func(off shm.Offset, slotBytes int)) {
	for i := range p.h.pages {
		page := p.descAt(i)
		// No page inside a run has this state: a page that is given up begins a free run at that moment, or is marked as inner.
		if k, ok := p.desc(page).state.slots(); ok {
			p.eachSlot(page, k, func(slot int) { visit(p.pageOf(page)+shm.Offset(slot<<(k+minShift)), slotBytes(k)) })
		}
	}
}

// eachSlot calls visit for each allocated slot of a page cut for class k.
func (p *Pool) eachSlot(page shm.Offset, k int, visit func(slot int)) {
	words := bitmapWords(k)
	if words == 0 {
		for word := p.desc(page).bitmap & fullBitmap(k); word != 0; word &= word - 1 {
			visit(bits.TrailingZeros64(word))
		}
		return
	}
	for w := range words {
		word := *shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(w*8))
		if w == 0 {
			word &^= 1<<bitmapSlots(k) - 1
		}
		for ; word != 0; word &= word - 1 {
			visit(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// Rebuild makes a sound pool of a damaged one: it keeps the slots for which keep says so, where they are, and frees all others, and all runs. It
// returns how many slots it freed. It makes its stores without undo; when it is cut short it is to be called again, and finds no
// fewer of the kept slots, since a page that has one stays cut as it is. Requests and fails go on.
func (p *Pool) Rebuild(tx *shmtx.Tx, keep func(off shm.Offset, slotBytes int) bool) (freed int) {
	h := p.h
	for k := range h.classes {
		h.classes[k].partial, h.classes[k].pages, h.classes[k].used = 0, 0, 0
	}
	h.freeRuns, h.freePages, h.runPages = 0, 0, 0
	for i := range h.pages {
		page := p.descAt(i)
		tx.Step()
		if !p.rebuildPage(page, keep, &freed) {
			*p.desc(page) = desc{}
			h.freePages++
		}
	}
	p.relinkFree(tx)
	return freed
}

// rebuildPage makes page's bitmap anew; false when the page has no slot to keep.
func (p *Pool) rebuildPage(page shm.Offset, keep func(off shm.Offset, slotBytes int) bool, freed *int) bool {
	d := p.desc(page)
	k, ok := d.state.slots()
	if !ok {
		return false
	}
	var bitmap [shm.PageBytes >> minShift / 64]uint64
	n := 0
	p.eachSlot(page, k, func(slot int) {
		if keep(p.pageOf(page)+shm.Offset(slot<<(k+minShift)), slotBytes(k)) {
			bitmap[slot/64] |= 1 << (slot % 64)
			n++
		} else {
			*freed++
		}
	})
	if n == 0 {
		return false
	}
	d.bitmap, d.next, d.prev, d.run = bitmap[0], 0, 0, 0
	if words := bitmapWords(k); words > 0 {
		d.bitmap = uint64(n)
		bitmap[0] |= 1<<bitmapSlots(k) - 1
		for w := range words {
			*shm.At[uint64](p.zone, p.pageOf(page)+shm.Offset(w*8)) = bitmap[w]
		}
	}
	c := &p.h.classes[k]
	c.pages++
	c.used += uint32(n)
	if n < usable(k) {
		d.next = c.partial
		if d.next != 0 {
			p.desc(d.next).prev = page
		}
		c.partial = page
	}
	return true
}

// relinkFree lists each run of pages that rebuildPage left empty.
func (p *Pool) relinkFree(tx *shmtx.Tx) {
	for i := uint32(0); i < p.h.pages; {
		n := uint32(0)
		for i+n < p.h.pages && p.desc(p.descAt(i+n)).state == pageInner {
			n++
		}
		if n > 0 {
			p.addFreeRun(tx, p.descAt(i), n)
			tx.Commit()
		}
		i += n + 1
	}
}
