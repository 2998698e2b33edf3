// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package proxyproto

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// typeSSL is the field that has fields of its own, behind a byte of flags and four with the outcome of the client's verification.
const (
	typeSSL  = 0x20
	startSSL = 5
)

// names are the fields that have names (sections 2.2 and 3 of nginx's documentation of $proxy_protocol_tlv_).
var names = map[string]byte{"alpn": 0x01, "authority": 0x02, "unique_id": 0x05, "ssl": typeSSL, "netns": 0x30} // read-only

// namesSSL are those within the field ssl.
var namesSSL = map[string]byte{"version": 0x21, "cn": 0x22, "cipher": 0x23, "sig_alg": 0x24, "key_alg": 0x25} // read-only

// ssl is the prefix of the names of what is in the field ssl, and verify the name of what is no field in it.
const (
	ssl    = "ssl_"
	verify = "ssl_verify"
)

// typeOf is the type that a name stands for, and whether it is one within the field ssl.
func typeOf(name string) (t byte, inSSL, ok bool) {
	known := names
	if rest, is := strings.CutPrefix(name, ssl); is {
		name, known, inSSL = rest, namesSSL, true
	}
	if t, ok = known[name]; ok {
		return t, inSSL, true
	}
	digits, is := strings.CutPrefix(name, "0x")
	n, err := strconv.ParseUint(digits, 16, 8)
	return byte(n), inSSL, is && err == nil
}

// AppendTLV appends the value of a field; false when the header does not have it. ssl_verify is a number, 0 for a verified client.
func (h *Header) AppendTLV(dst []byte, name string) ([]byte, bool) {
	t, inSSL, ok := typeOf(name)
	fields := h.tlvs
	if inSSL || name == verify {
		value, found := find(fields, typeSSL)
		if !found || len(value) < startSSL {
			return dst, false
		}
		if name == verify {
			return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(value[1:])), 10), true
		}
		fields = value[startSSL:]
	}
	if !ok {
		return dst, false
	}
	value, found := find(fields, t)
	return append(dst, value...), found
}

// find is the value of the first field of a type: a byte of type, two of length, the value.
func find(fields []byte, t byte) ([]byte, bool) {
	for len(fields) >= 3 {
		end := 3 + int(binary.BigEndian.Uint16(fields[1:]))
		if end > len(fields) {
			return nil, false
		}
		if fields[0] == t {
			return fields[3:end], true
		}
		fields = fields[end:]
	}
	return nil, false
}
