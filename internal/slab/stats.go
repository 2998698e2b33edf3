// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

// SizeStats is what nginx's slab statistics hold for one slot size.
type SizeStats struct {
	SlotBytes int    // 8, 16, ... 2048
	Pages     int    // cut for this size
	Total     int    // slots in them
	Used      int    // of those, allocated
	Requests  uint64 // calls of Alloc; one that was killed half-way may be missing or too many
	Fails     uint64 // of those, refused because the zone was full; the same
}

// Stats is the state of a pool.
type Stats struct {
	PageBytes   int
	Pages       int // of the pool
	FreePages   int
	RunPages    int    // in allocations of more than 2048 bytes
	RunRequests uint64 // such calls of Alloc
	RunFails    uint64 // of those, refused
	Sizes       [numClasses]SizeStats
}

// Stats returns the present numbers. The caller holds the zone's lock.
func (p *Pool) Stats() Stats {
	s := Stats{
		PageBytes: 1 << pageShift, Pages: int(p.h.pages), FreePages: int(p.h.freePages), RunPages: int(p.h.runPages),
		RunRequests: p.h.requests, RunFails: p.h.fails,
	}
	for k := range p.h.classes {
		c := &p.h.classes[k]
		s.Sizes[k] = SizeStats{
			SlotBytes: slotBytes(k), Pages: int(c.pages), Total: int(c.pages) * usable(k), Used: int(c.used),
			Requests: c.requests, Fails: c.fails,
		}
	}
	return s
}

// UsedPages is how many pages are not free; of those cut into slots, all count, also the one empty page per size that is kept.
func (s *Stats) UsedPages() int { return s.Pages - s.FreePages }
