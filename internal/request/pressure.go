// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/event"
	"weir/internal/http1"
)

// While less than a quarter of the pool is free (Pool.Pressed), or somebody waits for a block, requests that wait give back blocks that they
// can do without. Heads are small, and each lies in a block of its own: a request that waits has them moved to pieces of its arenas that are
// as large as they are, and those are not taken from the blocks. What its pipe holds for a client that takes nothing goes to the temporary
// file. So thousands of clients that read nothing hold next to nothing, and new clients find a block.

// reliefBatch bounds the requests that are looked at in one turn.
const reliefBatch = 64

// relief looks through the requests of an engine for blocks that can be given back. It knows all of them, so that a request costs nothing while
// the pool is not pressed.
type relief struct {
	engine *Engine
	task   event.Task
	all    []*Request
	next   int // the index to go on at
	left   int // requests to look at until each has been, since the pool was found pressed last
}

func (s *relief) init(e *Engine) {
	s.engine = e
	s.task.Init(s)
}

// start has all requests looked at, some in each turn, because one has found the pool pressed.
func (s *relief) start() {
	if s.left == 0 {
		s.engine.Loop.Post(&s.task)
	}
	s.left = len(s.all)
}

// needed says whether blocks are short: few are free, or somebody waits for one. With very few blocks, those that wait may be all that are
// free, which is not few.
func (s *relief) needed() bool { return s.engine.Pool.Pressed() || s.engine.Pool.Waiting() > 0 }

// RunTask looks at some requests. See event.Runner.
func (s *relief) RunTask() {
	for range min(reliefBatch, s.left) {
		if !s.needed() {
			s.left = 0
			return
		}
		if s.next >= len(s.all) {
			s.next = 0
		}
		r := s.all[s.next]
		s.next++
		s.left--
		if r.client != nil {
			r.relieve()
		}
	}
	if s.left > 0 {
		s.engine.Loop.Post(&s.task)
	}
}

// underPressure is called by a step that is about to wait for a client that takes nothing, or for a block: while the pool is pressed, this
// request and then others give back what they can.
func (r *Request) underPressure() {
	if r.engine.relief.needed() {
		r.relieve()
		r.engine.relief.start()
	}
}

// relieve gives back blocks that the request can do without while it waits. It must not be within a step that uses them.
func (r *Request) relieve() {
	if p := &r.relayPipe; (r.state == StateRelay || r.state == StateTunnel) && !p.Empty() && !r.client.Writable() {
		p.Relieve()
	}
	if p := &r.body; r.bodyOpen && !p.Empty() && (r.state == StateReadBody || r.state == StateQueue || r.up.conn != nil && !r.up.conn.Writable()) {
		p.Relieve()
	}
	r.moveHeads()
}

// moveHeads moves the heads of the request and of its response out of their blocks. What refers to them are offsets, but for path, args and
// the text of the response's head, which move along. A block stays when there is no memory for what is in it.
func (r *Request) moveHeads() {
	if r.block != nil {
		r.moveHead()
	}
	if r.up.block != nil {
		r.moveResponseHead()
	}
}

// moveHead moves what is in the request's block: its head, and what has come behind it.
func (r *Request) moveHead() {
	n := r.w - r.base
	piece := r.useArena.Alloc(n)
	if piece == nil {
		return
	}
	path, args := r.inHead(r.path), r.inHead(r.args)
	copy(piece, r.buf[r.base:r.w])
	r.engine.Pool.Release(r.block)
	r.block, r.buf = nil, piece
	r.next -= r.base
	r.base, r.w = 0, n
	if path {
		r.path = r.headOf(r.head.Path)
	}
	if args {
		r.args = r.headOf(r.head.Query)
	}
}

// inHead says whether text, which is path or args, is the one of the head and not a copy.
func (r *Request) inHead(text []byte) bool {
	if len(text) == 0 || r.head.Len == 0 {
		return false
	}
	for _, span := range [...]http1.Span{r.head.Path, r.head.Query} {
		if own := r.headOf(span); len(own) > 0 && &own[0] == &text[0] {
			return true
		}
	}
	return false
}

// moveResponseHead moves the head of the response, once it is complete and the block has nothing else that is needed.
func (r *Request) moveResponseHead() {
	u := &r.up
	if u.text == nil || r.state != StateRelay && r.state != StateTunnel || r.relayPipe.Holds(u.block) {
		return
	}
	text := r.arena.Copy(u.text)
	if text == nil {
		return
	}
	u.text = text
	r.engine.Pool.Release(u.block)
	u.block = nil
}
