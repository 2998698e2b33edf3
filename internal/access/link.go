// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

// Links that a client cannot make up: nginx's secure_link. Both forms are keyed with MD5, as nginx defines them.

// linkMax is how long the text of a checksum may be: base64 of 16 bytes, with padding.
const linkMax = 24

// SplitLink splits the value of secure_link, "CHECKSUM" or "CHECKSUM,EXPIRES", at its comma; expires is nil without one.
func SplitLink(value []byte) (sum, expires []byte) {
	i := bytes.IndexByte(value, ',')
	if i < 0 {
		return value, nil
	}
	return value[:i], value[i+1:]
}

// CheckLink compares the checksum of a link, in base64url, with that of expression (secure_link_md5), and says whether the time it has, if it has one, is not over at now,
// in seconds. ok: the checksum is right.
func CheckLink(sum, expires, expression []byte, now int64) (ok, valid bool) {
	if expires != nil {
		at, err := strconv.ParseInt(string(expires), 10, 64)
		if err != nil || at <= 0 || expires[0] == '+' {
			return false, false
		}
		valid = at >= now
	} else {
		valid = true
	}
	if len(sum) > linkMax {
		return false, false
	}
	if i := bytes.IndexByte(sum, '='); i >= 0 {
		sum = sum[:i]
	}
	var got [linkMax]byte
	n, err := base64.RawURLEncoding.Decode(got[:], sum)
	want := md5.Sum(expression)
	return err == nil && bytes.Equal(got[:n], want[:]), valid
}

// OldLink returns the link of a target "/PREFIX/CHECKSUM/LINK" whose checksum, in hexadecimal, is that of LINK and the secret (secure_link_secret); false: it is not.
func OldLink(target []byte, secret string) (link []byte, ok bool) {
	if len(target) == 0 {
		return nil, false
	}
	_, rest, found := bytes.Cut(target[1:], []byte{'/'})
	sum, link, found2 := bytes.Cut(rest, []byte{'/'})
	if !found || !found2 || len(link) == 0 || len(sum) != 2*md5.Size {
		return nil, false
	}
	var got [md5.Size]byte
	if _, err := hex.Decode(got[:], sum); err != nil {
		return nil, false
	}
	if got != md5.Sum(append(link[:len(link):len(link)], secret...)) {
		return nil, false
	}
	return link, true
}
