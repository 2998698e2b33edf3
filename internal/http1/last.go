// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// lastHeadBytes is the longest head that is remembered.
const lastHeadBytes = 1 << 10

// lastHead is the text of the head that was read last, and the limits that it was accepted under. A head that comes again byte for
// byte, as those of one client or of one resource do, need not be read again: what was found out about it is there still. Reset keeps
// that (stageRepeat), and it is only given up when the next head turns out to be another one.
type lastHead struct {
	size int // 0: none is remembered
	// fields and seen are the head's len(Fields) and seen, which Reset has to clear.
	fields int
	seen   fieldSet
	lim    Limits
	bytes  [lastHeadBytes]byte
}

// remember keeps the text of the head that has just been read.
func (h *Head) remember(buf []byte, lim *Limits) {
	h.last.size = 0
	if h.Len <= lastHeadBytes {
		h.last.size = copy(h.last.bytes[:], buf[:h.Len])
		h.last.lim = *lim
	}
}

// mayRepeat prepares for the next head without giving up this one, if it is remembered.
func (h *Head) mayRepeat() bool {
	if h.stage != stageRepeat && (h.stage != stageDone || h.last.size == 0) {
		return false
	}
	if h.stage == stageDone {
		h.last.fields, h.last.seen = len(h.Fields), h.seen
		h.stage, h.Len, h.Fields, h.seen = stageRepeat, 0, h.Fields[:0], 0
	}
	return true
}

// repeats says whether buf begins with the remembered head, and takes it for read if so.
func (h *Head) repeats(buf []byte, lim *Limits) bool {
	size := h.last.size
	if size > len(buf) || string(buf[:size]) != string(h.last.bytes[:size]) || h.last.lim != *lim {
		return false
	}
	h.stage, h.Len, h.Fields, h.seen = stageDone, size, h.Fields[:h.last.fields], h.last.seen
	return true
}
