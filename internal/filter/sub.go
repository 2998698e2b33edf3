// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

// PatternMax is the length up to which a text can be looked for: it has to fit into what an encoder is given at a time, with room.
const PatternMax = 8 << 10

// Patterns are texts to look for, all at a time and without regard to the case of ASCII letters. They are immutable.
type Patterns struct {
	texts [][]byte // in lower case, none empty
	least int      // length of the shortest
	// shift is how far to go on when a byte is the last of the shortest length that is looked at: Horspool's rule, for all texts at a time.
	shift [256]uint16
}

// NewPatterns makes a set of texts of 1 to PatternMax bytes. Where several fit in one place, the first of them does.
func NewPatterns(texts [][]byte) *Patterns {
	p := &Patterns{least: PatternMax}
	for _, t := range texts {
		if len(t) == 0 || len(t) > PatternMax {
			panic("filter: a text to look for is empty, or too long")
		}
		low := make([]byte, len(t))
		for i, c := range t {
			low[i] = lower(c)
		}
		p.texts = append(p.texts, low)
		p.least = min(p.least, len(t))
	}
	for c := range p.shift {
		p.shift[c] = uint16(p.least)
	}
	for _, t := range p.texts {
		for i, c := range t[:p.least] {
			p.shift[c] = min(p.shift[c], uint16(p.least-1-i))
		}
	}
	return p
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// fits says whether b begins with a text, or is the beginning of one.
func fits(b, text []byte) bool {
	for i := range min(len(b), len(text)) {
		if lower(b[i]) != text[i] {
			return false
		}
	}
	return true
}

// Replacing is a search for patterns and what takes the place of each.
type Replacing struct {
	Patterns *Patterns
	With     [][]byte // by pattern; good until the encoder is released
	Once     bool     // each is replaced once
}

// replacing is the stage that replaces.
type replacing struct {
	Replacing
	seen []bool // by pattern, with Once
	left int    // patterns that have not been, with Once
}

// Sub adds the stage that replaces.
func (e *Encoder) Sub(r Replacing) {
	s := &e.sub
	s.Replacing, s.left, s.seen = r, len(r.Patterns.texts), s.seen[:0]
	for range s.left {
		s.seen = append(s.seen, false)
	}
	e.add(s)
}

// Filter replaces. See Stage.
func (s *replacing) Filter(dst, src []byte, _, last bool) (out []byte, n int, more bool) {
	for len(dst) < pieceBytes {
		if s.left == 0 {
			return append(dst, src[n:]...), len(src), false
		}
		at, which := s.find(src, n, last)
		dst = append(dst, src[n:at]...)
		if n = at; which < 0 {
			return dst, n, false
		}
		dst = append(dst, s.With[which]...)
		n += len(s.Patterns.texts[which])
		if s.Once {
			s.seen[which] = true
			s.left--
		}
	}
	return dst, n, true
}

// find finds the first text in src[from:]: where it begins, and which it is. -1: there is none before at, from where on there may be one when more has come.
func (s *replacing) find(src []byte, from int, last bool) (at, which int) {
	p := s.Patterns
	for at = from; at+p.least <= len(src); {
		if n := p.shift[lower(src[at+p.least-1])]; n > 0 {
			at += int(n)
			continue
		}
		if which, partly := s.at(src[at:], last); partly {
			return at, -1
		} else if which >= 0 {
			return at, which
		}
		at++
	}
	for at < len(src) {
		if which, _ := s.at(src[at:], last); which >= 0 {
			break
		}
		at++
	}
	return at, -1
}

// at is the first text that b begins with; partly: it could be, b is only the beginning of it. With last it must be there as a whole.
func (s *replacing) at(b []byte, last bool) (which int, partly bool) {
	for i, t := range s.Patterns.texts {
		if !s.seen[i] && !(last && len(b) < len(t)) && fits(b, t) {
			return i, len(b) < len(t)
		}
	}
	return -1, false
}
