// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import "weir/internal/http1"

// OPTIONS (RFC 9110 section 9.3.7): about weir itself, or passed on as far as Max-Forwards allows (section 7.6.2).

// allMethods is the value of Allow where everything may be asked that weir does not refuse itself.
const allMethods = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"

const maxForwards = "max-forwards"

// answerOptions answers OPTIONS in the place of whom it was meant for.
func (r *Request) answerOptions() verdict {
	r.status = 200
	r.answerPage.reset()
	r.answerPage.allow = allMethods
	return r.sendAnswer()
}

// forwardsLeft is the value of Max-Forwards; false: there is none, or it is not a number, and the field passes as it is.
func (r *Request) forwardsLeft() (int64, bool) {
	text := r.buf[r.base:]
	i := r.head.Find(text, []byte(maxForwards))
	if i < 0 {
		return 0, false
	}
	return parseNumber(r.head.Fields[i].Value.Of(text))
}

// mayForward says whether an OPTIONS request may go on to an origin.
func (r *Request) mayForward() bool {
	n, ok := r.forwardsLeft()
	return !ok || n > 0
}

// appendForwards passes on a field of an OPTIONS request, Max-Forwards less one.
func (r *Request) appendForwards(dst []byte, f *http1.Field, text []byte) []byte {
	if f.ID == http1.FieldOther && equalLower(f.Name.Of(text), maxForwards) {
		if n, ok := parseNumber(f.Value.Of(text)); ok {
			return http1.AppendFieldInt(dst, "Max-Forwards", max(n-1, 0))
		}
	}
	return appendOriginal(dst, f, text)
}
