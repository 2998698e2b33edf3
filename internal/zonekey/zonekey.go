// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package zonekey

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Max is the longest key that is stored as it is. A longer one is stored as its first 223 bytes and the SHA-256 of the whole.
const Max = 255

// The constants of XXH64.
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// Hash is a key's place in the tree, and what tells a sound node from a spoiled one. It is the same in every process, since it stands in the zone, and it is
// no secret. Nor need it be: the tree is balanced over (hash, key), so that whoever sends keys chosen to have one hash makes the way down no longer, only
// each of its steps a comparison of keys.
//
// 4 bytes, an IPv4 address, are multiplied by an odd number: no two have the same hash. 8 to 16, an IPv6 address or a part of one, are one multiplication
// of their two halves, folded. The rest is XXH64 with seed 0, folded: https://xxhash.com, doc/xxhash_spec.md.
func Hash(key []byte) uint32 {
	var h uint64
	switch n := len(key); {
	case n == 4:
		return binary.LittleEndian.Uint32(key) * uint32(prime1>>32|1)
	case n >= 8 && n <= 16:
		high, low := bits.Mul64(binary.LittleEndian.Uint64(key)^prime1, binary.LittleEndian.Uint64(key[n-8:])^prime2^uint64(n))
		h = high ^ low
	default:
		h = xxh64(key)
	}
	return uint32(h) ^ uint32(h>>32)
}

func xxh64(b []byte) uint64 {
	h, n := prime5, uint64(len(b))
	if len(b) >= 32 {
		p1, p2 := prime1, prime2 // as variables: the sums overflow on purpose
		v1, v2, v3, v4 := p1+p2, p2, uint64(0), -p1
		for ; len(b) >= 32; b = b[32:] {
			v1 = xxhRound(v1, binary.LittleEndian.Uint64(b))
			v2 = xxhRound(v2, binary.LittleEndian.Uint64(b[8:]))
			v3 = xxhRound(v3, binary.LittleEndian.Uint64(b[16:]))
			v4 = xxhRound(v4, binary.LittleEndian.Uint64(b[24:]))
		}
		h = bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
		for _, v := range [...]uint64{v1, v2, v3, v4} {
			h = (h^xxhRound(0, v))*prime1 + prime4
		}
	}
	h += n
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^xxhRound(0, binary.LittleEndian.Uint64(b)), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func xxhRound(acc, input uint64) uint64 {
	return bits.RotateLeft64(acc+input*prime2, 31) * prime1
}

// Shorten is a key longer than Max as it is stored. Such a key is not left uncounted, as nginx does, because then a client
// could get around the limit by sending one.
func Shorten(key []byte) []byte {
	sum := sha256.Sum256(key)
	short := make([]byte, Max)
	copy(short[copy(short[:Max-len(sum)], key):], sum[:])
	return short
}
