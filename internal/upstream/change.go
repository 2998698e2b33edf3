// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"weir/internal/event"
	"weir/internal/peers"
)

// A group whose origins are named by host changes while it serves. The lists of peers are never changed in place: SetPeers makes new ones, in which
// a peer that stays is the same object with all that it knows. One that leaves is in no list any more; the attempts that it has in progress go on,
// and their connections are closed behind them.

// indexRound is the least number of places that indexes of peers go round: a request that has tried a peer which has left does not take a new one
// for that, unless as many have come meanwhile.
const indexRound = 64

// SetPeers replaces the peers. Those of the same name stay, with their connections and counts, and take over the options.
func (g *Group) SetPeers(list []PeerOptions) {
	left := append([]*Peer(nil), g.peers...)
	g.peers, g.primary, g.backup = nil, nil, nil
	byID := map[string]*Peer{}
	g.byID = byID
	g.tries = 0
	most := map[string]int{} // one origin that is named twice has the places of both
	for _, o := range list {
		most[o.Name] += o.MaxConns
	}
	for _, o := range list {
		if o.MaxConns > 0 {
			o.MaxConns = most[o.Name]
		}
		if !o.Down {
			g.tries++
		}
		p := takePeer(left, o.Name)
		if p == nil {
			p = &Peer{group: g, index: -1, placeKey: []byte(g.Name + "\x00" + o.Name)}
		} else {
			o.Shared = p.Shared
		}
		if o.Shared == nil {
			o.Shared = peers.Alone()
		}
		p.PeerOptions = o
		p.full, p.particular = int64(o.Weight)*peers.One, o.Down || o.Drain || o.SlowStartMs > 0 || o.Mandatory
		if g.Sticky != nil {
			p.id = idOf(&o)
			if _, twice := byID[p.id]; !twice {
				byID[p.id] = p
			}
		}
		g.peers = append(g.peers, p)
		if o.Backup {
			g.backup = append(g.backup, p)
		} else {
			g.primary = append(g.primary, p)
		}
	}
	g.setIndexes()
	for _, p := range left {
		if p != nil {
			p.leave()
		}
	}
	if g.Method == ConsistentHash {
		g.ring = newRing(g.primary)
	}
	if g.OnChange != nil {
		g.OnChange()
	}
}

// takePeer takes the peer of a name out of a list; nil: there is none.
func takePeer(list []*Peer, name string) *Peer {
	for i, p := range list {
		if p != nil && p.Name == name {
			list[i] = nil
			return p
		}
	}
	return nil
}

// setIndexes gives new peers indexes that no other has.
func (g *Group) setIndexes() {
	used := map[int]bool{}
	for _, p := range g.peers {
		used[p.index] = true
	}
	for _, p := range g.peers {
		for round := max(indexRound, 2*len(g.peers)); p.index < 0; g.lastIndex++ {
			if i := g.lastIndex % round; !used[i] {
				p.index, used[i] = i, true
			}
		}
	}
}

// leave closes what the peer keeps. Requests that are in progress with it have it until they end.
func (p *Peer) leave() {
	p.left = true
	for c := p.idle.First(); c != nil; c = p.idle.First() {
		p.drop(c)
		c.Close()
	}
}

// Pending says whether the group waits for its first peers: their names are being looked up.
func (g *Group) Pending() bool { return g.pending }

// Expect has requests wait for the first peers until Arrived.
func (g *Group) Expect() { g.pending = true }

// Await has a request wait for that.
func (g *Group) Await(x *event.Waiter, task *event.Task) { g.waiters.Add(x, task) }

// Arrived ends the wait, whether there are peers or not.
func (g *Group) Arrived(l *event.Loop) {
	g.pending = false
	g.waiters.Wake(l)
}
