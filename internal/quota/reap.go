// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package quota

import (
	"errors"
	"fmt"

	"weir/internal/shmtx"
)

// ErrDamaged says that the zone contradicts itself: Rebuild is wanted.
var ErrDamaged = errors.New("quota: the zone is damaged")

// Reap gives back all that a slot has taken, and says how many bytes that were. The caller knows that the slot's worker is dead, and keeps the slot
// from being used again until Reap has returned nil.
func (z *Zone) Reap(slot int) (bytes int64, err error) {
	if slot < 0 || slot >= SlotsMax {
		return 0, fmt.Errorf("reap of slot %d: at most %d possible", slot, SlotsMax-1)
	}
	n, ok := z.reap(slot)
	if !ok {
		return n, fmt.Errorf("zone %q: reap of slot %d: %w", z.shm.Name(), slot, ErrDamaged)
	}
	return n, nil
}

func (z *Zone) reap(slot int) (bytes int64, ok bool) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	share := z.shares[slot]
	ok = share <= z.h.used
	if ok {
		tx.Put64(&z.h.used, z.h.used-share)
		tx.Put64(&z.shares[slot], 0)
	} else {
		share = 0
		tx.Put64(&z.h.state, stateDamaged)
	}
	z.mutex.Unlock()
	return int64(share), ok
}

// Rebuild makes a sound zone of a damaged one: the shares of slots with a living worker stay, the others go, and the total is their sum. A share so large that
// no limit can have allowed it is dropped: its worker's files are not counted until they are closed. lost is the difference to
// the total before.
func (z *Zone) Rebuild(alive func(slot int) bool) (lost int64, err error) {
	lost, ok := z.rebuild(alive)
	if !ok {
		return 0, fmt.Errorf("zone %q: rebuild: %w", z.shm.Name(), ErrDamaged)
	}
	return lost, nil
}

// shareMax bounds a share that can be believed.
const shareMax = 1 << 60

func (z *Zone) rebuild(alive func(slot int) bool) (lost int64, ok bool) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	living := make([]bool, SlotsMax)
	for slot := range living {
		living[slot] = alive(slot)
	}
	tx = z.mutex.Lock()
	sum := uint64(0)
	for slot := range z.shares {
		share := &z.shares[slot]
		if *share == 0 {
			continue
		}
		if !living[slot] || *share > shareMax/SlotsMax {
			tx.Put64(share, 0)
			tx.Commit() // the zone stays marked until all is done; a log has no room for every slot
			continue
		}
		sum += *share
	}
	lost = int64(z.h.used) - int64(sum)
	tx.Put64(&z.h.used, sum)
	tx.Put64(&z.h.state, stateSound)
	tx.Put64(&z.h.checked, z.mutex.Recoveries())
	tx.Step()
	z.h.rebuilds++
	z.mutex.Unlock()
	return lost, true
}

// Check returns every fault of the zone. One found sound is no longer due for a check; one with faults is marked, for Rebuild.
func (z *Zone) Check() []error {
	faults := z.shm.Check()
	if !z.check(&faults) {
		faults = append(faults, fmt.Errorf("zone %q: check: %w", z.shm.Name(), ErrDamaged))
	}
	return faults
}

func (z *Zone) check(faults *[]error) (ok bool) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	h, sum := z.h, uint64(0)
	for _, share := range z.shares {
		sum += share
	}
	used, limit, state, before := h.used, h.limit, h.state, len(*faults)
	switch {
	case state != stateSound:
		*faults = append(*faults, fmt.Errorf("quota: the zone is marked with state %d", state))
	case used != sum:
		*faults = append(*faults, fmt.Errorf("quota: %d bytes are in use, the shares are %d", used, sum))
	case limit > 1<<63:
		*faults = append(*faults, fmt.Errorf("quota: a limit of %d bytes", limit))
	}
	if len(*faults) == before {
		tx.Put64(&h.checked, z.mutex.Recoveries())
	} else {
		tx.Put64(&h.state, stateDamaged)
	}
	z.mutex.Unlock()
	return true
}

// Status is what the zone has counted. The counters may miss the operations of processes that were killed in the middle.
type Status struct {
	Limit, Used int64  // bytes
	Peak        int64  // the most that was in use
	Taken       uint64 // times that bytes were taken
	Refused     uint64 // times that there were none for ordinary use
	Denied      uint64 // times that there were none at all
	Faults      uint64 // operations that met a damaged zone
	Rebuilds    uint64
	Sound       bool // no fault has been met since the last Rebuild
	CheckDue    bool // a dead process's work was undone since the last Check, or the zone is not sound
	Lock        shmtx.Counters
}

// Status returns the present numbers.
func (z *Zone) Status() Status {
	s, _ := z.status((*shmtx.Mutex).Lock)
	return s
}

// TryStatus is Status without waiting: false when somebody has the lock.
func (z *Zone) TryStatus() (s Status, ok bool) { return z.status((*shmtx.Mutex).TryLock) }

// status is Status under the lock, if lock gets it.
func (z *Zone) status(lock func(*shmtx.Mutex) *shmtx.Tx) (s Status, ok bool) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	if tx = lock(z.mutex); tx == nil {
		return s, false
	}
	h := z.h
	s = Status{
		Limit: int64(h.limit), Used: int64(h.used), Peak: int64(h.peak), Taken: h.taken, Refused: h.refused, Denied: h.denied,
		Faults: h.faults, Rebuilds: h.rebuilds, Sound: h.state == stateSound, Lock: z.mutex.Counters(),
	}
	s.CheckDue = !s.Sound || h.checked != s.Lock.Recoveries
	z.mutex.Unlock()
	return s, true
}

// Share is what a slot has taken at present, in bytes.
func (z *Zone) Share(slot int) int64 {
	var tx *shmtx.Tx
	var ok bool
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	share := z.shares[slot]
	z.mutex.Unlock()
	return int64(share)
}
