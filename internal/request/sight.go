// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/http1"
	"weir/internal/stats"
	"weir/internal/upstream"
)

// Page is an answer that this process makes anew for each request: metrics, status_api, dashboard.
type Page struct {
	ContentType string
	// Append appends the body. It may take some time, but not wait.
	Append func(dst []byte) []byte
}

// pageRoom is what a page begins with; it grows.
const pageRoom = 4 << 10

// answerWithPage ends the request with a page.
func (r *Request) answerWithPage(p *Page) verdict {
	if r.methodID != http1.MethodGet && r.methodID != http1.MethodHead {
		return r.answer(405)
	}
	a := &r.answerPage
	a.reset()
	if a.body = r.arena.End(p.Append(r.arena.Begin(pageRoom))); a.body == nil {
		return r.noMemory()
	}
	a.contentType = p.ContentType
	r.status = 200
	return r.sendAnswer()
}

// countServed adds a request that is over to its server's counters, and what its attempts moved to those of their origins.
func (r *Request) countServed(row *stats.Row) {
	row.Requests.Inc()
	row.Count(r.status)
	row.Received.Add(uint64(r.length + r.bodyRaw()))
	row.Sent.Add(uint64(r.relayPipe.Wire))
	row.Total.Observe(r.engine.Clock.Ns() - r.startNs)
	for i := range r.trials {
		t := &r.trials[i]
		if t.Peer != nil && t.Peer.Row != nil {
			t.Peer.Row.Sent.Add(uint64(t.BytesSent))
			t.Peer.Row.Received.Add(uint64(t.BytesReceived))
		}
	}
}

// beginAttempt notes that an attempt with a peer begins.
func (r *Request) beginAttempt(peer *upstream.Peer) {
	r.up.begin(peer)
	if row := peer.Row; row != nil {
		r.up.startNs = r.engine.Clock.Ns()
		row.Requests.Inc()
	}
}

// countConnect notes that the attempt's new connection stands.
func (r *Request) countConnect() {
	t := r.trial()
	t.ConnectMs = r.nowMs() - t.StartMs
	if row := t.Peer.Row; row != nil {
		row.Connect.Observe(r.engine.Clock.Ns() - r.up.startNs)
	}
}

// countHead notes that the attempt has led to a response.
func (r *Request) countHead(status int) {
	t := r.trial()
	t.Status = status
	t.HeaderMs = r.nowMs() - t.StartMs
	if row := t.Peer.Row; row != nil {
		row.Count(status)
		row.FirstByte.Observe(r.engine.Clock.Ns() - r.up.startNs)
	}
}

// endAttempt notes that the last attempt is over.
func (r *Request) endAttempt() {
	t := r.trial()
	t.ResponseMs = r.nowMs() - t.StartMs
	if t.Peer != nil && t.Peer.Row != nil {
		t.Peer.Row.Total.Observe(r.engine.Clock.Ns() - r.up.startNs)
	}
}

// countFailure notes that the attempt is a failure of the peer's. True: the peer is taken for unavailable from now on.
func (r *Request) countFailure(peer *upstream.Peer) bool {
	failed := peer.Failed(r.engine.Clock.SharedMs())
	if row := peer.Row; row != nil {
		row.Failures.Inc()
		if failed {
			row.Unavailable.Inc()
		}
	}
	return failed
}
