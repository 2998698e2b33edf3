// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package proxyproto

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is written is read back: by both versions, in all families.
func TestAppendIsParsed(t *testing.T) {
	addr := netip.MustParseAddrPort
	for _, tc := range []struct {
		source, destination netip.AddrPort
		v1                  string
	}{
		{addr("192.0.2.1:65535"), addr("10.0.0.1:80"), "PROXY TCP4 192.0.2.1 10.0.0.1 65535 80\r\n"},
		{addr("[2001:db8::1]:1"), addr("[::1]:443"), "PROXY TCP6 2001:db8::1 ::1 1 443\r\n"},
		{addr("[::ffff:192.0.2.1]:1"), addr("10.0.0.1:80"), "PROXY TCP4 192.0.2.1 10.0.0.1 1 80\r\n"},
		{addr("[fe80::1%eth0]:1"), addr("[fe80::2]:2"), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{addr("192.0.2.1:1"), addr("[::1]:2"), "PROXY UNKNOWN\r\n"},
		{netip.AddrPort{}, netip.AddrPort{}, "PROXY UNKNOWN\r\n"},
	} {
		require.Equal(t, tc.v1, string(AppendV1(nil, tc.source, tc.destination)))
		for _, text := range [][]byte{AppendV1(nil, tc.source, tc.destination), AppendV2(nil, tc.source, tc.destination)} {
			h, n, v := Parse(append(text, "GET /"...))
			require.Equal(t, Done, v, "%q", text)
			require.Equal(t, len(text), n)
			if source, destination, ok := family(tc.source, tc.destination); ok {
				require.Equal(t, source, h.Source)
				require.Equal(t, destination, h.Destination)
			} else {
				require.False(t, h.Source.IsValid())
			}
		}
	}
}
