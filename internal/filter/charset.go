// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"strconv"
	"unicode/utf8"
)

// Recoding is how the bytes of one character set become those of another. It is immutable once it is used.
type Recoding struct {
	// FromUTF8 says that the source is UTF-8; else Bytes has what each byte becomes.
	FromUTF8 bool
	// Runes is what characters become, with FromUTF8. Others become "&#N;", as nginx has it.
	Runes map[rune]byte
	Bytes [256]string
	// Sized says that no byte becomes more or less than one.
	Sized bool
}

// recoding is the stage that recodes.
type recoding struct{ *Recoding }

// Recode adds the stage that recodes.
func (e *Encoder) Recode(r *Recoding) {
	e.recode.Recoding = r
	e.add(&e.recode)
}

// Filter recodes. See Stage.
func (r *recoding) Filter(dst, src []byte, _, last bool) (out []byte, n int, more bool) {
	if r.FromUTF8 {
		return r.fromUTF8(dst, src, last)
	}
	for i, c := range src {
		if len(dst) >= pieceBytes {
			return dst, i, true
		}
		dst = append(dst, r.Bytes[c]...)
	}
	return dst, len(src), false
}

func (r *recoding) fromUTF8(dst, src []byte, last bool) (out []byte, n int, more bool) {
	for n < len(src) {
		if len(dst) >= pieceBytes {
			return dst, n, true
		}
		if c := src[n]; c < utf8.RuneSelf {
			dst = append(dst, c)
			n++
			continue
		}
		if !utf8.FullRune(src[n:]) {
			if !last {
				return dst, n, false
			}
			return dst, len(src), false // as nginx: a character that is cut off is dropped
		}
		c, size := utf8.DecodeRune(src[n:])
		n += size
		if c == utf8.RuneError && size == 1 {
			dst = append(dst, '?')
		} else if b, ok := r.Runes[c]; ok {
			dst = append(dst, b)
		} else {
			dst = append(strconv.AppendInt(append(dst, "&#"...), int64(c), 10), ';')
		}
	}
	return dst, n, false
}
