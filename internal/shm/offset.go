// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shm

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// Fault is what At, Bytes and OffsetOf panic with when an offset cannot be one: the zone's bytes are damaged. Whoever works on a zone
// recovers it at the edge of the operation, rolls back, and has the zone checked and rebuilt.
type Fault struct {
	Zone   string // the zone's name
	Offset Offset // what was read from the zone
	What   string // what is wrong with it
}

// Error is the report.
func (f *Fault) Error() string {
	return fmt.Sprintf("zone %q: offset %#x: %s", f.Zone, uint32(f.Offset), f.What)
}

// FaultOf is the fault that a deferred function has recovered; nil when there was no panic. Any other panic goes on, for it is a bug.
func FaultOf(recovered any) *Fault {
	if recovered == nil {
		return nil
	}
	fault, ok := recovered.(*Fault)
	if !ok {
		panic(recovered)
	}
	return fault
}

// Faultf panics with a Fault: for faults that only the structure's owner can see, such as a list that never ends.
func Faultf(z *Zone, off Offset, format string, args ...any) {
	panic(&Fault{Zone: z.Name(), Offset: off, What: fmt.Sprintf(format, args...)})
}

// At is the T at off. T is a struct or number without pointers, made of naturally aligned fields. An offset that is nil, points into the zone's
// identity or past its end, or is not a multiple of 8, panics with a Fault.
//
// The pointer is good until the zone is closed. Reading through it is reading shared memory: hold the lock.
func At[T any](z *Zone, off Offset) *T {
	var t T
	// Rotated, an offset that is not a multiple of 8 is larger than any limit: one comparison for both. The panic stands here and not in a
	// function of its own, because a call would keep At from being inlined.
	if bits.RotateLeft32(uint32(off-LockArea), -3) > z.limit-uint32((unsafe.Sizeof(t)+7)/8) {
		z.fault.Offset = off
		panic(&z.fault)
	}
	return (*T)(unsafe.Add(z.base, off))
}

// Look is At for those who know what to do without an answer: nil where At would panic.
func Look[T any](z *Zone, off Offset) *T {
	var t T
	if bits.RotateLeft32(uint32(off-LockArea), -3) > z.limit-uint32((unsafe.Sizeof(t)+7)/8) {
		return nil
	}
	return (*T)(unsafe.Add(z.base, off))
}

// Same says whether b stands at off; false when part of that would be outside the zone.
func (z *Zone) Same(off Offset, b []byte) bool {
	if off < LockArea || uint64(off)+uint64(len(b)) > z.size {
		return false
	}
	at := unsafe.Add(z.base, off)
	if len(b) == 4 { // an IPv4 address
		return *(*[4]byte)(at) == [4]byte(b)
	}
	return unsafe.String((*byte)(at), len(b)) == string(b)
}

// Bytes are the n bytes at off; a range outside the zone panics with a Fault. The same rules as for At.
func (z *Zone) Bytes(off Offset, n int) []byte {
	if off < LockArea || uint64(off)+uint64(n) > z.size || n < 0 {
		z.bad(off)
	}
	return z.mem[off : uint64(off)+uint64(n) : uint64(off)+uint64(n)]
}

// OffsetOf is the inverse of At: the offset of what p points to. A pointer that is not into the zone panics with a Fault.
func OffsetOf[T any](z *Zone, p *T) Offset {
	off := uint64(uintptr(unsafe.Pointer(p)) - uintptr(z.base))
	if off >= z.size {
		z.bad(Offset(off))
	}
	return Offset(off)
}

// Word is the aligned 8-byte word that *p, of at most 8 bytes, is in: its offset, and what it holds. A pointer that is not into the zone
// panics with a Fault.
func Word[T any](z *Zone, p *T) (Offset, uint64) {
	off := (uintptr(unsafe.Pointer(p)) - uintptr(z.base)) &^ 7
	if off >= uintptr(z.size) {
		z.fault.Offset = Offset(off)
		panic(&z.fault)
	}
	return Offset(off), *(*uint64)(unsafe.Add(z.base, off))
}

func (z *Zone) bad(off Offset) {
	z.fault.Offset = off
	panic(&z.fault)
}
