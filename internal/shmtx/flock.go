// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"fmt"
	"runtime"

	"weir/internal/sys"
)

// flockTries bounds the busy wait of kind flock; a try is a system call.
const flockTries = 8

// flockLock is a lock on an open file description of this process's own. The kernel drops it when the process dies.
type flockLock struct {
	fd    int
	tries uint32
}

func newFlockLock(zoneFD int) (*flockLock, error) {
	fd, err := sys.OpenAgain(zoneFD)
	if err != nil {
		return nil, err
	}
	l := &flockLock{fd: fd}
	if runtime.NumCPU() > 1 {
		l.tries = flockTries
	}
	return l, nil
}

func (l *flockLock) close() { sys.Close(l.fd) }

func (l *flockLock) acquire(step func()) effort {
	hook(step)
	if sys.FlockTry(l.fd) == 0 {
		hook(step)
		return effort{}
	}
	e := effort{contended: true}
	for e.spins < l.tries {
		e.spins++
		if sys.FlockTry(l.fd) == 0 {
			return e
		}
	}
	e.waits = 1
	if errno := sys.Flock(l.fd); errno != 0 {
		panic(fmt.Sprintf("shmtx: flock(%d, LOCK_EX): %v", l.fd, errno))
	}
	hook(step)
	return e
}

// try takes the lock when it is free.
func (l *flockLock) try(step func()) (e effort, ok bool) {
	hook(step)
	ok = sys.FlockTry(l.fd) == 0
	hook(step)
	return e, ok
}

func (l *flockLock) release(step func()) {
	hook(step)
	if errno := sys.Funlock(l.fd); errno != 0 {
		panic(fmt.Sprintf("shmtx: flock(%d, LOCK_UN): %v", l.fd, errno))
	}
}
