// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"

	"weir/internal/ipc"
	"weir/internal/sys"
)

// Requests that wait in line for a place stand in the zones of limits; whoever gives a place back gives it to the first in line there, and wakes
// the worker of that one, through an event counter that the loop watches. Each worker has those of all slots, if its config has a queue.

// call wakes the worker in a slot. One without the event counters asks the master: it belongs to an older config, which has no queue.
func (w *worker) call(slot int) {
	switch wakes := w.manifest.Wakes; {
	case slot == w.manifest.Slot:
		w.engine.CallSelf()
	case slot < len(wakes):
		sys.EventfdSignal(wakes[slot])
	default:
		w.send(ipc.Message{Kind: ipc.Call, Serial: slot})
	}
}

// hearCalls puts this worker's event counter into the loop.
func (w *worker) hearCalls() error {
	if len(w.manifest.Wakes) == 0 {
		return nil
	}
	if _, errno := w.loop.Register(w.manifest.Wakes[w.manifest.Slot], sys.EpollIn|sys.EpollEdge, (*called)(w)); errno != 0 {
		return fmt.Errorf("epoll_ctl(wake-up): %w", errno)
	}
	return nil
}

// called is the event counter in the loop.
type called worker

// Mark does nothing: there is only one event that it can have. See event.Handler.
func (w *called) Mark(uint32) {}

// Run has the requests go on whose turn it is. See event.Handler.
func (w *called) Run() {
	sys.EventfdDrain(w.manifest.Wakes[w.manifest.Slot])
	w.engine.Called()
}
