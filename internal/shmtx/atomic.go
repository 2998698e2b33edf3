// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"runtime"
	"sync/atomic"

	"weir/internal/sys"
)

const (
	// spinMax bounds the busy wait: 1+2+4+...+spinMax turns of an empty loop, some microseconds, several times what a
	// transaction takes. On one processor the owner cannot run while we spin, so there is none.
	spinMax = 2048
	// sleepNs bounds one sleep. Nobody relies on it, except in one case that has no other cure: see doc.go, window 7.
	sleepNs = 5_000_000
)

// atomicLock is a robust futex.
type atomicLock struct {
	word    *uint32
	owner   *Owner
	spinMax int
}

func newAtomicLock(word *uint32, owner *Owner) *atomicLock {
	l := &atomicLock{word: word, owner: owner}
	if runtime.NumCPU() > 1 {
		l.spinMax = spinMax
	}
	return l
}

func (l *atomicLock) close() {}

func (l *atomicLock) acquire(step func()) effort {
	l.owner.robust.SetPending(l.word)
	hook(step)
	if atomic.CompareAndSwapUint32(l.word, 0, l.owner.tid) {
		hook(step)
		return effort{}
	}
	return l.acquireSlow(step)
}

func hook(step func()) {
	if step != nil {
		step()
	}
}

// acquireSlow spins, then sleeps until the word is free.
func (l *atomicLock) acquireSlow(step func()) effort {
	e := effort{contended: true}
	for pause := 1; pause <= l.spinMax; pause <<= 1 {
		if l.take(0, &e, step) {
			return e
		}
		e.spins++
		for range pause {
		}
	}
	for slept := uint32(0); ; slept = sys.FutexWaiters {
		if l.take(slept, &e, step) {
			return e
		}
		word := atomic.LoadUint32(l.word)
		if word&sys.FutexTIDMask == 0 {
			continue
		}
		if word&sys.FutexWaiters == 0 && !atomic.CompareAndSwapUint32(l.word, word, word|sys.FutexWaiters) {
			continue
		}
		e.waits++
		sys.FutexWait(l.word, word|sys.FutexWaiters, sleepNs) // whatever it returns, the word tells
	}
}

// take takes the word when it has no owner. It keeps FutexWaiters when it finds it, and sets it when flag says so: somebody
// who has slept does not know who else sleeps.
func (l *atomicLock) take(flag uint32, e *effort, step func()) bool {
	word := atomic.LoadUint32(l.word)
	if word&sys.FutexTIDMask != 0 {
		return false
	}
	hook(step)
	if !atomic.CompareAndSwapUint32(l.word, word, l.owner.tid|word&sys.FutexWaiters|flag) {
		return false
	}
	hook(step)
	e.died = word&sys.FutexOwnerDied != 0
	return true
}

// try takes the word when it is free, or its owner has died. Whether somebody waits meanwhile does not matter: FUTEX_WAITERS is kept.
func (l *atomicLock) try(step func()) (e effort, ok bool) {
	l.owner.robust.SetPending(l.word)
	if ok = l.take(0, &e, step); !ok {
		l.owner.robust.ClearPending()
	}
	return e, ok
}

func (l *atomicLock) release(step func()) {
	hook(step)
	if !atomic.CompareAndSwapUint32(l.word, l.owner.tid, 0) {
		l.wake(step)
	}
	hook(step)
	l.owner.robust.ClearPending()
}

// wake gives the word back but leaves FutexWaiters in it, so that whoever is faster than the one that is woken wakes the next.
func (l *atomicLock) wake(step func()) {
	atomic.StoreUint32(l.word, sys.FutexWaiters)
	hook(step)
	if sys.FutexWake(l.word, 1) == 0 {
		hook(step)
		atomic.CompareAndSwapUint32(l.word, sys.FutexWaiters, 0)
	}
}
