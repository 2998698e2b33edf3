// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/request"
	"weir/internal/shmtx"
	"weir/internal/slots"
	"weir/internal/stats"
)

// trimMs is how often memory that is not needed any more goes back to the kernel.
const trimMs = 10_000

// worker is the process's state. The loop's thread owns all of it.
type worker struct {
	manifest *ipc.Manifest
	config   *conf.Config
	channel  *ipc.Channel
	log      *logfile.ErrorLog

	clock  *clock.Clock
	timers event.Timers
	loop   *event.Loop
	calls  offload.Queue

	pool      *buffer.Pool
	wakePool  event.Task
	table     *conn.Table
	engine    *request.Engine
	listeners []*conn.Listener
	gate      *conn.Gate // accept_mutex; nil: off
	segment   *stats.Segment
	stats     *stats.Page
	logs      logfile.Writers
	zones     zones
	owner     *shmtx.Owner // of the locks that the loop's thread takes; nil: there are none
	slots     *slots.Table

	logTimer      event.Timer
	trimTimer     event.Timer
	shutdownTimer event.Timer

	draining bool
	over     bool
}

// Run is the whole life of a worker; build is its version. It returns the process's exit code. The calling goroutine must be
// locked to its thread, and is the loop's from then on.
func Run(build string) int {
	w := new(worker)
	if err := w.setUp(build); err != nil {
		w.fail(err)
		return 1
	}
	if !w.slots.Ready(w.manifest.Slot) {
		return 1 // the master has given this worker up
	}
	w.send(ipc.Message{Kind: ipc.Ready, Build: build})
	for !w.over {
		w.turn()
	}
	w.logs.Close()
	return 0
}

// turn is one turn of the loop, and the look at the logs' clocks after it.
func (w *worker) turn() {
	w.loop.Turn()
	w.stats.StaleEvents.Add(w.loop.TakeStale())
	if next := w.logs.Tick(w.clock.Ms()); next >= 0 {
		w.timers.Arm(&w.logTimer, next)
	}
}

// OnTimer acts on the worker's own deadlines. See event.Expirer.
func (w *worker) OnTimer(t *event.Timer) {
	switch t {
	case &w.trimTimer:
		w.pool.Trim()
		w.timers.Arm(t, w.clock.Ms()+trimMs)
	case &w.shutdownTimer:
		w.log.Notice("worker_shutdown_timeout is over: closing what is left", zap.Int("requests", w.engine.InFlight()))
		w.over = true
	}
	// The logs' timer only has to end the loop's sleep: turn does the rest.
}

// RunTask tells waiters about blocks that have come back. See event.Runner.
func (w *worker) RunTask() { w.pool.Wake() }

// drain stops accepting and ends the process when everything in flight is done.
func (w *worker) drain() {
	if w.draining {
		return
	}
	w.draining = true
	w.slots.Drain(w.manifest.Slot)
	for _, l := range w.listeners {
		l.Drain()
	}
	w.send(ipc.Message{Kind: ipc.Draining})
	if limit := w.config.WorkerShutdownTimeout.Milliseconds(); limit > 0 {
		w.timers.Arm(&w.shutdownTimer, w.clock.Ms()+limit)
	}
	w.engine.Drain(func() {
		if !w.over {
			w.over = true
			w.send(ipc.Message{Kind: ipc.Drained})
		}
	})
}
