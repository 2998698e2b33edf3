// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
)

// onResponse takes the head of the final response and decides what becomes of it.
func (r *Request) onResponse() verdict {
	u, p, t := &r.up, r.loc.Proxy, r.trial()
	u.conn.Disarm()
	u.text = u.block.Bytes()[:u.head.Len]
	t.Status = u.head.Status
	t.HeaderMs = r.nowMs() - t.StartMs
	if why := nextByStatus(u.head.Status); why != 0 && p.Next&why != 0 && r.mayTryNext(why) {
		r.logOrigin("origin's status passes the request on")
		return r.nextOrigin(why, u.head.Status, false)
	}
	u.peer.Succeeded()
	if r.bodyOpen {
		r.body.StopKeeping() // it will not be sent again
	}
	body := u.head.Body(r.methodID)
	u.keep = u.bodyDone && u.head.KeepAlive && body != http1.BodyUntilClose && !p.HTTP10 && u.head.Status != 101
	switch {
	case u.head.Status == 101:
		if !u.head.Upgrade || !r.askedUpgrade() || !u.bodyDone {
			return r.failOrigin(NextInvalidHeader, "origin switched protocols unasked")
		}
		return r.become(StateRespond)
	case p.InterceptErrors && u.head.Status >= 300 && r.errorPage(u.head.Status) != nil:
		return r.answer(u.head.Status)
	}
	return r.become(StateRespond)
}

// respond makes the head that the client gets, once there is a block for it.
func (r *Request) respond() verdict {
	b := r.acquire(buffer.ClassResponse)
	if b == nil {
		return wait
	}
	if r.up.head.Status == 101 {
		return r.startTunnel(b)
	}
	return r.startRelay(b)
}

// mayTryNext says whether there is another origin for a request whose answer proxy_next_upstream does not want. If
// not, the answer goes to the client.
func (r *Request) mayTryNext(why Next) bool {
	p := r.loc.Proxy
	n := r.attempts()
	if !r.repeatable() {
		why |= NextNonIdempotent
	}
	return n < p.Group.Len() && (p.NextTries == 0 || n < p.NextTries) && p.Next&why == why && !(r.sendsBody() && r.stream) &&
		(p.NextTimeoutMs == 0 || r.nowMs()-r.proxyStartMs < p.NextTimeoutMs)
}

// smallBody is the size up to which the first bytes of a body are copied behind the head, to leave with it.
const smallBody = 4 << 10

// startRelay sends the head of the response, made in b, and opens the pipe for the body.
func (r *Request) startRelay(b *buffer.Block) verdict {
	u, p := &r.up, r.loc.Proxy
	kind := u.head.Body(r.methodID)
	o := eventpipe.Options{Source: u.conn, Length: u.head.ContentLength, Blocks: p.Blocks}
	switch kind {
	case http1.BodyLength:
		o.Framing = eventpipe.Length
	case http1.BodyChunked:
		o.Framing, o.Chunk = eventpipe.Chunked, true
	case http1.BodyUntilClose:
		o.Framing, o.Chunk = eventpipe.UntilClose, true
	}
	r.status = u.head.Status
	if r.errorStatus != 0 { // this is an error page, shown with the code of the error
		r.status, r.errorStatus = r.errorStatus, 0
	}
	if o.Chunk && r.head.Minor == 0 {
		o.Chunk = false
		r.closeClient = true
	}
	r.decideKeepAlive()
	head := r.appendResponseHead(headSpace(b), kind, o.Chunk)
	r.headBytes = int64(len(head))
	if b = r.openRelay(o, b, head); b == nil {
		return r.abortResponse()
	}
	r.trial().BytesReceived -= int64(u.block.Len() - u.head.Len) // the pipe counts them again
	if !r.feedFirst(b) {
		r.logOrigin("origin sent a malformed chunked body")
		if r.earlyCut {
			return r.abortResponse()
		}
		r.relayPipe.Close()
		r.headSent = false
		return r.answer(502)
	}
	return r.become(StateRelay)
}

// feedFirst gives the pipe what came along with the response's head. A small complete body goes behind the head b; otherwise it
// is moved out of the head's block, which stays as it is for the variables.
func (r *Request) feedFirst(b *buffer.Block) bool {
	u := &r.up
	first := u.block.Bytes()[u.head.Len:]
	if len(first) == 0 {
		return true
	}
	if r.relayPipe.AppendSmall(b, first, smallBody) {
		return true
	}
	return r.relayPipe.FeedPinned(u.block, u.block.R+u.head.Len)
}

// relay moves the response to the client.
func (r *Request) relay() verdict {
	p := &r.relayPipe
	o := p.Pump()
	switch o {
	case eventpipe.Done:
		r.complete = true
		return r.endRelay()
	case eventpipe.Wait:
		r.armRelay()
		return wait
	case eventpipe.Yield:
		r.engine.Loop.Post(&r.task)
		return wait
	case eventpipe.NoBlock:
		r.armRelay()
		r.waitForBlock(buffer.ClassResponse, p)
		return wait
	case eventpipe.SinkFailed:
		r.logInfo("client closed the connection within a response")
	case eventpipe.SourceBad:
		r.logOrigin("origin sent a malformed chunked body")
	default:
		r.logOrigin("origin closed the connection within its response")
	}
	return r.abortResponse()
}

// armRelay sets the deadlines of what is waited for: the client while something waits for it, the origin while there
// is room for more.
func (r *Request) armRelay() {
	p := &r.relayPipe
	if p.Empty() {
		r.client.Disarm()
	} else {
		r.armIfMoved(r.client, 0, p.Wire, r.loc.SendTimeoutMs)
	}
	if r.up.conn == nil {
		return
	}
	if p.ReadDone() || p.Full() {
		r.up.conn.Disarm()
	} else {
		r.armIfMoved(r.up.conn, 1, p.Raw, r.loc.Proxy.ReadTimeoutMs)
	}
}

// endRelay ends a response that was written completely.
func (r *Request) endRelay() verdict {
	u := &r.up
	r.client.Disarm()
	if u.conn != nil {
		if u.keep && !r.relayPipe.HasExtra() {
			u.conn.Disarm()
			u.peer.KeepIdle(u.conn, r.nowMs())
			u.conn = nil
		} else {
			if r.relayPipe.HasExtra() {
				r.logOrigin("origin sent more than its response")
			}
			u.conn.Close()
			u.conn = nil
		}
	}
	return r.become(StateFinish)
}

// abortResponse ends a response that cannot be completed. The client sees that: its connection ends before the framing of
// the body does, or, where only the end of the connection ends the body, with a reset.
func (r *Request) abortResponse() verdict {
	if r.up.conn != nil {
		r.up.conn.Close()
		r.up.conn = nil
	}
	r.closeClient, r.lingered = true, true
	r.aborted = true
	return r.become(StateFinish)
}

// appendResponseHead makes the head that the client gets from the origin's.
func (r *Request) appendResponseHead(dst []byte, kind http1.BodyKind, chunk bool) []byte {
	u, p := &r.up, r.loc.Proxy
	if r.status == u.head.Status {
		dst = http1.AppendStatusLineReason(dst, r.status, u.head.Reason.Of(u.text))
	} else {
		dst = http1.AppendStatusLine(dst, r.status)
	}
	if !p.PassServer {
		dst = http1.AppendFieldString(dst, "Server", r.loc.ServerField)
	}
	if !p.PassDate {
		dst = http1.AppendField(dst, "Date", r.engine.Clock.HTTPDate())
	}
	dst = r.appendOriginFields(dst, kind)
	if chunk {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	dst = r.appendConnection(dst)
	if len(r.loc.AddHeaders) > 0 {
		dst = r.appendAddHeaders(dst)
	}
	return append(dst, '\r', '\n')
}

// appendOriginFields passes on the origin's fields. Lines that stand one behind the other, and are written as weir would write them,
// are copied together.
func (r *Request) appendOriginFields(dst []byte, kind http1.BodyKind) []byte {
	fields, text := r.up.head.Fields, r.up.text
	particular := r.loc.Proxy.Particular
	if status := r.up.head.Status; status == 204 || status < 200 || kind == http1.BodyChunked {
		particular.Add(http1.FieldContentLength)
	}
	from, to := uint32(0), uint32(0) // lines to copy
	for i := range fields {
		f := &fields[i]
		if f.Plain && !f.Hop && !particular.Has(f.ID) {
			if f.Name.Off != to {
				dst = append(dst, text[from:to]...)
				from = f.Name.Off
			}
			to = f.Value.Off + f.Value.Len + uint32(len("\r\n"))
			continue
		}
		dst = append(dst, text[from:to]...)
		from = to
		if !f.Hop && !r.loc.Proxy.Hidden.Has(f.ID) {
			dst = r.appendOriginField(dst, f, kind)
		}
	}
	return append(dst, text[from:to]...)
}

// appendOriginField passes on a field that takes some thought, or drops it.
func (r *Request) appendOriginField(dst []byte, f *http1.Field, kind http1.BodyKind) []byte {
	h, text := &r.up.head, r.up.text
	switch f.ID {
	case http1.FieldOther:
		if r.hiddenOther(f.Name.Of(text)) {
			return dst
		}
	case http1.FieldContentLength:
		if h.Status < 200 || h.Status == 204 || kind == http1.BodyChunked {
			return dst
		}
	case http1.FieldLocation, http1.FieldRefresh:
		dst = append(append(dst, f.Name.Of(text)...), ':', ' ')
		return append(r.appendRewritten(dst, f.ID, f.Value.Of(text)), '\r', '\n')
	}
	return appendOriginal(dst, f, text)
}

func (r *Request) hiddenOther(name []byte) bool {
	for _, hidden := range r.loc.Proxy.HiddenOther {
		if equalLower(name, hidden) {
			return true
		}
	}
	return false
}

// equalLower compares a name of any case with one in lower case.
func equalLower(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// appendRewritten appends the value of Location or Refresh after proxy_redirect: the first rule whose From begins the address applies.
func (r *Request) appendRewritten(dst []byte, id http1.FieldID, value []byte) []byte {
	address := 0
	if id == http1.FieldRefresh {
		if i := bytes.Index(value, []byte("url=")); i >= 0 {
			address = i + len("url=")
		}
	}
	for i := range r.loc.Proxy.Redirects {
		rule := &r.loc.Proxy.Redirects[i]
		r.rewriteBuf = rule.From.Append(r.rewriteBuf[:0], r)
		if !bytes.HasPrefix(value[address:], r.rewriteBuf) {
			continue
		}
		rest := value[address+len(r.rewriteBuf):]
		dst = append(dst, value[:address]...)
		start := len(dst)
		dst = rule.To.Append(dst, r)
		clean(dst[start:])
		if id == http1.FieldLocation && len(dst) > start && dst[start] == '/' {
			r.rewriteBuf = append(r.rewriteBuf[:0], dst[start:]...)
			dst = r.absolute(dst[:start], r.rewriteBuf)
		}
		return append(dst, rest...)
	}
	return append(dst, value...)
}
