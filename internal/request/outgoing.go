// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/eventpipe"
	"weir/internal/filter"
	"weir/internal/http1"
)

// outgoing is what has been decided about how an answer goes to the client: what becomes of its body and fields on the way, and how it is framed.
type outgoing struct {
	gzip     bool     // it goes out as gzip
	vary     bool     // it could have, for another client, and says so
	weak     bool     // its ETag stands for what is no longer the same byte for byte
	added    bool     // something is added to it
	unsized  bool     // the length of what the client gets is not known
	chunked  bool     // it gets it in chunks
	trailers bool     // and add_trailer's fields behind them
	dropped  FieldSet // fields that the answer does not have any more
	charset  charset
	encoder  *filter.Encoder // until the pipe has it
}

// sized says whether an answer has the field Content-Length.
func (o *outgoing) sized() bool { return !o.unsized && !o.chunked }

// plain says whether the body goes out as it is.
func (o *outgoing) plain() bool { return o.encoder == nil && !o.chunked && !o.added }

// newOut begins the decisions about an answer.
func (r *Request) newOut() {
	r.dropEncoder()
	r.out = outgoing{}
}

// frame decides how an answer is framed that has a body, or has none, of a length that is known unless out.unsized.
func (r *Request) frame(hasBody bool) {
	o := &r.out
	trailers := hasBody && r.hasTrailers()
	switch {
	case !hasBody || !o.unsized && !trailers:
	case r.head.Minor > 0 && !r.loc.NoChunks:
		o.chunked, o.trailers = true, trailers
	case o.unsized:
		r.closeClient = true // only the end of the connection ends the body
	}
	if !o.sized() {
		o.dropped.Add(http1.FieldContentLength)
	}
}

// shape has the pipe of an answer do to its body what has been decided.
func (r *Request) shape(o *eventpipe.Options) {
	o.Chunk = r.out.chunked
	if r.out.trailers {
		o.Tail = r
	}
	if r.out.encoder != nil {
		o.Encoder, o.Owner = r.out.encoder, r
		r.out.encoder = nil
	}
}

// encoder is what changes the answer's body.
func (r *Request) encoder() *filter.Encoder {
	if r.out.encoder == nil {
		r.out.encoder = r.engine.Filters.Acquire(&r.relayPipe)
	}
	return r.out.encoder
}

// dropEncoder gives an encoder back that no pipe has got.
func (r *Request) dropEncoder() {
	if r.out.encoder != nil {
		r.out.encoder.Release()
		r.out.encoder = nil
	}
}

// hasAnswerBody says whether an answer of weir's own, or a file, has a body.
func (r *Request) hasAnswerBody() bool {
	return r.methodID != http1.MethodHead && bodyAllowed(r.status)
}
