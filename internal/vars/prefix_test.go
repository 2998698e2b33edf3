// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// client is a Source at an address.
type client struct{ addr netip.Addr }

func (c client) AppendVariable(dst []byte, id ID, arg string) ([]byte, bool) {
	if id != BinaryRemoteAddrPrefix {
		return dst, false
	}
	return AppendPrefix(dst, c.addr, arg), true
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ variable, addr, want string }{
		{"prefix", "192.0.2.7", "192.0.2.7"},
		{"prefix", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"prefix", "::ffff:192.0.2.7", "192.0.2.7"}, // of a socket for both families: not the one network ::/64
		{"32_64", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"24_48", "192.0.2.7", "192.0.2.0"},
		{"24_48", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
		{"0_0", "192.0.2.7", "0.0.0.0"},
		{"0_0", "2001:db8::1", "::"},
		{"32_128", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"},
		{"31_65", "192.0.2.7", "192.0.2.6"},
		{"31_65", "2001:db8::ffff:0:0:1", "2001:db8::8000:0:0:0"},
		{"1_127", "255.0.2.7", "128.0.0.0"},
		{"1_127", "::3", "::2"},
		{"08_09", "10.1.2.3", "10.0.0.0"},
	} {
		key := MustCompile("${Binary_Remote_Addr_"+c.variable+"}").Append([]byte("k"), client{netip.MustParseAddr(c.addr)})
		require.Equal(t, append([]byte("k"), netip.MustParseAddr(c.want).AsSlice()...), key, "%s of %s", c.variable, c.addr)
	}
	require.Empty(t, MustCompile("$binary_remote_addr_prefix").Append(nil, client{}), "a unix socket has no address")
	v4, v6 := PrefixBits(defaultPrefix)
	require.Equal(t, [2]uint8{32, 64}, [2]uint8{v4, v6})
}

// TestPrefixIsNetip compares every length with netip's idea of a network, and counts allocations.
func TestPrefixIsNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n4, n6 := rapid.IntRange(0, 32).Draw(t, "v4"), rapid.IntRange(0, 128).Draw(t, "v6")
		ip4 := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip4")))
		ip6 := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip6")))
		arg := string([]byte{byte(n4), byte(n6)})
		for _, c := range []struct {
			addr netip.Addr
			bits int
		}{{ip4, n4}, {ip6, n6}} {
			if c.addr.Is4In6() {
				c.addr, c.bits = c.addr.Unmap(), n4
			}
			if got, want := AppendPrefix(nil, c.addr, arg), netip.PrefixFrom(c.addr, c.bits).Masked().Addr().AsSlice(); string(got) != string(want) {
				t.Fatalf("%v/%d: got %x, want %x", c.addr, c.bits, got, want)
			}
		}
	})
	buf, addr := make([]byte, 0, 16), netip.MustParseAddr("2001:db8::1")
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = AppendPrefix(buf[:0], addr, defaultPrefix) }))
}
