// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package proxyproto

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// Verdict is what Parse says.
type Verdict uint8

// The verdicts.
const (
	More     Verdict = iota // call again with more bytes
	Done                    // the header is complete
	Bad                     // this is no header of the PROXY protocol
	TooLarge                // it is one of version 2, and longer than weir takes
)

// Header is what a header says.
type Header struct {
	// Source is the client's address, Destination the one that it connected to. Both are invalid when the header has none: the proxy speaks for
	// itself (LOCAL), does not know (UNKNOWN), or has it from another kind of network.
	Source, Destination netip.AddrPort
	raw                 []byte // all of it
	tlvs                []byte // a piece of raw
}

// Bytes is the header as it was read; Parse makes the same of it.
func (h *Header) Bytes() []byte { return h.raw }

// Largest headers.
const (
	maxV1 = 107
	maxV2 = 4096
)

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// fixedV2 is the length of what every header of version 2 has.
const fixedV2 = len(signature) + 4

// Parse reads the header at the start of buf; n is its length.
func Parse(buf []byte) (h Header, n int, v Verdict) {
	if len(buf) == 0 {
		return h, 0, More
	}
	if buf[0] == signature[0] {
		h, n, v = parseV2(buf)
	} else {
		h, n, v = parseV1(buf)
	}
	if v == Done {
		h.raw = bytes.Clone(buf[:n])
		h.tlvs = h.raw[n-len(h.tlvs):]
	}
	return h, n, v
}

// parseV1 reads "PROXY TCP4 SOURCE DESTINATION SOURCEPORT DESTINATIONPORT CR LF".
func parseV1(buf []byte) (h Header, n int, v Verdict) {
	const begin = "PROXY "
	if head := buf[:min(len(begin), len(buf))]; string(head) != begin[:len(head)] {
		return h, 0, Bad
	}
	end := bytes.IndexByte(buf[:min(len(buf), maxV1)], '\n')
	switch {
	case end < 0 && len(buf) >= maxV1:
		return h, 0, Bad
	case end < 0:
		return h, 0, More
	case buf[end-1] != '\r':
		return h, 0, Bad
	}
	line := string(buf[len(begin) : end-1])
	if line == "UNKNOWN" || strings.HasPrefix(line, "UNKNOWN ") {
		return h, end + 1, Done
	}
	words := strings.Split(line, " ")
	if len(words) != 5 || words[0] != "TCP4" && words[0] != "TCP6" {
		return h, 0, Bad
	}
	var ok1, ok2 bool
	h.Source, ok1 = addressV1(words[0], words[1], words[3])
	h.Destination, ok2 = addressV1(words[0], words[2], words[4])
	if !ok1 || !ok2 {
		return Header{}, 0, Bad
	}
	return h, end + 1, Done
}

func addressV1(family, address, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	n, err2 := strconv.ParseUint(port, 10, 16)
	if err != nil || err2 != nil || ip.Zone() != "" || ip.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// Values in a header of version 2.
const (
	version2    = 0x20
	local       = 0
	proxied     = 1
	streamInet  = 0x11
	streamInet6 = 0x21
)

// parseV2 reads the binary form: signature, version and command, family and transport, length, addresses, type-length-value fields.
func parseV2(buf []byte) (h Header, n int, v Verdict) {
	if head := buf[:min(len(signature), len(buf))]; string(head) != signature[:len(head)] {
		return h, 0, Bad
	}
	if len(buf) > len(signature) && (buf[12]&0xf0 != version2 || buf[12]&0x0f > proxied) {
		return h, 0, Bad
	}
	if len(buf) < fixedV2 {
		return h, 0, More
	}
	n = fixedV2 + int(binary.BigEndian.Uint16(buf[14:]))
	switch {
	case n > maxV2:
		return h, 0, TooLarge
	case len(buf) < n:
		return h, 0, More
	case buf[12]&0x0f == local:
		return h, n, Done
	}
	rest := buf[fixedV2:n]
	size := 0
	switch buf[13] {
	case streamInet:
		size = 4
	case streamInet6:
		size = 16
	default: // a unix socket, a datagram, or unspecified: its addresses are none for HTTP over TCP
		return h, n, Done
	}
	if len(rest) < 2*size+4 {
		return h, 0, Bad
	}
	ports := rest[2*size:]
	h.Source = addressV2(rest[:size], ports)
	h.Destination = addressV2(rest[size:2*size], ports[2:])
	h.tlvs = ports[4:]
	return h, n, Done
}

func addressV2(ip, port []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(port))
}
