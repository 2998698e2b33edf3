// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"weir/internal/conn"
	"weir/internal/peers"
)

// Peer is one origin of a group. It owns its idle connections.
type Peer struct {
	PeerOptions
	group    *Group
	index    int
	placeKey []byte // of the peer in Options.Places
	idle     conn.List
	id       string // see ID; "" without Sticky
	full     int64  // its weight in units of 1/peers.One
	// particular says that the config has more to say of it than a weight: whether it serves, and how it comes back.
	particular bool
	left       bool // it is in the group no more: see SetPeers
}

// weight is its share at present, in units of 1/peers.One.
func (p *Peer) weight(nowMs int64) int64 { return p.Shared.Weight(p.Weight, p.SlowStartMs, nowMs) }

// serves says whether the peer is to get requests, as far as the config, the operator and health checks are concerned.
func (p *Peer) serves() bool {
	switch p.Shared.Admin() {
	case peers.AsConfigured:
		if p.Down || p.Drain {
			return false
		}
	case peers.Drain, peers.Down:
		return false
	}
	return p.healthy()
}

// servesBound is serves for a request that is bound to the peer.
func (p *Peer) servesBound() bool {
	switch p.Shared.Admin() {
	case peers.AsConfigured:
		if p.Down {
			return false
		}
	case peers.Down:
		return false
	}
	return p.healthy()
}

// healthy says whether health checks allow requests. What they said before is of no matter where there are none any more.
func (p *Peer) healthy() bool {
	if !p.Checked {
		return true
	}
	health, _ := p.Shared.Health()
	return health == peers.Healthy || health == peers.Unknown && !p.Mandatory
}

// ready says whether the peer may get requests.
func (p *Peer) ready(nowMs int64) bool {
	return p.serves() && !p.Shared.Failing(nowMs, p.MaxFails, p.FailTimeoutMs)
}

// available says whether the peer may get this request.
func (p *Peer) available(nowMs int64, tried *Tried) bool {
	return !tried.has(p.index) && p.ready(nowMs)
}

// try is available for a choice that is made without the lock: when the peer has its first chance after it has failed, one request of all workers gets it.
func (p *Peer) try(nowMs int64, tried *Tried) bool {
	return p.available(nowMs, tried) && p.Shared.Try(nowMs, p.MaxFails, p.FailTimeoutMs)
}

// tryChosen is p when it can be had; nil when there is none, or another worker has just taken its first chance.
func (p *Peer) tryChosen(nowMs int64, tried *Tried) *Peer {
	if p != nil && p.try(nowMs, tried) {
		return p
	}
	return nil
}

// Failed counts a failed attempt (nginx's max_fails says what is one). True when the peer becomes unavailable by it.
func (p *Peer) Failed(nowMs int64) bool {
	return !p.group.Single() && p.Shared.Failed(nowMs, p.Weight, p.MaxFails)
}

// Succeeded ends a failure that was followed by a chance.
func (p *Peer) Succeeded(nowMs int64) { p.Shared.Succeeded(nowMs, p.MaxFails) }
