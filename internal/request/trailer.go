// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/http1"
)

// TakeTrailer keeps the trailer section of an origin's response. Its memory doubles when it is full: the section may come byte by byte. Without memory for all of it the
// response has no trailer fields. See eventpipe.Tail.
func (r *Request) TakeTrailer(b []byte) {
	if r.trailerLost {
		return
	}
	if need := len(r.trailer) + len(b); need > cap(r.trailer) {
		room := r.arena.Alloc(max(need, 2*cap(r.trailer), trailerRoom))
		if room == nil {
			r.trailer, r.trailerLost = nil, true
			return
		}
		r.trailer = append(room[:0], r.trailer...)
	}
	r.trailer = append(r.trailer, b...)
}

// trailerRoom is room for a trailer section as most are.
const trailerRoom = 128

// AppendTrailer passes on the trailer fields of an origin's response, with proxy_pass_trailers, written anew, less those that are not for the client and those that
// frame a message, and adds those of add_trailer. See eventpipe.Tail.
func (r *Request) AppendTrailer(dst []byte) []byte {
	start := len(dst)
	for rest := r.trailer; len(rest) > 0; {
		var name, value []byte
		if name, value, rest = nextTrailer(rest); r.passesTrailer(name) {
			dst = http1.AppendFieldBytes(dst, name, value)
		}
	}
	if r.out.trailers {
		r.engine.madeFrom = start
		dst = r.appendAdded(dst, r.loc.AddTrailers)
		r.engine.madeFrom = 0
	}
	r.sentTrailer = r.arena.Copy(dst[start:])
	return dst
}

// hasTrailers says whether the location adds trailer fields to an answer with this status.
func (r *Request) hasTrailers() bool {
	for i := range r.loc.AddTrailers {
		if r.loc.AddTrailers[i].Always || addHeaderStatus(r.status) {
			return true
		}
	}
	return false
}

// nextTrailer is the first field of a trailer section, and what follows it; no name: the section ends.
func nextTrailer(section []byte) (name, value, rest []byte) {
	line, rest, _ := bytes.Cut(section, []byte{'\n'})
	name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r"), []byte{':'})
	if !ok {
		return nil, nil, nil
	}
	return name, bytes.Trim(value, " \t"), rest
}

// passesTrailer says whether the client gets a trailer field of this name.
func (r *Request) passesTrailer(name []byte) bool {
	if !r.loc.Proxy.Trailers {
		return false
	}
	id := http1.FieldByName(name)
	hidden := r.loc.Proxy.Hidden.Has(id) || id == http1.FieldOther && r.hiddenOther(name)
	return len(name) > 0 && !hidden && !id.HopByHop() && id != http1.FieldContentLength && id != http1.FieldHost
}

// appendTrailerField appends the values of a field of a trailer section, joined as a list.
func appendTrailerField(dst, section []byte, field string) ([]byte, bool) {
	found := false
	for rest := section; len(rest) > 0; {
		var name, value []byte
		if name, value, rest = nextTrailer(rest); !equalLower(name, field) {
			continue
		}
		if found {
			dst = append(dst, ", "...)
		}
		dst, found = append(dst, value...), true
	}
	return dst, found
}
