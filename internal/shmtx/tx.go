// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"fmt"
	"sync/atomic"

	"weir/internal/shm"
)

// Tx is the transaction that Lock began. All stores to what is shared go through it, except to memory that nothing links to
// yet. It is good until Unlock.
type Tx struct {
	zone *shm.Zone
	area *lockArea
	log  *undoLog
	n    uint32 // records in the log
	most uint32 // most records of any transaction of this process
	step func() // crash tests: called before each store
}

// Put32 stores v at p, which points into the zone.
func (t *Tx) Put32(p *uint32, v uint32) { put(t, p, v) }

// PutOffset stores v at p, which points into the zone.
func (t *Tx) PutOffset(p *shm.Offset, v shm.Offset) { put(t, p, v) }

// Put64 stores v at p, which points into the zone.
func (t *Tx) Put64(p *uint64, v uint64) { put(t, p, v) }

// put notes what the word around p holds, counts the record, then stores. A process killed at any instruction from the counting on leaves
// a log that restores the word. Killed before, it has not changed the word.
//
// What matters is the order of instructions in this one thread, since only what is written by then survives it. The compiler keeps the order of
// stores through pointers that may be equal, as these may for all it knows. Atomic stores would say the same at three times the price of the
// whole; TestKilledAtEveryInstruction of package limitconn looks at what the processor really does.
//
//go:noinline
func put[T ~uint32 | ~uint64](t *Tx, p *T, v T) {
	n := t.n
	if n >= undoCap || t.step != nil {
		putStepped(t, p, v)
		return
	}
	off, old := shm.Word(t.zone, p)
	record := &t.log[n]
	record.offset = uint32(off)
	record.old = old
	t.n = n + 1
	t.area.undoLength = n + 1
	*p = v
}

// putStepped is put in crash tests, which may end it before each of its stores.
func putStepped[T ~uint32 | ~uint64](t *Tx, p *T, v T) {
	if t.n >= undoCap {
		panic(fmt.Sprintf("shmtx: more than %d stores in one transaction of zone %q", undoCap, t.zone.Name()))
	}
	off, old := shm.Word(t.zone, p)
	t.Step()
	t.log[t.n] = undoRecord{offset: uint32(off), old: old}
	t.Step()
	t.n++
	t.area.undoLength = t.n
	t.Step()
	*p = v
}

// Step announces a store that needs no undo: to memory that is still free, or to a counter. It only does something in crash tests.
func (t *Tx) Step() {
	if t.step != nil {
		t.step()
	}
}

// Commit makes what was stored so far final, and begins a new transaction under the same lock.
func (t *Tx) Commit() {
	if t.n == 0 {
		return
	}
	if t.n > t.most {
		t.most = t.n
	}
	t.Step()
	t.n = 0
	atomic.StoreUint32(&t.area.undoLength, 0)
}

// Rollback undoes all stores since Lock or Commit, the last one first. It gives the same result when it is cut short and done again.
func (t *Tx) Rollback() {
	t.n = 0
	n := t.area.undoLength
	if n > undoCap {
		shm.Faultf(t.zone, shm.LockArea, "the undo log has %d records, at most %d possible", n, undoCap)
	}
	for i := int(n) - 1; i >= 0; i-- {
		record := &t.log[i]
		t.Step()
		*shm.At[uint64](t.zone, shm.Offset(record.offset)) = record.old
	}
	t.Step()
	atomic.StoreUint32(&t.area.undoLength, 0)
}

// Forget drops the undo log: for a log that is itself damaged, so that it does not stop everybody who takes the lock. What is half
// done stays half done.
func (t *Tx) Forget() {
	t.n = 0
	atomic.StoreUint32(&t.area.undoLength, 0)
}

// MostStores is how many stores the largest transaction of this process has made so far.
func (t *Tx) MostStores() int { return int(t.most) }
