// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import (
	"fmt"
	"sync"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zone"
)

// NoSlot is the slot of a process that looks, says and reaps, but sends no requests: the master.
const NoSlot = -1

// Zone is this process's handle on the origins of all groups. The nil Zone is that of origins which only this process knows (Alone).
type Zone struct {
	zone.Handle
	shm   *shm.Zone
	mutex *shmtx.Mutex
	h     *header
	slots int
	slot  int

	mu       sync.Mutex       // of what follows
	reserved int              // blocks before this one are known to be backed by memory
	index    map[uint32][]int // blocks in use by the hash of their key; nil: not made yet
	indexed  uint64           // header.changes when it was made
}

// Create makes a zone without origins for so many worker slots, in the master. The errors are those of shm.Create and shmtx.Open.
func Create(slots int, lock shmtx.Kind, owner *shmtx.Owner) (*Zone, error) {
	if slots < 1 {
		return nil, fmt.Errorf("peers: %d slots: at least 1", slots)
	}
	segment, err := shm.Create(shm.Options{
		Name: kind, Kind: kind, KindLayout: kindLayout, Features: shmtx.Features(lock),
		SizeBytes: max(int64(shm.DataArea)+Max*blockBytes(slots), shm.MinBytes), ReservedBytes: shm.MinBytes,
	})
	if err != nil {
		return nil, err
	}
	shm.At[header](segment, shm.UserArea).slots = uint64(slots)
	return open(segment, owner, NoSlot)
}

// Attach maps a zone made by another process. A worker gives its slot; a process that sends no requests, NoSlot. The zone then owns fd; when an error is
// returned, fd is still the caller's.
func Attach(fd int, owner *shmtx.Owner, slot int) (*Zone, error) {
	segment, err := shm.Attach(fd, kind, kindLayout)
	if err != nil {
		return nil, err
	}
	z, err := open(segment, owner, slot)
	if err != nil {
		segment.Disown()
		return nil, closeAfter(err, segment)
	}
	return z, nil
}

func open(segment *shm.Zone, owner *shmtx.Owner, slot int) (*Zone, error) {
	mutex, err := shmtx.Open(segment, owner)
	if err != nil {
		return nil, err
	}
	h := shm.At[header](segment, shm.UserArea)
	room := (segment.SizeBytes() - int64(shm.DataArea) - stateBytes - entryBytes) / cellBytes // of one block at least
	z := &Zone{Handle: zone.Of(segment, mutex), shm: segment, mutex: mutex, h: h, slots: int(min(h.slots, uint64(room))), slot: slot}
	if slot < NoSlot || slot >= z.slots {
		return nil, fmt.Errorf("peers: slot %d of %d", slot, z.slots)
	}
	return z, nil
}

func closeAfter(err error, segment *shm.Zone) error {
	if closeErr := segment.Close(); closeErr != nil {
		return fmt.Errorf("%w; %w", err, closeErr)
	}
	return err
}

// Tx is what is changed under the lock; nil for origins that only this process knows.
type Tx = shmtx.Tx

// Lock takes the lock: a choice by turns or by load, and what follows from it, is made under it. nil for the nil Zone. The caller does not wait for
// anything before Unlock.
func (z *Zone) Lock() *Tx {
	if z == nil {
		return nil
	}
	if tx := z.mutex.LockFree(); tx != nil {
		return tx
	}
	return z.lock()
}

// lock is Lock when it is more than one instruction. An undo log that makes no sense is dropped, and the zone marked.
func (z *Zone) lock() (tx *Tx) {
	defer func() {
		if fault := recover(); fault != nil {
			z.mutex.Undo(fault, nil)
			z.h.faults++
			z.h.marked = 1
			z.mutex.Unlock()
			tx = z.mutex.Lock()
		}
	}()
	return z.mutex.Lock()
}

// Unlock commits what was changed and gives the lock back.
func (z *Zone) Unlock() {
	if z != nil {
		z.mutex.Unlock()
	}
}

// put stores a word: through the transaction, where there is one.
func put(tx *Tx, p *uint64, v uint64) {
	if tx == nil {
		*p = v
		return
	}
	tx.Put64(p, v)
}

// blocks is how many blocks may be looked at, whatever the header says.
func (z *Zone) blocks() int { return int(min(load(&z.h.count), Max)) }
