// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import (
	"bytes"
	"encoding/base64"
)

// Basic reads the value of an Authorization field of the scheme Basic (RFC 7617) into dst, which is used from its start and has to have room for
// as many bytes as the value has. user and password are pieces of dst. As with nginx the user may be empty, and a value without a colon is none.
func Basic(dst, value []byte) (user, password []byte, ok bool) {
	const scheme = "basic "
	if len(value) <= len(scheme) || !bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
		return nil, nil, false
	}
	token := bytes.TrimRight(bytes.Trim(value[len(scheme):], " "), "=")
	if base64.RawStdEncoding.DecodedLen(len(token)) > len(dst) {
		return nil, nil, false
	}
	n, err := base64.RawStdEncoding.Decode(dst, token)
	if err != nil {
		return nil, nil, false
	}
	return bytes.Cut(dst[:n], colon)
}

var colon = []byte(":") // read-only
