// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// A zone of which only a part is reserved (shm.Options.ReservedBytes) has the descriptors of all pages that there may be in front of the first page, and as many pages as have
// been asked for. It grows at its end: nothing moves, and every process that has it mapped has the new pages too.
//
//	DataArea  descriptors in use | not reserved   pages in use | not reserved
//	          '------- of all pages there may be  ^ firstPage

// FormatPart is Format for a zone that is to have as many pages as one of sizeBytes. An error says that the machine has no memory for them.
func FormatPart(z *shm.Zone, sizeBytes int64) (*Pool, error) {
	pages := uint32(Pages(sizeBytes))
	if err := Open(z).reserve(0, pages); err != nil {
		return nil, err
	}
	return format(z, pages), nil
}

// ranges are what pages need, besides the fixed areas.
func (p *Pool) ranges(pages uint32) []shm.Range {
	first, most := split(p.zone.SizeBytes())
	pages = min(pages, most)
	return []shm.Range{{From: 0, Bytes: int64(shm.DataArea) + int64(pages)*descBytes}, {From: first, Bytes: int64(pages) << pageShift}}
}

// Ranges are the parts of the zone that are in use, free pages among them. It needs no lock.
func (p *Pool) Ranges() []shm.Range { return p.ranges(p.h.pages) }

// reserve finds memory for pages of which the first are there.
func (p *Pool) reserve(there, pages uint32) error {
	before := p.ranges(there)
	for i, r := range p.ranges(pages) {
		if more := r.Bytes - before[i].Bytes; more > 0 {
			if err := p.zone.Reserve(r.From+shm.Offset(before[i].Bytes), more); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reserve has the machine find the memory for as many pages as a zone of sizeBytes has, for Grow. It takes its time, and needs no lock.
func (p *Pool) Reserve(sizeBytes int64) error { return p.reserve(p.h.pages, uint32(Pages(sizeBytes))) }

// Grow gives the pool as many pages as a zone of sizeBytes has, which Reserve has found memory for; false when it has as many already, or the zone has no room for them.
func (p *Pool) Grow(tx *shmtx.Tx, sizeBytes int64) bool {
	pages, before := uint32(Pages(sizeBytes)), p.h.pages
	if _, most := split(p.zone.SizeBytes()); pages <= before || pages > most {
		return false
	}
	tx.Put32(&p.h.pages, pages)
	tx.Put32(&p.h.again, pages)
	p.givePages(tx, p.descAt(before), pages-before)
	return true
}

// pagesFor is how many pages the pool has as far as the zone's size tells, and where the first one is; of one that can grow, what the header says of it, if that can be.
func (p *Pool) pagesFor() (first shm.Offset, pages uint32) {
	first, most := split(p.zone.SizeBytes())
	if !p.zone.Part() {
		return first, most
	}
	for _, n := range []uint32{p.h.pages, p.h.again} { // the larger: a page too many is one that was never used
		if n <= most {
			pages = max(pages, n)
		}
	}
	return first, max(pages, 1)
}
