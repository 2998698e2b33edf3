// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// Place is a Hold in words that another process can be told: it is handed over with the connection that holds it. See Zone.Move.
type Place struct {
	Share, Hash, Epoch uint32
}

// Zone is where the place is; nil for the zero Hold.
func (h Hold) Zone() *Zone { return h.zone }

// Place is the hold for another process.
func (h Hold) Place() Place { return Place{Share: uint32(h.share), Hash: h.hash, Epoch: h.epoch} }

// Move takes over one connection that the slot from holds: its share has one less, that of this process's slot one more, in one
// transaction, so that the key's total is at no moment another one, whoever is killed. The worker in the slot from must not give
// the place back, nor leave, before it is told what came of it; the caller keeps it waiting.
//
// still is asked under the zone's lock whether the slot still belongs to the process that held the place: as its shares are given back under this lock before the
// slot is used again, the share cannot be a later worker's.
//
// Passed: the place is this process's, and hold stands for it. Rejected: it is not there any more, because its worker was reaped or the zone rebuilt without it.
// Full: there is no room for another share, and Damaged: in both cases it stays where it was.
func (z *Zone) Move(p Place, from int, still func() bool) (hold Hold, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	verdict = Rejected
	if h := (Hold{zone: z, share: shm.Offset(p.Share), hash: p.Hash, epoch: p.Epoch}); z.heldBy(h, from) && still() {
		if h.share, verdict = z.move(tx, h.share, z.slot); verdict == Passed {
			h.epoch, hold = z.h.epoch, h
		}
	}
	z.mutex.Unlock()
	return hold, verdict
}

// heldBy says whether a hold that came from another process stands for a connection of the slot. It trusts none of its numbers.
func (z *Zone) heldBy(h Hold, slot int) bool {
	if z.h.state == stateRebuilding || slot == z.slot || slot < 0 || slot >= SlotsMax {
		return false
	}
	return z.survivedIn(&h, slot)
}

// move moves one connection of the share at off to a slot, and returns the share that it is in then.
func (z *Zone) move(tx *shmtx.Tx, off shm.Offset, slot int) (shm.Offset, Verdict) {
	s := z.share(off)
	at := s.node
	n := z.node(at)
	own := z.findShare(at, n, slot)
	switch {
	case own == off:
		return off, Passed
	case own == 0 && s.count() == 1: // the share changes its slot: nothing to allocate, nothing that could fail
		z.unlinkSlot(tx, s)
		tx.Put32(&s.slot, uint32(slot))
		z.linkSlot(tx, off, false)
		return off, Passed
	case own == 0:
		if own = z.addShare(tx, at, n, slot); own == 0 {
			return 0, Full
		}
	default:
		o := z.share(own)
		o.put(tx, o.counts+ofShare)
		n.own.put(tx, n.own.counts+ofNode) // take has it back at once, and finds the node in use
	}
	z.take(tx, off, 1)
	return own, Passed
}
