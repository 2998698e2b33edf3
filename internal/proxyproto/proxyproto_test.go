// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// v2 makes a header of version 2.
func v2(command, family byte, body string) string {
	length := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
	return signature + string([]byte{version2 | command, family}) + string(length) + body
}

func tlv(t byte, value string) string {
	return string(append([]byte{t}, binary.BigEndian.AppendUint16(nil, uint16(len(value)))...)) + value
}

const inet = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x15\xb3\x00\x50" // 192.0.2.1:5555 to 10.0.0.1:80

func TestParse(t *testing.T) {
	inet6 := string(append(netip.MustParseAddr("2001:db8::1").AsSlice(), netip.MustParseAddr("2001:db8::2").AsSlice()...)) + "\x15\xb3\x01\xbb"
	for _, c := range []struct {
		text        string
		v           Verdict
		source, dst string
	}{
		{"PROXY TCP4 192.0.2.1 10.0.0.1 5555 80\r\n", Done, "192.0.2.1:5555", "10.0.0.1:80"},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 5555 443\r\n", Done, "[2001:db8::1]:5555", "[2001:db8::2]:443"},
		{"PROXY UNKNOWN\r\n", Done, "", ""},
		{"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Done, "", ""},
		{"PROXY TCP4 192.0.2.1 10.0.0.1 5555\r\n", Bad, "", ""},
		{"PROXY TCP4 192.0.2.1 10.0.0.1 5555 80 7\r\n", Bad, "", ""},
		{"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n", Bad, "", ""},
		{"PROXY TCP4 192.0.2.1 10.0.0.1  5555 80\r\n", Bad, "", ""},
		{"PROXY TCP4 2001:db8::1 10.0.0.1 5555 80\r\n", Bad, "", ""},
		{"PROXY TCP6 192.0.2.1 10.0.0.1 5555 80\r\n", Bad, "", ""},
		{"PROXY TCP4 192.0.2.1 10.0.0.1 5555 80\n", Bad, "", ""},
		{"PROXY UDP4 192.0.2.1 10.0.0.1 5555 80\r\n", Bad, "", ""},
		{"PROXY " + strings.Repeat("x", 200), Bad, "", ""},
		{"GET / HTTP/1.1\r\n", Bad, "", ""},
		{"\r\n\r\nGET / HTTP/1.1\r\n", Bad, "", ""},
		{v2(proxied, streamInet, inet), Done, "192.0.2.1:5555", "10.0.0.1:80"},
		{v2(proxied, streamInet, inet+tlv(1, "h2")), Done, "192.0.2.1:5555", "10.0.0.1:80"},
		{v2(proxied, streamInet6, inet6), Done, "[2001:db8::1]:5555", "[2001:db8::2]:443"},
		{v2(local, 0, ""), Done, "", ""},
		{v2(local, streamInet, inet), Done, "", ""},
		{v2(proxied, 0, ""), Done, "", ""},
		{v2(proxied, 0x31, strings.Repeat("x", 216)), Done, "", ""},
		{v2(proxied, streamInet, inet[:11]), Bad, "", ""},
		{v2(2, streamInet, inet), Bad, "", ""},
		{signature + "\x31\x11\x00\x0c" + inet, Bad, "", ""},
		{v2(proxied, streamInet, inet+strings.Repeat("x", maxV2)), TooLarge, "", ""},
	} {
		h, n, v := Parse([]byte(c.text + "GET"))
		require.Equal(t, c.v, v, "%q", c.text)
		if v != Done {
			continue
		}
		require.Equal(t, len(c.text), n, "%q", c.text)
		if c.source == "" {
			require.False(t, h.Source.IsValid() || h.Destination.IsValid(), "%q", c.text)
			continue
		}
		require.Equal(t, c.source, h.Source.String())
		same, _, _ := Parse(h.Bytes())
		require.Equal(t, h, same)
		require.Equal(t, c.dst, h.Destination.String())
		for i := range len(c.text) {
			_, _, v := Parse([]byte(c.text[:i]))
			require.Equal(t, More, v, "the first %d bytes of %q", i, c.text)
		}
	}
}

func TestTLV(t *testing.T) {
	inSSL := "\x07\x00\x00\x01\x02" + tlv(0x21, "TLSv1.3") + tlv(0x22, "client")
	h, _, v := Parse([]byte(v2(proxied, streamInet, inet+tlv(1, "h2")+tlv(2, "example.com")+tlv(0xe1, "one")+tlv(0xe1, "two")+tlv(typeSSL, inSSL)+"\x05\x00\x09short")))
	require.Equal(t, Done, v)
	for name, want := range map[string]string{
		"alpn": "h2", "authority": "example.com", "0xe1": "one", "0xE1": "one", "0x01": "h2", "ssl": inSSL, "ssl_version": "TLSv1.3", "ssl_cn": "client",
		"ssl_0x22": "client", "ssl_verify": "258",
	} {
		got, ok := h.AppendTLV(nil, name)
		require.True(t, ok, name)
		require.Equal(t, want, string(got), name)
	}
	for _, name := range []string{"unique_id", "netns", "0x99", "ssl_cipher"} {
		_, ok := h.AppendTLV(nil, name)
		require.False(t, ok, name)
	}
	for _, name := range []string{"", "nonsense", "0x", "0x100", "ssl_", "ssl_nonsense", "version"} {
		_, ok := h.AppendTLV(nil, name)
		require.False(t, ok, name)
	}
	_, ok := new(Header).AppendTLV(nil, verify)
	require.False(t, ok)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 10.0.0.1 5555 80\r\nGET"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(proxied, streamInet, inet+tlv(typeSSL, "\x07\x00\x00\x01\x02"+tlv(0x21, "x")))))
	f.Add([]byte(v2(local, 0, "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, n, v := Parse(text)
		for _, name := range []string{"alpn", "ssl", "ssl_verify", "ssl_version", "0xe1"} {
			h.AppendTLV(nil, name)
		}
		switch v {
		case Done:
			require.LessOrEqual(t, n, len(text))
			_, m, again := Parse(text[:n])
			require.Equal(t, Done, again)
			require.Equal(t, n, m)
			for i := range n {
				_, _, v := Parse(text[:i])
				require.Equal(t, More, v)
			}
		case More:
			require.Less(t, len(text), maxV2)
		}
	})
}
