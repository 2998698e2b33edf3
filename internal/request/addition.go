// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/static"
	"weir/internal/sys"
)

// Addition is what stands before and behind the bodies of answers with the code 200: the answers of other locations, asked for by subrequests.
type Addition struct {
	URIs  [2][]byte       // add_before_body, add_after_body; empty: none
	Types *static.TypeSet // addition_types
}

// The places of additions.
const (
	addedBefore = iota
	addedAfter
	addedAll
)

// added are the additions of an answer. They are asked for one after the other, before its head is made.
type added struct {
	next  int      // which one is asked for
	child *Request // the subrequest; nil: none is on its way
	texts [addedAll][]byte
}

// addedMax bounds an addition, which waits in memory until the answer begins.
const addedMax = 64 << 10

// reset gives up what is on its way.
func (a *added) reset() {
	if child := a.child; child != nil {
		a.child, child.sub.parent = nil, nil
		child.closeSubrequest()
	}
	if a.next > 0 {
		*a = added{}
	}
}

// awaitsAddition says whether an addition is on its way, which will bring the request back.
func (r *Request) awaitsAddition() bool { return r.added.child != nil }

// fetchAdded asks for the additions of the answer. False: it has to wait for one.
func (r *Request) fetchAdded() bool {
	a := &r.added
	for a.child == nil && a.next < addedAll {
		uri := r.loc.Filters.Addition.URIs[a.next]
		if len(uri) == 0 {
			a.next++
			continue
		}
		child, ok := r.startSubrequest(uri, true)
		if ok {
			if child.path = child.arena.Copy(uri); child.path == nil {
				child.closeSubrequest()
				ok = false
			}
		}
		if !ok {
			r.logShortage()
			a.next++
			continue
		}
		child.args = nil // as nginx: what stands behind a "?" is part of the path
		a.child, child.sub.collects = child, true
		child.drive()
	}
	return !r.awaitsAddition()
}

// onAdded takes an addition.
func (r *Request) onAdded(s *Request) {
	a := &r.added
	text := s.sub.text
	if len(text) > addedMax {
		r.logError("the answer of \"" + string(s.path) + "\" is too large to be added to another")
	} else if a.texts[a.next] = r.arena.Copy(text); a.texts[a.next] == nil && len(text) > 0 {
		r.logShortage()
	}
	a.child = nil
	a.next++
	r.engine.Loop.Post(&r.task)
}

// pushAdded hands an addition to the pipe. False: there are no blocks.
func (r *Request) pushAdded(which int) bool {
	text := r.added.texts[which]
	r.added.texts[which] = nil
	return r.pushBody(text)
}

// pushWith hands a body in memory to the pipe, with what is added to it.
func (r *Request) pushWith(body []byte) bool {
	return r.pushAdded(addedBefore) && r.pushBody(body) && r.pushAdded(addedAfter)
}

// collect reads the body of a child's answer. False: more of it has to come.
func (s *Request) collect() bool {
	sub := s.sub
	switch {
	case s.aborted:
	case s.up.text != nil && s.up.conn != nil:
		return s.collectResponse()
	case s.answerPage.file && s.file.open:
		sub.text = make([]byte, min(s.file.Size, addedMax+1))
		n, errno := sys.Pread(s.file.FD, sub.text, 0)
		if errno != 0 {
			n = 0
		}
		sub.text = sub.text[:n]
	default:
		sub.text = s.answerPage.body
	}
	return true
}

// collectResponse reads the body of an origin's response.
func (s *Request) collectResponse() bool {
	u, p := &s.up, &s.relayPipe
	kind := u.head.Body(s.methodID)
	if kind == http1.BodyNone {
		return true
	}
	if !s.sub.opened {
		s.sub.opened = true
		o := eventpipe.Options{Source: u.conn, Length: u.head.ContentLength, Class: buffer.ClassBody, Blocks: addedMax/s.engine.Pool.BlockSize() + 2}
		o.Framing = framings[kind]
		p.Open(s.engine.Pipes, &o)
		if first := u.block.Bytes()[u.head.Len:]; len(first) > 0 && !p.FeedPinned(u.block, u.block.R+u.head.Len) {
			return true
		}
	}
	switch p.Fill() {
	case eventpipe.Wait:
		s.armIfMoved(u.conn, originSide, p.Raw, s.loc.Proxy.ReadTimeoutMs)
		return false
	case eventpipe.Yield:
		s.engine.Loop.Post(&s.task)
		return false
	case eventpipe.NoBlock:
		s.waitForBlock(buffer.ClassResponse, p)
		return false
	case eventpipe.Full:
		s.sub.text = make([]byte, addedMax+1) // too large
	case eventpipe.Done:
		s.sub.text, _ = p.AppendBody(nil)
		u.keep = u.keep && !p.HasExtra()
		s.sub.whole = true
	}
	return true
}
