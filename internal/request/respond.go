// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"go.uber.org/zap"

	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/static"
)

// onResponse takes the head of the final response and decides what becomes of it.
func (r *Request) onResponse() verdict {
	u, p := &r.up, r.loc.Proxy
	u.conn.Disarm()
	u.text = u.block.Bytes()[:u.head.Len]
	r.countHead(u.head.Status)
	if why := nextByStatus(u.head.Status); why != 0 && p.Next&why != 0 && r.mayTryNext(why) {
		r.logOriginAt(logfile.LevelInfo, "origin's status passes the request on")
		return r.nextOrigin(why, u.head.Status, false)
	}
	u.peer.Succeeded(r.engine.Clock.SharedMs())
	body := u.head.Body(u.method)
	u.keep = u.bodyDone && u.head.KeepAlive && body != http1.BodyUntilClose && (!p.HTTP10 || p.AsksToKeep) && u.head.Status != 101 && !p.OwnConns
	switch {
	case u.head.Status == 101:
		if !u.head.Upgrade || !r.askedUpgrade() || !u.bodyDone {
			return r.failOrigin(NextInvalidHeader, "origin switched protocols unasked")
		}
		return r.become(StateRespond)
	case p.InterceptErrors && u.head.Status >= 300 && r.errorPage(u.head.Status) != nil:
		return r.intercept() // perhaps for another origin, which gets the body again
	case !p.IgnoreRedirect && u.head.Lookup(http1.FieldXAccelRedirect) >= 0:
		return r.accelRedirect()
	}
	if r.bodyOpen {
		r.body.StopKeeping() // it will not be sent again
	}
	return r.become(StateRespond)
}

// intercept answers with the error page for the origin's status. A 401 keeps the origin's WWW-Authenticate.
func (r *Request) intercept() verdict {
	u := &r.up
	u.former = r.arena.Copy(u.text)
	if u.head.Status == 401 && !r.keepAuthenticate(r) {
		return r.noMemory()
	}
	return r.answer(u.head.Status)
}

// respond makes the head that the client gets, once there is a block for it.
func (r *Request) respond() verdict {
	if r.awaitsAddition() {
		return wait
	}
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
	return n < r.group.Tries() && (p.NextTries == 0 || n < p.NextTries) && p.Next&why == why && r.canReplay() &&
		(p.NextTimeoutMs == 0 || r.nowMs()-r.proxyStartMs < p.NextTimeoutMs)
}

// smallBody is the size up to which the first bytes of a body are copied behind the head, to leave with it.
const smallBody = 4 << 10

// startRelay sends the head of the response, made in b, and opens the pipe for the body.
func (r *Request) startRelay(b *buffer.Block) verdict {
	u := &r.up
	kind := u.head.Body(u.method)
	first := u.block.Bytes()[u.head.Len:]
	bodiless := r.errorStatus != 0 && !bodyAllowed(r.errorStatus)
	if (r.methodID == http1.MethodHead || bodiless) && kind != http1.BodyNone { // proxy_method, or an error page, has a body that the client's answer has not
		kind, first, u.keep = http1.BodyNone, nil, false
	}
	r.status = u.head.Status
	if r.errorStatus != 0 { // this is an error page, shown with the code of the error
		r.status = r.errorStatus
	}
	r.filterResponse(kind)
	if r.out.added && kind != http1.BodyNone && !r.fetchAdded() {
		r.engine.Pool.Release(b)
		return wait
	}
	r.errorStatus = 0
	if u.part = (part{}); r.loc.Proxy.Ranges && !r.out.unsized && !r.takePart() {
		r.engine.Pool.Release(b)
		r.file.outside = u.head.ContentLength + 1
		return r.answer(416)
	}
	r.frame(kind != http1.BodyNone)
	r.decideKeepAlive()
	head := r.appendResponseHead(headSpace(b), kind)
	r.headBytes = int64(len(head))
	r.keepHead(head)
	r.trial().BytesReceived -= int64(len(first)) // the pipe counts them again
	if n := r.wholeBody(kind, first, len(b.Data)-len(head)); n >= 0 && cap(head) == len(b.Data) && r.out.plain() {
		return r.relayWhole(b, append(head, first[:n]...), int64(n), int64(len(first)))
	}
	o := eventpipe.Options{Source: u.conn, Length: u.head.ContentLength, SinkRate: r.clientRate(true)}
	r.setFlow(&o)
	r.shape(&o)
	o.Framing = framings[kind]
	switch {
	case u.part.taken:
		o.Length, o.Skip = u.part.End, u.part.Start
	case kind == http1.BodyChunked && r.loc.Proxy.Trailers && o.Chunk:
		o.Tail = r
	}
	if !r.openRelay(&o, b, head) || r.out.added && !r.pushAdded(addedBefore) {
		return r.abortResponse()
	}
	r.relayPipe.More = len(r.added.texts[addedAfter]) > 0
	if len(first) > 0 && !r.relayPipe.FeedPinned(u.block, u.block.R+u.head.Len) {
		r.logOrigin("origin sent a malformed chunked body")
		if r.earlyCut {
			return r.abortResponse()
		}
		r.relayPipe.Close()
		r.headSent = false
		r.out = outgoing{} // the pipe has given the encoder back
		return r.answer(502)
	}
	return r.become(StateRelay)
}

// framings are those of kinds of bodies. Read-only.
var framings = [...]eventpipe.Framing{
	http1.BodyNone: eventpipe.NoBody, http1.BodyLength: eventpipe.Length, http1.BodyChunked: eventpipe.Chunked, http1.BodyUntilClose: eventpipe.UntilClose,
}

// wholeBody is the size of a body that has arrived completely in first, along with the head, if it is small and there is room for it
// behind the head; else -1.
func (r *Request) wholeBody(kind http1.BodyKind, first []byte, room int) int {
	length := int64(0)
	switch {
	case kind == http1.BodyNone:
	case kind == http1.BodyLength && !r.up.part.taken:
		length = r.up.head.ContentLength
	default:
		return -1
	}
	if length > int64(min(smallBody, len(first), room)) {
		return -1
	}
	return int(length)
}

// relayWhole sends a response that is complete in b, as most are: body bytes of raw that came behind the head are its body. The pipe is opened
// only for what the client does not take at once.
func (r *Request) relayWhole(b *buffer.Block, text []byte, body, raw int64) verdict {
	rate := r.clientRate(true)
	sent := 0
	b.W = len(text)
	if rate.BytesPerSecond == 0 && r.early == nil && r.client.Writable() {
		n, st := r.client.Write(text)
		if st == conn.OK { // where it failed, it fails again below
			sent = n
		}
	}
	if sent == len(text) {
		r.engine.Pool.Release(b)
		r.headSent, r.complete = true, true
		r.relayPipe.Record(body, raw, int64(sent))
		return r.endRelay()
	}
	b.Consume(sent)
	o := eventpipe.Options{Framing: eventpipe.Length, SinkRate: rate}
	r.setFlow(&o)
	r.openRelay(&o, b, text)
	r.relayPipe.Record(body, raw, int64(sent))
	return r.become(StateRelay)
}

// relay moves the response to the client.
func (r *Request) relay() verdict {
	p := &r.relayPipe
	o := p.Pump()
	switch o {
	case eventpipe.Done:
		if r.file.left {
			if !r.moreParts() {
				return wait
			}
			return again
		}
		if p.More {
			p.More = false
			if !r.pushAdded(addedAfter) {
				return r.abortResponse()
			}
			return again
		}
		r.complete = true
		return r.endRelay()
	case eventpipe.Wait, eventpipe.Pause:
		if p.ReadDone() && r.up.conn != nil {
			r.letOriginGo() // what is left is between this process and the client
		}
		r.armRelay()
		if !p.Empty() || !r.client.Writable() { // nothing may wait in the pipe: see peek mode
			r.underPressure()
		}
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
	case eventpipe.FileShort:
		r.logError("a file that is being sent was truncated")
	case eventpipe.Garbled:
		r.logError("inflate() failed: the body is no gzip, or ends too early")
	case eventpipe.SourceBad:
		r.logOrigin("origin sent a malformed chunked body")
	case eventpipe.SourceFailed:
		r.logOrigin("reading the origin's response failed within its body", zap.Error(r.up.conn.Errno()))
	default:
		r.logOrigin("origin closed the connection within its response")
	}
	return r.abortResponse()
}

// endRelay ends a response that was written completely.
func (r *Request) endRelay() verdict {
	r.client.Disarm()
	if r.up.conn != nil {
		r.letOriginGo()
	}
	return r.become(StateFinish)
}

// letOriginGo ends an exchange whose response has been read to its end: the connection is kept for others, if it can be.
func (r *Request) letOriginGo() {
	u := &r.up
	r.endAttempt()
	if u.keep && !r.engine.draining && !r.relayPipe.HasExtra() {
		u.conn.Disarm()
		u.peer.KeepIdle(u.conn, r.nowMs())
	} else {
		if r.relayPipe.HasExtra() && !u.part.taken {
			r.logOriginAt(logfile.LevelWarn, "origin sent more than its response")
		}
		u.conn.Close()
	}
	u.conn = nil
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
func (r *Request) appendResponseHead(dst []byte, kind http1.BodyKind) []byte {
	u, p := &r.up, r.loc.Proxy
	switch {
	case r.status != u.head.Status:
		dst = http1.AppendStatusLine(dst, r.status)
	case u.head.PlainLine:
		dst = append(dst, u.head.StatusLine(u.text)...)
	default:
		dst = http1.AppendStatusLineReason(dst, r.status, u.head.Reason.Of(u.text))
	}
	if !p.PassServer {
		dst = append(dst, r.loc.ServerLine...)
	}
	if !p.PassDate {
		dst = append(dst, r.engine.Clock.DateLine()...)
	}
	dst = r.appendOriginFields(dst, kind)
	if r.accel.fields != nil {
		dst = r.appendAccel(dst, u.head.Lookup(http1.FieldContentType) >= 0)
	}
	if r.out.chunked {
		dst = append(dst, chunkedLine...)
	}
	if u.part.able && !r.out.unsized {
		dst = r.appendPart(dst)
	} else if !r.out.chunked && r.withoutBodyOf(kind) {
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	dst = r.appendConnection(dst)
	if r.status == 426 {
		dst = r.appendRequired(dst)
	}
	if r.out.vary {
		dst = append(dst, varyLine...)
	}
	dst = r.appendAuthenticate(dst)
	if s := r.group.Sticky; s != nil {
		dst = r.appendSticky(dst, s)
	}
	if len(r.loc.AddHeaders) > 0 || r.loc.Expires != nil {
		dst = r.appendAddHeaders(dst)
	}
	dst = r.appendGzipFields(dst)
	return append(dst, '\r', '\n')
}

// appendRequired passes on which protocol the origin requires: Upgrade is about one connection, but 426 says nothing without it (RFC 9110 section 15.5.22).
func (r *Request) appendRequired(dst []byte) []byte {
	if protocols := r.originField(http1.FieldUpgrade); protocols != nil {
		dst = http1.AppendField(dst, "Upgrade", protocols)
		dst = append(dst, "Connection: upgrade\r\n"...)
	}
	return dst
}

// appendOriginFields passes on the origin's fields. Lines that stand one behind the other, and are written as weir would write them,
// are copied together.
func (r *Request) appendOriginFields(dst []byte, kind http1.BodyKind) []byte {
	h, text := &r.up.head, r.up.text
	particular := r.loc.Proxy.Particular
	if r.dropsLength(kind) {
		particular.Add(http1.FieldContentLength)
	}
	if h.Repeats(uint64(singular)) {
		particular |= singular
	}
	particular |= r.out.dropped
	if r.out.weak {
		particular.Add(http1.FieldETag)
	}
	if r.out.charset.changed {
		particular.Add(http1.FieldContentType)
	}
	if r.loc.Expires != nil {
		particular.Add(http1.FieldExpires)
		particular.Add(http1.FieldCacheControl)
	}
	exceptions, hidden := h.Exceptions(uint64(particular)), r.loc.Proxy.Hidden
	for from := 0; ; from++ {
		i := exceptions.Next(from)
		if i > from {
			dst = append(dst, h.Lines(text, from, i)...)
			from = i
		}
		if i >= len(h.Fields) {
			return dst
		}
		if f := &h.Fields[i]; !f.Hop && !hidden.Has(f.ID) {
			dst = r.appendOriginField(dst, f, kind)
		}
	}
}

// dropsLength says whether the origin's Content-Length says nothing about what the client gets.
func (r *Request) dropsLength(kind http1.BodyKind) bool {
	status := r.up.head.Status
	return status == 204 || status < 200 || r.status == 204 || kind == http1.BodyChunked || r.up.part.taken || r.withoutBodyOf(kind)
}

// withoutBodyOf says whether the client gets no body because proxy_method has asked for none, although it may expect one.
func (r *Request) withoutBodyOf(kind http1.BodyKind) bool {
	return kind == http1.BodyNone && r.up.method == http1.MethodHead && r.methodID != http1.MethodHead && bodyAllowed(r.up.head.Status)
}

// appendOriginField passes on a field that takes some thought, or drops it.
func (r *Request) appendOriginField(dst []byte, f *http1.Field, kind http1.BodyKind) []byte {
	h, text := &r.up.head, r.up.text
	if singular.Has(f.ID) && &h.Fields[h.Lookup(f.ID)] != f {
		return dst // as nginx: only the first one counts
	}
	if r.out.dropped.Has(f.ID) {
		return dst
	}
	switch f.ID {
	case http1.FieldOther:
		if r.hiddenOther(f.Name.Of(text)) {
			return dst
		}
	case http1.FieldContentLength:
		if r.dropsLength(kind) {
			return dst
		}
	case http1.FieldExpires, http1.FieldCacheControl:
		if r.expires().Kind != static.ExpiresOff {
			return dst
		}
	case http1.FieldETag:
		if r.out.weak {
			return appendWeak(dst, f.Value.Of(text))
		}
	case http1.FieldLocation, http1.FieldRefresh:
		dst = append(append(dst, f.Name.Of(text)...), ':', ' ')
		return append(r.appendRewritten(dst, f.ID, f.Value.Of(text)), '\r', '\n')
	case http1.FieldContentType:
		if r.out.charset.changed {
			dst = append(append(dst, f.Name.Of(text)...), ':', ' ')
			return append(r.out.appendType(dst, f.Value.Of(text)), '\r', '\n')
		}
	case http1.FieldSetCookie:
		if r.loc.Proxy.Cookies == nil {
			break
		}
		dst = append(append(dst, f.Name.Of(text)...), ':', ' ')
		return append(r.appendSetCookie(dst, f.Value.Of(text)), '\r', '\n')
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
