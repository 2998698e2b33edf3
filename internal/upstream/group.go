// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"math/rand/v2"
	"net/netip"

	"weir/internal/event"
	"weir/internal/limitconn"
	"weir/internal/peers"
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
	Sticky            *Sticky         // nil: requests are not bound to peers
	Zone              *peers.Zone     // what all workers know of the peers; nil: each worker goes by what it knows itself
	QueueSize         int             // how many requests may wait for a peer with MaxConns; 0: none may
	QueueMs           int64           // and how long
	KeepaliveTotal    int             // idle connections that all workers keep together, counted in Places; 0: any number
}

// PeerOptions are one origin's settings. Times are milliseconds on the clock that all processes share.
type PeerOptions struct {
	Name          string         // as in the config, with the port: $upstream_addr
	Server        string         // what the group's server says: $upstream_last_server_name; "": an origin of no group
	Addr          sys.Sockaddr   // where to connect
	IP            netip.AddrPort // the same; the zero value for a unix socket
	Weight        int            // share, at least 1
	MaxFails      int            // failures within FailTimeoutMs that make it unavailable; 0: they are not counted
	FailTimeoutMs int64          // and for how long
	MaxConns      int            // most attempts in progress at once, over all workers; 0: any number
	Backup        bool           // only when no other is available
	Down          bool           // never
	Drain         bool           // only for requests that are bound to it
	Route         string         // of Sticky; "": the MD5 of the address
	SlowStartMs   int64          // over which its weight grows after it has come back; 0: it has all of it at once
	Checked       bool           // its health is checked
	Mandatory     bool           // it gets no requests before it has passed a check
	Shared        *peers.Peer    // it in Options.Zone; nil: only this worker knows of it
	Row           *stats.Row     // where attempts with it are counted; nil: they are not
}

// Group is a set of origins.
type Group struct {
	Options
	// OnChange, where it is set, is called when the peers have changed.
	OnChange        func()
	primary, backup []*Peer
	peers           []*Peer
	tries           int  // see Tries
	counted         bool // Method looks at what peers have in progress
	idle            int
	keptKey         []byte           // under which Places counts them: that of an origin of no group
	kept            limitconn.Hold   // the place of each of them under KeepaliveTotal: they are all one share
	lastIndex       int              // of a peer that came: see setIndexes
	pending         bool             // its first peers are being looked up
	waiters         event.Waiters    // for them
	byID            map[string]*Peer // with Sticky
	ring            []point          // ConsistentHash
	random          *rand.Rand       // Random, RandomTwo
}

// NewGroup makes a group from its options.
func NewGroup(o Options) *Group {
	g := &Group{Options: o, counted: o.Method == LeastConn || o.Method == RandomTwo, keptKey: []byte("\x00" + o.Name)}
	g.SetPeers(o.Peers)
	switch o.Method {
	case Random, RandomTwo:
		g.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return g
}

// Single says whether the group has only one peer. Such a peer is never taken for unavailable: there is nothing better to try.
func (g *Group) Single() bool { return len(g.peers) == 1 }

// Tries is how many peers a request may be sent to: all but those that the config takes out.
func (g *Group) Tries() int { return g.tries }

// Pick chooses the peer for a request's next attempt, among those not tried, and adds it to tried; the attempt counts as the peer's
// until tried.Leave. A peer that has MaxConns attempts in progress over all workers is passed over. nowMs is the time that all processes share. key is what a hash is made of: the
// client's address for IPHash, the group's Key for Hash and ConsistentHash. nil when no peer is available ("no live upstreams").
func (g *Group) Pick(nowMs int64, tried *Tried, key []byte) *Peer {
	tried.full = tried.full[:0]
	for {
		p := g.choose(nowMs, tried, key)
		if p != nil {
			tried.add(p.index)
			if !tried.enter(p) {
				tried.full = append(tried.full, p)
				continue
			}
		}
		for _, full := range tried.full { // they have not had the request
			tried.remove(full.index)
		}
		return p
	}
}

// choose chooses a peer; where that is counted, it has the attempt in progress from then on. What needs no lock is tried first.
func (g *Group) choose(nowMs int64, tried *Tried, key []byte) *Peer {
	tried.busy = false
	p := tried.bound
	if p != nil && !p.keeps(nowMs, tried) {
		p = nil
	}
	if g.Single() {
		return g.only(p, tried)
	}
	if p == nil {
		p = g.byMethod(nowMs, tried, key)
	}
	if p != nil && !g.counted {
		return p
	}
	tx := g.Zone.Lock()
	if p == nil {
		if p = g.among(g.primary, nowMs, tried); p == nil {
			p = g.among(g.backup, nowMs, tried)
		}
		if p != nil && !p.Shared.Plain() {
			p.Shared.Give(tx, nowMs, p.FailTimeoutMs)
		}
	}
	if p != nil && g.counted {
		p.Shared.EnterBusy(tx)
		tried.busy = true
	}
	g.Zone.Unlock()
	return p
}

// only is the choice among one; bound: the request is bound to it.
func (g *Group) only(bound *Peer, tried *Tried) *Peer {
	if bound != nil {
		return bound
	}
	if p := g.peers[0]; !tried.has(p.index) && p.serves() {
		return p
	}
	return nil
}

// among chooses by load or by turns; under the lock.
func (g *Group) among(peers []*Peer, nowMs int64, tried *Tried) *Peer {
	if g.Method == LeastConn {
		return leastBusy(peers, nowMs, tried)
	}
	return byTurns(peers, nowMs, tried)
}

// byTurns is smooth weighted round robin: every choice adds its weight to what each peer is owed, and takes the sum of them from the winner.
func byTurns(peers []*Peer, nowMs int64, tried *Tried) *Peer {
	var best *Peer
	var most, total int64
	fresh := tried.empty()
	for _, p := range peers {
		var weight, debt int64
		switch {
		case !fresh && tried.has(p.index):
			continue
		case !p.particular && p.Shared.Plain():
			weight = p.full
			debt = p.Shared.Owe(weight)
		case p.ready(nowMs):
			weight, debt = p.Shared.Take(p.weight(nowMs))
		default:
			continue
		}
		total += weight
		if best == nil || debt > most {
			best, most = p, debt
		}
	}
	if best != nil {
		best.Shared.Pay(total)
	}
	return best
}
