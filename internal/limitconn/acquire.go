// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// Verdict is the outcome of asking for a place under a limit.
type Verdict uint8

// The verdicts; $limit_conn_status is made from them.
const (
	Passed         Verdict = iota // counted, or nothing to count
	Rejected                      // the key has as many connections as it may have
	RejectedDryRun                // the same, in a dry run: not counted, to be let through
	Full                          // the zone has no room for the key
	FullDryRun                    // the same, in a dry run: not counted, to be let through
	Damaged                       // the zone is damaged; the master must rebuild it. Not counted
	Queued                        // the key has as many connections as it may have, and there is a place in line: see Zone.Wait
)

// String is the verdict as in $limit_conn_status, as far as nginx has it.
func (v Verdict) String() string {
	switch v {
	case Passed:
		return "PASSED"
	case Rejected, Full:
		return "REJECTED"
	case RejectedDryRun, FullDryRun:
		return "REJECTED_DRY_RUN"
	case Damaged:
		return "DAMAGED"
	case Queued:
		return "QUEUED"
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// NoRoom says whether the key could not be counted, whatever its limit: what AllowFull lets through.
func (v Verdict) NoRoom() bool { return v == Full || v == FullDryRun || v == Damaged }

// Limit is one limit_conn of a request.
type Limit struct {
	Zone      *Zone
	Key       []byte // empty: not counted. Not kept. Longer than KeyMax: stored by its digest
	Max       uint32 // the most connections the key may have, 1 and more
	DryRun    bool   // limit_conn_dry_run
	AllowFull bool   // on_full = "allow": a full or damaged zone lets through, uncounted
}

// Hold is a place taken under a limit. The zero Hold holds nothing.
type Hold struct {
	zone  *Zone
	share shm.Offset
	hash  uint32
	epoch uint32
}

// Acquire takes a place under each of the limits, or under none: when one refuses, those taken before are given back. It appends what it took to
// holds, which the caller gives back with Release; with room in holds it allocates nothing. The limits are tried in order; failed is the index of the one that
// refused, and -1 when none did. With Passed it is the index of one with AllowFull that had no room, for the log. As in nginx, a
// refusal in a dry run ends the trial too, with nothing held.
func Acquire(holds []Hold, limits []Limit) (taken []Hold, verdict Verdict, failed int) {
	first := len(holds)
	failed = -1
	for i := range limits {
		l := &limits[i]
		if len(l.Key) == 0 {
			continue
		}
		holds = append(holds, Hold{})
		v := l.Zone.Acquire(&holds[len(holds)-1], l.Key, l.Max, l.DryRun)
		if v == Passed {
			continue
		}
		holds = holds[:len(holds)-1]
		switch {
		case l.AllowFull && v.NoRoom():
			failed = i
		default:
			Release(holds[first:])
			return holds[:first], v, i
		}
	}
	return holds, Passed, failed
}

// Release gives back places, each once: the holds are zeroed. It never fails: a place that is not there any more (its zone was
// rebuilt without it, or the process that moved it to itself died before it could say so) is counted as stale.
func Release(holds []Hold) {
	for i := range holds {
		if h := &holds[i]; h.zone != nil {
			h.zone.release(h)
			*h = Hold{}
		}
	}
}

// CountBypassed counts a request that the bypass list lets through. It takes no lock.
func (z *Zone) CountBypassed() { atomic.AddUint64(&z.h.counters.bypassed, 1) }

// guard ends an operation that met a damaged zone: nothing of it has happened, and the zone is marked. It is deferred before
// Lock; tx is nil until Lock has returned.
func (z *Zone) guard(tx **shmtx.Tx, verdict *Verdict) {
	fault := recover()
	if fault == nil {
		return
	}
	z.mutex.Undo(fault, *tx)
	*verdict = Damaged
	z.h.counters.faults++
	z.h.state = max(z.h.state, stateDamaged)
	z.mutex.Unlock()
}

// Acquire takes a place under one limit of this zone: see Limit for the parameters. hold, the caller's, holds nothing before, and afterwards only when the
// verdict is Passed and the key is not empty.
//
// What happens most is tried first: nobody has the lock, and the key has connections of this worker already. Whatever is not so is left to acquireAny.
func (z *Zone) Acquire(hold *Hold, key []byte, most uint32, dryRun bool) Verdict {
	if len(key) == 0 {
		return Passed
	}
	if len(key) > KeyMax {
		key = zonekey.Shorten(key)
	}
	hash := zonekey.Hash(key)
	tx := z.mutex.LockFree()
	if tx == nil || !z.another(tx, hold, hash, key, most) {
		return z.acquireAny(tx, hold, hash, key, most, dryRun)
	}
	z.mutex.Unlock()
	return Passed
}

// another adds one connection to a key, if it is one more in the node's own share, which is one store. False: that is not what
// there is to do, or what it meets is not sound. It has changed nothing then, and it never panics.
func (z *Zone) another(tx *shmtx.Tx, hold *Hold, hash uint32, key []byte, most uint32) bool {
	at := z.tree.Meet(hash)
	n := shm.Look[node](z.shm, at)
	if n == nil || n.own.slot != uint32(z.slot) || n.own.count() == 0 || n.total() >= most || z.h.state == stateRebuilding ||
		n.keyLen() != len(key) || !z.shm.Same(at+nodeBytes, key) {
		return false
	}
	n.own.put(tx, n.own.counts+ofNode+ofShare)
	tx.Step()
	z.h.counters.passed++
	*hold = Hold{zone: z, share: at + ownOffset, hash: hash, epoch: z.h.epoch}
	return true
}

// acquireAny is Acquire in every case. tx is nil, or the transaction of a lock that is held already.
func (z *Zone) acquireAny(tx *shmtx.Tx, hold *Hold, hash uint32, key []byte, most uint32, dryRun bool) (verdict Verdict) {
	defer z.guard(&tx, &verdict)
	if tx == nil {
		tx = z.mutex.Lock()
	}
	at, verdict := z.count(tx, z.slot, hash, key, most)
	c := &z.h.counters
	tx.Step()
	switch {
	case verdict == Passed:
		c.passed++
		*hold = Hold{zone: z, share: at, hash: hash, epoch: z.h.epoch}
	case verdict == Damaged:
	case dryRun:
		c.dryRun++
		verdict++ // Rejected to RejectedDryRun, Full to FullDryRun
	case verdict == Full:
		c.full++
	default:
		c.rejected++
	}
	z.mutex.Unlock()
	return verdict
}

// count adds one connection of a slot to key, and returns the share that it is counted in.
func (z *Zone) count(tx *shmtx.Tx, slot int, hash uint32, key []byte, limit uint32) (shm.Offset, Verdict) {
	if z.h.state == stateRebuilding {
		return 0, Damaged
	}
	if slot == NoSlot {
		panic("limitconn: Acquire in a process that has no slot")
	}
	at, place := z.tree.Seek(hash, func(other shm.Offset) int { return bytes.Compare(key, z.keyAt(other, z.node(other))) })
	if at == 0 {
		if limit == 0 {
			return 0, Rejected
		}
		return z.addNode(tx, slot, hash, key, place)
	}
	n := z.node(at)
	if n.total() >= limit {
		return 0, Rejected
	}
	s := z.findShare(at, n, slot)
	switch s {
	case 0:
		if s = z.addShare(tx, at, n, slot); s == 0 {
			return 0, Full
		}
	case at + ownOffset:
		n.own.put(tx, n.own.counts+ofNode+ofShare)
	default:
		sh := z.share(s)
		sh.put(tx, sh.counts+ofShare)
		n.own.put(tx, n.own.counts+ofNode)
	}
	return s, Passed
}

// release gives back one place; as with Acquire, what happens most is tried first.
func (z *Zone) release(h *Hold) {
	tx := z.mutex.LockFree()
	if tx != nil && z.oneLess(tx, h) {
		z.mutex.Unlock()
		return
	}
	z.releaseAny(tx, h)
}

// oneLess is the inverse of another: false when the share or its node ends with this connection, the share is not the node's own, somebody may wait for the
// place, or what it meets is not sound.
func (z *Zone) oneLess(tx *shmtx.Tx, h *Hold) bool {
	n := shm.Look[node](z.shm, h.share-ownOffset)
	if n == nil || h.epoch != z.h.epoch || z.h.state == stateRebuilding || z.h.waiting > 0 {
		return false
	}
	s := &n.own
	if s.node+ownOffset != h.share || s.slot != uint32(z.slot) || n.tree.Key != h.hash || s.count() < 2 || s.counts.node() < 2 {
		return false
	}
	s.put(tx, s.counts-ofNode-ofShare)
	return true
}

// releaseAny is release in every case. tx is nil, or the transaction of a lock that is held already.
func (z *Zone) releaseAny(tx *shmtx.Tx, h *Hold) {
	var verdict Verdict
	defer z.guard(&tx, &verdict)
	if tx == nil {
		tx = z.mutex.Lock()
	}
	if !z.holds(h) {
		tx.Step()
		z.h.counters.stale++
		z.mutex.Unlock()
		return
	}
	if z.h.waiting == 0 {
		z.take(tx, h.share, 1)
		z.mutex.Unlock()
		return
	}
	called := z.giveBack(tx, h.share)
	z.mutex.Unlock()
	z.wake(called)
}

// holds says whether a hold still is what it was when it was taken. It always is, but in two cases, in which anything may stand in its place by now: the
// zone was rebuilt since and the share was lost, or another process has moved the place to itself, was killed before it could say so, and was
// reaped. The second one is told by what take is about to read anyway: the share's slot, and the node's hash. What cannot be read is left to take, which faults.
func (z *Zone) holds(h *Hold) bool {
	switch {
	case z.h.state == stateRebuilding:
		return false
	case h.epoch != z.h.epoch:
		return z.survived(h)
	}
	s := shm.Look[share](z.shm, h.share)
	if s == nil {
		return true
	}
	n := shm.Look[node](z.shm, s.node)
	return n == nil || s.slot == uint32(z.slot) && s.count() > 0 && n.tree.Key == h.hash
}

func (z *Zone) survived(h *Hold) bool { return z.survivedIn(h, z.slot) }

// survivedIn looks at a hold of a slot that may be anything by now.
func (z *Zone) survivedIn(h *Hold, slot int) (survived bool) {
	defer func() {
		if shm.FaultOf(recover()) != nil {
			survived = false
		}
	}()
	s := z.share(h.share)
	if s.count() == 0 || s.slot != uint32(slot) {
		return false
	}
	n, own := z.node(s.node), h.share == s.node+ownOffset
	return n.tree.Key == h.hash && z.pool.Allocated(s.node, nodeBytes+n.keyLen()) && (own || z.pool.Allocated(h.share, shareBytes))
}
