// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"go.uber.org/zap"

	"weir/internal/event"
	"weir/internal/limitconn"
	"weir/internal/upstream"
)

// Requests that wait in line for a place: under a limit (limit_conn with queue), or with an origin (queue of an upstream). The line stands in the zone, for all workers
// together, so what a request has of it is its ticket. A place that becomes free is given, in the zone itself, to whoever is first in line, by whoever gives it back; then the
// worker of the one that got it is woken, and Called fetches it.
//
// A request in line holds its head, the places that it has already, and, where it waits for an origin, its body as far as it has been read.

// waiting is a request's place in line.
type waiting struct {
	id      uint32 // in lines.requests, from 1 on; 0: it does not wait
	turn    bool   // its turn has come
	origin  bool   // it waits for an origin, not under a limit
	ticket  limitconn.Ticket
	hold    limitconn.Hold // what it was given; nothing when it is to ask anew
	limit   *Limit         // under which it waits
	sinceNs int64
	untilMs int64 // when it has waited long enough; stays while it goes in line again for the same attempt
	spentNs int64 // how long it has waited for an origin; likewise

	// Of one that waits for an origin: how many it waits for, and when it looks whether there are others by now; 0: it need not.
	wants    int
	chanceMs int64
}

// lines are the requests of this worker that wait.
type lines struct {
	engine   *Engine
	requests []*Request // by id; nil: not in use. The first has no id
	free     []uint32
	zones    []lineZone
	calls    []limitconn.Call
	turns    []*Request // whose turn it is
	task     event.Task
}

// lineZone is a zone in which requests of this worker wait, or have.
type lineZone struct {
	zone *limitconn.Zone
	n    int
}

func (l *lines) init(e *Engine) {
	l.engine = e
	for _, g := range e.Groups {
		if g.QueueSize > 0 {
			g.OnChange = func() { e.peersChanged(g) }
		}
	}
	l.requests = []*Request{nil}
	l.task.Init(l)
}

// reserve is an id for a request that is about to wait.
func (l *lines) reserve(r *Request) uint32 {
	if n := len(l.free); n > 0 {
		id := l.free[n-1]
		l.free = l.free[:n-1]
		l.requests[id] = r
		return id
	}
	l.requests = append(l.requests, r)
	return uint32(len(l.requests) - 1)
}

func (l *lines) giveBack(id uint32) {
	l.requests[id] = nil
	l.free = append(l.free, id)
}

// count adds n to those that wait in a zone.
func (l *lines) count(z *limitconn.Zone, n int) {
	for i := range l.zones {
		if l.zones[i].zone == z {
			l.zones[i].n += n
			return
		}
	}
	l.zones = append(l.zones, lineZone{z, n})
}

// Called has the requests go on whose turn has come, after it has been noted for all of them. The worker calls it when it has been woken.
func (e *Engine) Called() {
	l := &e.lines
	now := e.Clock.SharedNs()
	for i := range l.zones {
		if l.zones[i].n > 0 {
			l.fetch(l.zones[i].zone, now)
		}
	}
	for _, r := range l.turns {
		if r.wait.turn && r.client != nil {
			r.drive()
		}
	}
	clear(l.turns)
	l.turns = l.turns[:0]
}

// fetch notes whose turn has come in a zone.
func (l *lines) fetch(z *limitconn.Zone, nowNs int64) {
	calls, anew := z.Calls(l.calls[:0], nowNs)
	l.calls = calls
	for _, call := range calls {
		if r := l.waiterIn(z, call.ID); r != nil {
			l.take(r, call.Hold)
			continue
		}
		given := [1]limitconn.Hold{call.Hold}
		limitconn.Release(given[:])
	}
	if !anew {
		return
	}
	for _, r := range l.requests {
		if r != nil && r.wait.ticket.Zone() == z {
			l.take(r, limitconn.Hold{})
		}
	}
}

// waiterIn is the request of an id that waits in a zone; nil: there is none, because the zone was damaged when it left.
func (l *lines) waiterIn(z *limitconn.Zone, id uint32) *Request {
	if int64(id) >= int64(len(l.requests)) {
		return nil
	}
	if r := l.requests[id]; r != nil && r.wait.ticket.Zone() == z {
		return r
	}
	return nil
}

// take notes that it is a request's turn.
func (l *lines) take(r *Request, hold limitconn.Hold) {
	l.count(r.wait.ticket.Zone(), -1)
	r.wait.ticket = limitconn.Ticket{}
	r.wait.hold, r.wait.turn = hold, true
	l.turns = append(l.turns, r)
}

// CallSelf has Called run at the end of this turn: a place was given to a request of this worker by the worker itself.
func (e *Engine) CallSelf() { e.Loop.Post(&e.lines.task) }

// RunTask is Called. See event.Runner.
func (l *lines) RunTask() { l.engine.Called() }

// expectToWait reserves what a request needs to wait; standInLine or stayOut follows.
func (r *Request) expectToWait() limitconn.Waiter {
	w := &r.wait
	*w = waiting{id: r.engine.lines.reserve(r), sinceNs: r.engine.Clock.SharedNs(), untilMs: w.untilMs, spentNs: w.spentNs}
	return limitconn.Waiter{ID: w.id, NowNs: w.sinceNs}
}

// standInLine has the request wait, at most for timeoutMs.
func (r *Request) standInLine(timeoutMs int64) verdict {
	w := &r.wait
	r.engine.lines.count(w.ticket.Zone(), 1)
	if w.untilMs == 0 {
		w.untilMs = r.nowMs() + timeoutMs
	}
	return r.become(StateQueue)
}

// stayOut gives back what expectToWait has reserved: there was nothing to wait for, or it may not wait.
func (r *Request) stayOut() {
	r.engine.lines.giveBack(r.wait.id)
	r.wait.id = 0
}

// leaveLine ends the waiting of a request that goes. late: it has waited as long as it may. The place that it may have been given meanwhile is returned; it may be none.
func (r *Request) leaveLine(late bool) limitconn.Hold {
	w := &r.wait
	hold := w.hold
	if z := w.ticket.Zone(); z != nil {
		r.engine.lines.count(z, -1)
		hold = limitconn.Leave(&w.ticket, late, r.engine.Clock.SharedNs())
	}
	if w.origin {
		w.spentNs += max(r.engine.Clock.SharedNs()-w.sinceNs, 1)
	}
	r.engine.lines.giveBack(w.id)
	w.id, w.turn = 0, false
	return hold
}

// abandonLine ends the waiting of a request that has its answer, or needs none.
func (r *Request) abandonLine() {
	if r.wait.id != 0 {
		given := [1]limitconn.Hold{r.leaveLine(false)}
		limitconn.Release(given[:])
	}
}

// queue waits in line.
func (r *Request) queue() verdict {
	w, now := &r.wait, r.nowMs()
	if !w.turn && now < w.untilMs {
		return r.waitInLine(now)
	}
	late := !w.turn
	r.client.Disarm()
	hold := r.leaveLine(late)
	switch given := hold.Zone() != nil; {
	case w.origin && given:
		return r.enterOrigin(hold)
	case w.origin && late:
		r.logError("no place with an origin became free in time", zap.String("upstream", r.group.Name))
		return r.noOrigin()
	case w.origin:
		return r.become(StatePick)
	case given:
		r.holds = append(r.holds, hold)
	case late:
		return r.refuseInLine(w.limit, limitconn.Rejected)
	}
	w.untilMs = 0
	if v, ok := r.limitInOrder(); !ok {
		return v
	}
	r.phase = phaseLimits + 1
	return r.become(StatePhases)
}

// limitInOrder takes the places of a location some of whose limits have a queue, one after the other, those that it does not have yet. What it has it keeps while it
// waits for the next one; as the order of zones is the same for all requests, they do not wait for each other in a circle. False: it waits, or is refused.
func (r *Request) limitInOrder() (verdict, bool) {
	limits, l := r.loc.Limits, &r.engine.limiter
	l.prepare(limits, r)
	for i := range l.ask {
		ask, lim := &l.ask[i], l.of[i]
		if len(ask.Key) == 0 || r.holdsIn(ask.Zone) {
			continue
		}
		v := r.askInOrder(ask, lim)
		switch {
		case v == limitconn.Passed:
		case v == limitconn.Queued:
			r.limitStatus, r.wait.limit = v.String(), lim
			return r.standInLine(lim.QueueMs), false
		case lim.AllowFull && v.NoRoom():
			r.engine.logFull(lim, v)
		default:
			return r.refuseInLine(lim, v), false
		}
	}
	if r.limitStatus == "" && len(l.keys) > 0 {
		r.limitStatus = limitconn.Passed.String()
	}
	return again, true
}

// askInOrder asks for one place. Queued: the ticket is the request's.
func (r *Request) askInOrder(ask *limitconn.Limit, lim *Limit) limitconn.Verdict {
	var v limitconn.Verdict
	r.holds = append(r.holds, limitconn.Hold{})
	hold := &r.holds[len(r.holds)-1]
	if lim.QueueSize == 0 {
		v = ask.Zone.Acquire(hold, ask.Key, ask.Max, false)
	} else {
		who := r.expectToWait()
		who.Line = lim.QueueSize
		want := [1]limitconn.Want{{Key: ask.Key, Max: ask.Max}}
		if _, v = ask.Zone.Wait(who, want[:], hold, &r.wait.ticket); v != limitconn.Queued {
			r.stayOut()
		}
	}
	if v != limitconn.Passed {
		r.holds = r.holds[:len(r.holds)-1]
	}
	return v
}

// holdsIn says whether the request has a place in a zone.
func (r *Request) holdsIn(z *limitconn.Zone) bool {
	for i := range r.holds {
		if r.holds[i].Zone() == z {
			return true
		}
	}
	return false
}

// refuseInLine answers a request over a limit that there is no line for, or whose line is full, or in which it has waited for long enough.
func (r *Request) refuseInLine(failed *Limit, v limitconn.Verdict) verdict {
	r.unlimit()
	r.limitStatus = v.String()
	r.logLimit(r.loc.Limits, failed, v)
	return r.refuseLimit()
}

// lookAroundMs is how often a request that waits for an origin looks whether others are available again.
const lookAroundMs = 100

// lookAround is when to look next; 0: there are no others.
func (r *Request) lookAround() int64 {
	if !r.group.MayGrow(&r.tried) {
		return 0
	}
	return r.nowMs() + lookAroundMs
}

// waitInLine sets the request's deadline. One that waits for an origin looks around when one that was taken for unavailable may be tried.
func (r *Request) waitInLine(now int64) verdict {
	w := &r.wait
	if w.chanceMs > 0 && now >= w.chanceMs {
		peer := r.group.Pick(r.engine.Clock.SharedMs(), &r.tried, r.peerKey(r.group))
		switch {
		case peer != nil:
			r.client.Disarm()
			r.abandonLine()
			return r.attempt(peer)
		case r.tried.Full() > w.wants: // it could have a place of those too
			r.abandonLine()
			return r.waitForOrigin()
		}
		w.chanceMs = r.lookAround()
	}
	at := w.untilMs
	if w.chanceMs > 0 {
		at = min(at, w.chanceMs)
	}
	r.client.Arm(at)
	return wait
}

// peersChanged has the requests that wait for an origin of the group look around.
func (e *Engine) peersChanged(g *upstream.Group) {
	for _, r := range e.lines.requests {
		if r != nil && r.wait.origin && r.group == g {
			r.wait.chanceMs = e.Clock.Ms()
			e.Loop.Post(&r.task)
		}
	}
}

// enterOrigin goes on with the origin that the request was given a place with.
func (r *Request) enterOrigin(hold limitconn.Hold) verdict {
	peer := r.group.Enter(r.engine.Clock.SharedMs(), &r.tried, hold)
	if peer == nil {
		return r.become(StatePick)
	}
	return r.attempt(peer)
}

// queuedMs is how long the request has waited for the attempt that begins now, which is counted for the peer, if there is one.
func (r *Request) queuedMs(peer *upstream.Peer) int64 {
	spentNs := r.wait.spentNs
	if spentNs == 0 {
		return 0
	}
	r.wait.spentNs = 0
	if peer != nil && peer.Row != nil {
		peer.Row.Queue.Observe(spentNs)
	}
	return spentNs / 1e6
}

// waitForOrigin puts a request for which no origin has a place into the group's queue.
func (r *Request) waitForOrigin() verdict {
	g := r.group
	peer, v := g.Wait(r.expectToWait(), &r.tried, &r.wait.ticket)
	switch v {
	case limitconn.Queued:
		w := &r.wait
		w.origin, w.wants, w.chanceMs = true, r.tried.Full(), r.lookAround()
		return r.standInLine(g.QueueMs)
	case limitconn.Passed:
		r.stayOut()
		return r.attempt(peer)
	}
	r.stayOut()
	r.logError("the queue of the upstream is full", zap.String("upstream", g.Name))
	return r.noOrigin()
}
