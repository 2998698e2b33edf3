// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// ErrDamaged says that the zone's bytes contradict each other: Empty is wanted. What was asked for has not happened.
var ErrDamaged = errors.New("limitreq: the zone is damaged")

// Status is what a zone has counted, and how full it is. The counters may miss the operations of processes that were killed in the middle.
type Status struct {
	Name, Key string
	SizeBytes int64
	Keys      int
	Passed    uint64 // let through at once
	Delayed   uint64 // let through after a delay
	Rejected  uint64
	DryRun    uint64 // that a dry run did not delay or reject
	Bypassed  uint64 // let through by the bypass list
	Evicted   uint64 // keys that had to leave a full zone before they were idle
	Full      uint64 // no room in the zone
	Faults    uint64 // operations that met a damaged zone
	Emptied   int    // how often it was emptied because of that
	Sound     bool   // no operation has met a fault since
	CheckDue  bool   // a dead process's work was undone since the last Check, or the zone is not sound
	Slab      slab.Stats
	Lock      shmtx.Counters
	UsedPart  float64 // part of the pages that is not free, 0 to 1
}

// Status returns the present numbers.
func (z *Zone) Status() Status {
	z.mutex.Lock()
	return z.status()
}

// TryStatus is Status without waiting: false when somebody has the lock.
func (z *Zone) TryStatus() (s Status, ok bool) {
	if z.mutex.TryLock() == nil {
		return s, false
	}
	return z.status(), true
}

// status is Status under the lock, which it gives back.
func (z *Zone) status() Status {
	s := Status{Name: z.Name(), Key: z.Key(), SizeBytes: z.SizeBytes()}
	h := z.h
	c := &h.counters
	s.Keys, s.Emptied, s.Sound = int(h.keys), int(h.epoch), h.state == stateSound
	s.Passed, s.Delayed, s.Rejected, s.DryRun, s.Evicted, s.Full, s.Faults = c.passed, c.delayed, c.rejected, c.dryRun, c.evicted, c.full, c.faults
	s.Bypassed = atomic.LoadUint64(&c.bypassed)
	s.Lock, s.Slab = z.mutex.Counters(), z.pool.Stats()
	s.CheckDue = !s.Sound || h.checked != s.Lock.Recoveries
	z.mutex.Unlock()
	s.UsedPart = float64(s.Slab.UsedPages()) / float64(s.Slab.Pages)
	return s
}

// Entry is one key of a zone.
type Entry struct {
	Key    []byte
	FreeNs uint64 // when the requests let through so far are worked off, on CLOCK_MONOTONIC
}

// newestMax bounds Newest: the lock is held while so many keys are copied, some 10 microseconds.
const newestMax = 100

// Newest returns up to count keys, at most 100, the one used last first. The caller owns them.
func (z *Zone) Newest(count int) (list []Entry, err error) {
	count = min(count, newestMax)
	list = make([]Entry, 0, count)
	keys := make([]byte, 0, count*zonekey.Max)
	var verdict Verdict
	var tx *shmtx.Tx
	func() {
		defer z.guard(&tx, &verdict)
		tx = z.mutex.Lock()
		for at := z.h.newest; at != 0 && len(list) < count; {
			n := z.node(at)
			keys = append(keys, z.keyAt(at, n)...)
			list = append(list, Entry{Key: keys[len(keys)-n.keyLen():], FreeNs: n.freeNs})
			at = n.older
		}
		z.mutex.Unlock()
	}()
	if verdict == Damaged {
		return nil, fmt.Errorf("zone %q: list of keys: %w", z.Name(), ErrDamaged)
	}
	return list, nil
}

// Delete drops a key, given as it was counted: its next request finds the whole burst. found is false when the zone does not have it.
func (z *Zone) Delete(key []byte) (found bool, err error) {
	if len(key) > zonekey.Max {
		key = zonekey.Shorten(key)
	}
	var verdict Verdict
	var tx *shmtx.Tx
	func() {
		defer z.guard(&tx, &verdict)
		tx = z.mutex.Lock()
		at, _ := z.seek(zonekey.Hash(key), key)
		if found = at != 0; found {
			z.drop(tx, at)
		}
		z.mutex.Unlock()
	}()
	if verdict == Damaged {
		return false, fmt.Errorf("zone %q: delete: %w", z.Name(), ErrDamaged)
	}
	return found, nil
}

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
	z.h.state = stateDamaged
	z.mutex.Unlock()
}

// Empty makes an empty, sound zone of a damaged one: every key begins anew. Rates are worth a few seconds; there is nothing in them that could be
// saved from a zone that contradicts itself.
func (z *Zone) Empty() {
	tx := z.mutex.Lock()
	tx.Forget()
	z.h.state = stateDamaged // whoever takes the lock after a death in here refuses to work, until Empty is called again
	z.pool.RestoreHeader(tx)
	z.pool.Rebuild(tx, func(shm.Offset, int) bool { return false })
	z.h.root, z.h.keys, z.h.newest, z.h.oldest = 0, 0, 0, 0
	z.h.epoch++
	z.h.checked = z.mutex.Recoveries()
	z.h.state = stateSound
	z.mutex.Unlock()
}

// Check walks the whole zone and returns every fault. It works on a copy, while the others go on. A zone found sound is no longer
// due for a check; one with faults is marked, for Empty.
func (z *Zone) Check() []error {
	faults, recoveries := z.CheckCopy(z.pool, func(private *shm.Zone) []error { return over(private, nil).check() })
	tx := z.mutex.Lock()
	if len(faults) == 0 {
		tx.Put64(&z.h.checked, recoveries)
	} else {
		tx.Put32(&z.h.state, stateDamaged)
	}
	z.mutex.Unlock()
	return faults
}

// check is Check on a zone that nobody changes.
func (z *Zone) check() (faults []error) {
	faults = append(z.shm.Check(), z.pool.Check()...)
	defer func() {
		if err := shm.FaultOf(recover()); err != nil {
			faults = append(faults, err) // what comes after it cannot be reached
		}
	}()
	report := func(format string, args ...any) { faults = append(faults, fmt.Errorf("limitreq: "+format, args...)) }
	if z.h.state != stateSound {
		report("the zone is marked with state %d", z.h.state)
	}
	inTree := make(map[shm.Offset]bool)
	used := make(map[int]int)
	visit := func(at shm.Offset) {
		n := z.node(at)
		size := nodeBytes + n.keyLen()
		switch {
		case n.keyLen() == 0:
			report("node %#x has no key", at)
		case n.tree.Key != zonekey.Hash(z.keyAt(at, n)):
			report("node %#x: hash %#x, its key has %#x", at, n.tree.Key, zonekey.Hash(z.keyAt(at, n)))
		case !z.pool.Allocated(at, size):
			report("node %#x of %d bytes is not allocated", at, size)
		}
		inTree[at] = true
		used[slab.SlotBytes(size)]++
	}
	compare := func(a, b shm.Offset) int { return bytes.Compare(z.keyAt(a, z.node(a)), z.keyAt(b, z.node(b))) }
	faults = append(faults, z.tree.Check(visit, compare)...)
	newer, listed := shm.Offset(0), 0
	for at := z.h.newest; at != 0; at = z.node(at).older {
		if !inTree[at] || z.node(at).newer != newer || listed == len(inTree) {
			report("node %#x in the order of use: in the tree %v, newer %#x, want %#x, %d before it", at, inTree[at], z.node(at).newer, newer, listed)
			return faults
		}
		newer = at
		listed++
	}
	if z.h.oldest != newer || listed != len(inTree) || int(z.h.keys) != len(inTree) {
		report("%d keys in the tree, %d in the order of use, the header counts %d; oldest %#x, want %#x", len(inTree), listed, z.h.keys, z.h.oldest, newer)
	}
	stats := z.pool.Stats()
	for i := range stats.Sizes {
		if s := &stats.Sizes[i]; s.Used != used[s.SlotBytes] {
			report("%d slots of %d bytes are allocated, %d are in use", s.Used, s.SlotBytes, used[s.SlotBytes])
		}
	}
	return faults
}
