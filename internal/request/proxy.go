// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"syscall"

	"go.uber.org/zap"

	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/sys"
	"weir/internal/upstream"
)

// origin is the attempt to have the request answered by one origin.
type origin struct {
	conn   *conn.Conn
	peer   *upstream.Peer
	reused bool // the connection was kept from an earlier request

	method   http1.Method  // of the request as the origin got it
	ownBody  []byte        // proxy_set_body's text
	out      *buffer.Block // the request's head, not yet written
	outOpen  bool          // out has been made
	bodyDone bool          // the body has been sent: all of it, or there is none
	gotByte  bool          // something of a response has come
	startNs  int64         // when the attempt began, where that is counted

	block  *buffer.Block // the response's head and the first of its body
	head   http1.ResponseHead
	text   []byte // the head's bytes, once it is complete; in block, or in the request's arena: see moveHeads
	former []byte // those of a response that the request has gone on from; in the request's arena
	part   part   // with proxy_force_ranges
	keep   bool   // the connection can be used again once the response is over
}

// begin readies the attempt for a peer.
func (u *origin) begin(peer *upstream.Peer) {
	u.conn, u.peer, u.reused = nil, peer, false
	u.out, u.outOpen, u.bodyDone, u.gotByte = nil, false, false, false
	u.method, u.ownBody = http1.MethodOther, nil
	u.block, u.text, u.former, u.keep, u.part.able, u.part.taken = nil, nil, nil, false, false, false
	u.head.Reset()
}

// startProxy prepares a request for its origin.
func (r *Request) startProxy() verdict {
	if r.asked {
		r.abandonOrigin() // of the round before an internal redirect
	}
	r.asked = true
	r.proxyStartMs = r.nowMs()
	r.round, r.staleTrials = len(r.trials), 0
	r.wait.untilMs = 0
	r.tried.Reset()
	r.group = r.loc.Proxy.Group
	if r.loc.Proxy.Target != nil {
		if v, ok := r.evalTarget(); !ok {
			return v
		}
	}
	if !r.canReplay() {
		r.logError("a request body that was sent on while it was read cannot be sent again")
		return r.answer(502)
	}
	if r.methodID == http1.MethodOptions && r.sub == nil && !r.mayForward() {
		return r.answerOptions()
	}
	if !r.readsBody() || r.bodyOpen {
		if r.head.Expect100 && !r.hasBody && r.early == nil && r.sub == nil {
			r.sendContinue() // nothing will follow; as nginx, for clients that wait all the same
		}
		return r.become(StatePick)
	}
	return r.become(StateReadBody)
}

// pick chooses an origin and takes or begins a connection to it.
func (r *Request) pick() verdict {
	if r.group == nil || r.group.Pending() {
		return r.become(StateResolve)
	}
	if s := r.group.Sticky; s != nil && len(r.trials) == r.round {
		r.bindPeer(s)
	}
	peer := r.group.Pick(r.engine.Clock.SharedMs(), &r.tried, r.peerKey(r.group))
	switch {
	case peer != nil:
		return r.attempt(peer)
	case r.group.Waits(&r.tried):
		return r.waitForOrigin()
	}
	return r.noOrigin()
}

// attempt begins an attempt with a peer, over a connection that is kept or a new one.
func (r *Request) attempt(peer *upstream.Peer) verdict {
	now := r.nowMs()
	r.wait.untilMs = 0
	r.trials = append(r.trials, upstream.Trial{Peer: peer, StartMs: now, QueueMs: r.queuedMs(peer), ConnectMs: -1, HeaderMs: -1, ResponseMs: -1,
		NewRound: len(r.trials) == r.round && r.round > 0})
	r.beginAttempt(peer)
	if r.loc.Proxy.OwnConns {
		return r.dial(peer)
	}
	_, from, ok := r.connectOptions()
	if !ok {
		return r.noMemory()
	}
	if c := peer.TakeIdle(now, from, r.repeatable()); c != nil {
		c.SetOwner(r)
		r.up.conn, r.up.reused = c, true
		r.trial().ConnectMs = 0
		return r.become(StateExchange)
	}
	return r.dial(peer)
}

// peerKey is what the group chooses a peer by; nil where it does not look at the request, and when there is no memory for it.
func (r *Request) peerKey(g *upstream.Group) []byte {
	switch g.Method {
	case upstream.IPHash:
		return appendBinary(r.engine.peerKey[:0], r.client.Peer.Addr())
	case upstream.Hash, upstream.ConsistentHash:
		return r.render(g.Key)
	}
	return nil
}

// dial begins a new connection to the peer.
func (r *Request) dial(peer *upstream.Peer) verdict {
	if r.engine.Table.Full() && !r.engine.MakeRoom() {
		r.engine.Log.Limited("connections", logfile.LevelAlert, "worker_connections are not enough", zap.Int("worker_connections", r.engine.Table.Size()))
		return r.answer(500)
	}
	o, from, ok := r.connectOptions()
	if !ok {
		return r.noMemory()
	}
	c, errno := peer.Connect(r.engine.Table, r, o)
	r.engine.Stats.UpstreamConnects.Inc()
	switch errno {
	case 0:
	case sys.EMFILE, sys.ENFILE, sys.ENOBUFS, sys.ENOMEM:
		// Not the origin's fault, and the next one would meet the same.
		r.engine.Log.Limited("connect", logfile.LevelCrit, "connect failed", zap.Error(errno), zap.String("upstream", peer.Name))
		r.trial().Status = 500
		return r.answer(500)
	default:
		if r.notBound(errno) {
			return r.answer(500)
		}
		r.logOriginAt(connectLevel(errno), "connect failed at once", zap.Error(errno), zap.String("to", peer.Name))
		return r.nextOrigin(NextError, 502, false)
	}
	r.up.conn = c
	c.From = from
	if c.Writable() {
		r.countConnect()
		return r.become(StateExchange)
	}
	c.Arm(r.nowMs() + r.loc.Proxy.ConnectTimeoutMs)
	return r.become(StateConnect)
}

// connectLevel is the level at which a failure to connect is logged: that of what networks do is lower than that of what a configuration has wrong, as with nginx.
func connectLevel(errno syscall.Errno) logfile.Level {
	switch errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EAGAIN, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH:
		return logfile.LevelError
	}
	return logfile.LevelCrit
}

// noOrigin answers a request for which no origin is left: as the last one did, if all have been asked, as nginx does.
func (r *Request) noOrigin() verdict {
	if n := len(r.trials); n > r.round && r.attempts() >= r.group.Tries() {
		return r.answer(r.trials[n-1].Status)
	}
	r.trials = append(r.trials, upstream.Trial{Group: r.group.Name, Status: 502, StartMs: r.nowMs(), QueueMs: r.queuedMs(nil), ConnectMs: -1, HeaderMs: -1, NewRound: len(r.trials) == r.round && r.round > 0})
	r.logError("no live upstreams", r.upstreamField(r.group.Name))
	return r.answer(502)
}

// connect waits until the connection stands.
func (r *Request) connect() verdict {
	c := r.up.conn
	if !c.Writable() && !c.HungUp() {
		return wait
	}
	if errno := c.Connected(); errno != 0 {
		return r.failOrigin(NextError, "connect failed", zap.Error(errno))
	}
	r.countConnect()
	c.Disarm()
	return r.become(StateExchange)
}

// attempts is the number of origins that have been asked in this round.
func (r *Request) attempts() int { return len(r.trials) - r.round - r.staleTrials }

// trial is the present attempt.
func (r *Request) trial() *upstream.Trial { return &r.trials[len(r.trials)-1] }

// repeatable says whether the method may be sent again after the origin may have seen it; nginx takes POST, LOCK and
// PATCH for those that may not.
func (r *Request) repeatable() bool {
	switch r.methodID {
	case http1.MethodPost, http1.MethodPatch:
		return false
	case http1.MethodOther:
		return string(r.headOf(r.head.Method)) != "LOCK"
	}
	return true
}

// failOrigin ends an attempt that did not lead to a response, and begins the next one where that is allowed.
func (r *Request) failOrigin(why Next, what string, fields ...zap.Field) verdict {
	stale := r.up.reused && !r.up.gotByte && why == NextError
	status := 502
	if why == NextTimeout {
		status = 504
	}
	r.logOrigin(what, fields...)
	return r.nextOrigin(why, status, stale)
}

// nextOrigin passes the request on to another origin if proxy_next_upstream allows it; otherwise the request ends with status.
func (r *Request) nextOrigin(why Next, status int, stale bool) verdict {
	p, t := r.loc.Proxy, r.trial()
	sent, sentAll := r.up.outOpen, r.up.outOpen && r.up.out == nil && r.up.bodyDone
	peer := r.up.peer
	t.Status = status
	r.endAttempt()
	if stale {
		r.staleTrials++
		if peer.Row != nil {
			peer.Row.Stale.Inc()
		}
	} else if why != NextHTTP403 && why != NextHTTP404 {
		if r.countFailure(peer) {
			r.logOriginAt(logfile.LevelWarn, "origin is taken for unavailable", r.doing())
		}
	}
	if !stale { // the same peer is asked again: its place is kept
		r.tried.Leave()
	}
	r.closeAttempt()
	allowed := p.Next | NextError
	if !stale {
		allowed, sentAll = p.Next, sent
	}
	if sentAll && !r.repeatable() {
		why |= NextNonIdempotent
	}
	if r.headSent || allowed&why != why || !r.canReplay() ||
		p.NextTimeoutMs > 0 && r.nowMs()-r.proxyStartMs >= p.NextTimeoutMs {
		return r.answer(status)
	}
	if stale {
		// The origin closed an idle connection while the request was on its way to it. That says nothing about
		// the origin, and is not up to proxy_next_upstream: it gets the request again, unless it may have the whole of one that may not be repeated.
		t := upstream.Trial{Peer: peer, StartMs: r.nowMs(), ConnectMs: -1, HeaderMs: -1, ResponseMs: -1}
		r.trials = append(r.trials, t)
		r.beginAttempt(peer)
		return r.dial(peer)
	}
	if p.NextTries > 0 && r.attempts() >= p.NextTries {
		return r.answer(status)
	}
	return r.become(StatePick)
}

// closeOrigin closes the connection to the origin, if there is one, and gives back what the attempt held.
func (r *Request) closeOrigin() {
	r.tried.Leave()
	if r.nameWait.Waiting() {
		r.nameWait.Leave()
	}
	if r.wait.id != 0 {
		r.abandonLine()
	}
	r.closeAttempt()
}

func (r *Request) closeAttempt() {
	u := &r.up
	if u.conn != nil {
		u.conn.Close()
		u.conn = nil
	}
	if u.out != nil {
		r.engine.Pool.ReleaseChain(u.out)
		u.out = nil
	}
	if u.block != nil {
		r.engine.Pool.Release(u.block)
		u.block, u.text = nil, nil
	}
}

// abandonOrigin is closeOrigin for an attempt that the origin is not to blame for.
func (r *Request) abandonOrigin() {
	if r.up.conn != nil && len(r.trials) > 0 {
		r.endAttempt()
	}
	r.closeOrigin()
}
