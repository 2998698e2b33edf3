// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/http1"
)

// TakeTrailer keeps the trailer section of an origin's response. See eventpipe.Tail.
func (r *Request) TakeTrailer(b []byte) {
	kept := append(append(r.arena.Begin(len(r.trailer)+len(b)), r.trailer...), b...)
	if kept = r.arena.End(kept); kept != nil { // without memory for it the response has no trailer fields
		r.trailer = kept
	}
}

// AppendTrailer passes on the trailer fields of an origin's response, written anew, less those that are not for the client and those that frame a
// message. See eventpipe.Tail.
func (r *Request) AppendTrailer(dst []byte) []byte {
	for rest := r.trailer; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r"), []byte{':'})
		if !ok {
			break
		}
		id := http1.FieldByName(name)
		hidden := r.loc.Proxy.Hidden.Has(id) || id == http1.FieldOther && r.hiddenOther(name)
		if hidden || id.HopByHop() || id == http1.FieldContentLength || id == http1.FieldHost {
			continue
		}
		dst = http1.AppendFieldBytes(dst, name, bytes.Trim(value, " \t"))
	}
	return dst
}
