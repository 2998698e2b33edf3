// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"sync/atomic"

	"weir/internal/sys"
)

// wakes are the event counters by which workers are told that one of their requests has been given the place it waited for: one for each slot. They are made when a
// config has a queue for the first time, and live as long as the slot table: a new master goes on with them.
type wakes struct {
	fds atomic.Pointer[[]int] // by slot; nil: nobody has a queue
}

// open makes them, if they are not there.
func (w *wakes) open(slots int) error {
	if w.fds.Load() != nil {
		return nil
	}
	made := make([]int, 0, slots)
	for range slots {
		fd, err := sys.Eventfd()
		if err != nil {
			for _, fd := range made {
				sys.Close(fd)
			}
			return err
		}
		made = append(made, fd)
	}
	w.fds.Store(&made)
	return nil
}

// adopt goes on with another master's.
func (w *wakes) adopt(fds []int) {
	if len(fds) > 0 {
		w.fds.Store(&fds)
	}
}

// inherit lists them for a manifest; empty: there are none.
func (w *wakes) inherit(inherit func(fd int) int) []int {
	fds := w.fds.Load()
	if fds == nil {
		return nil
	}
	list := make([]int, len(*fds))
	for slot, fd := range *fds {
		list[slot] = inherit(fd)
	}
	return list
}

// wake wakes the worker in a slot. Any goroutine may call it.
func (w *wakes) wake(slot int) {
	if fds := w.fds.Load(); fds != nil && slot < len(*fds) {
		sys.EventfdSignal((*fds)[slot])
	}
}

func (w *wakes) close() {
	if fds := w.fds.Swap(nil); fds != nil {
		for _, fd := range *fds {
			sys.Close(fd)
		}
	}
}
