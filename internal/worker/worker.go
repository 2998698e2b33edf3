// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"weir/conf"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/peers"
	"weir/internal/quota"
	"weir/internal/request"
	"weir/internal/shmtx"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/tempfile"
)

// trimMs is how often memory that is not needed any more goes back to the kernel.
const trimMs = 10_000

// worker is the process's state. The loop's thread owns all of it.
type worker struct {
	defined  []request.Defined // variables of the config's own
	manifest *ipc.Manifest
	config   *conf.Config // once it serves without HTTP, of which everything else has been made: see settle
	channel  *ipc.Channel
	log      *logfile.ErrorLog

	clock  *clock.Clock
	timers event.Timers
	loop   *event.Loop
	calls  offload.Queue

	memory    memory
	bodies    bodies
	wakePools event.Task
	table     *conn.Table
	engine    *request.Engine
	listeners []*conn.Listener
	gate      *conn.Gate // accept_mutex; nil: off
	keys      []string   // ipc.ListenerKey of conf.Config.Listeners
	taker     taker
	giver     giver
	segment   *stats.Segment
	stats     *stats.Page
	turns     turns
	logs      logfile.Writers
	named     *logfile.NamedFiles // logs whose names have variables; nil: there are none
	logCaches map[conf.LogFileCache]*logfile.FileCache
	names     names
	zones     zones
	owner     *shmtx.Owner    // of the locks that the loop's thread takes
	origins   *peers.Zone     // what all workers know of the origins
	temp      *tempfile.Store // nil: no temporary files
	quota     *quota.Zone     // of temp
	slots     *slots.Table

	logTimer      event.Timer
	trimTimer     event.Timer
	shutdownTimer event.Timer
	takersTimer   event.Timer // looks whether others still take what was handed over
	leaveMs       int64       // how long a drain may take at most
	orphan        bool        // the master is gone
	untaken       bool        // there were some in the queue when it looked last

	pid      int
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
	if w.named != nil {
		w.named.Close()
	}
	return 0
}

// turn is one turn of the loop, and the look at the logs' clocks after it.
func (w *worker) turn() {
	w.loop.Turn()
	w.stats.StaleEvents.Add(w.loop.TakeStale())
	w.memory.publish()
	w.bodies.publish()
	w.countTurn()
	if next := w.logs.Tick(w.clock.Ms()); next >= 0 {
		w.timers.Arm(&w.logTimer, next)
	}
}

// OnTimer acts on the worker's own deadlines. See event.Expirer.
func (w *worker) OnTimer(t *event.Timer) {
	switch t {
	case &w.trimTimer:
		w.memory.trim()
		w.timers.Arm(t, w.clock.Ms()+trimMs)
	case &w.shutdownTimer:
		w.timers.Arm(t, w.engine.CloseLate())
	case &w.takersTimer:
		w.seekTakers()
	}
	// The logs' timer only has to end the loop's sleep: turn does the rest.
}

// RunTask tells waiters about blocks that have come back. See event.Runner.
func (w *worker) RunTask() { w.memory.pools.Wake() }

// drain stops accepting and ends the process when everything in flight is done. handOver says that workers of a newer generation take connections;
// listeners are the addresses that they have. Called again, it changes only that.
func (w *worker) drain(handOver bool, listeners []string) {
	if !w.draining {
		w.draining = true
		w.slots.Drain(w.manifest.Slot)
		for _, l := range w.listeners {
			l.Drain()
		}
		w.send(ipc.Message{Kind: ipc.Draining, LeaveMs: w.leaveMs})
		w.timers.Arm(&w.shutdownTimer, w.clock.Ms())
	}
	var to request.Giver
	if handOver && w.manifest.HandOverSend != 0 {
		w.giver.listeners = listeners
		w.taker.stop()
		to = &w.giver
	} else {
		w.taker.again()
	}
	w.engine.StartDrain(to, w.config.WorkerShutdownTimeout.Milliseconds(), w.onEmpty)
}

// cut ends a drain early.
func (w *worker) cut() {
	if !w.draining {
		w.drain(false, nil)
	}
	w.engine.Cut()
	w.timers.Arm(&w.shutdownTimer, w.clock.Ms())
}

// onEmpty ends the process, unless connections lie in the hand-over queue: this worker takes them, or has put them there for others, who may leave
// before they take them. In that case the master tells it so, and it takes them back.
func (w *worker) onEmpty() {
	switch {
	case w.over || w.taker.takeAll() > 0:
		return
	case w.handsOver() && w.untakenNow():
		if !w.orphan {
			w.timers.Arm(&w.takersTimer, w.clock.Ms()+takenMs)
		}
		return
	}
	w.over = true
	w.send(ipc.Message{Kind: ipc.Drained})
}

// shutdownTimes lists worker_shutdown_timeout of all places that have it, in milliseconds.
func (w *worker) shutdownTimes() []int64 {
	times := []int64{w.config.WorkerShutdownTimeout.Milliseconds()}
	for i := range w.config.HTTP.Servers {
		for l := range w.config.HTTP.Servers[i].AllLocations() {
			times = append(times, w.shutdownMs(l))
		}
	}
	return times
}

// shutdownMs is a location's worker_shutdown_timeout; 0: no bound.
func (w *worker) shutdownMs(c *conf.Location) int64 {
	if c.WorkerShutdownTimeout != nil {
		return c.WorkerShutdownTimeout.Milliseconds()
	}
	return w.config.WorkerShutdownTimeout.Milliseconds()
}
