// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"strconv"

	"weir/internal/http1"
	"weir/internal/vars"
)

// addResponse adds the variables of the response to the client.
func (t *variables) addResponse() {
	t[vars.Status] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.errorStatus != 0 { // on the way to an error page: what will be answered, whatever the page's own code
			return appendStatus(dst, r.errorStatus), true
		}
		return appendStatus(dst, r.status), true
	}
	t[vars.BodyBytesSent] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendInt(dst, max(r.relayPipe.Wire-r.headBytes, 0), 10), true
	}
	t[vars.BytesSent] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendInt(dst, r.relayPipe.Wire, 10), true
	}
	t[vars.RequestCompletion] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.complete {
			dst = append(dst, "OK"...)
		}
		return dst, true
	}
	t[vars.LimitRate] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendInt(dst, r.limitRate(), 10), true
	}
	t[vars.SentHTTPField] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return r.appendSentField(dst, arg)
	}
	t[vars.SentTrailerField] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		if r.headSent && r.made != nil {
			return appendTrailerField(dst, r.made, arg)
		}
		return appendTrailerField(dst, r.sentTrailer, arg)
	}
	t[vars.GzipRatio] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if !r.out.gzip {
			return dst, false
		}
		return appendRatio(dst, r.relayPipe.Encoded, r.relayPipe.Coded)
	}
}

// appendRatio appends from/to with two decimals, rounded; no value where nothing was made.
func appendRatio(dst []byte, from, to int64) ([]byte, bool) {
	if to == 0 {
		return dst, false
	}
	hundredths := (from*1000/to + 5) / 10
	dst = strconv.AppendInt(dst, hundredths/100, 10)
	return append(dst, '.', byte('0'+hundredths/10%10), byte('0'+hundredths%10)), true
}

// appendSentField appends $sent_http_NAME: what the client was sent, and while its head is made, what of it is there already.
func (r *Request) appendSentField(dst []byte, name string) ([]byte, bool) {
	if !r.headSent {
		_, fields, _ := bytes.Cut(r.made, []byte{'\n'}) // the first line is no field
		return appendTrailerField(dst, fields, name)
	}
	// Configured values are worked out again, as they were before the head was sent: one that asks for a sent field, which may be
	// itself, finds none.
	r.headSent = false
	dst, found := r.appendHeadField(dst, name)
	r.headSent = true
	return dst, found
}

// appendHeadField appends a field of the response's head.
func (r *Request) appendHeadField(dst []byte, name string) ([]byte, bool) {
	passed := r.up.text != nil && r.loc.Proxy != nil
	switch {
	case name == "server" && !(passed && r.loc.Proxy.PassServer):
		return append(dst, serverField(r.loc.ServerLine)...), true
	case name == "date" && !(passed && r.loc.Proxy.PassDate):
		return append(dst, r.engine.Clock.HTTPDate()...), true
	case name == "connection":
		if r.status == 101 {
			return append(dst, "upgrade"...), true
		}
		if r.closeClient {
			return append(dst, "close"...), true
		}
		return append(dst, "keep-alive"...), true
	case name == "transfer-encoding":
		return append(dst, "chunked"...), r.relayPipe.Chunk
	}
	found := false
	if r.up.text != nil {
		dst, found = r.appendPassedField(dst, name)
	} else {
		dst, found = r.appendOwnField(dst, name)
	}
	for i := range r.loc.AddHeaders {
		h := &r.loc.AddHeaders[i]
		if equalLower([]byte(h.Name), name) && (h.Always || addHeaderStatus(r.status)) {
			before := len(dst)
			if found {
				dst = append(dst, ", "...)
			}
			from := len(dst)
			if dst = h.Value.Append(dst, r); len(dst) > from {
				found = true
			} else {
				dst = dst[:before]
			}
		}
	}
	return dst, found
}

// appendOwnField appends a field of an answer of this process.
func (r *Request) appendOwnField(dst []byte, name string) ([]byte, bool) {
	a := &r.answerPage
	switch name {
	case "content-type":
		return r.out.appendType(dst, []byte(a.contentType)), a.contentType != ""
	case "content-length":
		return strconv.AppendInt(dst, int64(len(a.body)), 10), r.out.sized()
	case "location":
		return append(dst, a.location...), a.hasLocation
	}
	return dst, false
}

// appendPassedField appends a field of the origin's as it was passed on.
func (r *Request) appendPassedField(dst []byte, name string) ([]byte, bool) {
	switch id := http1.FieldByName([]byte(name)); {
	case r.out.dropped.Has(id):
		return dst, false
	case r.loc.Proxy.Hidden.Has(id), id == http1.FieldOther && r.hiddenOther([]byte(name)):
		return dst, false
	case id == http1.FieldLocation, id == http1.FieldRefresh:
		h := &r.up.head
		if i := h.Lookup(id); i >= 0 {
			return r.appendRewritten(dst, id, h.Fields[i].Value.Of(r.up.text)), true
		}
		return dst, false
	}
	return r.appendOriginVariable(dst, name)
}
