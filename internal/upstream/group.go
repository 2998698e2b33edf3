// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"math/rand/v2"
	"net/netip"

	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/limitconn"
	"weir/internal/stats"
	"weir/internal/sys"
	"weir/internal/vars"
)

// Options are a group's settings.
type Options struct {
	Name              string          // as in proxy_pass
	Keepalive         int             // idle connections kept; 0: none
	KeepaliveRequests uint32          // requests over one connection
	KeepaliveTimeMs   int64           // age at which a connection is not kept any more
	KeepaliveIdleMs   int64           // how long an idle connection is kept
	Peers             []PeerOptions   // in the order of the config
	Method            Method          // how peers are chosen
	Key               *vars.Template  // for Hash and ConsistentHash; nil otherwise
	Places            *limitconn.Zone // where attempts with peers that have MaxConns are counted; nil when none has
}

// PeerOptions are one origin's settings.
type PeerOptions struct {
	Name          string         // as in the config, with the port: $upstream_addr
	Addr          sys.Sockaddr   // where to connect
	IP            netip.AddrPort // the same; the zero value for a unix socket
	Weight        int            // share, at least 1
	MaxFails      int            // failures within FailTimeoutMs that make it unavailable; 0: they are not counted
	FailTimeoutMs int64          // and for how long
	MaxConns      int            // most attempts in work at once, over all workers; 0: any number
	Backup        bool           // only when no other is available
	Down          bool           // never
	Row           *stats.Row     // where attempts with it are counted; nil: they are not
}

// Peer is one origin of a group. It owns its idle connections.
type Peer struct {
	PeerOptions
	group *Group
	index int

	// Smooth weighted round robin: every choice adds its effective weight to each peer's current weight and takes
	// the sum of them from the winner. A failure lowers the effective weight, which grows back by one a choice.
	current, effective int

	conns    int    // attempts of this worker that it has in work
	placeKey []byte // of the peer in Options.Places

	fails     int
	failedMs  int64 // when it failed last
	checkedMs int64 // when it was last given a chance after that

	idle conn.List
	left bool // it is in the group no more: see SetPeers
}

// Group is a set of origins.
type Group struct {
	Options
	primary, backup []*Peer
	peers           []*Peer
	idle            int
	lastIndex       int           // of a peer that came: see setIndexes
	pending         bool          // its first peers are being looked up
	waiters         event.Waiters // for them
	ring            []point       // ConsistentHash
	random          *rand.Rand    // Random, RandomTwo
}

// NewGroup makes a group from its options.
func NewGroup(o Options) *Group {
	g := &Group{Options: o}
	g.SetPeers(o.Peers)
	switch o.Method {
	case Random, RandomTwo:
		g.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return g
}

// Single says whether the group has only one peer. Such a peer is never taken for unavailable: there is nothing better to try.
func (g *Group) Single() bool { return len(g.peers) == 1 }

// Len is the number of peers.
func (g *Group) Len() int { return len(g.peers) }

// Pick chooses the peer for a request's next attempt, among those not tried, and adds it to tried; the attempt counts as the peer's
// until tried.Leave. A peer that has MaxConns attempts in work over all workers is passed over. key is what a hash is made of: the client's address for IPHash, the group's Key for Hash and ConsistentHash. nil when no
// peer is available ("no live upstreams").
func (g *Group) Pick(nowMs int64, tried *Tried, key []byte) *Peer {
	for {
		p := g.choose(nowMs, tried, key)
		if p == nil {
			return nil
		}
		tried.add(p.index)
		if tried.enter(p) {
			return p
		}
	}
}

func (g *Group) choose(nowMs int64, tried *Tried, key []byte) *Peer {
	p := g.byMethod(nowMs, tried, key)
	if p == nil {
		p = g.byTurns(g.primary, nowMs, tried)
	}
	if p == nil && g.Method == LeastConn {
		p = g.leastBusy(g.backup, nowMs, tried)
	}
	if p == nil {
		p = g.byTurns(g.backup, nowMs, tried)
	}
	return p
}

// byTurns is smooth weighted round robin.
func (g *Group) byTurns(peers []*Peer, nowMs int64, tried *Tried) *Peer {
	if g.Single() && len(peers) == 1 {
		if p := peers[0]; !p.Down && !tried.has(p.index) {
			return p
		}
		return nil
	}
	var best *Peer
	total := 0
	for _, p := range peers {
		if !p.available(nowMs, tried) {
			continue
		}
		total += p.take()
		if best == nil || p.current > best.current {
			best = p
		}
	}
	if best == nil {
		return nil
	}
	best.current -= total
	best.given(nowMs)
	return best
}

// take adds the peer's weight to what it is owed, and returns it.
func (p *Peer) take() int {
	weight := p.effective
	p.current += weight
	if p.effective < p.Weight {
		p.effective++
	}
	return weight
}

// given notes that a peer gets a request: one that has failed has its next chance by that.
func (p *Peer) given(nowMs int64) {
	if nowMs-p.checkedMs > p.FailTimeoutMs {
		p.checkedMs = nowMs
	}
}

// available says whether the peer may get this request.
func (p *Peer) available(nowMs int64, tried *Tried) bool {
	return !p.Down && !tried.has(p.index) && !p.failing(nowMs)
}

// failing says whether the peer has failed so often lately that it gets no requests.
func (p *Peer) failing(nowMs int64) bool {
	return p.MaxFails > 0 && p.fails >= p.MaxFails && nowMs-p.checkedMs <= p.FailTimeoutMs
}

// Failed counts a failed attempt (nginx's max_fails says what is one). True when the peer becomes unavailable by it.
func (p *Peer) Failed(nowMs int64) bool {
	if p.group.Single() {
		return false
	}
	p.fails++
	p.failedMs, p.checkedMs = nowMs, nowMs
	if p.MaxFails > 0 {
		p.effective = max(0, p.effective-p.Weight/p.MaxFails)
	}
	return p.MaxFails > 0 && p.fails == p.MaxFails
}

// Succeeded ends a failure that was followed by a chance.
func (p *Peer) Succeeded() {
	if p.failedMs < p.checkedMs {
		p.fails = 0
	}
}
