// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package zonekey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestXXH64(t *testing.T) {
	// From the specification's test vectors (sanity checks of the reference implementation, seed 0).
	const prime32 = 2654435761
	data := make([]byte, 222)
	gen := uint64(prime32)
	for i := range data {
		data[i] = byte(gen >> 56)
		gen *= 11400714785074694797
	}
	for n, want := range map[int]uint64{0: 0xEF46DB3751D8E999, 1: 0xE934A84ADB052768, 4: 0x9136A0DCA57457EE, 14: 0x8282DCC4994E35C8, 222: 0xB641AE8CB691C174} {
		require.Equal(t, want, xxh64(data[:n]), "%d bytes", n)
	}
}

// TestHash: IPv4 addresses never collide, and neither do the networks of IPv6 that one client has.
func TestHash(t *testing.T) {
	seen := map[uint32]bool{}
	for n := range 1 << 16 {
		seen[Hash(binary.BigEndian.AppendUint32(nil, uint32(n*65537)))] = true
	}
	require.Len(t, seen, 1<<16)
	clear(seen)
	for n := range 1 << 12 {
		seen[Hash(fmt.Appendf(nil, "\x20\x01\x0d\xb8\x00\x00%c%c", n>>6, n&63))] = true
		seen[Hash(fmt.Appendf(nil, "\x20\x01\x0d\xb8\x00\x00%c%c\x00\x00\x00\x00\x00\x00\x00\x00", n>>6, n&63))] = true
	}
	require.Greater(t, len(seen), 2<<12-16)
}

// Long keys that differ anywhere differ in what is stored, which is as long as a stored key may be.
func TestShorten(t *testing.T) {
	long := bytes.Repeat([]byte("k"), 1000)
	other := append(bytes.Repeat([]byte("k"), 999), 'l')
	require.Len(t, Shorten(long), Max)
	require.Equal(t, Shorten(long), Shorten(bytes.Clone(long)))
	require.NotEqual(t, Shorten(long), Shorten(other))
	require.Equal(t, long[:Max-32], Shorten(long)[:Max-32])
}
