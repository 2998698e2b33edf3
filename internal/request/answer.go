// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"strconv"

	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/lookup"
	"weir/internal/static"
	"weir/internal/vars"
)

// answer holds what this process answers by itself: the body and what goes into the head.
type answer struct {
	body        []byte // in the request's arena
	contentType string
	location    []byte // value of the field Location, likewise; empty: none
	hasLocation bool
	modified    string // value of the field Last-Modified; empty: none
	file        bool   // Request.file is the body
	allow       string
}

func (a *answer) reset() {
	*a = answer{}
}

// modifiedSec is the time of Last-Modified; negative: there is none.
func (a *answer) modifiedSec() int64 {
	if t, ok := static.ParseDate([]byte(a.modified)); ok {
		return t
	}
	return -1
}

// ServerLine is the header field Server with a value, and the end of its line.
func ServerLine(value string) string { return serverName + value + "\r\n" }

const serverName = "Server: "

// serverField is the value in a ServerLine, which error pages say too; "" without one.
func serverField(line string) string {
	if line == "" {
		return ""
	}
	return line[len(serverName) : len(line)-len("\r\n")]
}

// errorBodyRoom is about the size of a built-in page.
const errorBodyRoom = 256

// errorBody is the built-in page for a status. Without memory for it the answer has no body.
func (r *Request) errorBody(status int) []byte {
	page := appendErrorBody(r.arena.Begin(errorBodyRoom), status, serverField(r.loc.ServerLine))
	if r.padsPage(status) {
		page = append(page, pagePadding...)
	}
	return r.arena.End(page)
}

// render is a template's text for this request, in its arena; nil: there is no memory for it.
func (r *Request) render(t *vars.Template) []byte {
	return r.arena.Copy(r.renderScratch(t))
}

// renderScratch is render into memory of the engine's, which is good until the next render.
func (r *Request) renderScratch(t *vars.Template) []byte {
	text := t.Append(r.engine.takeScratch(), r)
	r.engine.putScratch(text)
	return text
}

// takeScratch gives memory to render into, which is the caller's until putScratch: a variable that is made by another render must not write over this
// one. Memory that an arena has begun does not do for that, as variables may ask the arena for pieces.
func (e *Engine) takeScratch() []byte {
	text := e.scratch[:0]
	e.scratch = nil
	return text
}

// putScratch takes the memory back. What was rendered is good until the next render.
func (e *Engine) putScratch(text []byte) {
	if cap(text) <= scratchKept {
		e.scratch = text
	}
}

// endScratch is putScratch for a text that stays in the request's arena; nil: there is no memory for it.
func (r *Request) endScratch(text []byte) []byte {
	r.engine.putScratch(text)
	return r.arena.Copy(text)
}

// scratchKept is how much memory for rendering is kept between renders.
const scratchKept = 64 << 10

// noMemory ends a request for whose values there is no memory.
func (r *Request) noMemory() verdict {
	r.logShortage()
	r.fixed, r.closeClient = true, true
	return r.answer(503)
}

// answer ends the request with a status: by an error page, or the built-in one. The status is nginx's, its internal
// 494 (head too large) and 497 included; 444 is none.
func (r *Request) answer(status int) verdict {
	if status == 444 {
		return r.hangUp()
	}
	r.status, r.errorStatus = status, 0
	r.added.reset() // what was added to an answer that does not come
	switch publicStatus(status) {
	case 400, 413, 414, 500, 501: // as nginx, whatever a page makes of it: what comes next on this connection is not to be trusted, or not worth it
		r.closeClient = true
	}
	if page := r.pageFor(status); page != nil {
		return r.showPage(page, status)
	}
	r.status = publicStatus(status)
	a := &r.answerPage
	a.reset()
	if status == 405 {
		if a.allow = allMethods; r.state == StatePhases && r.phase == phaseContent && r.loc.Proxy == nil {
			a.allow = "GET, HEAD"
		}
	}
	if hasErrorBody(r.status) {
		a.body = r.errorBody(status)
		a.contentType = "text/html"
	}
	return r.sendAnswer()
}

// hangUp ends the request and its connection without an answer: nginx's 444.
func (r *Request) hangUp() verdict {
	r.status, r.closeClient, r.lingered = 444, true, true
	r.resetTimedOut()
	return r.become(StateFinish)
}

// answerEmpty ends the request with a status and a body of no bytes.
func (r *Request) answerEmpty(status int, contentType string) verdict {
	r.status = status
	r.answerPage.reset()
	if bodyAllowed(status) {
		r.answerPage.contentType = contentType
	}
	return r.sendAnswer()
}

// answerReturn ends the request as a return directive says.
func (r *Request) answerReturn(ret *Return) verdict {
	a := &r.answerPage
	switch {
	case ret.Code == 444:
		return r.hangUp()
	case ret.URL == nil && ret.Text == nil && ret.Code >= 300:
		return r.answer(ret.Code)
	}
	if v, ok := r.refuseBody(); !ok {
		return v
	}
	switch {
	case ret.URL != nil:
		a.reset()
		return r.answerRedirect(ret.Code, ret.URL)
	case ret.Text != nil:
		a.reset()
		r.status = ret.Code // the text may name it
		if a.body = r.render(ret.Text); a.body == nil {
			return r.noMemory()
		}
		a.contentType = r.loc.Types.Of(r.path)
		return r.sendAnswer()
	}
	return r.answerEmpty(ret.Code, r.loc.Types.Of(r.path))
}

// answerRedirect sends the client to another address. One that begins with a slash gets scheme and host of this request, as nginx's
// absolute_redirect does.
func (r *Request) answerRedirect(status int, to *vars.Template) verdict {
	return r.redirectClient(status, r.render(to))
}

// answerSlash sends the client from "/x" to "/x/".
func (r *Request) answerSlash() verdict {
	r.answerPage.reset()
	target := http1.AppendEscapedPath(r.arena.Begin(len(r.path)+len(r.args)+len("/?")), r.path)
	target = append(target, '/')
	if len(r.args) > 0 {
		target = append(append(target, '?'), r.args...)
	}
	return r.redirectClient(301, r.arena.End(target))
}

// redirectClient sends the client to target, which is in the arena; nil: there was no memory for it.
func (r *Request) redirectClient(status int, target []byte) verdict {
	if target == nil {
		return r.noMemory()
	}
	clean(target)
	location := r.arena.End(r.absolute(r.arena.Begin(len(target)+errorBodyRoom), target))
	if location == nil {
		return r.noMemory()
	}
	r.accel.fields = withoutField(r.accel.fields, "Location")
	if page := r.pageFor(status); page != nil { // its answer has the Location, unless it is a redirect of its own
		kept := append(r.arena.Begin(len(r.accel.fields)+len("Location: \r\n")+len(location)), r.accel.fields...)
		if r.accel.fields = r.arena.End(http1.AppendField(kept, "Location", location)); r.accel.fields == nil {
			return r.noMemory()
		}
		return r.showPage(page, status)
	}
	r.status, r.errorStatus = status, 0
	if r.loc.Refresh && (status == 301 || status == 302) && lookup.IsMSIE(r.agent()) {
		return r.refresh(target)
	}
	a := &r.answerPage
	a.location, a.hasLocation = location, true
	a.body = r.errorBody(status)
	a.contentType = "text/html"
	return r.sendAnswer()
}

// absolute appends target, with scheme, host and port in front if it is only a path.
func (r *Request) absolute(dst, target []byte) []byte {
	if len(target) == 0 || target[0] != '/' || r.loc.RelativeRedirect {
		return append(dst, target...)
	}
	dst = append(dst, "http://"...)
	switch {
	case r.loc.ServerNameInRedirect:
		dst = append(dst, r.server.Name...)
	case len(r.host) > 0:
		dst = append(dst, r.host...)
	default:
		dst = r.localAddr().Addr().AppendTo(dst)
	}
	if port := r.localAddr().Port(); port != 80 && port != 0 && !r.loc.NoPortInRedirect {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(port), 10)
	}
	return append(dst, target...)
}

// sendAnswer hands the answer in answerPage to the client.
func (r *Request) sendAnswer() verdict {
	r.closeOrigin()
	if r.errorStatus != 0 {
		r.status, r.errorStatus = r.errorStatus, 0
	}
	if a := &r.answerPage; r.status == 200 && !a.file && r.sub == nil && r.head.Any(conditional) { // as with files
		switch r.checkConditions(nil, a.modifiedSec()) {
		case 304:
			r.status, a.body, a.contentType = 304, nil, ""
		case 412:
			return r.answer(412)
		}
	}
	if r.skipBody() != 0 {
		r.closeClient = true
	}
	r.decideKeepAlive()
	return r.become(StateAnswer)
}

// writeAnswer makes the answer's head, once there is a block for it.
func (r *Request) writeAnswer() verdict {
	if r.awaitsAddition() {
		return wait
	}
	b := r.acquire(buffer.ClassResponse)
	if b == nil {
		return wait
	}
	a := &r.answerPage
	if a.file {
		return r.writeFile(b)
	}
	o := eventpipe.Options{Framing: eventpipe.NoBody, SinkRate: r.clientRate(false), SpillMax: answerSpillMax, Owner: r}
	r.newOut()
	if r.loc.Filters != nil && bodyAllowed(r.status) {
		r.filter(content{contentType: []byte(a.contentType), length: int64(len(a.body))})
	}
	sends := r.hasAnswerBody()
	if sends && r.out.added && !r.fetchAdded() {
		r.engine.Pool.Release(b)
		return wait
	}
	r.frame(sends)
	r.shape(&o)
	head := r.appendAnswerHead(headSpace(b))
	r.headBytes = int64(len(head))
	r.keepHead(head)
	pushes := o.Encoder != nil || o.Chunk || r.out.added
	if sends && !pushes {
		head = append(head, a.body...)
	}
	if !r.openRelay(&o, b, head) {
		return r.answerShort()
	}
	if sends && pushes && !r.pushWith(a.body) {
		return r.abortResponse()
	}
	return r.become(StateRelay)
}

// answerSpillMax bounds the temporary file of an answer of this process, which only gets one when memory is short and the client takes nothing.
const answerSpillMax = 1 << 30

// answerShort gives up an answer that takes several blocks, for which there are none: 503 without a body takes one.
func (r *Request) answerShort() verdict {
	if r.earlyCut || len(r.answerPage.body) == 0 {
		return r.abortResponse()
	}
	r.relayPipe.Close()
	r.answerPage.reset()
	r.out = outgoing{} // the pipe has given the encoder back
	r.added.reset()
	r.status, r.headSent, r.closeClient = 503, false, true
	return again
}

// appendAnswerHead makes the head of an answer of this process.
func (r *Request) appendAnswerHead(dst []byte) []byte {
	a := &r.answerPage
	dst = http1.AppendStatusLine(dst, r.status)
	dst = append(append(dst, r.loc.ServerLine...), r.engine.Clock.DateLine()...)
	switch kept := r.accel.contentType; {
	case kept != nil && r.status < 300 && a.contentType != "":
		dst = http1.AppendField(dst, "Content-Type", kept)
	case a.contentType != "":
		dst = append(r.out.appendType(append(dst, "Content-Type: "...), []byte(a.contentType)), '\r', '\n')
	}
	if bodyAllowed(r.status) && r.out.sized() {
		dst = http1.AppendFieldInt(dst, "Content-Length", int64(len(a.body)))
	}
	if a.modified != "" {
		dst = http1.AppendFieldString(dst, "Last-Modified", a.modified)
	}
	if r.out.chunked {
		dst = append(dst, chunkedLine...)
	}
	if a.hasLocation {
		dst = http1.AppendField(dst, "Location", a.location)
	}
	if a.allow != "" {
		dst = http1.AppendFieldString(dst, "Allow", a.allow)
	}
	dst = r.appendKept(dst)
	dst = r.appendRetryAfter(dst)
	dst = r.appendConnection(dst)
	if r.out.vary {
		dst = append(dst, varyLine...)
	}
	dst = r.appendAuthenticate(dst)
	dst = r.appendAddHeaders(dst)
	dst = r.appendGzipFields(dst)
	if r.status == 416 && r.file.outside > 0 {
		dst = append(http1.AppendDecimal(append(dst, "Content-Range: bytes */"...), r.file.outside-1), '\r', '\n')
	}
	return append(dst, '\r', '\n')
}

// bodyAllowed is false for the statuses of final responses that end with the head (RFC 9112 section 6.3). A return with a code below 200 is framed as any
// other, as nginx does it: what a client makes of it is the operator's business.
func bodyAllowed(status int) bool { return status != 204 && status != 304 }

// appendConnection says whether the connection goes on.
func (r *Request) appendConnection(dst []byte) []byte {
	if r.closeClient {
		return append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "Connection: keep-alive\r\n"...)
	if field := r.loc.KeepAliveField; field != "" {
		dst = append(dst, field...)
	}
	return dst
}

// appendAddHeaders adds the fields of expires and add_header.
func (r *Request) appendAddHeaders(dst []byte) []byte {
	if r.loc.Expires != nil && addHeaderStatus(r.status) {
		r.engine.made = dst
		dst = r.appendExpires(dst)
		r.engine.made = nil
	}
	for i := range r.loc.AddHeaders {
		h := &r.loc.AddHeaders[i]
		if !h.Always && !addHeaderStatus(r.status) {
			continue
		}
		if h.Replaces {
			dst = withoutField(dst, h.Name)
		}
		dst = r.appendAddedField(dst, &h.SetHeader)
	}
	return dst
}

// withoutField takes the lines of a field out of the head, as far as it is made. nginx's add_header replaces the response's own Last-Modified and ETag, and an empty value takes them away.
func withoutField(head []byte, name string) []byte {
	for at := 0; at < len(head); {
		end := at + bytes.IndexByte(head[at:], '\n') + 1
		if line := head[at:end]; len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			head = append(head[:at], head[end:]...)
			continue
		}
		at = end
	}
	return head
}

// appendAdded appends the fields of a list that are for this status.
func (r *Request) appendAdded(dst []byte, list []AddHeader) []byte {
	for i := range list {
		if h := &list[i]; h.Always || addHeaderStatus(r.status) {
			dst = r.appendAddedField(dst, &h.SetHeader)
		}
	}
	return dst
}

// appendAddedField is appendSetField for what goes to the client: the value may ask for the fields before it.
func (r *Request) appendAddedField(dst []byte, h *SetHeader) []byte {
	if h.unclean {
		r.engine.made = dst[r.engine.madeFrom:]
	}
	dst = r.appendSetField(dst, h)
	r.engine.made = nil
	return dst
}

// addHeaderStatus says whether add_header applies without always.
func addHeaderStatus(status int) bool {
	switch status {
	case 200, 201, 204, 206, 301, 302, 303, 304, 307, 308:
		return true
	}
	return false
}

// appendSetField appends a field with the value of a template, unless that is empty.
func (r *Request) appendSetField(dst []byte, h *SetHeader) []byte {
	start := len(dst)
	dst = append(dst, h.line...)
	if h.constant {
		return dst
	}
	from := len(dst)
	dst = h.Value.Append(dst, r)
	if len(dst) == from {
		return dst[:start]
	}
	if h.unclean {
		clean(dst[from:])
	}
	return append(dst, '\r', '\n')
}

// clean takes out of a field's value what none may have (RFC 9110 section 5.5): a variable of the client's must not make a field of its own, nor a message
// that the next one refuses.
func clean(value []byte) {
	for i, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			value[i] = ' '
		}
	}
}

// appendOriginal appends a field of a parsed head, with one space before the value.
func appendOriginal(dst []byte, f *http1.Field, text []byte) []byte {
	if f.Plain {
		return append(dst, text[f.Name.Off:f.Value.End()+len("\r\n")]...)
	}
	return http1.AppendFieldBytes(dst, f.Name.Of(text), f.Value.Of(text))
}

// openRelay starts a response: head, which may have grown out of the block b that it was begun in, goes first. False: there are no
// blocks for all of it, and b is back in the pool.
func (r *Request) openRelay(o *eventpipe.Options, b *buffer.Block, head []byte) bool {
	o.Sink = r.client
	o.Class = buffer.ClassBody
	if o.Blocks == 0 {
		o.Blocks = 2
	}
	r.relayPipe.Open(r.engine.Pipes, o)
	for r.early != nil {
		e := r.early
		r.early = e.Next
		r.relayPipe.PushHead(e)
	}
	r.headSent = true
	if !r.keepLong(b, head) {
		return false
	}
	for b != nil {
		next := b.Next
		r.relayPipe.PushHead(b)
		b = next
	}
	return true
}

// headSpace is the memory of an empty block to append a head to.
func headSpace(b *buffer.Block) []byte { return b.Data[:0:len(b.Data)] }

// keepLong makes head, which was appended to headSpace(b), the data of b. One that has outgrown the block is spread over a
// chain of them. False: there are no blocks for that, and b is back in the pool.
func (r *Request) keepLong(b *buffer.Block, head []byte) bool {
	if len(head) > len(b.Data) || cap(head) != len(b.Data) {
		return r.spread(b, head)
	}
	b.W = len(head)
	return true
}

// spread is keepLong for a head that does not fit into b, or did not for a moment, and is on the Go heap since.
func (r *Request) spread(b *buffer.Block, head []byte) bool {
	most := len(b.Data)
	if cap(head) == len(b.Data) {
		b.W = most
		head = head[most:]
	}
	for first := b; len(head) > 0; {
		if b.W == most {
			if b.Next = r.engine.Pool.Acquire(buffer.ClassResponse); b.Next == nil {
				r.logShortage()
				r.engine.Pool.ReleaseChain(first)
				return false
			}
			b = b.Next
		}
		head = head[b.Append(head[:min(len(head), most-b.W)]):]
	}
	return true
}
