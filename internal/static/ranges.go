// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import (
	"math"
	"strconv"
)

// Range is a run of a file's bytes: from Start up to, but not with, End. It is not empty.
type Range struct{ Start, End int64 }

// Len is the number of bytes.
func (r Range) Len() int64 { return r.End - r.Start }

// AppendContentRange appends the value of Content-Range for the range of a file of size bytes.
func (r Range) AppendContentRange(dst []byte, size int64) []byte {
	return r.appendSpan(append(dst, "bytes "...), size)
}

func (r Range) appendSpan(dst []byte, size int64) []byte {
	dst = strconv.AppendInt(dst, r.Start, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, r.End-1, 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, size, 10)
}

// Ranges are what a field Range asks for. They are read out of the field's text each time, which must stay where it is: however many there
// are, they take no memory.
type Ranges struct {
	spec []byte // behind "bytes="
	size int64

	Count int   // how many there are
	Bytes int64 // in all
	First Range
}

// Outcome is what a field Range comes to.
type Outcome uint8

// The outcomes of ParseRange.
const (
	Whole         Outcome = iota // the field asks for nothing that is given: the whole file is sent
	Partial                      // parts are sent
	Unsatisfiable                // 416
)

// ParseRange reads a field Range for a file of size bytes: of at most so many ranges, and of no more bytes than the file has, as nginx does. Empty elements
// of the list are skipped (RFC 9110 section 5.6.1), and a number of any size is read.
func ParseRange(field []byte, size int64, most int) (Ranges, Outcome) {
	r := Ranges{size: size}
	const unit = "bytes="
	if len(field) <= len(unit) || !equalFold(field[:len(unit)], unit) || most == 0 {
		return r, Whole
	}
	r.spec = field[len(unit):]
	for at := 0; ; {
		one, next, o := r.parse(at)
		switch {
		case o == Unsatisfiable:
			return r, o
		case o == Whole:
			return r, o
		case one.Start < one.End:
			if r.Bytes > math.MaxInt64-one.Len() {
				return r, Unsatisfiable
			}
			r.Bytes += one.Len()
			if r.Count == 0 {
				r.First = one
			}
			if r.Count++; r.Count > most {
				return r, Whole
			}
		}
		if at = next; at > len(r.spec) {
			break
		}
	}
	switch {
	case r.Count == 0:
		return r, Unsatisfiable
	case r.Bytes > size:
		return r, Whole
	}
	return r, Partial
}

// SetText tells the ranges where the text of their field is now.
func (r *Ranges) SetText(field []byte) { r.spec = field[len("bytes="):] }

// Next gives the first range at or behind an index in the text, which begins with 0, and the index of the next. False: there is none left. Only for what was
// Partial.
func (r *Ranges) Next(at int) (one Range, next int, ok bool) {
	for at <= len(r.spec) {
		one, next, _ = r.parse(at)
		if one.Start < one.End {
			return one, next, true
		}
		at = next
	}
	return Range{}, at, false
}

// parse reads the range at an index of the text. Partial: one, which may be empty, and where the next begins, behind the end of the text if there
// is none. Whole: it asks for all of nothing.
func (r *Ranges) parse(at int) (one Range, next int, o Outcome) {
	p := spanParser{text: r.spec, at: at}
	p.blanks()
	if p.ended() {
		return Range{}, p.at + 1, Partial
	}
	suffix := p.take('-')
	if !suffix {
		if one.Start = p.number(); p.bad {
			return one, 0, Unsatisfiable
		}
		p.blanks()
		if !p.take('-') {
			return one, 0, Unsatisfiable
		}
		p.blanks()
	}
	if !suffix && p.ended() {
		one.End = r.size
	} else {
		if one.End = p.number(); p.bad {
			return one, 0, Unsatisfiable
		}
		p.blanks()
		if !p.ended() {
			return one, 0, Unsatisfiable
		}
		if suffix {
			one.Start = max(r.size-one.End, 0)
			one.End = r.size
		} else {
			one.End = min(one.End, r.size-1) + 1
		}
	}
	if one.Start >= one.End && one.Start == 0 {
		return one, 0, Whole
	}
	return one, p.at + 1, Partial
}

// spanParser takes a range apart.
type spanParser struct {
	text []byte
	at   int
	bad  bool
}

func (p *spanParser) blanks() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func (p *spanParser) take(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// ended says whether the range ends here: with the text, or with a comma.
func (p *spanParser) ended() bool { return p.at >= len(p.text) || p.text[p.at] == ',' }

// number reads digits, at least one; bad: there are none. A number that is too large is the largest.
func (p *spanParser) number() (n int64) {
	from := p.at
	for ; p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9'; p.at++ {
		d := int64(p.text[p.at] - '0')
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + d
	}
	p.bad = p.bad || p.at == from
	return n
}

func equalFold(b []byte, lower string) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return len(b) == len(lower)
}

// Parts are the texts between the ranges of a multipart answer (RFC 9110 section 14.6).
type Parts struct {
	Boundary    uint64
	ContentType string // of the file; empty: it has none
}

// boundaryDigits is the length of a boundary: nginx's.
const boundaryDigits = 20

func (p *Parts) appendBoundary(dst []byte) []byte {
	var text [boundaryDigits]byte
	n := p.Boundary
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, text[:]...)
}

// AppendContentType appends the value of the answer's Content-Type.
func (p *Parts) AppendContentType(dst []byte) []byte {
	return p.appendBoundary(append(dst, "multipart/byteranges; boundary="...))
}

// AppendHead appends what stands before the bytes of a range of a file of size bytes.
func (p *Parts) AppendHead(dst []byte, r Range, size int64) []byte {
	dst = p.appendBoundary(append(dst, "\r\n--"...))
	if len(p.ContentType) > 0 {
		dst = append(append(dst, "\r\nContent-Type: "...), p.ContentType...)
	}
	dst = append(dst, "\r\nContent-Range: bytes "...)
	return append(r.appendSpan(dst, size), "\r\n\r\n"...)
}

// AppendEnd appends what stands behind the last one.
func (p *Parts) AppendEnd(dst []byte) []byte {
	dst = p.appendBoundary(append(dst, "\r\n--"...))
	return append(dst, "--\r\n"...)
}

// Length is the size of the whole body.
func (p *Parts) Length(r *Ranges) int64 {
	var text [64]byte
	fixed := len("\r\n--\r\nContent-Range: bytes \r\n\r\n") + boundaryDigits
	if len(p.ContentType) > 0 {
		fixed += len("\r\nContent-Type: ") + len(p.ContentType)
	}
	n := int64(len("\r\n----\r\n") + boundaryDigits)
	for at := 0; ; {
		one, next, ok := r.Next(at)
		if !ok {
			return n
		}
		n += int64(fixed+len(one.appendSpan(text[:0], r.size))) + one.Len()
		at = next
	}
}
