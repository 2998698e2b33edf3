// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"sync/atomic"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// Verdict is what came of asking to let a request through.
type Verdict uint8

// The verdicts; $limit_req_status is made from them.
const (
	Passed         Verdict = iota // at once, or nothing to limit
	Delayed                       // after Outcome.DelayNs
	DelayedDryRun                 // the same, in a dry run: at once
	Rejected                      // the key's burst is used up
	RejectedDryRun                // the same, in a dry run: to be let through
	Full                          // the zone has no room for the key, not even after the oldest key has left
	FullDryRun                    // the same, in a dry run: to be let through
	Damaged                       // the zone is damaged; the master must empty it. Not counted
)

// String is the verdict as in $limit_req_status.
func (v Verdict) String() string {
	return [...]string{"PASSED", "DELAYED", "DELAYED_DRY_RUN", "REJECTED", "REJECTED_DRY_RUN", "REJECTED", "REJECTED_DRY_RUN", "REJECTED"}[v]
}

// Limit is one limit_req of a request.
type Limit struct {
	Zone     *Zone
	Key      []byte // empty: not limited. Not kept. Longer than zonekey.Max: stored by its digest
	PeriodNs uint64 // of one request at the zone's rate: see Period
	Burst    uint32 // burst; at most BurstMax
	Delay    uint32 // delay: so many over the rate pass without one; NoDelay: all of the burst
}

// NoDelay is Limit.Delay for the parameter nodelay.
const NoDelay = ^uint32(0)

// BurstMax keeps a burst of the slowest rate, one request a minute, within 64 bits of nanoseconds.
const BurstMax = 1 << 24

// Period is the time of one request at a rate of so many in unitNs, rounded up to whole nanoseconds: never more than the rate.
func Period(requests, unitNs uint64) uint64 { return (unitNs + requests - 1) / requests }

// Outcome is what Charge says.
type Outcome struct {
	Verdict Verdict
	// Index is the limit that refused or that delays the longest, -1 when none did.
	Index int
	// DelayNs is how long the request has to wait when Delayed, and after how long one would be let through when Rejected.
	DelayNs uint64
	// ExcessMilli is by how many thousandths of a request the key is above its rate, as in nginx's log.
	ExcessMilli uint64
}

// Charge asks all limits to let a request through at nowNs, the present time on CLOCK_MONOTONIC, and counts it in all of them or in none:
// when one refuses, those before are given back what it was counted. The limits are asked in order. It allocates nothing.
//
// A worker that is killed between two limits leaves the request counted in the first: that errs on the side of the limit, and is worked off
// in one period.
func Charge(limits []Limit, nowNs uint64, dryRun bool) Outcome {
	out := Outcome{Index: -1}
	for i := range limits {
		l := &limits[i]
		if len(l.Key) == 0 {
			continue
		}
		one := l.Zone.charge(l, nowNs, dryRun)
		if one.Verdict >= Rejected {
			for j := range limits[:i] {
				if len(limits[j].Key) > 0 {
					limits[j].Zone.refund(&limits[j])
				}
			}
			one.Index = i
			return one
		}
		if one.DelayNs > out.DelayNs {
			out = one
			out.Index = i
		}
	}
	return out
}

// ChargeOne is Charge for a single limit.
func ChargeOne(l *Limit, nowNs uint64, dryRun bool) Outcome {
	out := Outcome{Index: -1}
	if len(l.Key) > 0 {
		if out = l.Zone.charge(l, nowNs, dryRun); out.Verdict < Rejected && out.DelayNs == 0 {
			return Outcome{Index: -1}
		}
	}
	return out
}

// CountBypassed counts a request that the bypass list lets through. It takes no lock.
func (z *Zone) CountBypassed() { atomic.AddUint64(&z.h.counters.bypassed, 1) }

// charge asks one limit. What happens most is tried first: nobody has the lock, and the request passes at once. Whatever is not so is left to chargeAny.
func (z *Zone) charge(l *Limit, nowNs uint64, dryRun bool) Outcome {
	key := l.Key
	if len(key) > zonekey.Max {
		key = zonekey.Shorten(key)
	}
	hash := zonekey.Hash(key)
	tx := z.mutex.LockFree()
	if tx == nil || !z.again(tx, hash, key, l, nowNs) {
		return z.chargeAny(tx, hash, key, l, nowNs, dryRun)
	}
	z.mutex.Unlock()
	return Outcome{}
}

// again counts a request of a key that has a node, and that passes without a delay. False: that is not what there is to do, or what it meets is not sound.
// It has changed nothing then, and it never panics.
func (z *Zone) again(tx *shmtx.Tx, hash uint32, key []byte, l *Limit, nowNs uint64) bool {
	at := z.tree.Meet(hash)
	n := shm.Look[node](z.shm, at)
	if n == nil || z.h.state != stateSound || n.keyLen() != len(key) || !z.shm.Same(at+nodeBytes, key) {
		return false
	}
	from := max(n.freeNs, nowNs)
	if backlog := from - nowNs; backlog > uint64(min(l.Burst, l.Delay))*l.PeriodNs {
		return false
	}
	if z.h.newest != at {
		if shm.Look[node](z.shm, n.newer) == nil || n.older != 0 && shm.Look[node](z.shm, n.older) == nil || shm.Look[node](z.shm, z.h.newest) == nil {
			return false
		}
		z.touch(tx, at)
	}
	tx.Put64(&n.freeNs, from+l.PeriodNs)
	tx.Step()
	z.h.counters.passed++
	return true
}

// chargeAny is charge in every case. tx is nil, or the transaction of a lock that is held already.
func (z *Zone) chargeAny(tx *shmtx.Tx, hash uint32, key []byte, l *Limit, nowNs uint64, dryRun bool) (out Outcome) {
	defer z.guard(&tx, &out.Verdict)
	if tx == nil {
		tx = z.mutex.Lock()
	}
	out = z.count(tx, hash, key, l, nowNs)
	tx.Step()
	z.h.counters.add(&out, dryRun)
	z.mutex.Unlock()
	return out
}

// add counts an outcome, and makes it that of a dry run.
func (c *counters) add(out *Outcome, dryRun bool) {
	switch v := out.Verdict; {
	case v == Passed:
		c.passed++
		return
	case v == Damaged:
		return
	case dryRun:
		c.dryRun++
		out.Verdict++ // Delayed to DelayedDryRun, Rejected to RejectedDryRun, Full to FullDryRun
	case v == Delayed:
		c.delayed++
	case v == Full:
		c.full++
	default:
		c.rejected++
	}
}

// count lets one request of a key through, or says why not.
func (z *Zone) count(tx *shmtx.Tx, hash uint32, key []byte, l *Limit, nowNs uint64) Outcome {
	if z.h.state != stateSound {
		return Outcome{Verdict: Damaged}
	}
	at, place := z.seek(hash, key)
	if at == 0 {
		if !z.addNode(tx, hash, key, place, nowNs, l.PeriodNs) {
			return Outcome{Verdict: Full}
		}
		return Outcome{}
	}
	z.touch(tx, at)
	n := z.node(at)
	from := max(n.freeNs, nowNs)
	backlog := from - nowNs
	out := Outcome{ExcessMilli: backlog * 1000 / l.PeriodNs}
	if most := uint64(l.Burst) * l.PeriodNs; backlog > most {
		out.Verdict, out.DelayNs = Rejected, backlog-most
		return out
	}
	tx.Put64(&n.freeNs, from+l.PeriodNs)
	if free := uint64(l.Delay) * l.PeriodNs; l.Delay != NoDelay && backlog > free {
		out.Verdict, out.DelayNs = Delayed, backlog-free
	}
	return out
}

// refund takes back what charge has counted. A key that has left since had nothing left to take back.
func (z *Zone) refund(l *Limit) {
	key := l.Key
	if len(key) > zonekey.Max {
		key = zonekey.Shorten(key)
	}
	var verdict Verdict
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if at, _ := z.seek(zonekey.Hash(key), key); at != 0 && z.h.state == stateSound {
		n := z.node(at)
		tx.Put64(&n.freeNs, n.freeNs-min(n.freeNs, l.PeriodNs))
	}
	z.mutex.Unlock()
}

// addNode makes the node of a key's first request. False: the zone is full of keys that are newer than any that could leave.
func (z *Zone) addNode(tx *shmtx.Tx, hash uint32, key []byte, place rbtree.Place, nowNs, periodNs uint64) bool {
	at, place, ok := z.room(tx, hash, key, place, nowNs)
	if !ok {
		return false
	}
	n := z.node(at)
	tx.Step()
	n.info, n.freeNs = uint32(len(key)), nowNs+periodNs // free until now: nothing to undo
	copy(z.shm.Bytes(at+nodeBytes, len(key)), key)
	z.tree.Insert(tx, at, hash, place)
	tx.Step()
	n.newer, n.older = 0, z.h.newest
	z.linkNewest(tx, at)
	tx.Put32(&z.h.keys, z.h.keys+1)
	return true
}

// The keys that leave when a new one comes: idle ones by the way, and when the zone is full the oldest ones, idle or not.
const (
	idleBatch  = 2
	evictBatch = 16 // a page of another slot size gives no room for this key; after so many the zone counts as full
)

// room allocates a node for a key, and lets old keys leave for it. The place is good for the tree as it is then.
func (z *Zone) room(tx *shmtx.Tx, hash uint32, key []byte, place rbtree.Place, nowNs uint64) (shm.Offset, rbtree.Place, bool) {
	left := false
	for range idleBatch {
		old := z.h.oldest
		if old == 0 || z.node(old).freeNs > nowNs {
			break
		}
		z.drop(tx, old)
		left = true
	}
	at, ok := z.pool.Alloc(tx, nodeBytes+len(key))
	for range evictBatch {
		old := z.h.oldest
		if ok || old == 0 {
			break
		}
		if z.node(old).freeNs > nowNs {
			tx.Step()
			z.h.counters.evicted++
		}
		z.drop(tx, old)
		left = true
		at, ok = z.pool.Alloc(tx, nodeBytes+len(key))
	}
	if ok && left {
		_, place = z.seek(hash, key)
	}
	return at, place, ok
}
