// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"weir/internal/shm"
	"weir/internal/sys"
)

// Kind is how a zone's lock is made. All users of a zone use the same kind: it is one of the zone's features.
type Kind uint32

// The kinds of locks; the names are the values of the directive shared_mutex.
const (
	Atomic Kind = iota // a robust futex in the zone
	Flock              // flock(2) on the zone's file
)

// String is the kind's name in the config.
func (k Kind) String() string {
	switch k {
	case Atomic:
		return "atomic"
	case Flock:
		return "flock"
	}
	return fmt.Sprintf("Kind(%d)", uint32(k))
}

// featureKind is the part of a zone's features that holds the kind of its lock.
const featureKind = 0xf

// Features is what a zone with a lock of kind k is created with.
func Features(k Kind) uint32 { return uint32(k) & featureKind }

// lock is one kind of lock. Only an Owner's one mutex at a time calls it.
type lock interface {
	acquire(step func()) effort
	try(step func()) (e effort, ok bool) // acquire without waiting
	release(step func())
	close()
}

// effort is what it took to get a lock.
type effort struct {
	spins, waits uint32
	contended    bool
	died         bool // the owner before died with the lock
}

// Mutex is this process's handle on a zone's lock.
type Mutex struct {
	lock  lock
	owner *Owner
	tx    Tx
	word  *uint32   // the lock's, when LockFree may take it: of kind atomic, and the owner is not shared
	timed bool      // this hold of the lock is one of those measured
	since time.Time // when it began
}

// timedEvery: one in so many acquisitions by a worker is timed. Reading the clock twice costs as much as the lock itself.
const timedEvery = 64

// Open returns the lock of a zone. Its kind is in the zone's features. Errors: an unknown kind; atomic, when this process is in another PID
// namespace than the zone's creator (the thread numbers in the lock word would lie); flock, when /proc is missing.
func Open(z *shm.Zone, owner *Owner) (*Mutex, error) {
	area := shm.At[lockArea](z, shm.LockArea)
	m := &Mutex{owner: owner, tx: Tx{zone: z, area: area, log: shm.At[undoLog](z, shm.UndoArea)}}
	switch kind := Kind(z.Features() & featureKind); kind {
	case Atomic:
		if !z.SamePIDNamespace() {
			return nil, fmt.Errorf("zone %q: made in another PID namespace, where thread numbers differ: use shared_mutex = \"flock\"", z.Name())
		}
		m.lock = newAtomicLock(&area.word, owner)
		if !owner.shared {
			m.word = &area.word
		}
	case Flock:
		l, err := newFlockLock(z.FD())
		if err != nil {
			return nil, fmt.Errorf("zone %q: shared_mutex = \"flock\": %w", z.Name(), err)
		}
		m.lock = l
	default:
		return nil, fmt.Errorf("zone %q: unknown kind of lock %d", z.Name(), kind)
	}
	return m, nil
}

// Close gives back what Open took. The lock must not be held. The zone stays open.
func (m *Mutex) Close() { m.lock.close() }

// Lock takes the lock and begins a transaction. What a dead owner left half done is undone first. It waits as long as a living
// owner holds the lock. An Owner holds one lock at a time: a second Lock before Unlock panics, of whichever zone.
//
// The time until Unlock is measured for one in 64 acquisitions of a worker, and for all of a shared Owner.
func (m *Mutex) Lock() *Tx {
	m.owner.enter()
	m.begin(m.lock.acquire(m.tx.step))
	if m.tx.area.counters.Acquisitions%timedEvery == 0 || m.owner.shared {
		m.time()
	}
	return &m.tx
}

// TryLock is Lock when nobody holds the lock, and nil when somebody does, or when another goroutine has the shared owner's turn. It never waits. How
// long the lock is held is not measured.
func (m *Mutex) TryLock() *Tx {
	if !m.owner.tryEnter() {
		return nil
	}
	effort, ok := m.lock.try(m.tx.step)
	if !ok {
		m.owner.leave()
		return nil
	}
	m.begin(effort)
	return &m.tx
}

// begin is what comes after the lock has been taken: it notes what that took, and undoes what a dead owner left.
func (m *Mutex) begin(e effort) {
	c := &m.tx.area.counters
	if e.contended {
		c.Contended++
		c.Spins += uint64(e.spins)
		c.Waits += uint64(e.waits)
	}
	if e.died || m.tx.area.undoLength != 0 {
		m.recover()
	}
	c.Acquisitions++
}

// LockFree is Lock for when that is a matter of one instruction: the lock is free, of kind atomic, and nobody has left anything to undo. nil when
// it is not so, and then Lock is to be called. It never panics.
func (m *Mutex) LockFree() *Tx {
	o, step := m.owner, m.tx.step
	if m.word == nil || o.held {
		return nil
	}
	o.robust.SetPending(m.word)
	hook(step)
	if !atomic.CompareAndSwapUint32(m.word, 0, o.tid) {
		return nil // pending stays set, for Lock; it means nothing while somebody else has the word
	}
	hook(step)
	o.held = true
	if m.tx.area.undoLength != 0 {
		m.release()
		return nil
	}
	c := &m.tx.area.counters
	c.Acquisitions++
	if c.Acquisitions%timedEvery == 0 {
		m.time()
	}
	return &m.tx
}

// time begins to measure how long the lock is held.
func (m *Mutex) time() { m.timed, m.since = true, time.Now() }

// recover puts the zone back to where the dead owner's last complete transaction left it.
func (m *Mutex) recover() {
	defer func() { // a log that is itself damaged must not keep everybody out
		if fault := recover(); fault != nil {
			if _, ok := fault.(*shm.Fault); ok {
				m.tx.Forget()
				m.release()
			}
			panic(fault)
		}
	}()
	n := m.tx.area.undoLength
	m.tx.Rollback()
	m.tx.area.counters.RolledBack += uint64(n)
	m.tx.area.counters.Recoveries++
}

// Undo takes back what an operation has done that ended with a panic, which the caller has recovered: with a fault, or the panic goes on. As far as the undo
// log itself is sound, nothing of it has happened then; the user marks the zone, and calls Unlock. tx is what the operation got from Lock, nil when it
// met the fault in there: Lock had dropped the undo log, and Undo takes the lock.
func (m *Mutex) Undo(recovered any, tx *Tx) {
	shm.FaultOf(recovered) // any other panic is a bug: the process ends, and the next owner of the lock undoes what it has done
	if tx == nil {
		tx = m.Lock()
	}
	defer func() {
		if shm.FaultOf(recover()) != nil {
			tx.Forget()
		}
	}()
	tx.Rollback()
}

// Unlock commits the transaction and gives the lock back.
func (m *Mutex) Unlock() {
	if m.tx.n > 0 {
		m.tx.Commit()
	}
	if m.timed {
		c := &m.tx.area.counters
		c.LongestHoldNs = max(c.LongestHoldNs, uint64(time.Since(m.since)))
		m.timed = false
	}
	if m.word != nil && m.tx.step == nil && atomic.CompareAndSwapUint32(m.word, m.owner.tid, 0) { // nobody waits
		m.owner.robust.ClearPending()
		m.owner.held = false
		return
	}
	m.release()
}

func (m *Mutex) release() {
	m.lock.release(m.tx.step)
	m.owner.leave()
}

// Kind is how the lock is made.
func (m *Mutex) Kind() Kind { return Kind(m.tx.zone.Features() & featureKind) }

// Recoveries is Counters.Recoveries. The caller holds the lock.
func (m *Mutex) Recoveries() uint64 { return m.tx.area.counters.Recoveries }

// Counters are the lock's counters. The caller holds the lock.
func (m *Mutex) Counters() Counters { return m.tx.area.counters }

// Holder is the number of the thread that holds the lock at this moment, 0 when nobody does or, with kind flock, nobody can say. It needs no lock.
func (m *Mutex) Holder() int {
	if _, ok := m.lock.(*atomicLock); !ok {
		return 0
	}
	return int(atomic.LoadUint32(&m.tx.area.word) & sys.FutexTIDMask)
}

// HookStores has f called before each store to shared memory that this process makes through the mutex: those of taking
// and giving back the lock, of the undo log, and each logged one. Crash tests count with it and kill the process in f.
func (m *Mutex) HookStores(f func()) { m.tx.step = f }

var errTwoLocks = errors.New("shmtx: a second lock is taken while one is held: the kernel would know of one only")
