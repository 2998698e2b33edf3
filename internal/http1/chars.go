// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"encoding/binary"
	"math/bits"
)

// What a byte may be part of.
const (
	charToken      uint8 = 1 << iota // tchar of RFC 9110 section 5.6.2
	charName                         // letter, digit, hyphen: what nginx takes in a field name
	charPathStop                     // ends or interrupts the plain reading of a path
	charQueryStop                    // ends the reading of a query
	charHost                         // reg-name of RFC 3986 section 3.2.2 without the percent sign
	charHex                          // HEXDIG
	charEscapePath                   // what a path must escape: nginx's NGX_ESCAPE_URI
	charMethod                       // what nginx takes in a method
)

// chars is the one table of character classes.
var chars = func() (t [256]uint8) {
	add := func(class uint8, set string) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	const (
		digits   = "0123456789"
		capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		letters  = "abcdefghijklmnopqrstuvwxyz" + capitals
	)
	add(charMethod, capitals+"-_")
	add(charToken, digits+letters+"!#$%&'*+-.^_`|~")
	add(charName, digits+letters+"-")
	add(charPathStop, " #?%/")
	add(charQueryStop, " #")
	add(charHost, digits+letters+"-._~!$&'()*+,;=")
	add(charHex, digits+"abcdefABCDEF")
	add(charEscapePath, " \"#%<>?\\^`{|}")
	for c := range t {
		if c < 0x20 || c >= 0x7f {
			t[c] |= charEscapePath
		}
		if c < 0x20 || c == 0x7f {
			t[c] |= charPathStop | charQueryStop
		}
	}
	return t
}()

// unhex gives the value of a hexadecimal digit; 16 and above for any other byte.
var unhex = func() (t [256]uint8) {
	for c := range t {
		switch {
		case '0' <= c && c <= '9':
			t[c] = uint8(c - '0')
		case 'a' <= c && c <= 'f':
			t[c] = uint8(c - 'a' + 10)
		case 'A' <= c && c <= 'F':
			t[c] = uint8(c - 'A' + 10)
		default:
			t[c] = 16
		}
	}
	return t
}()

// lower gives the lower case of an ASCII letter, and any other byte as it is.
var lower = func() (t [256]uint8) {
	for c := range t {
		t[c] = uint8(c)
		if 'A' <= c && c <= 'Z' {
			t[c] = uint8(c + 'a' - 'A')
		}
	}
	return t
}()

// equalLower says whether b, in lower case, is text, which is in lower case.
func equalLower(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	if string(b) == text {
		return true // most are
	}
	for i, c := range b {
		if lower[c] != text[i] {
			return false
		}
	}
	return true
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
	maskBits = ^uint64(highBits)
)

// texts has the high bit set for each byte of x that is not a control character (0x00-0x1f, 0x7f). With the high bits out of
// the way neither sum carries into the next byte: one sum has the high bit from 0x20 on, the other for 0x7f only.
func texts(x uint64) uint64 {
	y := x & maskBits
	return (y + 0x60*lowBits) ^ (y + 0x01*lowBits) | x
}

// controlIndex is the index of the first control character of b at or after i, or len(b); i is not negative. Most of a head
// is read here, so it takes sixteen bytes at a time. (Slicing off the front lets the compiler see that the loads are in bounds.)
func controlIndex(b []byte, i int) int {
	if i < 0 {
		return 0
	}
	for ; i <= len(b)-16; i += 16 {
		w := b[i:]
		x := texts(binary.LittleEndian.Uint64(w))
		y := texts(binary.LittleEndian.Uint64(w[8:]))
		if x&y&highBits == highBits {
			continue
		}
		if hit := ^x & highBits; hit != 0 {
			return i + firstByte(hit)
		}
		return i + 8 + firstByte(^y&highBits)
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 || c == 0x7f {
			return i
		}
	}
	return i
}

// equals has the high bit set for the first byte of x that is c; what it has above that one means nothing.
func equals(x uint64, c byte) uint64 {
	y := x ^ uint64(c)*lowBits
	return (y - lowBits) &^ y & highBits
}

// firstByte is the index of the lowest byte of x that is not zero.
func firstByte(x uint64) int { return bits.TrailingZeros64(x) >> 3 }
