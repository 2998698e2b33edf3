// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package quota

import (
	"fmt"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zone"
)

// NoSlot is the slot of a process that looks and reaps, but takes nothing: the master.
const NoSlot = -1

// Zone is this process's handle on the budget.
type Zone struct {
	zone.Handle
	shm    *shm.Zone
	mutex  *shmtx.Mutex
	h      *header
	shares *shares
	slot   int // NoSlot: Acquire and Rescue are not allowed
}

// Create makes a zone with a limit in bytes of which nothing is in use, in the master. The errors are zone.Create's.
func Create(limitBytes int64, lock shmtx.Kind, owner *shmtx.Owner) (*Zone, error) {
	segment, mutex, err := zone.Create(kind, kindLayout, zone.Options{Name: "temp", SizeBytes: zoneBytes, Mutex: lock}, owner)
	if err != nil {
		return nil, err
	}
	z := over(segment, mutex, NoSlot)
	z.SetLimit(limitBytes)
	return z, nil
}

// Attach maps a zone made by another process. A worker gives its slot; a process that takes nothing, NoSlot. The zone then owns fd; when an error
// is returned, fd is still the caller's.
func Attach(fd int, owner *shmtx.Owner, slot int) (*Zone, error) {
	if slot < NoSlot || slot >= SlotsMax {
		return nil, fmt.Errorf("zone at descriptor %d: slot %d, at most %d possible", fd, slot, SlotsMax-1)
	}
	segment, mutex, err := zone.Attach(fd, kind, kindLayout, owner)
	if err != nil {
		return nil, err
	}
	return over(segment, mutex, slot), nil
}

func over(segment *shm.Zone, mutex *shmtx.Mutex, slot int) *Zone {
	return &Zone{
		Handle: zone.Of(segment, mutex), shm: segment, mutex: mutex, slot: slot,
		h: shm.At[header](segment, shm.UserArea), shares: shm.At[shares](segment, shm.DataArea),
	}
}

// Acquire takes bytes for this process's slot out of the half that is for ordinary use. false: they are not to be had, and nothing was
// taken. bytes is not negative.
func (z *Zone) Acquire(bytes int64) bool { return z.take(bytes, false) }

// Rescue is Acquire out of the whole: for when memory is short.
func (z *Zone) Rescue(bytes int64) bool { return z.take(bytes, true) }

func (z *Zone) take(bytes int64, rescue bool) (ok bool) {
	if z.slot == NoSlot {
		panic("quota: bytes are taken in a process that has no slot")
	}
	if bytes < 0 {
		panic("quota: less than nothing is taken")
	}
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	h, n := z.h, uint64(bytes)
	bound := h.limit
	if !rescue {
		bound /= 2
	}
	ok = h.state == stateSound && h.used <= bound && n <= bound-h.used
	if ok {
		tx.Put64(&h.used, h.used+n)
		tx.Put64(&z.shares[z.slot], z.shares[z.slot]+n)
		tx.Step()
		h.taken++
		h.peak = max(h.peak, h.used)
	} else if tx.Step(); rescue {
		h.denied++
	} else {
		h.refused++
	}
	z.mutex.Unlock()
	return ok
}

// Release gives back bytes that this process has taken.
func (z *Zone) Release(bytes int64) { z.give(z.slot, uint64(bytes)) }

// give takes bytes out of a slot's share. More than it has: what is there is given back, and the zone is marked.
func (z *Zone) give(slot int, n uint64) (ok bool) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	h, share := z.h, &z.shares[slot]
	ok = n <= *share && *share <= h.used
	if !ok {
		n = min(n, *share, h.used)
		tx.Put64(&h.state, stateDamaged)
		tx.Step()
		h.faults++
	}
	tx.Put64(&h.used, h.used-n)
	tx.Put64(share, *share-n)
	z.mutex.Unlock()
	return ok
}

// guard ends an operation that met a damaged zone: nothing of it has happened, and the zone is marked. It is deferred before Lock; tx is nil until
// Lock has returned.
func (z *Zone) guard(tx **shmtx.Tx, ok *bool) {
	fault := recover()
	if fault == nil {
		return
	}
	z.mutex.Undo(fault, *tx)
	*ok = false
	z.h.faults++
	z.h.state = stateDamaged
	z.mutex.Unlock()
}

// SetLimit changes the limit. What is in use stays in use, also when it is more. A limit below 0 is 0.
func (z *Zone) SetLimit(bytes int64) {
	var tx *shmtx.Tx
	var ok bool
	defer z.guard(&tx, &ok)
	tx = z.mutex.Lock()
	tx.Put64(&z.h.limit, uint64(max(bytes, 0)))
	z.mutex.Unlock()
}
