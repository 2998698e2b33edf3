// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"net/netip"

	"weir/internal/conn"
	"weir/internal/sys"
)

// Options are a group's settings.
type Options struct {
	Name              string        // as in proxy_pass
	Keepalive         int           // idle connections kept; 0: none
	KeepaliveRequests uint32        // requests over one connection
	KeepaliveTimeMs   int64         // age at which a connection is not kept any more
	KeepaliveIdleMs   int64         // how long an idle connection is kept
	Peers             []PeerOptions // in the order of the config
}

// PeerOptions are one origin's settings.
type PeerOptions struct {
	Name          string         // as in the config, with the port: $upstream_addr
	Addr          sys.Sockaddr   // where to connect
	IP            netip.AddrPort // the same; the zero value for a unix socket
	Weight        int            // share, at least 1
	MaxFails      int            // failures within FailTimeoutMs that make it unavailable; 0: they are not counted
	FailTimeoutMs int64          // and for how long
	Backup        bool           // only when no other is available
	Down          bool           // never
}

// Peer is one origin of a group. It owns its idle connections.
type Peer struct {
	PeerOptions
	group *Group
	index int

	// Smooth weighted round robin: every choice adds its effective weight to each peer's current weight and takes
	// the sum of them from the winner. A failure lowers the effective weight, which grows back by one a choice.
	current, effective int

	fails     int
	failedMs  int64 // when it failed last
	checkedMs int64 // when it was last given a chance after that

	idle conn.List
}

// Group is a set of origins.
type Group struct {
	Options
	primary, backup []*Peer
	peers           []*Peer
	idle            int
}

// NewGroup makes a group from its options.
func NewGroup(o Options) *Group {
	g := &Group{Options: o}
	for i, po := range o.Peers {
		p := &Peer{PeerOptions: po, group: g, index: i, effective: po.Weight}
		g.peers = append(g.peers, p)
		if po.Backup {
			g.backup = append(g.backup, p)
		} else {
			g.primary = append(g.primary, p)
		}
	}
	return g
}

// Single says whether the group has only one peer. Such a peer is never taken for unavailable: there is nothing better to try.
func (g *Group) Single() bool { return len(g.peers) == 1 }

// Len is the number of peers.
func (g *Group) Len() int { return len(g.peers) }

// Tried is the set of peers that one request has been sent to. The zero Tried is empty.
type Tried struct {
	first uint64   // peers 0 to 63
	more  []uint64 // the rest
}

// Reset empties the set and keeps its memory.
func (t *Tried) Reset() {
	t.first = 0
	clear(t.more)
}

func (t *Tried) has(i int) bool {
	if i < 64 {
		return t.first&(1<<i) != 0
	}
	i -= 64
	return i>>6 < len(t.more) && t.more[i>>6]&(1<<(i&63)) != 0
}

func (t *Tried) add(i int) {
	if i < 64 {
		t.first |= 1 << i
		return
	}
	i -= 64
	for i>>6 >= len(t.more) {
		t.more = append(t.more, 0)
	}
	t.more[i>>6] |= 1 << (i & 63)
}

// Pick chooses the peer for a request's next attempt, among those not tried, and adds it to tried. nil when no
// peer is available ("no live upstreams").
func (g *Group) Pick(nowMs int64, tried *Tried) *Peer {
	p := pick(g.primary, nowMs, tried, g.Single())
	if p == nil {
		p = pick(g.backup, nowMs, tried, g.Single())
	}
	if p != nil {
		tried.add(p.index)
	}
	return p
}

func pick(peers []*Peer, nowMs int64, tried *Tried, single bool) *Peer {
	if single && len(peers) == 1 {
		if p := peers[0]; !p.Down && !tried.has(p.index) {
			return p
		}
		return nil
	}
	var best *Peer
	total := 0
	for _, p := range peers {
		if p.Down || tried.has(p.index) || p.failing(nowMs) {
			continue
		}
		p.current += p.effective
		total += p.effective
		if p.effective < p.Weight {
			p.effective++
		}
		if best == nil || p.current > best.current {
			best = p
		}
	}
	if best == nil {
		return nil
	}
	best.current -= total
	if nowMs-best.checkedMs > best.FailTimeoutMs {
		best.checkedMs = nowMs
	}
	return best
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
