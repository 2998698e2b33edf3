// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/sys"
)

const logAlert = logfile.LevelAlert

// workerState is where a worker's process stands.
type workerState uint8

const (
	workerStarting workerState = iota // has not said that it is ready
	workerReady
	workerDraining // was told to, or said by itself, that it takes no more
	workerStopping // was told to leave at once
	workerDead     // reaped, and all that it had said is read
)

// String is the state as weir status prints it.
func (s workerState) String() string {
	return [...]string{"starting", "ready", "draining", "stopping", "dead"}[s]
}

// worker is one process.
type worker struct {
	gen      *generation
	place    int // in gen.places
	slot     int // in shared memory
	pid      int
	restarts int // processes before this one in its place
	state    workerState
	started  time.Time

	channel *ipc.Channel
	socket  *os.File // owns the channel's descriptor, and waits on it in a goroutine

	deadline time.Time    // when it is killed, unless it has moved on; zero: none
	killed   bool         // by us
	served   bool         // it was ready once
	released bool         // it has said that its listeners are closed
	failure  string       // why it could not start, in its own words
	exit     *sys.Exit    // how it ended; nil: it was not reaped yet
	hungUp   bool         // its channel is at its end
	holders  []ipc.Holder // what held it when it was asked last
	heldAt   time.Time    // when that was
	owes     []int        // serials of reopen messages that it has not confirmed
}

// become moves a worker on; it never goes back.
func (w *worker) become(s workerState, deadline time.Time) {
	if s < w.state {
		panic(fmt.Sprintf("master: worker %d from %s to %s", w.pid, w.state, s))
	}
	w.state, w.deadline = s, deadline
}

// event is something that a worker's channel brought.
type event struct {
	worker  *worker
	message ipc.Message
	end     bool // the channel is at its end: there is no message, and there will be none
}

// listen waits for what a worker says, in a goroutine of its own, and hands it to the loop. It ends with the
// channel, or when the master has left the loop.
func (w *worker) listen(said chan<- event, left <-chan struct{}) {
	for {
		message, err := receive(w.socket, w.channel)
		select {
		case said <- event{worker: w, message: message, end: err != nil}:
		case <-left:
			return
		}
		if err != nil {
			return
		}
	}
}

// tell sends a message. A worker that does not read its channel gets a signal in place of it, if there is one.
func (m *master) tell(w *worker, message ipc.Message, instead syscall.Signal, fds ...int) error {
	if w.hungUp { // the channel's number may be another descriptor's by now
		return io.EOF
	}
	err := w.channel.Send(message, fds...)
	if err == nil || errors.Is(err, io.EOF) || instead == 0 { // at EOF it is dying, or dead
		return err
	}
	m.log.Warn("a worker does not read its channel", zap.Int("worker", w.pid), zap.Error(err))
	return sys.Kill(w.pid, instead)
}

// killMargin is how much longer than worker_shutdown_timeout a worker may take before it is killed.
const killMargin = 5 * time.Second

func (m *master) drainWorker(w *worker) {
	if w.state >= workerDraining {
		return
	}
	var deadline time.Time
	if limit := w.gen.config.WorkerShutdownTimeout; limit > 0 {
		deadline = time.Now().Add(limit + killMargin)
	}
	w.become(workerDraining, deadline)
	m.tell(w, m.drainMessage(), syscall.SIGQUIT)
}

func (m *master) stopWorker(w *worker) {
	if w.state >= workerStopping {
		return
	}
	w.become(workerStopping, time.Now().Add(stopGrace))
	m.tell(w, ipc.Message{Kind: ipc.Stop}, syscall.SIGTERM)
}

// onLate ends a worker that has let its deadline pass.
func (m *master) onLate(w *worker) {
	w.deadline = time.Time{}
	if w.exit == nil {
		m.log.Alert(fmt.Sprintf("worker process %d is still %s past its time: killed", w.pid, w.state))
		m.killWorker(w)
	}
}

// killWorker ends a worker at once.
func (m *master) killWorker(w *worker) {
	if w.exit != nil {
		return
	}
	w.killed = true
	if err := sys.Kill(w.pid, syscall.SIGKILL); err != nil {
		m.log.Alert("cannot kill a worker", zap.Error(err))
	}
}

// onEvent acts on what a worker said.
func (m *master) onEvent(e event) {
	w := e.worker
	if e.end {
		w.hungUp = true
		w.socket.Close()
		m.reapWorker(w)
		if w.exit == nil { // it has closed its channel and lives: we cannot tell it anything any more
			w.deadline = time.Now().Add(stopGrace)
		}
		return
	}
	switch e.message.Kind {
	case ipc.Ready:
		m.onReady(w, e.message.Build)
	case ipc.Failed:
		m.onFailed(w, e.message.Text)
	case ipc.Draining:
		m.onDraining(w, time.Duration(e.message.LeaveMs)*time.Millisecond)
	case ipc.Holding:
		m.onHolding(w, e.message)
	case ipc.Drained:
		if w.state < workerStopping {
			w.become(workerDraining, time.Now().Add(stopGrace))
		}
	case ipc.Reopened:
		m.onReopened(w, e.message.Serial)
	case ipc.Rotate:
		m.want(orderReopen, nil)
	case ipc.Call:
		m.wakes.wake(e.message.Serial)
	case ipc.Damaged:
		wake(m.keeper.looks)
	default:
		m.log.Alert("a worker sent what the master does not know", zap.Int("worker", w.pid), zap.String("kind", string(e.message.Kind)))
	}
}

func (m *master) onReady(w *worker, build string) {
	if w.state != workerStarting {
		return
	}
	if build != m.opts.Build {
		m.stopWorker(w)
		m.onFailed(w, fmt.Sprintf("weir-worker is build %q, weir is build %q: install both from one build", build, m.opts.Build))
		return
	}
	w.become(workerReady, time.Time{})
	w.served = true
	m.log.Info(fmt.Sprintf("worker process %d is ready", w.pid),
		zap.Int("generation", w.gen.number), zap.Int("slot", w.slot), zap.Duration("took", time.Since(w.started)))
	if m.change.awaits(w.gen) && w.gen.allReady() {
		if m.predecessor.undecided() {
			m.beginProof()
			return
		}
		m.commit()
	}
}

// onFailed notes why a worker cannot start; it exits by itself.
func (m *master) onFailed(w *worker, reason string) {
	w.failure = reason
	if m.change.awaits(w.gen) {
		m.abort(errors.New(reason))
	}
}

// onDraining: when the worker was not told to, somebody sent it SIGQUIT, and it needs a successor now, not when it has gone.
// bound is when it will have left at the latest by its own clock; 0: it does not know.
func (m *master) onDraining(w *worker, bound time.Duration) {
	w.released = true
	var deadline time.Time
	if bound > 0 {
		deadline = time.Now().Add(bound + killMargin)
	}
	if w.state >= workerDraining {
		if w.state == workerDraining {
			w.deadline = deadline
		}
		return
	}
	m.log.Notice(fmt.Sprintf("worker process %d drains by itself", w.pid), zap.Int("generation", w.gen.number))
	w.become(workerDraining, deadline)
	w.gen.vacate(w, time.Now())
}

// reap asks for every worker whether it has ended.
func (m *master) reap() {
	m.reapSuccessor()
	m.reapProber()
	for _, g := range m.live {
		for _, w := range slices.Clone(g.workers) {
			m.reapWorker(w)
		}
	}
	m.reapStrangers()
}

// reapWorker reaps a worker that has ended. It is dead when it is reaped and its channel is at its end, so that its last
// words are heard; the two come in any order.
func (m *master) reapWorker(w *worker) {
	if w.state == workerDead {
		return
	}
	if w.exit == nil {
		exit, ended, err := sys.Reap(w.pid)
		if err != nil { // somebody else has reaped it: how it ended is lost
			m.log.Alert("cannot reap a worker", zap.Error(err))
			exit, ended = sys.Exit{Code: -1}, true
		}
		if !ended {
			return
		}
		w.exit = &exit
		m.vacateSlot(w)
	}
	if w.hungUp {
		m.onDeath(w)
	}
}

// vacateSlot begins to give back what a worker had in shared memory. Its last words are not waited for: until it has happened, others are
// refused on account of connections that are gone.
func (m *master) vacateSlot(w *worker) {
	if !m.table.Died(w.slot, w.pid) {
		m.log.Alert("the slot table does not have the worker that has ended: its slot stays out of use",
			zap.Int("worker", w.pid), zap.Int("slot", w.slot), zap.Stringer("state", m.table.Get(w.slot).State))
	}
	m.keeper.onDeath()
}

// onDeath says how a worker ended, and sees to its successor.
func (m *master) onDeath(w *worker) {
	told := w.state >= workerDraining
	w.become(workerDead, time.Time{})
	g := w.gen
	g.workers = slices.DeleteFunc(g.workers, func(other *worker) bool { return other == w })
	m.logDeath(w, told)
	if !told {
		m.stats.Master().Deaths.Inc()
	}
	if m.rotation != nil {
		w.owes = nil
		m.settleRotation()
	}
	g.vacate(w, time.Now())
	if m.change.awaits(g) {
		m.abort(w.deathError())
	}
}

// deathError says why a worker that should have become ready did not, when it has not said so itself.
func (w *worker) deathError() error {
	return fmt.Errorf("worker process %d %s before it was ready", w.pid, w.exit)
}

// panicCode is the code that a Go program exits with when it panics, or its runtime gives up.
const panicCode = 2

func (m *master) logDeath(w *worker, told bool) {
	level := logfile.LevelNotice
	switch {
	case w.exit.Signal != 0 && !w.killed, w.exit.Code == panicCode && w.failure == "":
		level = logfile.LevelAlert
	case w.exit.Code != 0 || w.failure != "":
		level = logfile.LevelError
	}
	fields := []zap.Field{
		zap.Int("generation", w.gen.number), zap.Int("slot", w.slot),
		zap.Duration("age", time.Since(w.started).Round(time.Millisecond)),
	}
	if w.failure != "" {
		fields = append(fields, zap.String("reason", w.failure))
	}
	if !told && level == logfile.LevelNotice {
		fields = append(fields, zap.Bool("unasked", true))
	}
	m.log.Log(level, fmt.Sprintf("worker process %d %s", w.pid, w.exit), fields...)
}
