// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// AppendV1 appends a header of version 1 that names source and destination. Addresses that are invalid, as those of a unix socket are, or not of one
// family, are not named: UNKNOWN.
func AppendV1(dst []byte, source, destination netip.AddrPort) []byte {
	source, destination, ok := family(source, destination)
	if !ok {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	dst = append(dst, "PROXY TCP4 "...)
	if source.Addr().Is6() {
		dst[len(dst)-2] = '6'
	}
	dst = append(source.Addr().AppendTo(dst), ' ')
	dst = append(destination.Addr().AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(source.Port()), 10), ' ')
	return append(strconv.AppendUint(dst, uint64(destination.Port()), 10), "\r\n"...)
}

// AppendV2 is AppendV1 for version 2; what version 1 calls UNKNOWN is a header of the family AF_UNSPEC.
func AppendV2(dst []byte, source, destination netip.AddrPort) []byte {
	source, destination, ok := family(source, destination)
	dst = append(dst, "\r\n\r\n\x00\r\nQUIT\n\x21"...) // version 2, command PROXY
	if !ok {
		return append(dst, 0, 0, 0)
	}
	tcp, size := byte(0x11), 2*4+2*2
	if source.Addr().Is6() {
		tcp, size = 0x21, 2*16+2*2
	}
	dst = binary.BigEndian.AppendUint16(append(dst, tcp), uint16(size))
	for _, a := range [...]netip.Addr{source.Addr(), destination.Addr()} {
		if a.Is4() {
			b := a.As4()
			dst = append(dst, b[:]...)
		} else {
			b := a.As16()
			dst = append(dst, b[:]...)
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, source.Port())
	return binary.BigEndian.AppendUint16(dst, destination.Port())
}

// family makes both addresses ones of the same family, without zones; false when they cannot be.
func family(a, b netip.AddrPort) (source, destination netip.AddrPort, ok bool) {
	source = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	destination = netip.AddrPortFrom(b.Addr().Unmap().WithZone(""), b.Port())
	return source, destination, a.IsValid() && b.IsValid() && source.Addr().Is4() == destination.Addr().Is4()
}
