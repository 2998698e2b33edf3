// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import "sync/atomic"

// Peer is this process's handle on one origin. It stays good as long as its zone is open.
type Peer struct {
	zone  *Zone // nil: only this process knows of the origin
	s     *state
	own   *cell // of this process's slot; nil: it sends no requests
	block int
}

// Alone is an origin that only this process knows: of a group of one, where there is nothing to choose, and in tests.
func Alone() *Peer { return &Peer{s: new(state), own: new(cell)} }

// Admin is what an operator wants an origin to do.
type Admin uint32

// What an operator can order. It holds over reloads and upgrades, whatever the config says meanwhile, until the origin leaves the config.
const (
	AsConfigured Admin = iota // nothing has been said: the parameters down and drain count
	Up                        // serves
	Drain                     // serves only requests that are bound to it: see sticky
	Down                      // serves none
	numAdmin
)

// String is the word of the command line: "up", "drain", "down"; "" for AsConfigured.
func (a Admin) String() string {
	if a >= numAdmin {
		return "unknown"
	}
	return [numAdmin]string{"", "up", "drain", "down"}[a]
}

// Admin is what an operator has said.
func (p *Peer) Admin() Admin { return Admin(load(&p.s.admin)) }

// SetAdmin is the operator's word at nowMs. An origin that is brought up starts anew: no failures, and slow_start.
func (p *Peer) SetAdmin(a Admin, nowMs int64) { p.setAdmin(p.zone.Lock(), a, nowMs) }

// TrySetAdmin is SetAdmin without waiting; false when somebody has the lock.
func (p *Peer) TrySetAdmin(a Admin, nowMs int64) bool {
	tx := p.zone.mutex.TryLock()
	if tx == nil {
		return false
	}
	p.setAdmin(tx, a, nowMs)
	return true
}

func (p *Peer) setAdmin(tx *Tx, a Admin, nowMs int64) {
	defer p.zone.Unlock()
	if a == Up && p.s.admin != uint64(Up) {
		p.readmit(tx, nowMs)
	}
	put(tx, &p.s.admin, uint64(a))
}

// readmit forgets failures and begins slow_start.
func (p *Peer) readmit(tx *Tx, nowMs int64) {
	put(tx, &p.s.fails, 0)
	put(tx, &p.s.penalty, 0)
	put(tx, &p.s.startMs, uint64(nowMs))
}

// Health is what a health check has found.
type Health uint32

// What health checks say.
const (
	Unknown   Health = iota // no check has come to an end: the origin is used
	Healthy                 // it is used
	Unhealthy               // it is not
)

// String is "unknown", "healthy" or "unhealthy".
func (h Health) String() string {
	if h > Unhealthy {
		return "unknown"
	}
	return [...]string{"unknown", "healthy", "unhealthy"}[h]
}

// Health is what checks have found, and when that was last said; 0: never.
func (p *Peer) Health() (h Health, atMs int64) {
	return Health(load(&p.s.health)), int64(load(&p.s.healthMs))
}

// SetHealth says what checks have found at nowMs; all workers go by it at once. An origin that was unhealthy and is not any more starts anew:
// no failures, and slow_start. It says whether that is news.
func (p *Peer) SetHealth(h Health, nowMs int64) (news bool) {
	tx := p.zone.Lock()
	defer p.zone.Unlock()
	before := Health(p.s.health)
	if before == Unhealthy && h != Unhealthy {
		p.readmit(tx, nowMs)
	}
	put(tx, &p.s.health, uint64(h))
	put(tx, &p.s.healthMs, uint64(nowMs))
	return before != h
}

// SetSeen says that a worker has the origin at nowMs, to which a host's name has led: it says so every minute, for as long as that is so.
func (p *Peer) SetSeen(nowMs int64) { atomic.StoreUint64(&p.s.seenMs, uint64(nowMs)) }

// SeenForMs is for how long an origin that was seen counts as one that is there.
const SeenForMs = 3 * 60_000

// Seen says whether some worker has the origin, to which a host's name has led.
func (p *Peer) Seen(nowMs int64) bool { return nowMs-int64(load(&p.s.seenMs)) <= SeenForMs }

// Fails is how many attempts have failed that no success has ended.
func (p *Peer) Fails() int { return int(load(&p.s.fails)) }

// Failing says whether so many attempts have failed that the origin gets no requests at nowMs: max_fails (0: they do not matter), fail_timeout.
func (p *Peer) Failing(nowMs int64, maxFails int, failTimeoutMs int64) bool {
	fails := load(&p.s.fails)
	return fails != 0 && maxFails > 0 && fails >= uint64(maxFails) && nowMs-int64(load(&p.s.checkedMs)) <= failTimeoutMs
}

// Give notes under the lock that the origin gets a request: one that has failed has its next chance by that.
func (p *Peer) Give(tx *Tx, nowMs, failTimeoutMs int64) {
	if p.s.fails != 0 && nowMs-int64(p.s.checkedMs) > failTimeoutMs {
		put(tx, &p.s.checkedMs, uint64(nowMs))
	}
}

// Try is Give for callers that do not hold the lock; false when another worker has just taken the chance.
func (p *Peer) Try(nowMs int64, maxFails int, failTimeoutMs int64) bool {
	if load(&p.s.fails) == 0 {
		return true
	}
	tx := p.zone.Lock()
	defer p.zone.Unlock()
	if p.Failing(nowMs, maxFails, failTimeoutMs) {
		return false
	}
	p.Give(tx, nowMs, failTimeoutMs)
	return true
}

// Failed counts a failed attempt, and lowers the weight for a while. True when the origin becomes unavailable by it.
func (p *Peer) Failed(nowMs int64, weight, maxFails int) bool {
	tx := p.zone.Lock()
	defer p.zone.Unlock()
	s := p.s
	fails := s.fails + 1
	put(tx, &s.fails, fails)
	put(tx, &s.failedMs, uint64(nowMs))
	put(tx, &s.checkedMs, uint64(nowMs))
	if maxFails > 0 {
		put(tx, &s.penalty, min(s.penalty+uint64(weight/maxFails), uint64(weight)))
	}
	return maxFails > 0 && fails == uint64(maxFails)
}

// Succeeded ends a failure that was followed by a chance. An origin that was unavailable before begins its slow_start.
func (p *Peer) Succeeded(nowMs int64, maxFails int) {
	if load(&p.s.fails) != 0 {
		p.recover(nowMs, maxFails)
	}
}

func (p *Peer) recover(nowMs int64, maxFails int) {
	tx := p.zone.Lock()
	defer p.zone.Unlock()
	s := p.s
	if s.failedMs >= s.checkedMs {
		return
	}
	if maxFails > 0 && s.fails >= uint64(maxFails) {
		put(tx, &s.startMs, uint64(nowMs))
	}
	put(tx, &s.fails, 0)
}

// One is the unit of weights: a weight of 1 at its full height.
const One = 1 << 8

// Weight is the share that the origin has at nowMs, in units of 1/One: all of its weight, or in its slow_start a part that grows from 0 with the time; at least 1.
func (p *Peer) Weight(weight int, slowStartMs, nowMs int64) int64 {
	full := int64(weight) * One
	if slowStartMs == 0 {
		return full
	}
	start := int64(load(&p.s.startMs))
	if since := nowMs - start; start != 0 && since < slowStartMs {
		return max(full*max(since, 0)/slowStartMs, 1)
	}
	return full
}

// Plain says that neither an operator nor a health check has said anything about the origin, and that it has not failed lately: then Owe is all there is to a turn.
func (p *Peer) Plain() bool {
	s := p.s
	return s.admin|s.health>>1|s.fails|s.penalty == 0
}

// Owe is Take for an origin that is Plain: it is owed its weight more. It returns what it is owed now.
func (p *Peer) Owe(weight int64) (debt int64) {
	s := p.s
	s.debt += weight
	return s.debt
}

// Take is a turn of smooth weighted round robin, under the lock: the origin is owed its weight more, which failures have lowered. It returns that weight, and what the origin is
// owed now.
func (p *Peer) Take(weight int64) (taken, debt int64) {
	s := p.s
	if s.penalty != 0 {
		weight = max(weight-int64(s.penalty)*One, 0)
		s.penalty--
	}
	s.debt += weight
	return weight, s.debt
}

// Pay takes what the winner of a turn gives to all, under the lock.
func (p *Peer) Pay(total int64) { p.s.debt -= total }

// Busy is how many requests the origin has in progress, over all workers that count them in (EnterBusy).
func (p *Peer) Busy() int64 { return int64(load(&p.s.busy)) }

// Enter begins a request of this process at the origin; no lock is needed.
func (p *Peer) Enter() { p.own.work++ }

// Leave ends a request that Enter began.
func (p *Peer) Leave() { p.own.work-- }

// EnterBusy is Enter for methods that choose by Busy. The caller holds the lock.
func (p *Peer) EnterBusy(tx *Tx) {
	put(tx, &p.s.busy, p.s.busy+1)
	put(tx, &p.own.work, p.own.work+countedWork)
}

// Picked counts a request given to the origin.
func (p *Peer) Picked() { p.own.picks++ }

// LeaveBusy ends a request that EnterBusy began. It takes the lock.
func (p *Peer) LeaveBusy() {
	tx := p.zone.Lock()
	if p.s.busy == 0 || p.own.work < countedWork { // somebody has damaged the zone: leave it to Rebuild
		if p.zone != nil {
			p.zone.h.faults++
			p.zone.h.marked = 1
		}
	} else {
		put(tx, &p.s.busy, p.s.busy-1)
		put(tx, &p.own.work, p.own.work-countedWork)
	}
	p.zone.Unlock()
}
