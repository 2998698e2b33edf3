// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/http1"
)

// A request body that nobody wants, because weir answers by itself or an origin is asked for something else, is read and dropped, so that the
// connection can go on after it (nginx's ngx_http_discard_request_body). What came along with the head is looked at before the answer; the rest is
// read after it.

// discarding is how far a body that is read after the answer has been.
type discarding struct {
	length int64 // what is to come of a body with a length
	chunks http1.Chunked
	size   int64 // payload so far of a chunked one
}

// skipBody drops a request body that nobody wants, if all of it has come along with the head. The status is 400 for one that is malformed and 413 for one
// that is over client_max_body_size, else 0.
func (r *Request) skipBody() (status int) {
	if !r.hasBody || r.bodyOpen || r.sub != nil {
		return 0
	}
	d := discarding{length: r.head.ContentLength}
	n, v := r.dropFrom(&d, r.buf[r.next:r.w])
	switch v {
	case http1.Done:
		r.next += n
		r.hasBody, r.withoutBody = false, true // an error page may yet be an origin's, which must not wait for it
	case http1.Bad:
		return 400
	}
	if r.tooMuch(&d) {
		return 413
	}
	return 0
}

// tooMuch says whether a chunked body has grown over client_max_body_size.
func (r *Request) tooMuch(d *discarding) bool {
	limit := r.loc.MaxBody
	return limit > 0 && d.size+d.chunks.Remaining() > limit
}

// dropFrom takes what belongs to the body off the front of text.
func (r *Request) dropFrom(d *discarding, text []byte) (int, http1.Verdict) {
	if !r.head.Chunked {
		n := min(d.length, int64(len(text)))
		if d.length -= n; d.length > 0 {
			return int(n), http1.More
		}
		return int(n), http1.Done
	}
	at := 0
	for {
		n, data, v := d.chunks.Next(text[at:])
		at += n
		d.size += int64(len(data))
		if v != http1.More || at == len(text) {
			return at, v
		}
	}
}

// refuseBody answers a request whose body cannot be dropped. True: it can.
func (r *Request) refuseBody() (verdict, bool) {
	switch status := r.skipBody(); status {
	case 0:
		return again, true
	case 413:
		r.logError("client sent too large a body")
		r.withoutBody = true
		return r.answer(status), false
	default:
		return r.badBody(), false
	}
}

// mayDiscard says whether the connection can go on although a part of the body is still with the client. One that waits for 100 might send none.
func (r *Request) mayDiscard() bool {
	return !r.bodyOpen && !(r.head.Expect100 && r.next == r.w)
}

// startDiscard begins to drop the body, after the answer.
func (r *Request) startDiscard() verdict {
	r.discarded = discarding{length: r.head.ContentLength}
	r.path, r.args = nil, nil // the memory of the head is read into
	r.lingerEndMs = r.nowMs() + r.loc.LingerTimeMs
	return r.become(StateDiscard)
}

// discard reads and drops the body, for as long as linger would, and goes on with what comes behind it.
func (r *Request) discard() verdict {
	d := &r.discarded
	for range lingerReads {
		n, v := r.dropFrom(d, r.buf[r.next:r.w])
		r.next += n
		switch {
		case v == http1.Bad || r.tooMuch(d):
			return r.closeAll()
		case v == http1.Done:
			r.hasBody = false
			return r.keepClient()
		}
		if r.block == nil {
			if r.block = r.acquire(buffer.ClassRequest); r.block == nil {
				return wait
			}
			r.useArena.Reset()
			r.buf = r.headRoom(r.block)
		}
		r.base, r.next, r.w = 0, 0, 0
		n, st := r.client.Read(r.buf)
		switch st {
		case conn.OK:
			r.w = n
		case conn.Again:
			r.client.Arm(min(r.nowMs()+r.loc.LingerTimeoutMs, r.lingerEndMs))
			return wait
		default:
			return r.closeAll()
		}
	}
	if r.nowMs() >= r.lingerEndMs {
		return r.closeAll()
	}
	r.engine.Loop.Post(&r.task)
	return wait
}
