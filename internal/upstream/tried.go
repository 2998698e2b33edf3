// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import "weir/internal/limitconn"

// Tried is the set of peers that one request has been sent to. The zero Tried is empty.
type Tried struct {
	first uint64   // peers 0 to 63
	more  []uint64 // the rest
	walk  walk

	full  []*Peer           // those that Pick found at their MaxConns, when it was called last
	bound *Peer             // that the request is bound to; nil: none
	at    *Peer             // whose attempt is in progress; nil: none is
	busy  bool              // it was counted when it was chosen: peers.Peer.EnterBusy
	hold  [1]limitconn.Hold // its place under MaxConns
}

// Reset empties the set and keeps its memory. No attempt may be in progress.
func (t *Tried) Reset() {
	t.first, t.walk, t.bound = 0, walk{}, nil
	t.more = t.more[:0]
}

// empty says that no peer is in the set.
func (t *Tried) empty() bool { return t.first == 0 && len(t.more) == 0 }

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

func (t *Tried) remove(i int) {
	if i < 64 {
		t.first &^= 1 << i
		return
	}
	i -= 64
	t.more[i>>6] &^= 1 << (i & 63)
}

// enter begins an attempt with the peer that was chosen. False: it has as many in progress as it may have.
func (t *Tried) enter(p *Peer) bool {
	if p.MaxConns > 0 {
		ask := [1]limitconn.Limit{{Zone: p.group.Places, Key: p.placeKey, Max: uint32(p.MaxConns), AllowFull: true}}
		if _, v, _ := limitconn.Acquire(t.hold[:0], ask[:]); v != limitconn.Passed {
			if t.busy {
				p.Shared.LeaveBusy()
			}
			return false
		}
	}
	t.begin(p)
	return true
}

// begin counts an attempt whose place, if it needs one, is there.
func (t *Tried) begin(p *Peer) {
	if !t.busy {
		p.Shared.Enter()
	}
	p.Shared.Picked()
	if p.Row != nil {
		p.Row.Active.Inc()
	}
	t.at = p
}

// Leave ends the attempt that Pick has begun, if there is one.
func (t *Tried) Leave() {
	p := t.at
	if p == nil {
		return
	}
	if t.busy {
		p.Shared.LeaveBusy()
	} else {
		p.Shared.Leave()
	}
	if p.Row != nil {
		p.Row.Active.Dec()
	}
	t.at = nil
	if t.hold[0].Zone() != nil {
		limitconn.Release(t.hold[:])
	}
}
