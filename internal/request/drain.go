// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"cmp"
	"math"
	"slices"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/logfile"
)

// drain is how an engine ends.
type drain struct {
	onEmpty    func()
	giver      Giver
	stalled    bool  // the giver has no room at present
	announceMs int64 // when that has lasted long enough for connections to be announced to end; 0: it has room
	startMs    int64 // when the drain began
	limitMs    int64 // worker_shutdown_timeout, for what has no location; 0: no bound
	cutMs      int64 // when the time was up for everybody; 0: it is not
	handing    int   // connections on their way to another process, which has not answered yet
}

// farewellMs is how long an idle connection stays open when nobody takes it over, because the whole instance leaves, or its address goes: a request that was on
// its way is answered, with "Connection: close", instead of being met by a close.
const farewellMs = 2000

// The end of a tunnel is somewhere in a window behind its time, so that not all clients come back at once: a quarter of the time, at most
// windowMaxMs. cutWindowMs is the window when the time is up for everybody.
const (
	windowPart  = 4
	windowMaxMs = 10_000
	cutWindowMs = 1000
)

// StartDrain has the engine finish what is in flight. Connections without a request go to giver; when that is nil, or does not take them, they are closed after
// farewellMs. limitMs is worker_shutdown_timeout for what no location has; 0: no bound. onEmpty is called, once or more, when nothing
// is left. Called again, it changes only who takes connections.
func (e *Engine) StartDrain(giver Giver, limitMs int64, onEmpty func()) {
	d := &e.drain
	if !e.draining {
		e.draining = true
		d.startMs, d.limitMs, d.onEmpty = e.Clock.Ms(), limitMs, onEmpty
		e.leaveOrigins()
	}
	d.giver, d.stalled = giver, false
	e.HandOverWaiting()
	for c := e.Table.Waiting.First(); c != nil; c = c.Next() {
		e.sayFarewell(c)
	}
	e.CheckEmpty()
}

// leaveOrigins closes all connections that are kept to origins. None is kept any more from here on (letOriginGo).
func (e *Engine) leaveOrigins() {
	for _, g := range e.Groups {
		for g.Idle() > 0 {
			g.Evict()
		}
	}
	for g := e.Targets.Idlest(); g != nil; g = e.Targets.Idlest() {
		g.Evict()
	}
}

// sayFarewell shortens the silence that a connection is allowed, when nobody will ever take it over.
func (e *Engine) sayFarewell(c *conn.Conn) {
	if limit := e.Clock.Ms() + farewellMs; e.noTaker(c) && c.DeadlineMs() > limit {
		c.Arm(limit)
	}
}

// noTaker says whether the worker leaves and nobody will take the connection over.
func (e *Engine) noTaker(c *conn.Conn) bool {
	return e.draining && (e.drain.giver == nil || !e.drain.giver.Takes(c.Listener))
}

// stallMs is how long there may be no room for connections to be handed over before they are announced to end.
const stallMs = 1000

// lastAnswer says whether the response being made is the last on the client's connection, because the worker leaves and nobody takes it over.
func (e *Engine) lastAnswer(c *conn.Conn) bool {
	return e.noTaker(c) || e.draining && e.drain.announceMs > 0 && e.Clock.Ms() >= e.drain.announceMs
}

// CheckEmpty tells the owner when a drain has nothing left to do.
func (e *Engine) CheckEmpty() {
	if e.draining && e.inFlight == 0 && e.Table.Waiting.Len() == 0 && e.drain.handing == 0 {
		e.drain.onEmpty()
	}
}

// Cut ends the time of everything that is left: tunnels within a second, the rest at the next CloseLate.
func (e *Engine) Cut() {
	if e.drain.cutMs == 0 {
		e.drain.cutMs = e.Clock.Ms()
	}
}

// LeaveMs is how long a drain may take at most, with the longest of the given times; 0: there is no bound.
func LeaveMs(limits []int64) int64 {
	longest := int64(0)
	for _, limit := range limits {
		if limit == 0 {
			return 0
		}
		longest = max(longest, limit+window(limit))
	}
	return longest + 2*goodbyeMs + 2*lookMs
}

// window is the time in which the tunnels with the given time are closed.
func window(limitMs int64) int64 { return min(limitMs/windowPart, windowMaxMs) }

// lateAt is when a request's time is up.
func (e *Engine) lateAt(r *Request) int64 {
	d := &e.drain
	at, spread := int64(math.MaxInt64), int64(0)
	if limit := r.loc.ShutdownMs; limit > 0 {
		at, spread = d.startMs+limit, window(limit)
	}
	if d.cutMs > 0 && d.cutMs < at {
		at, spread = d.cutMs, cutWindowMs
	}
	if r.state == StateTunnel && at < math.MaxInt64 {
		const golden = 0x9e3779b97f4a7c15 // multiples of it lie evenly in 64 bits
		at += int64(r.client.Serial * golden >> 40 * uint64(spread) >> 24)
	}
	return at
}

// lookMs is how often a drain looks at all that is in flight: what begins later has its own time.
const lookMs = 250

// CloseLate closes what has no time left, and returns when it wants to be called again.
func (e *Engine) CloseLate() (nextMs int64) {
	now, idleAt := e.Clock.Ms(), int64(math.MaxInt64)
	if e.drain.limitMs > 0 {
		idleAt = e.drain.startMs + e.drain.limitMs
	}
	if e.drain.cutMs > 0 {
		idleAt = min(idleAt, e.drain.cutMs)
	}
	next := now + lookMs
	requests, idle := 0, 0
	for i := range e.Table.Size() {
		c := e.Table.At(i)
		if c == nil {
			continue
		}
		switch o := c.Owner().(type) {
		case *Request:
			if c != o.client || o.goodbye != goodbyeNone || o.sub != nil && o.sub.parent != nil { // who waits for a subrequest ends it
				continue
			}
			if at := e.lateAt(o); at > now {
				next = min(next, at)
			} else {
				requests++
				o.cut()
			}
		case *Engine:
			if now >= idleAt {
				idle++
				e.closeWaiting(c)
			}
		case *handing:
			if c == o.client && now >= min(idleAt, o.sentMs+answerMs) {
				o.withdraw()
			}
		}
	}
	if requests+idle > 0 {
		e.Log.Limited("shutdown timeout", logfile.LevelNotice, "worker_shutdown_timeout is over: closing what is left",
			zap.Int("requests", requests), zap.Int("idle", idle))
	}
	return max(next, now+1)
}

// cut ends a request whose time is up: with 503 if its answer has not begun, a tunnel with a goodbye.
func (r *Request) cut() {
	switch {
	case r.state == StateReadHead:
		r.headTimeout()
	case r.state == StateLinger || r.state == StateDiscard:
		r.closeAll()
	case r.state == StateTunnel:
		r.sayGoodbye()
	case r.headSent || r.state == StateAnswer:
		r.abortResponse()
	default:
		r.stopWaiting()
		r.abandonOrigin()
		r.gate.reset() // what is still asked about this location is not to let it into the error page's
		r.file.close() // nor is the list of a folder that is still read to be its answer
		if r.bodyOpen {
			r.body.Close()
		}
		r.closeClient = true
		r.answer(503)
	}
	if r.client != nil {
		r.drive()
	}
}

// Holder is a group of connections that keep a draining worker.
type Holder struct {
	What             string // "request", "tunnel", "idle", "hand-over"
	Server, Location string
	Count            int
	OldestMs         int64
}

// Holders lists what is in flight, or idle, by server and location: the most numerous first.
func (e *Engine) Holders() []Holder {
	type key struct{ what, server, location string }
	groups := map[key]*Holder{}
	now := e.Clock.Ms()
	add := func(k key, sinceMs int64) {
		h := groups[k]
		if h == nil {
			h = &Holder{What: k.what, Server: k.server, Location: k.location}
			groups[k] = h
		}
		h.Count++
		h.OldestMs = max(h.OldestMs, now-sinceMs)
	}
	for i := range e.Table.Size() {
		c := e.Table.At(i)
		if c == nil {
			continue
		}
		switch o := c.Owner().(type) {
		case *Request:
			if c == o.client {
				k := key{what: "request", server: o.server.Name, location: o.loc.Path}
				if o.state == StateTunnel {
					k.what = "tunnel"
				}
				if k.server == "" {
					k.server = e.Binds[c.Listener.ID].Address
				}
				add(k, cmp.Or(o.startMs, now))
			}
		case *Engine:
			add(key{what: "idle", server: e.Binds[c.Listener.ID].Address}, c.OpenedMs)
		case *handing:
			if c == o.reply {
				continue
			}
			add(key{what: "hand-over", server: e.Binds[o.client.Listener.ID].Address}, c.OpenedMs)
		}
	}
	list := make([]Holder, 0, len(groups))
	for _, h := range groups {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b Holder) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Server, b.Server), cmp.Compare(a.Location, b.Location), cmp.Compare(a.What, b.What))
	})
	return list
}
