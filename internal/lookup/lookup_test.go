// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMap(t *testing.T) {
	keys := []string{"", "ABC", `~^re-(.)$`, `~*^FOLD`, `\~x`, "*.example.com", ".example.org", "www.example.*", "a.example.com"}
	m, err := NewMap(keys, true)
	require.NoError(t, err)
	for key, want := range map[string]int{
		"": 0, "abc": 1, "AbC": 1, "re-x": 2, "folded": 3, "~X": 4, "x.example.com": 5, "example.com": Default, "example.org": 6, "Q.example.org": 6,
		"www.example.net": 7, "a.example.com.": 8, "5.invalid": Default, "none": Default,
	} {
		got, _ := m.Find(nil, []byte(key))
		require.Equal(t, want, got, key)
	}
	_, err = NewMap([]string{"a", "A"}, false)
	require.ErrorContains(t, err, "conflicting parameter")
}

func TestGeo(t *testing.T) {
	g, err := NewGeo([]string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "10.2.0.0/16"}, []string{"10.2.0.0/16"})
	require.NoError(t, err)
	for addr, want := range map[string]int{"10.9.9.9": 0, "10.1.0.1": 1, "10.1.2.3": 2, "::ffff:10.1.2.3": 2, "2001:db8::1": 3, "10.2.0.1": 0, "192.0.2.1": Default} {
		require.Equal(t, want, g.Find(netip.MustParseAddr(addr)), addr)
	}
	require.Equal(t, Default, g.Find(netip.Addr{}))
	none, err := NewGeo([]string{"10.0.0.0/8", "255.255.255.255"}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, none.Find(netip.Addr{}), "what is no address is 255.255.255.255")
	r, err := NewGeoRanges([]string{"10.0.0.0-10.255.255.255", "10.1.0.0-10.1.255.255"}, []string{"10.3.0.0-10.3.0.9"})
	require.NoError(t, err)
	for addr, want := range map[string]int{"10.0.0.0": 0, "10.1.0.0": 1, "10.1.255.255": 1, "10.2.0.0": 0, "10.3.0.9": Default, "10.3.0.10": 0, "11.0.0.0": Default} {
		require.Equal(t, want, r.Find(netip.MustParseAddr(addr)), addr)
	}
}

// TestSplit: the hashes are those of nginx for texts of all lengths that its last bytes treat differently.
func TestSplit(t *testing.T) {
	require.Equal(t, uint32(0), murmur2(nil))
	s, err := NewSplit([]string{"50%", "0.01%", "*"})
	require.NoError(t, err)
	counts := map[int]int{}
	for i := range 20000 {
		counts[s.Find([]byte{byte(i), byte(i >> 8), 'k', 'e', 'y'})]++
	}
	require.InDelta(t, 10000, counts[0], 500)
	require.Greater(t, counts[2], 9000)
	for _, bad := range [][]string{{"60%", "50%"}, {"*", "1%"}, {"x"}, {"0%"}} {
		_, err := NewSplit(bad)
		require.Error(t, err)
	}
}
