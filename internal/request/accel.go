// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/buffer"
	"weir/internal/http1"
)

// accel is what a request has of an origin that has sent it on with X-Accel-Redirect: these fields of its answer are kept, and go into the answer of
// the path that it names. Both are in the request's arena.
type accel struct {
	fields      []byte // lines; among them Location of a redirect that an error page takes the place of
	ranges      []byte // the line Accept-Ranges, which an error does not have
	contentType []byte // in the place of the other answer's, unless that is an origin's too
}

// keptFields are the fields that survive X-Accel-Redirect, besides Content-Type and Accept-Ranges (nginx: those of ngx_http_upstream_headers_in with redirect).
const keptFields FieldSet = 1<<http1.FieldSetCookie | 1<<http1.FieldContentDisposition | 1<<http1.FieldCacheControl |
	1<<http1.FieldExpires

// accelRedirect handles the request anew as the origin says: as one for another path, or in a named location.
func (r *Request) accelRedirect() verdict {
	u := &r.up
	target := u.head.Fields[u.head.Lookup(http1.FieldXAccelRedirect)].Value.Of(u.text)
	target = r.arena.Copy(target)
	if target == nil || !r.keepFields() {
		return r.noMemory()
	}
	if i := u.head.Lookup(http1.FieldXAccelLimitRate); i >= 0 && !r.loc.Proxy.IgnoreLimitRate {
		if rate, ok := parseNumber(u.head.Fields[i].Value.Of(u.text)); ok {
			r.limitRateBytes, r.limitRateSet = rate, true // before limit_rate of wherever it goes
		}
	}
	r.up.former = r.arena.Copy(r.up.text)
	r.letRedirectorGo()
	if len(target) > 0 && target[0] == '@' {
		return r.redirectToNamed(string(target))
	}
	raw, args, _ := bytes.Cut(target, []byte{'?'})
	path, ok := http1.UnescapePath(r.arena.Begin(len(raw)), raw)
	path = r.arena.End(path)
	switch {
	case path == nil && ok:
		return r.noMemory()
	case !ok || unsafePath(path):
		r.logError("unsafe URI \"" + string(raw) + "\" was detected")
		return r.answer(404)
	}
	if args != nil {
		if args = r.arena.End(appendEscapedArgs(r.arena.Begin(len(args)), args)); args == nil {
			return r.noMemory()
		}
	}
	r.toGet()
	return r.redirectPath(path, args)
}

// unsafePath says whether a path is one that nothing may be served for: it does not begin with a slash, has a NUL, or leads up.
func unsafePath(path []byte) bool {
	if len(path) == 0 || path[0] != '/' || bytes.IndexByte(path, 0) >= 0 {
		return true
	}
	return bytes.Contains(path, []byte("/../")) || bytes.HasSuffix(path, []byte("/.."))
}

// letRedirectorGo ends the exchange with the origin: its connection is kept, if the body, which nobody wants, has come along with the head.
func (r *Request) letRedirectorGo() {
	u := &r.up
	kind := u.head.Body(u.method)
	rest := u.block.Len() - u.head.Len
	if u.keep && (kind == http1.BodyNone && rest == 0 || kind == http1.BodyLength && int64(rest) == u.head.ContentLength) {
		r.endAttempt()
		u.peer.KeepIdle(u.conn, r.nowMs())
		u.conn = nil
	}
	r.abandonOrigin()
}

// keepFields keeps what survives of the origin's answer. False: there is no memory for it.
func (r *Request) keepFields() bool {
	u := &r.up
	if i := u.head.Lookup(http1.FieldContentType); i >= 0 {
		if r.accel.contentType = r.arena.Copy(u.head.Fields[i].Value.Of(u.text)); r.accel.contentType == nil {
			return false
		}
	}
	b := r.engine.Pool.Acquire(buffer.ClassResponse) // not the arena: the rules for cookies may ask that for pieces
	if b == nil {
		return false
	}
	if i := u.head.Lookup(http1.FieldAcceptRanges); i >= 0 {
		if r.accel.ranges = r.arena.Copy(appendOriginal(headSpace(b), &u.head.Fields[i], u.text)); r.accel.ranges == nil {
			r.engine.Pool.Release(b)
			return false
		}
	}
	kept := append(headSpace(b), r.accel.fields...)
	for i := range u.head.Fields {
		if f := &u.head.Fields[i]; keptFields.Has(f.ID) {
			kept = r.appendOriginField(kept, f, http1.BodyNone)
		}
	}
	r.accel.fields = r.arena.Copy(kept)
	r.engine.Pool.Release(b)
	return r.accel.fields != nil
}

// appendAccel appends the fields that were kept, and the type unless another origin has given one.
func (r *Request) appendAccel(dst []byte, typed bool) []byte {
	if !typed && r.accel.contentType != nil {
		dst = http1.AppendField(dst, "Content-Type", r.accel.contentType)
	}
	return r.appendKept(dst)
}

// appendKept appends the fields that were kept, but for the type.
func (r *Request) appendKept(dst []byte) []byte {
	dst = append(dst, r.accel.fields...)
	if r.status < 300 && !r.out.dropped.Has(http1.FieldAcceptRanges) {
		dst = append(dst, r.accel.ranges...)
	}
	return dst
}
