// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"runtime"
	"sync"

	"weir/internal/sys"
)

// Owner is who holds locks as seen from other processes: one thread at a time.
type Owner struct {
	robust *sys.RobustList
	tid    uint32
	held   bool

	shared bool       // many goroutines use it
	mu     sync.Mutex // shared: one of them at a time
}

// NewOwner makes the calling thread an owner: the worker's loop thread. The caller has called runtime.LockOSThread and never undoes it; no
// other goroutine uses the owner. It registers the thread's robust list with the kernel.
func NewOwner() (*Owner, error) {
	robust, err := sys.NewRobustList()
	if err != nil {
		return nil, err
	}
	if err := robust.Register(); err != nil {
		return nil, err
	}
	return &Owner{robust: robust, tid: sys.ThreadID()}, nil
}

// NewSharedOwner makes an owner for a process with many goroutines, as the master is. They wait for each other in the process;
// whoever has his turn is locked to his thread, and that thread is registered with the kernel, from Lock to Unlock.
func NewSharedOwner() (*Owner, error) {
	robust, err := sys.NewRobustList()
	if err != nil {
		return nil, err
	}
	return &Owner{robust: robust, shared: true}, nil
}

// enter is what Lock does first. It is small enough to be inlined for the worker.
func (o *Owner) enter() {
	if o.shared || o.held {
		o.enterShared()
	}
	o.held = true
}

func (o *Owner) enterShared() {
	if o.shared {
		o.mu.Lock()
		o.bind()
	}
	if o.held {
		panic(errTwoLocks)
	}
}

// bind makes the calling goroutine's thread the one that the kernel knows. The goroutine has o.mu.
func (o *Owner) bind() {
	runtime.LockOSThread()
	if err := o.robust.Register(); err != nil {
		panic(err) // the kernel took the same list before
	}
	o.tid = sys.ThreadID()
}

// tryEnter is enter without waiting; false when another goroutine has its turn.
func (o *Owner) tryEnter() bool {
	if !o.shared {
		o.enter()
		return true
	}
	if !o.mu.TryLock() {
		return false
	}
	o.bind()
	o.held = true
	return true
}

// leave is what Unlock does last.
func (o *Owner) leave() {
	o.held = false
	if o.shared {
		o.leaveShared()
	}
}

func (o *Owner) leaveShared() {
	runtime.UnlockOSThread()
	o.mu.Unlock()
}
