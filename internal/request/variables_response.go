// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"strconv"

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
		if r.headSent && r.engine.made != nil {
			return appendTrailerField(dst, r.engine.made, arg)
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

// keepHead keeps the head that the client gets, where a template asks for its fields.
func (r *Request) keepHead(head []byte) {
	if r.engine.KeepHeads {
		r.sentHead = r.arena.Copy(head[:len(head)-len("\r\n")])
	}
}

// appendSentField appends $sent_http_NAME: what the client was sent, and while its head is made, what of it is there already.
func (r *Request) appendSentField(dst []byte, name string) ([]byte, bool) {
	head := r.sentHead
	if !r.headSent {
		head = r.engine.made
	}
	_, fields, _ := bytes.Cut(head, []byte{'\n'}) // the first line is no field
	return appendTrailerField(dst, fields, name)
}
