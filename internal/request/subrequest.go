// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/vars"
)

// subrequest makes a Request a subrequest: one that weir makes itself on behalf of another, its parent, for auth_request, mirror and additions. It starts
// with the rules of the server and takes the same way as any other request, with three differences: it has a copy of its parent's head, with the method GET; it skips the limits and checks that
// the parent has passed; and it ends where an answer would go to the client (become). Its client is a table entry without a socket, which is there for deadlines only.
//
//	parent: access or precontent --startSubrequest--> child: phases, origin, head of the response --endSubrequest--> onSubrequest, released
type subrequest struct {
	parent *Request // waits for the outcome; nil: nobody does

	collects bool   // its body is wanted: see addition.go
	opened   bool   // the pipe that collects it is
	whole    bool   // the origin's response has been read to its end
	text     []byte // the body
}

// startSubrequest makes a subrequest for uri ("/x?args"). False: there is no memory for it. The child may have ended when this returns.
func (r *Request) startSubrequest(uri []byte, waits bool) (child *Request, ok bool) {
	e := r.engine
	c := e.Table.OpenBare(r.client)
	if c == nil {
		return nil, false
	}
	s := e.take()
	s.client = c
	c.SetOwner(s)
	if s.bind != r.bind {
		s.bind = r.bind
		s.openArenas(s.bind.Default)
	}
	s.begin()
	if s.ownSub == nil {
		s.ownSub = new(subrequest)
	}
	*s.ownSub = subrequest{}
	s.sub = s.ownSub
	if waits {
		s.sub.parent = r
	}
	if !s.copyHead(r) || !s.goTo(uri) {
		s.closeSubrequest()
		return nil, false
	}
	return s, true
}

// copyHead gives the child a copy of its parent's head. False: there is no memory for it.
func (s *Request) copyHead(r *Request) bool {
	head := r.buf[r.base : r.base+r.head.Len]
	if s.buf = s.useArena.Alloc(len(head)); s.buf == nil {
		return false
	}
	copy(s.buf, head)
	s.base, s.w, s.next = 0, len(head), len(head)
	s.server, s.loc = r.server, r.server.Default
	if s.head.Parse(s.buf, &s.server.Limits) != http1.Done {
		return false
	}
	s.head.Upgrade = false
	s.methodID, s.method, s.withoutBody, s.redirected = http1.MethodGet, methodGet, true, true
	s.startMs, s.startNs, s.id, s.internal = r.startMs, r.startNs, r.id, true
	s.limitStatus, s.rateStatus = r.limitStatus, r.rateStatus
	s.original, s.hasOriginal = r.original, r.hasOriginal
	if s.host = s.arena.Copy(r.host); s.host == nil && len(r.host) > 0 {
		return false
	}
	for i := range r.values {
		if v := &r.values[i]; v.set {
			text := s.arena.Copy(v.text)
			if text == nil && len(v.text) > 0 {
				return false
			}
			s.setValue(i, text)
		}
	}
	return true
}

// goTo has the child ask for uri. False: there is no memory for it.
func (s *Request) goTo(uri []byte) bool {
	text := s.arena.Copy(uri)
	for i, c := range text {
		if c == '?' {
			s.args = text[i+1:]
			text = text[:i]
			break
		}
	}
	s.path = text
	s.enterPhases()
	return text != nil
}

// ofClient says whether an answer goes to the client in this state. A subrequest ends before it gets there.
func (s State) ofClient() bool { return s >= StateRespond && s <= StateLinger }

// endSubrequest ends a child whose outcome is known.
func (s *Request) endSubrequest() verdict {
	if s.sub.collects && !s.collect() {
		return wait
	}
	if s.up.text != nil && s.up.conn != nil {
		if s.status == 0 {
			s.status = s.up.head.Status
		}
		s.partOrigin()
	}
	if s.errorStatus != 0 { // an origin has answered with the page of an error that is to be another one
		s.status = s.errorStatus
	}
	if s.status == 0 { // a list of a folder, which would have come
		s.status = 200
	}
	s.stopWaiting()
	if s.loc.LogSubrequest {
		s.log()
	}
	if parent := s.sub.parent; parent != nil {
		if s.sub.collects {
			parent.onAdded(s)
		} else {
			parent.onSubrequest(s)
		}
	}
	s.closeSubrequest()
	return done
}

// partOrigin ends the exchange with an origin that has sent the head of its response. The connection can be used again only if nothing more of the body is to come.
func (s *Request) partOrigin() {
	u := &s.up
	body := int64(u.block.Len() - u.head.Len)
	whole := s.sub.whole
	switch u.head.Body(s.methodID) {
	case http1.BodyNone:
		whole = body == 0
	case http1.BodyLength:
		whole = whole || body == u.head.ContentLength
	}
	s.endAttempt()
	if u.keep && whole {
		u.conn.Disarm()
		u.peer.KeepIdle(u.conn, s.nowMs())
	} else {
		u.conn.Close()
	}
	u.conn = nil
}

// closeSubrequest releases everything that a child holds.
func (s *Request) closeSubrequest() {
	s.stopWaiting()
	s.relayPipe.Close()
	s.abandonOrigin()
	s.body.Close()
	for s.early != nil {
		b := s.early
		s.early = b.Next
		s.engine.Pool.Release(b)
	}
	s.file.close()
	s.dropEncoder()
	s.program.reset()
	s.sub = nil
	s.hasOriginal = false
	s.gate.reset()
	s.client.Close()
	s.release()
}

// askSubrequest has the location of auth_request decide whether the request may come in.
func (r *Request) askSubrequest(a *Access) outcome {
	g := &r.gate
	switch {
	case g.child != nil:
		return pending
	case g.answered == 0:
		child, ok := r.startSubrequest(a.Request, true)
		if !ok {
			r.noMemory()
			return failed
		}
		g.child = child
		child.drive()
		if g.answered == 0 {
			return pending
		}
	}
	status := g.answered
	g.answered = 0
	switch {
	case status >= 200 && status < 300:
		return letIn
	case status == 401 || status == 403:
		return r.refuse(status)
	}
	r.logError("auth request unexpected status: " + string(appendStatus(nil, status)))
	r.answer(500)
	return failed
}

// onSubrequest takes the outcome of auth_request's child.
func (r *Request) onSubrequest(s *Request) {
	g := &r.gate
	g.child = nil
	g.answered = max(s.status, 1)
	if s.status == 401 {
		if s.up.text != nil {
			r.keepAuthenticate(s)
		} else {
			r.authenticate = r.arena.End(append(append(r.arena.Begin(len(r.authenticate)+len(s.authenticate)), r.authenticate...), s.authenticate...))
		}
	}
	for i := range r.loc.Access.Sets {
		set := &r.loc.Access.Sets[i]
		if text := r.arena.End(set.Value.Append(r.arena.Begin(errorBodyRoom), s)); text != nil {
			r.assign(set.Variable, text)
		}
	}
	r.engine.Loop.Post(&r.task)
}

// SetVariable gives a variable a value: auth_request_set.
type SetVariable struct {
	Variable vars.ID
	Value    *vars.Template
}

// Mirror is where copies of a location's requests go.
type Mirror struct {
	URIs [][]byte
	Body bool // mirror_request_body
}

// mirror sends copies of the request, whose outcome nobody waits for. Copies with a body wait until it has been read (mirrorBody).
func (r *Request) mirror(m *Mirror) {
	if m.Body && r.sendsBody() && r.loc.Proxy != nil && !r.bodyOpen {
		return
	}
	r.sendCopies(m)
}

// mirrorsBody says whether the copies of the request, if there are any, have its body.
func (r *Request) mirrorsBody() bool { return r.loc.Mirror != nil && r.loc.Mirror.Body && r.sub == nil }

// mirrorBody sends the copies of a request whose body has been read, as far as it was to be.
func (r *Request) mirrorBody() {
	if r.mirrorsBody() {
		r.sendCopies(r.loc.Mirror)
	}
}

func (r *Request) sendCopies(m *Mirror) {
	for _, uri := range m.URIs {
		child, ok := r.startSubrequest(uri, false)
		if !ok {
			continue
		}
		child.methodID, child.method = r.methodID, r.method
		if len(child.args) == 0 {
			child.args = child.arena.Copy(r.args)
		}
		if m.Body && r.bodyOpen && !child.copyBodyOf(r) {
			r.engine.Log.Limited("mirror", logfile.LevelWarn, "a request is not mirrored: memory and temporary files have no room for its body")
			child.closeSubrequest()
			continue
		}
		child.drive()
	}
}

// copyBodyOf gives the child the parent's body.
func (s *Request) copyBodyOf(r *Request) bool {
	n := r.body.Received
	if n == 0 {
		return r.body.ReadDone()
	}
	s.body.Open(s.engine.Pipes, &eventpipe.Options{Source: s.client, Class: buffer.ClassBody, Framing: eventpipe.Length, Length: n, Exact: true, Keep: true})
	s.hasBody, s.bodyOpen, s.withoutBody, s.bodyFile = true, true, false, r.bodyFile
	return s.body.CopyBody(&r.body)
}
