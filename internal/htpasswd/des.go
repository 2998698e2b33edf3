// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package htpasswd

import (
	"crypto/subtle"
	"strings"
)

// The oldest form of crypt(3): a block of zeros is encrypted 25 times with DES, whose key is the password and whose expansion the salt changes. It is
// written after FIPS 46-3, bit by bit, as plainly as there; no library has it. It takes about a millisecond.

// desChars are the digits of a hash: the salt's two characters, and eleven of six bits for the block.
const desChars = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const desLength = 13

// isDES says whether a hash has the form of crypt(3) with DES.
func isDES(hash string) bool { return len(hash) == desLength && strings.Trim(hash, desChars) == "" }

func checkDES(hash string, password []byte) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(cryptDES(password, hash[:2]))) == 1
}

// Tables of FIPS 46-3, read-only. Bits are numbered from 1 there, from the most significant.
var (
	desChoice1 = [56]byte{
		57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
		63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
	}
	desChoice2 = [48]byte{
		14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
		41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
	}
	desShifts  = [16]int{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}
	desPermute = [32]byte{16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25}
)

// desSelect are the selection functions: 4 rows of 16 hexadecimal digits each.
var desSelect = [8]string{
	"e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
	"f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
	"a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
	"7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
	"2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
	"c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
	"4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
	"d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
}

// cryptDES is the hash of a password with a salt of two of desChars.
func cryptDES(password []byte, salt string) string {
	keys := desKeys(password)
	mask := strings.IndexByte(desChars, salt[0]) | strings.IndexByte(desChars, salt[1])<<6
	var left, right [32]byte // a block of zeros, which the initial permutation does not change
	for range 25 {
		for round := range keys {
			f := desFunction(&right, &keys[round], mask)
			for i := range f {
				f[i] ^= left[i]
			}
			left, right = right, f
		}
		left, right = right, left
	}
	var block [66]byte  // 64 bits and two of nothing, for eleven digits
	for i := range 64 { // the final permutation: a row of it is one bit of each byte of both halves, in turns
		row, column := i/8, i%8
		half := &right
		if column%2 == 1 {
			half = &left
		}
		block[i] = half[column/2*8+7-row]
	}
	hash := []byte(salt)
	for i := 0; i < len(block); i += 6 {
		digit := 0
		for _, bit := range block[i : i+6] {
			digit = digit<<1 | int(bit)
		}
		hash = append(hash, desChars[digit])
	}
	return string(hash)
}

// desKeys makes the keys of the rounds: seven bits of each of the first eight bytes count.
func desKeys(password []byte) (keys [16][48]byte) {
	var bits [64]byte
	for i, c := range password[:min(len(password), 8)] {
		for j := range 7 {
			bits[8*i+j] = c >> (6 - j) & 1
		}
	}
	var cd [56]byte
	for i, from := range desChoice1 {
		cd[i] = bits[from-1]
	}
	for round, by := range desShifts {
		var shifted [56]byte
		for i := range 28 {
			shifted[i], shifted[28+i] = cd[(i+by)%28], cd[28+(i+by)%28]
		}
		cd = shifted
		for i, from := range desChoice2 {
			keys[round][i] = cd[from-1]
		}
	}
	return keys
}

// desFunction expands half a block, with bits i and i+24 changed over where bit i of the salt is set, adds the key, and selects and permutes.
func desFunction(half *[32]byte, key *[48]byte, salt int) (out [32]byte) {
	var wide [48]byte
	for i := range wide {
		wide[i] = half[(i/6*4+i%6+31)%32]
	}
	for i := range 12 {
		if salt>>i&1 != 0 {
			wide[i], wide[i+24] = wide[i+24], wide[i]
		}
	}
	for i := range wide {
		wide[i] ^= key[i]
	}
	var selected [32]byte
	for box := range desSelect {
		b := wide[6*box : 6*box+6]
		digit := strings.IndexByte("0123456789abcdef", desSelect[box][16*(b[0]<<1|b[5])+b[1]<<3+b[2]<<2+b[3]<<1+b[4]])
		for i := range 4 {
			selected[4*box+i] = byte(digit >> (3 - i) & 1)
		}
	}
	for i, from := range desPermute {
		out[i] = selected[from-1]
	}
	return out
}
