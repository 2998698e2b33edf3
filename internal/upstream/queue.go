// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import "weir/internal/limitconn"

// Waits says whether a request for which Pick has found no peer may wait for one: a peer could take it if it did not have MaxConns in progress.
func (g *Group) Waits(tried *Tried) bool { return g.QueueSize > 0 && len(tried.full) > 0 }

// Wait puts a request into the group's queue, for a place with any of the peers that the last Pick found full. Passed: one of them has a place by now, and the
// attempt with it is begun, as by Pick. Queued: ticket is the place in line, and when its turn comes, Enter begins the attempt. Anything else: it may not wait.
func (g *Group) Wait(who limitconn.Waiter, tried *Tried, ticket *limitconn.Ticket) (*Peer, limitconn.Verdict) {
	var wants [limitconn.WantsMax]limitconn.Want
	n := 0
	for _, p := range tried.full[:min(len(tried.full), len(wants))] {
		wants[n] = limitconn.Want{Key: p.placeKey, Max: uint32(p.MaxConns)}
		n++
	}
	who.Line = g.QueueSize
	which, v := g.Places.Wait(who, wants[:n], &tried.hold[0], ticket)
	if v != limitconn.Passed {
		return nil, v
	}
	p := tried.full[which]
	g.begin(p, tried)
	return p, v
}

// begin begins an attempt with a peer that was not chosen, but had a place.
func (g *Group) begin(p *Peer, tried *Tried) {
	tried.add(p.index)
	if tried.busy = g.counted; tried.busy {
		p.Shared.EnterBusy(g.Zone.Lock())
		g.Zone.Unlock()
	}
	tried.begin(p)
}

// Full is how many peers the last Pick has passed over because they had MaxConns in progress.
func (t *Tried) Full() int { return len(t.full) }

// Enter begins the attempt for which a request was given a place when its turn came. nil: the peer is not in the group any more, or has failed meanwhile, and the place is
// given back.
func (g *Group) Enter(nowMs int64, tried *Tried, hold limitconn.Hold) *Peer {
	for _, p := range g.peers {
		if p.MaxConns > 0 && hold.Under(p.placeKey) && (g.Single() && p.serves() || p == tried.bound && p.keeps(nowMs, tried) || p.available(nowMs, tried)) {
			tried.hold[0] = hold
			g.begin(p, tried)
			return p
		}
	}
	given := [1]limitconn.Hold{hold}
	limitconn.Release(given[:])
	return nil
}

// MayGrow says whether there are peers, apart from those that the last Pick found full, that a request in the queue could have if they came back: from a failure, or because they
// are said to serve again.
func (g *Group) MayGrow(tried *Tried) bool {
	n := 0
	for _, p := range g.peers {
		if !tried.has(p.index) {
			n++
		}
	}
	return n > len(tried.full)
}
