// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import "encoding/binary"

// Escape is how a log template makes values safe (nginx: log_format escape=default|json|none).
type Escape uint8

// The escapings of log_format.
const (
	EscapeNone    Escape = iota // as it is; a variable without value gives ""
	EscapeDefault               // '"', '\', below 32 and above 126 as \xXX; without value "-"
	EscapeJSON                  // what a JSON string cannot hold; without value ""
)

// String returns the name that a config uses.
func (e Escape) String() string {
	switch e {
	case EscapeNone:
		return "none"
	case EscapeDefault:
		return "default"
	case EscapeJSON:
		return "json"
	}
	return "(no escaping)"
}

// One bit or value in each of eight bytes.
const (
	lsb  = 0x0101010101010101
	msb  = 0x8080808080808080
	low7 = 0x7f7f7f7f7f7f7f7f
)

// defaultMask has bit 7 set in at least one byte if a byte of x needs default escaping, and is 0
// otherwise. Sums may carry into the next byte only from bytes that have bit 7 set themselves, and
// one of those is enough.
func defaultMask(x uint64) uint64 {
	notControl := x + lsb*0x60        // bit 7: x >= 32
	notQuote := (x ^ lsb*'"') + low7  // bit 7: x != '"'
	notSlash := (x ^ lsb*'\\') + low7 // bit 7: x != '\'
	high := x | (x + lsb)             // bit 7: x >= 127
	fine := notControl & notQuote & notSlash
	return (high | ^fine) & msb
}

// jsonMask is defaultMask for JSON: bytes of 127 and more stay. Bit 7 is taken out first, so that
// nothing carries, and put back into what is fine.
func jsonMask(x uint64) uint64 {
	y := x & low7
	fine := (y + lsb*0x60) & ((y ^ lsb*'"') + low7) & ((y ^ lsb*'\\') + low7)
	return ^(fine | x) & msb
}

func needsDefault(value []byte) bool {
	rest := value
	for len(rest) >= 8 {
		if defaultMask(binary.LittleEndian.Uint64(rest)) != 0 {
			return true
		}
		rest = rest[8:]
	}
	if len(value) >= 8 { // the last eight, some of them again
		return defaultMask(binary.LittleEndian.Uint64(value[len(value)-8:])) != 0
	}
	for _, c := range rest {
		if defaultGrowth(c) != 0 {
			return true
		}
	}
	return false
}

func needsJSON(value []byte) bool {
	rest := value
	for len(rest) >= 8 {
		if jsonMask(binary.LittleEndian.Uint64(rest)) != 0 {
			return true
		}
		rest = rest[8:]
	}
	if len(value) >= 8 {
		return jsonMask(binary.LittleEndian.Uint64(value[len(value)-8:])) != 0
	}
	for _, c := range rest {
		if jsonGrowth(c) != 0 {
			return true
		}
	}
	return false
}

// defaultGrowth is how many bytes longer c becomes: 0 if it stays.
func defaultGrowth(c byte) int {
	if c < 32 || c > 126 || c == '"' || c == '\\' {
		return len(`\xXX`) - 1
	}
	return 0
}

func jsonGrowth(c byte) int {
	switch {
	case c == '"' || c == '\\' || jsonShort(c) != 0:
		return len(`\n`) - 1
	case c < 32:
		return len(`\u00XX`) - 1
	}
	return 0
}

// jsonShort is the letter of the two-byte escape of a control character, or 0 if it has none.
func jsonShort(c byte) byte {
	switch c {
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	}
	return 0
}

const upperHex = "0123456789ABCDEF"

// escapeDefault rewrites dst[start:] where it lies: it is made longer first, then filled from its
// end, so that no byte is overwritten before it was read.
func escapeDefault(dst []byte, start int) []byte {
	growth := 0
	for _, c := range dst[start:] {
		growth += defaultGrowth(c)
	}
	from := len(dst)
	dst = extend(dst, growth)
	for to := len(dst); from > start; {
		from--
		c := dst[from]
		if defaultGrowth(c) == 0 {
			to--
			dst[to] = c
			continue
		}
		to -= len(`\xXX`)
		e := dst[to : to+4 : to+4]
		e[0], e[1], e[2], e[3] = '\\', 'x', upperHex[c>>4], upperHex[c&15]
	}
	return dst
}

// escapeJSON is escapeDefault for JSON.
func escapeJSON(dst []byte, start int) []byte {
	growth := 0
	for _, c := range dst[start:] {
		growth += jsonGrowth(c)
	}
	from := len(dst)
	dst = extend(dst, growth)
	for to := len(dst); from > start; {
		from--
		c := dst[from]
		switch jsonGrowth(c) {
		case 0:
			to--
			dst[to] = c
		case 1:
			to -= len(`\n`)
			letter := jsonShort(c)
			if letter == 0 {
				letter = c // '"' or '\'
			}
			dst[to], dst[to+1] = '\\', letter
		default:
			to -= len(`\u00XX`)
			e := dst[to : to+6 : to+6]
			e[0], e[1], e[2], e[3], e[4], e[5] = '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15]
		}
	}
	return dst
}

// extend makes dst n bytes longer. What the new bytes hold is not said.
func extend(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst[:len(dst)+n]
	}
	return append(dst, make([]byte, n)...)
}
