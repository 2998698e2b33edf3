// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"fmt"
	"math/bits"

	"weir/internal/invariant"
	"weir/internal/sys"
)

// Sizes of large pieces. They are rounded up to a power of two, at least a page; those of up to maxCachedShift are
// kept for the next one of that size, as long as no more than cacheBytes are.
const (
	minLargeShift  = 12
	maxCachedShift = 18
	cacheBytes     = 1 << 20
	maxLargeShift  = 40 // beyond any limit: what is asked for is refused before it is computed with
)

// Depot is where the arenas of one worker have their large pieces from. It is not for several goroutines.
type Depot struct {
	cleanups *cleanup // unused descriptors

	changes  uint64
	limit    int // bytes of large pieces
	used     int // bytes in arenas
	cached   int // bytes kept for reuse
	refusals uint64
	failures uint64
	failure  error

	mmap  func(lengthBytes int) ([]byte, error) // sys.MapAnonymous; tests have it fail
	cache [maxCachedShift + 1]*large            // by the binary logarithm of the size
	spare *large                                // descriptors without memory
}

// large is a large piece.
type large struct {
	mem        []byte // as mapped
	next, prev *large
}

// NewDepot makes a depot. limit is the bytes of all large pieces at one time, those kept for reuse included.
func NewDepot(limit int) *Depot {
	return &Depot{changes: 1, limit: limit, mmap: sys.MapAnonymous}
}

// Changes grows whenever something in Stats may have changed.
func (d *Depot) Changes() uint64 { return d.changes }

// allocLarge gives a a large piece of n bytes; nil as Alloc.
func (d *Depot) allocLarge(a *Arena, n int) []byte {
	d.changes++
	shift := max(bits.Len(uint(n-1)), minLargeShift)
	if shift > maxLargeShift || d.used+1<<shift > d.limit {
		d.refusals++
		return nil
	}
	l := d.acquireLarge(shift)
	if l == nil {
		return nil
	}
	l.prev, l.next = nil, a.large
	if a.large != nil {
		a.large.prev = l
	}
	a.large = l
	a.held = true
	return l.mem[:n:n]
}

// acquireLarge takes a piece of 1<<shift bytes from the cache, or maps it. nil: the kernel has no memory.
func (d *Depot) acquireLarge(shift int) *large {
	size := 1 << shift
	if shift <= maxCachedShift && d.cache[shift] != nil {
		l := d.cache[shift]
		d.cache[shift] = l.next
		d.cached -= size
		d.used += size
		if invariant.Enabled {
			if i := firstOther(l.mem, poisonByte); i >= 0 {
				panic("buffer: " + writtenLarge(l, i))
			}
		}
		return l
	}
	if d.used+d.cached+size > d.limit {
		d.Trim()
	}
	mem, err := d.mmap(size)
	if err != nil {
		d.failures++
		d.failure = err
		return nil
	}
	l := d.spare
	if l == nil {
		l = &large{}
	} else {
		d.spare = l.next
	}
	l.mem = mem
	d.used += size
	return l
}

// freeLarge takes l, which is on no arena's list any more, back.
func (d *Depot) freeLarge(l *large) {
	d.changes++
	size := len(l.mem)
	d.used -= size
	shift := bits.Len(uint(size)) - 1
	if shift > maxCachedShift || d.cached+size > cacheBytes {
		d.unmapLarge(l)
		return
	}
	if invariant.Enabled {
		for i := range l.mem {
			l.mem[i] = poisonByte
		}
	}
	l.prev, l.next = nil, d.cache[shift]
	d.cache[shift] = l
	d.cached += size
}

// writtenLarge is the report about a large piece that somebody has written to at offset i after it was freed.
func writtenLarge(l *large, i int) string {
	return fmt.Sprintf("a large piece of %d bytes was written to at offset %d after it was freed", len(l.mem), i)
}

// unmapLarge gives l's memory to the kernel and keeps the descriptor.
func (d *Depot) unmapLarge(l *large) {
	if err := sys.Unmap(l.mem); err != nil {
		panic(fmt.Sprintf("buffer: depot: %v", err)) // memory that is not mapped: a bug
	}
	l.mem, l.prev, l.next = nil, nil, d.spare
	d.spare = l
}

// Trim gives the memory that is kept for reuse back to the kernel.
func (d *Depot) Trim() {
	d.changes++
	for shift := range d.cache {
		for d.cache[shift] != nil {
			l := d.cache[shift]
			d.cache[shift] = l.next
			d.cached -= len(l.mem)
			d.unmapLarge(l)
		}
	}
}

// newCleanup takes an unused descriptor, or makes one.
func (d *Depot) newCleanup() *cleanup {
	c := d.cleanups
	if c == nil {
		return &cleanup{}
	}
	d.cleanups = c.next
	return c
}

// freeCleanup takes c back.
func (d *Depot) freeCleanup(c *cleanup) {
	*c = cleanup{next: d.cleanups}
	d.cleanups = c
}

// DepotStats are a depot's numbers for large pieces; those for chunks are the pool's.
type DepotStats struct {
	LargeUsed   int    // bytes in arenas
	LargeCached int    // bytes kept for reuse
	LargeLimit  int    // bytes at most, both together
	Refusals    uint64 // how often the limit was reached
	Failures    uint64 // how often the kernel refused memory
	Failure     error  // the last such refusal
}

// Stats returns the depot's numbers.
func (d *Depot) Stats() DepotStats {
	return DepotStats{
		LargeUsed:   d.used,
		LargeCached: d.cached,
		LargeLimit:  d.limit,
		Refusals:    d.refusals,
		Failures:    d.failures,
		Failure:     d.failure,
	}
}

// Check walks the depot and returns every fault that it finds.
func (d *Depot) Check() (faults []error) {
	cached := 0
	for shift, l := range d.cache {
		for ; l != nil; l = l.next {
			if len(l.mem) != 1<<shift {
				faults = append(faults, fmt.Errorf("buffer depot: a piece of %d bytes is kept among those of %d", len(l.mem), 1<<shift))
				continue
			}
			cached += len(l.mem)
			if invariant.Enabled {
				if i := firstOther(l.mem, poisonByte); i >= 0 {
					faults = append(faults, fmt.Errorf("buffer depot: %s", writtenLarge(l, i)))
				}
			}
		}
	}
	if cached != d.cached || d.used < 0 || d.used+d.cached > d.limit {
		faults = append(faults, fmt.Errorf("buffer depot: %d bytes used, %d cached on record and %d found, the limit is %d",
			d.used, d.cached, cached, d.limit))
	}
	return faults
}
