// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// allocRun is Alloc for more than half a page.
func (p *Pool) allocRun(tx *shmtx.Tx, sizeBytes int) (shm.Offset, bool) {
	tx.Step()
	p.h.requests++
	n := (uint64(sizeBytes) + shm.PageBytes - 1) >> pageShift
	if n <= uint64(p.h.pages) {
		if page, ok := p.takePages(tx, uint32(n)); ok {
			p.setState(tx, p.desc(page), pageRunHead, uint32(n))
			if n > 1 {
				p.setState(tx, p.desc(page+shm.Offset(n-1)*descBytes), pageRunTail, 0)
			}
			tx.Put32(&p.h.runPages, p.h.runPages+uint32(n))
			return p.pageOf(page), true
		}
	}
	tx.Step()
	p.h.fails++
	return 0, false
}

// freeRun is Free for what allocRun gave.
func (p *Pool) freeRun(tx *shmtx.Tx, off, page shm.Offset) {
	d := p.desc(page)
	if d.state != pageRunHead || off != p.pageOf(page) {
		shm.Faultf(p.zone, off, "slab: freed, but no run of pages starts here")
	}
	n := d.run
	tx.Put32(&p.h.runPages, p.h.runPages-n)
	p.givePages(tx, page, n)
}

// takePages takes n pages off the front of the first free run that has them. When none has, it gives up the empty pages that
// classes have kept, and tries again.
func (p *Pool) takePages(tx *shmtx.Tx, n uint32) (shm.Offset, bool) {
	head, ok := p.findRun(n)
	if !ok {
		if !p.reclaim(tx) {
			return 0, false
		}
		if head, ok = p.findRun(n); !ok {
			return 0, false
		}
	}
	d := p.desc(head)
	left := d.run - n
	p.unlink(tx, &p.h.freeRuns, d)
	if left > 0 {
		p.addFreeRun(tx, head+shm.Offset(n)*descBytes, left)
	}
	tx.Put32(&p.h.freePages, p.h.freePages-n)
	return head, true
}

func (p *Pool) findRun(n uint32) (shm.Offset, bool) {
	seen := uint32(0)
	for run := p.h.freeRuns; run != 0; run = p.desc(run).next {
		if p.desc(run).run >= n {
			return run, true
		}
		if seen++; seen > p.h.pages {
			shm.Faultf(p.zone, run, "slab: the list of free runs has no end")
		}
	}
	return 0, false
}

// addFreeRun describes n pages from head on as a free run, and lists it.
func (p *Pool) addFreeRun(tx *shmtx.Tx, head shm.Offset, n uint32) {
	p.setState(tx, p.desc(head), pageFreeHead, n)
	if n > 1 {
		tail := p.desc(head + shm.Offset(n-1)*descBytes)
		p.setState(tx, tail, pageFreeTail, 0)
		tx.PutOffset(&tail.prev, head)
	}
	p.link(tx, &p.h.freeRuns, head)
}

// givePages makes n pages from page on a free run, merged with the free runs on either side.
func (p *Pool) givePages(tx *shmtx.Tx, page shm.Offset, n uint32) {
	tx.Put32(&p.h.freePages, p.h.freePages+n)
	first := p.indexOf(page)
	if after := first + n; after < p.h.pages {
		if d := p.desc(p.descAt(after)); d.state == pageFreeHead {
			n += d.run
			p.setState(tx, d, pageInner, 0)
			p.unlink(tx, &p.h.freeRuns, d)
		}
	}
	if first > 0 {
		before := p.descAt(first - 1)
		if p.desc(before).state == pageFreeTail {
			before = p.desc(before).prev
		}
		if d := p.desc(before); d.state == pageFreeHead && p.indexOf(before)+d.run == first {
			p.setState(tx, p.desc(page), pageInner, 0)
			n += d.run
			p.unlink(tx, &p.h.freeRuns, d)
			page = before
		}
	}
	p.addFreeRun(tx, page, n)
}
