// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// prefixFamily begins the names $binary_remote_addr_V4_V6: the client's network, of V4 bits for IPv4 and V6 bits for IPv6.
const prefixFamily = "binary_remote_addr_"

// defaultPrefix is the arg of $binary_remote_addr_prefix. An IPv4 address is one client; of IPv6 the smallest network that a
// client gets is a /64 (RFC 4291, section 2.5.4; RFC 6177), and it can use any address in it.
const defaultPrefix = "\x20\x40" // 32 and 64

// resolvePrefix makes the arg for the bits in a name of prefixFamily: one byte for IPv4, one for IPv6. It returns false for what
// is not made of two numbers, and an error for numbers that are no lengths of a prefix.
func resolvePrefix(bits string) (arg string, ok bool, err error) {
	text4, text6, _ := strings.Cut(bits, "_")
	v4, err4 := strconv.ParseUint(text4, 10, 16)
	v6, err6 := strconv.ParseUint(text6, 10, 16)
	switch {
	case err4 != nil || err6 != nil:
		return "", false, nil
	case v4 > 32:
		return "", true, fmt.Errorf("variable \"$%s%s\": an IPv4 prefix has 0 to 32 bits, not %d", prefixFamily, bits, v4)
	case v6 > 128:
		return "", true, fmt.Errorf("variable \"$%s%s\": an IPv6 prefix has 0 to 128 bits, not %d", prefixFamily, bits, v6)
	}
	return string([]byte{byte(v4), byte(v6)}), true, nil
}

// PrefixBits returns how many leading bits of an IPv4 and of an IPv6 address stay in $binary_remote_addr_prefix, by the arg that
// comes with BinaryRemoteAddrPrefix.
func PrefixBits(arg string) (v4, v6 uint8) { return arg[0], arg[1] }

// AppendPrefix appends the value of BinaryRemoteAddrPrefix with this arg for a client at addr: 4 bytes for an IPv4 address, also for one
// that is mapped into IPv6, 16 for an IPv6 address, in network order with the host bits zero; nothing for the zero Addr, a client on a unix socket.
func AppendPrefix(dst []byte, addr netip.Addr, arg string) []byte {
	v4, v6 := PrefixBits(arg)
	switch {
	case !addr.IsValid():
		return dst
	case addr.Is4() || addr.Is4In6():
		ip := addr.As4()
		return binary.BigEndian.AppendUint32(dst, binary.BigEndian.Uint32(ip[:])&uint32(leading(v4)>>32))
	}
	ip := addr.As16()
	dst = binary.BigEndian.AppendUint64(dst, binary.BigEndian.Uint64(ip[:8])&leading(min(v6, 64)))
	return binary.BigEndian.AppendUint64(dst, binary.BigEndian.Uint64(ip[8:])&leading(max(v6, 64)-64))
}

// leading is a mask of n leading bits, 0 to 64.
func leading(n uint8) uint64 { return ^(^uint64(0) >> n) }
