// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import "weir/internal/shm"

const (
	minShift   = 3                                  // slots have at least 8 bytes
	maxShift   = 11                                 // and at most half a page: 2048
	exactShift = 6                                  // from 64 bytes on, one word has a bit for each slot of a page
	numClasses = maxShift - minShift + 1            // 8, 16, 32, 64, 128, 256, 512, 1024, 2048
	pageShift  = 12                                 // log2(shm.PageBytes)
	descBytes  = 24                                 // size of a page descriptor
	slotMax    = 1 << maxShift                      // larger requests get whole pages
	_          = uint(1<<pageShift) - shm.PageBytes // a page is a page
)

// header stands at shm.AllocArea. It is changed through the transaction, under the zone's lock, but for what is said to be a plain counter.
type header struct {
	pages     uint32     // 0: pages in the pool; only Grow changes it
	freePages uint32     // 4: of those, in free runs
	firstDesc shm.Offset // 8: descriptors, one per page; never changes
	firstPage shm.Offset // 12: never changes
	freeRuns  shm.Offset // 16: list of free runs, by the descriptor of their first page
	runPages  uint32     // 20: pages in allocated runs
	requests  uint64     // 24: for runs of pages; plain counter
	fails     uint64     // 32: of those, refused; plain counter
	classes   [numClasses]class
	again     uint32 // 328: pages once more, for RestoreHeader
	_         uint32
}

// class is the pages cut into slots of one size.
type class struct {
	partial  shm.Offset // 0: list of pages with a free slot, by descriptor
	pages    uint32     // 4: pages cut for this size
	used     uint32     // 8: slots allocated
	_        uint32     // 12
	requests uint64     // 16: plain counter
	fails    uint64     // 24: of those, refused; plain counter
}

// pageState says what a page is. The state of a page in the middle of a run says nothing.
type pageState uint32

const (
	pageInner    pageState = iota // in the middle of a run, or never used
	pageFreeHead                  // first page of a free run; run is its length
	pageFreeTail                  // last page of a free run of two or more; prev is the first
	pageRunHead                   // first page of an allocated run; run is its length
	pageRunTail                   // last page of an allocated run of two or more
	pageSlots                     // cut into slots: pageSlots+0 for 8 bytes, +1 for 16, ...
)

// desc describes one page. It is changed through the transaction, under the zone's lock.
type desc struct {
	// bitmap has a bit for each allocated slot, the lowest for the first. Pages of 8, 16 and 32 byte slots have more slots than bits: their bitmap
	// stands in their own first slots, and this is the number of allocated slots.
	bitmap uint64
	next   shm.Offset // 8: free run or partial page: next in the list
	prev   shm.Offset // 12: the one before, nil: the list's head points here
	state  pageState  // 16
	run    uint32     // 20: see pageState
}

func (s pageState) slots() (classIndex int, ok bool) {
	return int(s - pageSlots), s >= pageSlots && s < pageSlots+numClasses
}

// slotBytes is the size of a class's slots.
func slotBytes(classIndex int) int { return 8 << classIndex }

// perPage is how many slots a page of the class has room for, those for its bitmap included.
func perPage(classIndex int) int { return shm.PageBytes >> (classIndex + minShift) }

// bitmapWords is how many words at the start of the page hold its bitmap: 0 when the descriptor does.
func bitmapWords(classIndex int) int {
	if classIndex+minShift >= exactShift {
		return 0
	}
	return perPage(classIndex) / 64
}

// bitmapSlots is how many slots those words take away.
func bitmapSlots(classIndex int) int {
	return (bitmapWords(classIndex)*8 + slotBytes(classIndex) - 1) / slotBytes(classIndex)
}

// usable is how many slots of a page of the class can be allocated.
func usable(classIndex int) int { return perPage(classIndex) - bitmapSlots(classIndex) }

// fullBitmap is the descriptor's bitmap when no slot is free.
func fullBitmap(classIndex int) uint64 { return ^uint64(0) >> (64 - perPage(classIndex)) }
