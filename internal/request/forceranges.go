// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/http1"
	"weir/internal/static"
)

// part is what a client gets of an origin's response that is more than it has asked for (proxy_force_ranges).
type part struct {
	static.Range
	taken bool // it gets only that
	able  bool // it could have asked for a part
}

// takePart works out which part of the origin's response the client wants. As in nginx it is one part, of a 200 whose length is known. False: there is no
// such part.
func (r *Request) takePart() bool {
	h := &r.up.head
	if r.status != 200 || h.Status != 200 || h.Chunked || h.ContentLength < 0 || r.methodID != http1.MethodGet && r.methodID != http1.MethodHead {
		return true
	}
	r.up.part.able = true
	field := r.fieldOf(http1.FieldRange)
	same := r.fieldOf(http1.FieldIfRange)
	if field == nil || len(same) > 2 && same[0] == 'W' || !static.IfRange(same, r.originField(http1.FieldETag), r.modifiedSec()) {
		return true // a weak tag is not equal to any (RFC 9110 section 13.1.5)
	}
	ranges, outcome := static.ParseRange(field, h.ContentLength, 1)
	switch {
	case outcome == static.Unsatisfiable:
		return false
	case outcome == static.Partial && ranges.Count == 1:
		r.up.part.Range, r.up.part.taken, r.status = ranges.First, true, 206
		r.up.keep = r.up.keep && ranges.First.End == h.ContentLength
	}
	return true
}

// appendPart appends the fields of a response of which a part is sent, or could be.
func (r *Request) appendPart(dst []byte) []byte {
	p := &r.up.part
	if !p.taken {
		return append(dst, "Accept-Ranges: bytes\r\n"...)
	}
	if r.out.sized() {
		dst = http1.AppendFieldInt(dst, "Content-Length", p.Len())
	}
	return append(p.AppendContentRange(append(dst, "Content-Range: "...), r.up.head.ContentLength), '\r', '\n')
}
