// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"hash/crc32"
	"strconv"
)

// Method is how a group chooses peers.
type Method uint8

// The methods. Each is nginx's directive of that name, choice for choice, so that a site that moves keeps its sessions and caches.
const (
	RoundRobin     Method = iota
	LeastConn             // least_conn
	IPHash                // ip_hash
	Hash                  // hash
	ConsistentHash        // hash ... consistent
	Random                // random
	RandomTwo             // random two
)

// hashTries is how often a hash is tried again when it leads to a peer that cannot be had. Then round robin chooses.
const hashTries = 20

// walk is where a request stands among the peers that its key leads to.
type walk struct {
	begun  bool
	hash   uint32
	tries  int
	rehash int
}

// byMethod chooses by the methods that need no lock; nil leaves the choice to those that do.
func (g *Group) byMethod(nowMs int64, tried *Tried, key []byte) *Peer {
	if len(g.primary) == 0 {
		return nil
	}
	switch g.Method {
	case RoundRobin, LeastConn:
		return nil
	case Random:
		return g.atRandom(nowMs, tried).tryChosen(nowMs, tried)
	case RandomTwo:
		return g.betterOfTwo(nowMs, tried).tryChosen(nowMs, tried)
	}
	if len(key) == 0 {
		return nil
	}
	switch w := &tried.walk; g.Method {
	case IPHash:
		return g.byHash(nowMs, tried, func() uint32 { return w.ipHash(key) })
	case Hash:
		return g.byHash(nowMs, tried, func() uint32 { return w.plainHash(key) })
	default:
		return g.onRing(nowMs, tried, key)
	}
}

// leastBusy chooses the peer with the fewest attempts in progress over all workers, by weight; among equals round robin does. Under the lock.
func leastBusy(peers []*Peer, nowMs int64, tried *Tried) *Peer {
	var best *Peer
	var busy, weight int64 // of best
	first, equals, plain := 0, false, tried.empty()
	for i, p := range peers {
		w := p.full
		if p.particular || !plain || !p.Shared.Plain() {
			plain = false
			if !p.available(nowMs, tried) {
				continue
			}
			w = p.weight(nowMs)
		}
		b := p.Shared.Busy()
		switch mine, its := b*weight, busy*w; {
		case best == nil || mine < its:
			best, busy, weight, first, equals = p, b, w, i, false
		case mine == its:
			equals = true
		}
	}
	if !equals {
		return best
	}
	var winner *Peer
	var most, total int64
	for _, p := range peers[first:] {
		w := p.full
		if !plain {
			w = p.weight(nowMs)
		}
		if p.Shared.Busy()*weight != busy*w || !plain && !p.available(nowMs, tried) {
			continue
		}
		debt := int64(0)
		if plain {
			debt = p.Shared.Owe(w)
		} else {
			w, debt = p.Shared.Take(w)
		}
		total += w
		if winner == nil || debt > most {
			winner, most = p, debt
		}
	}
	winner.Shared.Pay(total)
	return winner
}

// byHash chooses the peer that a hash leads to, in proportion to the weights; next gives the following hash when the peer
// cannot be had.
func (g *Group) byHash(nowMs int64, tried *Tried, next func() uint32) *Peer {
	total := 0
	for _, p := range g.primary {
		total += p.Weight
	}
	for w := &tried.walk; w.tries <= hashTries; w.tries++ {
		if p := byWeight(g.primary, int(next()%uint32(total))); p.try(nowMs, tried) {
			return p
		}
	}
	return nil
}

// byWeight is the peer at a place on a line on which each has a piece as long as its weight.
func byWeight(peers []*Peer, at int) *Peer {
	for _, p := range peers {
		if at -= p.Weight; at < 0 {
			return p
		}
	}
	panic("upstream: a place behind all peers")
}

// ipHash is nginx's hash of an address: the first three bytes of an IPv4 one, all of an IPv6 one.
func (w *walk) ipHash(addr []byte) uint32 {
	if !w.begun {
		w.begun, w.hash = true, 89
	}
	if len(addr) == 4 {
		addr = addr[:3]
	}
	for _, b := range addr {
		w.hash = (w.hash*113 + uint32(b)) % 6271
	}
	return w.hash
}

// plainHash is nginx's hash of a key: that of Cache::Memcached, the sum over all tries.
func (w *walk) plainHash(key []byte) uint32 {
	crc := uint32(0)
	if w.rehash > 0 {
		var digits [20]byte
		crc = crc32.Update(crc, crc32.IEEETable, strconv.AppendInt(digits[:0], int64(w.rehash), 10))
	}
	w.hash += crc32.Update(crc, crc32.IEEETable, key) >> 16 & 0x7fff
	w.rehash++
	return w.hash
}

// atRandom chooses by the weights.
func (g *Group) atRandom(nowMs int64, tried *Tried) *Peer {
	total := 0
	for _, p := range g.primary {
		total += p.Weight
	}
	for range hashTries {
		if p := byWeight(g.primary, g.random.IntN(total)); p.available(nowMs, tried) {
			return p
		}
	}
	return nil
}

// betterOfTwo chooses the less busy one of two that atRandom gives.
func (g *Group) betterOfTwo(nowMs int64, tried *Tried) *Peer {
	first := g.atRandom(nowMs, tried)
	for range hashTries {
		second := g.atRandom(nowMs, tried)
		if first == nil || second == nil || first == second {
			continue
		}
		if second.Shared.Busy()*int64(first.Weight) < first.Shared.Busy()*int64(second.Weight) {
			return second
		}
		break
	}
	return first
}
