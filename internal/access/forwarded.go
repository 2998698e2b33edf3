// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import (
	"bytes"
	"net/netip"
	"strings"
)

// Networks are the peers that are trusted to say for whom they speak: nginx's set_real_ip_from.
type Networks []Net

// Has says whether addr is in one of the sets; see Net.Has.
func (t Networks) Has(addr netip.Addr) bool {
	for i := range t {
		if t[i].Has(addr) {
			return true
		}
	}
	return false
}

// Forwarded goes back through a list of addresses, separated by commas or spaces, of which each is what the one behind it said of its peer, the
// last one peer itself. It gives the first address that was said by a trusted one: with recursive, the first that is not trusted itself, or the
// first of the list. more says that the list was used up and that what stood in front of it would be asked next. The port is 0 where the list
// has none. Nothing is found when peer is not trusted, or the last entry is no address.
func (t Networks) Forwarded(peer netip.AddrPort, list []byte, recursive bool) (found netip.AddrPort, ok, more bool) {
	for t.Has(peer.Addr()) {
		list = bytes.TrimRight(list, ", ")
		if len(list) == 0 {
			return found, ok, true
		}
		next, good := parseAddress(list[bytes.LastIndexAny(list, ", ")+1:])
		if !good {
			return found, ok, false
		}
		found, peer, ok = next, next, true
		list = list[:bytes.LastIndexAny(list, ", ")+1]
		if !recursive {
			break
		}
	}
	return found, ok, false
}

// addressMax is the longest address with a port: an IPv6 address of 45 bytes in brackets, a colon and five digits.
const addressMax = 45 + len("[]:65535")

// parseAddress reads an address with or without a port. IPv4 addresses in IPv6 ones are unmapped.
func parseAddress(text []byte) (netip.AddrPort, bool) {
	if ip, rest, ok := parseIPv4(text); ok {
		if len(rest) == 0 {
			return netip.AddrPortFrom(ip, 0), true
		}
		port, ok := number(rest[1:], 65535)
		return netip.AddrPortFrom(ip, uint16(port)), ok && port > 0 && rest[0] == ':'
	}
	if !looksLikeIPv6(text) { // an error would be made of what it is
		return netip.AddrPort{}, false
	}
	s, port := string(text), "" // the one allocation: netip takes strings
	if s[0] == '[' {
		s, port, _ = strings.Cut(s[1:], "]")
		if strings.Contains(s, "[") {
			return netip.AddrPort{}, false
		}
	}
	n := 0
	if port != "" {
		var ok bool
		if n, ok = number(text[len(text)-len(port)+1:], 65535); !ok || n == 0 || port[0] != ':' {
			return netip.AddrPort{}, false
		}
	}
	ip, err := netip.ParseAddr(s)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), err == nil
}

// looksLikeIPv6 says whether a text has only what an IPv6 address and its port have.
func looksLikeIPv6(text []byte) bool {
	colon := false
	for _, c := range text {
		switch {
		case c == ':':
			colon = true
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'f', c == '.', c == '[', c == ']':
		default:
			return false
		}
	}
	return colon && len(text) <= addressMax
}

// parseIPv4 reads an IPv4 address; rest is what stands behind it.
func parseIPv4(text []byte) (ip netip.Addr, rest []byte, ok bool) {
	var octets [4]byte
	for i := range octets {
		end := 0
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		n, ok := number(text[:end], 255)
		if !ok || i < 3 && (end == len(text) || text[end] != '.') {
			return netip.Addr{}, nil, false
		}
		octets[i], text = byte(n), text[end:]
		if i < 3 {
			text = text[1:]
		}
	}
	return netip.AddrFrom4(octets), text, true
}

// number reads digits that make a number up to most.
func number(digits []byte, most int) (n int, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > most {
			return 0, false
		}
	}
	return n, len(digits) > 0
}
