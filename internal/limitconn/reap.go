// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"errors"
	"fmt"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// ErrDamaged says that the zone's bytes contradict each other: Rebuild is wanted. What was asked for has not happened.
var ErrDamaged = errors.New("limitconn: the zone is damaged")

// reapBatch is how many shares are given back in one hold of the lock.
const reapBatch = 32

// Reap gives back all that a slot holds, and says how many connections that were. The caller knows that the slot's worker is dead, and keeps the slot
// from being used again until Reap has returned nil. Each share is a transaction of its own, and the lock is given back now and then, so
// that the living wait no longer than for one another; a Reap that is cut short is simply called again.
func (z *Zone) Reap(slot int) (connections int, err error) {
	if slot < 0 || slot >= SlotsMax {
		return 0, fmt.Errorf("reap of slot %d: at most %d possible", slot, SlotsMax-1)
	}
	for {
		more, verdict := z.dropWaiters(slot)
		if verdict == Damaged {
			return 0, fmt.Errorf("zone %q: reap of slot %d: %w", z.Name(), slot, ErrDamaged)
		}
		if !more {
			break
		}
	}
	for {
		n, more, verdict := z.reapSome(slot)
		connections += n
		if verdict == Damaged {
			return connections, fmt.Errorf("zone %q: reap of slot %d: %w", z.Name(), slot, ErrDamaged)
		}
		if !more {
			z.wakeCalled() // the dead worker may have been about to
			return connections, nil
		}
	}
}

func (z *Zone) reapSome(slot int) (connections int, more bool, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if z.h.state == stateRebuilding {
		z.mutex.Unlock()
		return 0, false, Damaged
	}
	head := &z.lists()[slot]
	for range reapBatch {
		off := *head
		if off == 0 {
			break
		}
		count := z.share(off).count()
		switch {
		case count == 0:
			shm.Faultf(z.shm, off, "limitconn: a share without connections in the list of slot %d", slot)
		case z.h.waiting > 0: // each place may go to somebody else
			z.giveBack(tx, off)
			count = 1
		default:
			z.take(tx, off, count)
		}
		tx.Commit()
		connections += int(count)
	}
	more = *head != 0
	z.mutex.Unlock()
	return connections, more, Passed
}

// Delete clears one key: from now on it has no connections. Those that were counted go on, and are not counted again when they end.
// It returns how many they are; false when the key is not in the zone. A key longer than KeyMax is looked for by its digest.
func (z *Zone) Delete(key []byte) (connections int, found bool, err error) {
	connections, found, verdict := z.delete(key)
	if verdict == Damaged {
		return 0, false, fmt.Errorf("zone %q: delete of a key: %w", z.Name(), ErrDamaged)
	}
	return connections, found, nil
}

func (z *Zone) delete(key []byte) (connections int, found bool, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	at := z.find(key)
	if at != 0 {
		z.callAll(tx, z.lineOf(z.keyAt(at, z.node(at)))) // the key counts from 0 again
		n := z.node(at)
		connections = int(n.total())
		z.tree.Delete(tx, at)
		tx.Put32(&n.own.info, n.own.info|flagOrphan)
		tx.Put32(&z.h.keys, z.h.keys-1)
		tx.Put32(&z.h.orphans, z.h.orphans+1)
	}
	z.mutex.Unlock()
	z.wakeCalled()
	return connections, at != 0, Passed
}

// find is the node of key, nil when there is none. The caller holds the lock.
func (z *Zone) find(key []byte) shm.Offset {
	if z.h.state == stateRebuilding {
		shm.Faultf(z.shm, shm.UserArea, "limitconn: a rebuild has begun and not ended")
	}
	if len(key) > KeyMax {
		key = zonekey.Shorten(key)
	}
	at, _ := z.tree.Seek(zonekey.Hash(key), func(other shm.Offset) int { return bytes.Compare(key, z.keyAt(other, z.node(other))) })
	return at
}

// Count is how many connections a key has, over all workers.
func (z *Zone) Count(key []byte) (int, error) {
	connections, verdict := z.total(key)
	if verdict == Damaged {
		return 0, fmt.Errorf("zone %q: count of a key: %w", z.Name(), ErrDamaged)
	}
	return connections, nil
}

func (z *Zone) total(key []byte) (connections int, verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if at := z.find(key); at != 0 {
		connections = int(z.node(at).total())
	}
	z.mutex.Unlock()
	return connections, Passed
}
