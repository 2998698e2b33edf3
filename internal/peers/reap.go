// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrDamaged says that a busy is not the sum of its cells: Rebuild is wanted.
var ErrDamaged = errors.New("peers: the zone is damaged")

// Reap gives back the requests that a slot's dead worker had in progress, and says how many those were. The caller knows that it is dead, and keeps the slot from
// being used again until Reap has returned nil.
func (z *Zone) Reap(slot int) (requests int, err error) {
	if slot < 0 || slot >= z.slots {
		return 0, fmt.Errorf("peers: reap of slot %d of %d", slot, z.slots)
	}
	z.Lock() // what the dead worker was in the middle of is undone first: until then its cells are not what counts
	z.Unlock()
	for block := range z.blocks() {
		c := z.cell(block, slot)
		work := load(&c.work) // nobody changes it any more
		if work == 0 {
			continue
		}
		counted := work / countedWork
		tx := z.Lock()
		s := z.state(block)
		if s.busy >= counted {
			tx.Put64(&s.busy, s.busy-counted)
			tx.Put64(&c.work, 0)
			requests += int(counted) + int(uint32(work))
		} else {
			tx.Put64(&z.h.marked, 1)
			err = fmt.Errorf("reap of slot %d: %w", slot, ErrDamaged)
		}
		z.Unlock()
	}
	return requests, err
}

// Check returns every fault. A zone found sound is no longer due for a check; one with faults is marked, for Rebuild.
func (z *Zone) Check() []error {
	faults := z.shm.Check()
	if load(&z.h.marked) != 0 {
		faults = append(faults, errors.New("peers: the zone is marked"))
	}
	if slots := load(&z.h.slots); slots != uint64(z.slots) {
		faults = append(faults, fmt.Errorf("peers: %d slots, %d when it was opened", slots, z.slots))
	}
	names := map[string]int{}
	for block := range z.blocks() {
		tx := z.Lock()
		busy, sum := z.state(block).busy, z.counted(block)
		debt := z.state(block).debt
		e := z.entry(block)
		used, key := e.used, string(e.text())
		if used > 1 || busy != sum || debt != sane(debt) {
			tx.Put64(&z.h.marked, 1)
		}
		z.Unlock()
		switch other, twice := names[key]; {
		case used > 1:
			faults = append(faults, fmt.Errorf("peers: block %d is used in way %d", block, used))
		case busy != sum:
			faults = append(faults, fmt.Errorf("peers: %q has %d requests in progress, its cells %d", key, busy, sum))
		case debt != sane(debt):
			faults = append(faults, fmt.Errorf("peers: %q is owed %d", key, debt))
		case used == 1 && twice:
			faults = append(faults, fmt.Errorf("peers: blocks %d and %d are both that of %q", other, block, key))
		}
		if used == 1 {
			names[key] = block
		}
	}
	if len(faults) == 0 {
		tx := z.Lock()
		tx.Put64(&z.h.checked, z.mutex.Recoveries())
		z.Unlock()
	}
	return faults
}

// counted is what the cells of a block have counted into busy. The caller has the lock.
func (z *Zone) counted(block int) (sum uint64) {
	for slot := range z.slots {
		sum += z.cell(block, slot).work / countedWork
	}
	return sum
}

// debtMax is more than any origin can be owed: the weights of all there can be.
const debtMax = 1 << 48

// sane is a debt that can be.
func sane(debt int64) int64 {
	if debt > debtMax || debt < -debtMax {
		return 0
	}
	return debt
}

// Rebuild makes every busy the sum of its cells again, those of dead workers left out, and frees blocks that are nobody's. lost is the sum of the differences.
func (z *Zone) Rebuild(alive func(slot int) bool) (lost int) {
	living := make([]bool, z.slots)
	for slot := range living {
		living[slot] = alive(slot)
	}
	for block := range z.blocks() {
		tx := z.Lock()
		for slot := range z.slots {
			if c := z.cell(block, slot); c.work != 0 && !living[slot] {
				tx.Put64(&c.work, 0)
				tx.Commit() // the zone stays marked until all is done; a log has no room for every slot
			}
		}
		s, e := z.state(block), z.entry(block)
		sum := z.counted(block)
		s.debt = sane(s.debt)
		lost += max(int(s.busy-sum), int(sum-s.busy))
		tx.Put64(&s.busy, sum)
		if e.used > 1 {
			tx.Put32(&e.used, 0)
		}
		z.Unlock()
	}
	tx := z.Lock()
	tx.Put64(&z.h.marked, 0)
	tx.Put64(&z.h.checked, z.mutex.Recoveries())
	tx.Step()
	z.h.rebuilds++
	z.Unlock()
	return lost
}

// CheckDue says whether Check or Rebuild is wanted: a dead process's work was undone since the last Check, or a fault was met.
func (z *Zone) CheckDue() bool {
	z.Lock()
	due := z.h.marked != 0 || z.h.checked != z.mutex.Recoveries()
	z.Unlock()
	return due
}

// Status is what is known of an origin.
type Status struct {
	Admin     Admin
	Health    Health
	HealthMs  int64  // when that was last said; 0: never
	Fails     int    // failed attempts that no success has ended
	Penalty   int    // by how much they have lowered its weight
	FailedMs  int64  // when it failed last; 0: never
	CheckedMs int64  // when it was last given a chance after that
	StartMs   int64  // when slow_start began; 0: it has not
	Work      int    // requests in progress, of all workers
	Picks     uint64 // requests given to it so far, by all workers
}

// Status is the present, without the lock: each number as of some moment, not all as of the same one.
func (p *Peer) Status() Status {
	s := p.s
	status := Status{
		Admin: p.Admin(), Fails: p.Fails(), Penalty: int(load(&s.penalty)), FailedMs: int64(load(&s.failedMs)), CheckedMs: int64(load(&s.checkedMs)), StartMs: int64(load(&s.startMs)),
	}
	status.Health, status.HealthMs = p.Health()
	if p.zone == nil {
		status.add(p.own)
		return status
	}
	for slot := range p.zone.slots {
		status.add(p.zone.cell(p.block, slot))
	}
	return status
}

func (s *Status) add(c *cell) {
	work := atomic.LoadUint64(&c.work)
	s.Work += int(work>>32) + int(uint32(work))
	s.Picks += atomic.LoadUint64(&c.picks)
}
