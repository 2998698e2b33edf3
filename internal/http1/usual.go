// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import "encoding/binary"

// What is usual is read here, in a third of the instructions: lines that are there in full, end with CR LF and hold nothing
// to think about. These functions decide nothing; in front of anything else they stop, and the functions that know every
// rule take over. So they may only accept what those accept, and with the same result: the tests compare the two, since a
// head that comes byte by byte never gets here.

// usualRequestLine reads GET, HEAD or POST, an origin-form target and HTTP/1.1 at the start of buf. If it is false, what it has
// set will be set again.
func (h *RequestHead) usualRequestLine(buf []byte, lim *Limits) bool {
	const rest = " HTTP/1.1\r\n"
	if len(buf) < len("GET /")+len(rest) {
		return false
	}
	size := 4
	switch binary.LittleEndian.Uint32(buf) {
	case 'G' | 'E'<<8 | 'T'<<16 | ' '<<24:
		h.MethodID, size = MethodGet, 3
	case 'P' | 'O'<<8 | 'S'<<16 | 'T'<<24:
		h.MethodID = MethodPost
	case 'H' | 'E'<<8 | 'A'<<16 | 'D'<<24:
		h.MethodID = MethodHead
	default:
		return false
	}
	if buf[size] != ' ' || buf[size+1] != '/' {
		return false
	}
	h.HasQuery = false
	end := h.parsePath(buf, size+1)
	next := end + len(rest)
	if next > min(len(buf), lim.LineBytes, lim.HeadBytes) || string(buf[end:next]) != rest {
		return false
	}
	h.Method, h.Target = span(0, size), span(size+1, end)
	h.Minor = 1
	h.line, h.scan = next, next
	return true
}

// usualFields reads field lines from h.line; it is true if it has read the empty line too.
//
// One message looks like the one before: what stands in h.Fields behind its end, from the last head that was read into it,
// is the guess for the next name, which makes the search for its end and its id a comparison.
func (h *Head) usualFields(buf []byte, lim *Limits, singles fieldSet, ignoreInvalid bool) (ended bool) {
	line := h.line
	buf = buf[:min(len(buf), lim.HeadBytes)]
	most := min(lim.Fields, maxFields)
	for line < len(buf) {
		rest := buf[line:]
		if rest[0] == '\r' {
			if len(rest) > 1 && rest[1] == '\n' {
				h.line, h.scan, h.Len = line, line+2, line+2
				return true
			}
			break
		}
		n := len(h.Fields)
		if n == cap(h.Fields) {
			h.growFields()
		}
		f := &h.Fields[:n+1][n]
		id, colon, from, to := usualLine(rest, f.ID)
		size := to + len("\r\n")
		if to == 0 || size > lim.LineBytes || n >= most || id == FieldOther && !keptName(rest[:colon], ignoreInvalid) {
			break
		}
		bit := fieldSet(1) << (id & 63)
		if h.seen&bit == 0 {
			h.seen |= bit &^ 1
			h.first[id] = uint16(n)
		} else if h.again |= bit; singles&bit != 0 {
			break
		}
		f.Name = Span{uint32(line), uint32(colon)}
		f.Value = Span{uint32(line + from), uint32(to - from)}
		f.ID, f.Hop, f.Plain = id, hopByHop&bit != 0, from == colon+len(": ")
		h.Fields = h.Fields[:n+1]
		line += size
	}
	h.line, h.scan = line, line
	return false
}

// growFields makes room for another field.
func (h *Head) growFields() {
	n := len(h.Fields)
	h.Fields = append(h.Fields, make([]Field, max(16, n))...)[:n]
}

// usualLine cuts the line that b begins with: its name is b[:colon], its value b[from:to], if it is there in full, ends with
// CR LF, has no other control character in its value, at most one space before it and none behind it. Otherwise to is 0. What
// an unknown name is made of is not looked at.
func usualLine(b []byte, guess FieldID) (id FieldID, colon, from, to int) {
	known := &knownNames[guess&63]
	if guess != FieldOther && len(b) >= 32 && known.is(binary.LittleEndian.Uint64(b)&known.mask,
		binary.LittleEndian.Uint64(b[known.lastAt:])&known.mask) && b[known.size&31] == ':' && known.isMiddle(b) {
		id, colon = guess, known.size
	} else {
		colon = usualName(b)
		id = FieldByName(b[:colon])
	}
	from = colon + 1
	if from < 1 || from >= len(b) {
		return id, 0, 0, 0
	}
	if b[from] == ' ' {
		from++
	}
	for to = from; to <= len(b)-8; to += 8 {
		if hit := ^texts(binary.LittleEndian.Uint64(b[to:])) & highBits; hit != 0 {
			to += firstByte(hit)
			goto found
		}
	}
	for to < len(b) && isText(b[to]) {
		to++
	}
found:
	if to > len(b)-2 || binary.LittleEndian.Uint16(b[to:]) != '\r'|'\n'<<8 {
		return id, 0, 0, 0
	}
	if from < to && (isBlank(b[from]) || isBlank(b[to-1])) {
		return id, 0, 0, 0
	}
	return id, colon, from, to
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// usualName is the index of the first colon in b, or 0 if it is not found before the last eight bytes.
func usualName(b []byte) int {
	for i := 0; i <= len(b)-8; i += 8 {
		if hit := equals(binary.LittleEndian.Uint64(b[i:]), ':'); hit != 0 {
			return i + firstByte(hit)
		}
	}
	return 0
}

// keptName says that a name that is not known is a token and, if ignoreInvalid, one of those that are kept in any case.
func keptName(name []byte, ignoreInvalid bool) bool {
	class := uint8(charToken | charName)
	for _, c := range name {
		class &= chars[c]
	}
	return class&charToken != 0 && (class&charName != 0 || !ignoreInvalid) && len(name) > 0
}
