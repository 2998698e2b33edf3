// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"time"

	"weir/internal/http1"
	"weir/internal/static"
)

// appendExpires adds the fields of expires.
func (r *Request) appendExpires(dst []byte) []byte {
	e := r.expires()
	if e.Kind == static.ExpiresOff {
		return dst
	}
	return e.Append(dst, r.engine.Clock.Unix(), r.modifiedSec(), time.Local)
}

// expires is how long the answer may be kept.
func (r *Request) expires() static.Expires {
	rule := r.loc.Expires
	if rule == nil || !addHeaderStatus(r.status) {
		return static.Expires{}
	}
	if rule.Template == nil {
		return rule.Fixed
	}
	text := rule.Template.Append(nil, r)
	e, err := static.ParseExpires(string(text))
	if err != nil { // as nginx does, without a word: a map that has nothing for a request gives nothing
		return static.Expires{}
	}
	return e
}

// modifiedSec is the time of the last change of what is sent; -1: it has none.
func (r *Request) modifiedSec() int64 {
	if r.answerPage.file {
		return r.file.MtimeSec
	}
	if i := r.up.head.Lookup(http1.FieldLastModified); r.up.text != nil && i >= 0 {
		if t, ok := static.ParseDate(r.up.head.Fields[i].Value.Of(r.up.text)); ok {
			return t
		}
	}
	return -1
}
