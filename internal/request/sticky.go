// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strconv"
	"strings"
	"time"

	"weir/internal/upstream"
)

// bindPeer finds the peer that the request is bound to: the one whose id it brings in the cookie or the route.
func (r *Request) bindPeer(s *upstream.Sticky) {
	var id []byte
	if s.Cookie != "" {
		var ok bool
		if id, ok = r.appendCookie(r.arena.Begin(stickyRoom), s.Cookie); !ok {
			id = id[:0]
		}
		id = r.arena.End(id)
	}
	for _, t := range s.Routes {
		if id = r.render(t); len(id) > 0 {
			break
		}
	}
	if len(id) > 0 {
		r.tried.Bind(r.group, id)
	}
}

// stickyRoom is room for an id as most are.
const stickyRoom = 64

// lastDate is the end of cookies that never expire: nginx's.
const lastDate = "Thu, 31-Dec-37 23:55:55 GMT"

// appendSticky sets the cookie of the peer that has answered, with each response: so it expires so long after the last one. Its attributes are in nginx's order and spelling.
func (r *Request) appendSticky(dst []byte, s *upstream.Sticky) []byte {
	if s.Cookie == "" {
		return dst
	}
	dst = append(append(dst, "Set-Cookie: "...), s.Cookie...)
	dst = append(append(dst, '='), r.up.peer.ID()...)
	switch {
	case s.ExpiresSec == upstream.CookieMax:
		dst = append(dst, "; expires="+lastDate+"; max-age=315360000"...)
	case s.ExpiresSec > 0:
		dst = append(dst, "; expires="...)
		dst = time.Unix(r.engine.Clock.Unix()+s.ExpiresSec, 0).UTC().AppendFormat(dst, "Mon, 02-Jan-06 15:04:05 GMT")
		dst = strconv.AppendInt(append(dst, "; max-age="...), s.ExpiresSec, 10)
	}
	if s.Domain != nil {
		start := len(dst)
		dst = append(dst, "; domain="...)
		from := len(dst)
		if dst = s.Domain.Append(dst, r); len(dst) == from {
			dst = dst[:start]
		} else {
			cleanAttribute(dst[from:])
		}
	}
	if s.HTTPOnly {
		dst = append(dst, "; httponly"...)
	}
	if s.Secure {
		dst = append(dst, "; secure"...)
	}
	dst = r.appendSameSite(dst, s)
	if s.Path != "" {
		dst = append(append(dst, "; path="...), s.Path...)
	}
	return append(dst, '\r', '\n')
}

// appendSameSite appends the attribute for the value of its template: nothing for an empty one, strict for one that it cannot have.
func (r *Request) appendSameSite(dst []byte, s *upstream.Sticky) []byte {
	if s.SameSite == nil {
		return dst
	}
	before := len(dst)
	dst = append(dst, "; samesite="...)
	from := len(dst)
	switch dst = s.SameSite.Append(dst, r); strings.ToLower(string(dst[from:])) {
	case "":
		return dst[:before]
	case "strict", "lax", "none":
		return dst
	}
	return append(dst[:from], "strict"...)
}

// cleanAttribute takes out of an attribute's value what could end it.
func cleanAttribute(value []byte) {
	clean(value)
	for i, c := range value {
		if c == ';' {
			value[i] = ' '
		}
	}
}
