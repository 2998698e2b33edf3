// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"slices"

	"go.uber.org/zap"

	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/eventpipe"
	"weir/internal/http1"
)

// exchange sends the request and reads the head of the response. Both go on at the same time: an origin may
// answer before it has the whole body.
func (r *Request) exchange() verdict {
	u := &r.up
	r.flushEarly()
	if !u.outOpen {
		if v, ok := r.openRequest(); !ok {
			return v
		}
	}
	broken := false // the origin takes no more; it may still have answered
	if u.out != nil {
		broken = !r.sendHead()
	}
	if u.out == nil && !u.bodyDone && !broken {
		var over bool
		if broken, over = r.sendBody(); over {
			return again
		}
	}
	if u.conn.Readable() || broken {
		return r.readResponse(broken)
	}
	r.armExchange()
	return wait
}

// armExchange sets the deadline for what is waited for: the origin's answer, or its taking the request.
func (r *Request) armExchange() {
	p, t := r.loc.Proxy, r.trial()
	moved := t.BytesSent + t.BytesReceived
	r.pausing = [2]bool{}
	switch {
	case r.up.bodyDone:
		r.client.Disarm()
		r.armIfMoved(r.up.conn, originSide, moved, p.ReadTimeoutMs)
	case r.up.out == nil && r.sendsBody() && r.body.Reading() && r.body.Empty():
		// The client is the one to wait for.
		r.up.conn.Disarm()
		r.armIfMoved(r.client, clientSide, r.body.Raw, r.loc.BodyTimeoutMs)
	default:
		r.client.Disarm()
		if r.sendsBody() {
			if at := r.body.SourceResumeMs(); at != 0 {
				r.armPause(r.client, clientSide, at)
			}
		}
		r.armIfMoved(r.up.conn, originSide, moved, p.SendTimeoutMs)
	}
}

// openRequest makes the request's head. False: the verdict is the step's.
func (r *Request) openRequest() (verdict, bool) {
	u := &r.up
	if t := r.loc.Proxy.SetBody; t != nil {
		if u.ownBody = r.render(t); u.ownBody == nil {
			return r.noMemory(), false
		}
	}
	b := r.acquire(buffer.ClassResponse) // not new work: a request that has got this far holds blocks that others wait for
	if b == nil {
		return wait, false
	}
	if r.sendsBody() && r.head.Chunked && !r.body.ReadDone() {
		if r.loc.Proxy.HTTP10 { // there was no room for a temporary file
			r.engine.Pool.Release(b)
			r.logError("a chunked request body that could not be read first cannot be sent to an origin by HTTP/1.0")
			return r.answer(411), false
		}
		r.body.SetChunk()
	}
	head := headSpace(b)
	if dial := r.loc.Proxy.Dial; dial != nil {
		head = r.appendProxyProtocol(head, dial)
	}
	head = r.appendRequestHead(head)
	if !r.keepLong(b, head) {
		return r.answer(503), false
	}
	u.out, u.outOpen = b, true
	u.conn.Requests++
	if r.sendsBody() {
		r.body.Rewind(u.conn)
		if b.Next == nil {
			r.copyBody(b)
		}
	} else {
		u.bodyDone = true
	}
	return again, true
}

// copyBody puts a small complete body behind the head, so that both leave with one system call.
func (r *Request) copyBody(b *buffer.Block) {
	if r.body.ReadDone() && r.body.CopyTo(b) {
		r.up.bodyDone = true
	}
}

// sendHead writes the request's head, or some of it. False: the connection is broken.
func (r *Request) sendHead() bool {
	u := &r.up
	if !u.conn.Writable() {
		return true
	}
	n, st := u.conn.Write(u.out.Bytes())
	if st == conn.Failed {
		return false
	}
	r.trial().BytesSent += int64(n)
	if u.out.Consume(n); u.out.Len() == 0 {
		b := u.out
		u.out = b.Next
		r.engine.Pool.Release(b)
		if u.out != nil {
			return r.sendHead()
		}
	}
	return true
}

// sendBody writes the request's body, reading more of it from the client where it is not complete. over: the request has
// taken another way.
func (r *Request) sendBody() (broken, over bool) {
	t := r.trial()
	before := r.body.Wire
	o := r.body.Pump()
	t.BytesSent += r.body.Wire - before
	if _, ok := r.bodyTooLarge(); !ok {
		return false, true
	}
	switch o {
	case eventpipe.Done:
		r.up.bodyDone = true
		r.client.Disarm()
	case eventpipe.Yield:
		r.engine.Loop.Post(&r.task)
	case eventpipe.NoBlock:
		r.waitForBlock(buffer.ClassBody, &r.body)
	case eventpipe.Wait, eventpipe.Pause: // armExchange sets the deadlines
	case eventpipe.SinkFailed:
		return true, false
	case eventpipe.SourceBad, eventpipe.SourceClosed, eventpipe.SourceFailed:
		r.bodyFailed(o)
		return false, true
	}
	return false, false
}

// letBodyGo gives up the blocks of a body that has been sent, and is kept only to be sent again: requests that wait for blocks must not
// wait for each other.
func (r *Request) letBodyGo() {
	if r.up.bodyDone && r.sendsBody() && r.body.Keep {
		r.body.StopKeeping()
	}
}

// readResponse reads until the head of the final response is complete.
func (r *Request) readResponse(broken bool) verdict {
	u := &r.up
	if u.block == nil {
		if u.block = r.acquire(buffer.ClassBody); u.block == nil {
			u.conn.Disarm() // the origin is not the one to wait for
			r.letBodyGo()
			return wait
		}
	}
	for {
		b := u.block
		room := b.HeadRoom(r.engine.MaxRewrite)
		if len(room) == 0 {
			if b.R == 0 {
				return r.failOrigin(NextInvalidHeader, "origin sent too large a response head", zap.Int("proxy_buffer_size", r.loc.Proxy.Limits.HeadBytes))
			}
			b.Compact()
			continue
		}
		peek := r.engine.Pool.Pressed()
		n, st := r.readOrPeek(room, peek)
		switch st {
		case conn.Again:
			if broken {
				return r.failOrigin(NextError, "origin closed the connection while the request was sent", zap.Error(u.conn.Errno()))
			}
			r.armExchange()
			return wait
		case conn.EOF:
			return r.failOrigin(NextError, "origin closed the connection before its response was complete")
		case conn.Failed:
			return r.failRead()
		}
		b.W += n
		u.gotByte = true
		r.trial().BytesReceived += int64(n)
		peeked := b.Data[b.W-n : b.W]
		if !peek {
			peeked = nil
		}
		if v, ok := r.parseResponse(peeked); ok {
			return v
		}
	}
}

// readOrPeek reads bytes of a response's head, or only looks at them: see takePeeked.
func (r *Request) readOrPeek(room []byte, peek bool) (int, conn.Status) {
	if peek {
		return r.up.conn.Peek(room)
	}
	return r.up.conn.Read(room)
}

// takePeeked takes bytes that were read while memory was short, and so only looked at, out of the connection, but for the beginning of a body
// that goes on behind them: whose client takes nothing must not hold a block for it. The block with the head can then be given back.
// False: the connection is broken.
func (r *Request) takePeeked(peeked []byte, complete bool) bool {
	u := &r.up
	if rest := u.block.Len() - u.head.Len; complete && rest > 0 && r.bodyGoesOn(rest) {
		leave := min(rest, len(peeked))
		u.block.W -= leave
		r.trial().BytesReceived -= int64(leave)
		peeked = peeked[:len(peeked)-leave]
	}
	for len(peeked) > 0 {
		n, st := u.conn.Discard(peeked)
		if st != conn.OK {
			return false
		}
		peeked = peeked[n:]
	}
	return true
}

// bodyGoesOn says whether the response has a body of more than the n bytes that have come, or one that must be read to know.
func (r *Request) bodyGoesOn(n int) bool {
	h := &r.up.head
	switch h.Body(r.up.method) {
	case http1.BodyNone:
		return false
	case http1.BodyLength:
		return h.ContentLength > int64(n)
	default:
		return true
	}
}

// text is a field of a log line; without a text there is none.
func text(key string, b []byte) zap.Field {
	if b == nil {
		return zap.Skip()
	}
	return zap.ByteString(key, b)
}

// parseResponse parses what has been read, of which the last bytes may only have been peeked at. True: the verdict is the step's; false: more
// has to be read.
func (r *Request) parseResponse(peeked []byte) (verdict, bool) {
	u := &r.up
	for u.block.Len() > 0 {
		switch u.head.Parse(u.block.Bytes(), &r.loc.Proxy.Limits) {
		case http1.More:
			return r.morePeeked(peeked)
		case http1.Bad:
			what := "origin sent an invalid response"
			if u.head.Refusal.TooLarge() {
				what = "origin sent too large a response head"
			}
			line, value, before := u.head.RefusedField(u.block.Bytes())
			return r.failOrigin(NextInvalidHeader, what, zap.String("why", u.head.Refusal.String()), text("header", line), text("value", value), text("previous", before),
				zap.Int("proxy_buffer_size", r.loc.Proxy.Limits.HeadBytes)), true
		}
		if !r.fewFields(&u.head.Head) {
			r.abandonOrigin()
			return r.answer(503), true
		}
		if !u.head.Interim() {
			if len(peeked) > 0 && !r.takePeeked(peeked, true) {
				return r.failRead(), true
			}
			return r.onResponse(), true
		}
		if r.interims++; r.interims > interimsMax {
			return r.failOrigin(NextInvalidHeader, "origin sent too many interim responses"), true
		}
		r.passInterim()
		u.block.Consume(u.head.Len)
		u.head.Reset()
	}
	u.block.Reset()
	return r.morePeeked(peeked)
}

// morePeeked takes all that was peeked at, before more is read.
func (r *Request) morePeeked(peeked []byte) (verdict, bool) {
	if len(peeked) > 0 && !r.takePeeked(peeked, false) {
		return r.failRead(), true
	}
	return wait, false
}

// failRead gives up an origin whose connection is broken.
func (r *Request) failRead() verdict {
	return r.failOrigin(NextError, "reading the origin's response failed", zap.Error(r.up.conn.Errno()))
}

// passInterim forwards an interim response (RFC 9110 section 15.2) to a client that knows them. 100 is not forwarded: a client that
// asked for it has got it from weir.
func (r *Request) passInterim() {
	u := &r.up
	if u.head.Status == 100 || r.head.Minor == 0 || r.early != nil {
		return // it is only a hint, and the client has not taken the last one yet
	}
	if hints := r.loc.EarlyHints; hints != nil && u.head.Status == 103 && !slices.ContainsFunc(hints, r.isTrue) {
		return
	}
	b := r.engine.Pool.Acquire(buffer.ClassResponse)
	if b == nil {
		return
	}
	text := u.block.Bytes()
	dst := http1.AppendStatusLineReason(headSpace(b), u.head.Status, u.head.Reason.Of(text))
	for i := range u.head.Fields {
		f := &u.head.Fields[i]
		if !f.Hop {
			dst = appendOriginal(dst, f, text)
		}
	}
	dst = append(dst, '\r', '\n')
	if len(dst) > len(b.Data) {
		r.engine.Pool.Release(b)
		return
	}
	b.W = len(dst)
	r.pushEarly(b)
}

// interimsMax bounds the interim responses to one request.
const interimsMax = 256

// pushEarly sends an interim response now, or keeps the rest of it for when the client takes more. There must be none yet.
func (r *Request) pushEarly(b *buffer.Block) {
	r.early = b
	r.flushEarly()
}

// flushEarly goes on sending an interim response.
func (r *Request) flushEarly() {
	b := r.early
	if b == nil || !r.client.Writable() {
		return
	}
	n, st := r.client.Write(b.Bytes())
	if st != conn.OK {
		return // a broken connection shows again where the response is written
	}
	b.Consume(n)
	r.earlyCut = true
	if b.Len() == 0 {
		r.engine.Pool.Release(b)
		r.early, r.earlyCut = nil, false
	}
}
