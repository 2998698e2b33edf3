// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import "math/bits"

// Most lines of a head are passed on as they came, and stand one behind the other: they are copied together. What is in the way are the
// exceptions: fields that are not passed on, or not as they are.

// Exceptions are the fields of a head that cannot be copied with those around them, a bit for each index in Fields; the first bit behind the
// fields is set too. Of more fields than bits, all from the last bit on are exceptions.
type Exceptions uint64

const lastException = 63

// noteExceptions finds the fields that are exceptions for everybody: hop-by-hop ones, those that are not written as weir writes them, and
// those that do not begin where the field before them ends. It finds those of unknown names, too.
func (h *Head) noteExceptions() {
	n := min(len(h.Fields), lastException)
	h.odd, h.others = 1<<n, 0
	next := uint32(0)
	for i := range h.Fields[:n] {
		f := &h.Fields[i]
		if f.Hop || !f.Plain || i > 0 && f.Name.Off != next {
			h.odd |= 1 << i
		}
		if f.ID == FieldOther {
			h.others |= 1 << i
		}
		next = f.Value.Off + f.Value.Len + uint32(len("\r\n"))
	}
}

// Exceptions are those of a complete head for somebody who does not copy the fields of a set (the bits 1<<id).
func (h *Head) Exceptions(set uint64) Exceptions {
	e := h.odd
	if set&(1<<FieldOther) != 0 {
		e |= h.others
	}
	for left := uint64(h.seen) & set; left != 0; left &= left - 1 {
		e |= 1 << (min(h.first[bits.TrailingZeros64(left)&63], lastException) & 63)
	}
	if uint64(h.again)&set != 0 {
		for i := range h.Fields[:min(len(h.Fields), lastException)] {
			e |= Exceptions(set>>h.Fields[i].ID&1) << i
		}
	}
	return e
}

// Next is the index of the first exception from the field i on, or one behind the last field.
func (e Exceptions) Next(i int) int {
	if i >= lastException {
		return i
	}
	return i + bits.TrailingZeros64(uint64(e)>>(i&63))
}

// Lines are the lines of the fields from index i to before index end, none of which is an exception and which are at least one. text begins with the head.
func (h *Head) Lines(text []byte, i, end int) []byte {
	last := &h.Fields[end-1].Value
	return text[h.Fields[i].Name.Off : last.Off+last.Len+uint32(len("\r\n"))]
}
