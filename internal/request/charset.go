// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strings"

	"weir/internal/static"
	"weir/internal/vars"
)

// Charset is what is added to Content-Type.
type Charset struct {
	Name  *vars.Template  // charset
	Types *static.TypeSet // charset_types, text/html with them
}

// appendContentType appends the field Content-Type.
func (r *Request) appendContentType(dst []byte, contentType string) []byte {
	dst = append(append(dst, "Content-Type: "...), contentType...)
	if r.loc.Charset != nil {
		dst = r.appendCharset(dst, contentType)
	}
	return append(dst, '\r', '\n')
}

// appendCharset appends the charset to a content type that has none. The location has one.
func (r *Request) appendCharset(dst []byte, contentType string) []byte {
	c := r.loc.Charset
	if strings.Contains(contentType, "charset=") || !c.Types.Has([]byte(contentType)) {
		return dst
	}
	from := len(dst)
	dst = append(dst, "; charset="...)
	start := len(dst)
	dst = c.Name.Append(dst, r)
	if len(dst) == start || string(dst[start:]) == "off" {
		return dst[:from]
	}
	clean(dst[start:])
	return dst
}
