// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/logfile"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// Options is what the command line decides.
type Options struct {
	Build      string                      // version of this binary; workers must have the same
	WorkerPath string                      // file of weir-worker
	WorkerEnv  []string                    // added to the workers' environment
	Read       func() (conf.Source, error) // reads the config's text anew: called at start and at each reload, from another goroutine
	ErrorLog   string                      // -e: the error log's file, whatever the config says; "": as the config says
	Quiet      bool                        // -q: no start-up message
	Out        io.Writer                   // where the start-up message goes
}

// master is the state of the process. Only the goroutine of run touches it.
type master struct {
	opts      Options
	started   time.Time
	program   *program
	log       *logfile.ErrorLog
	logs      *logFiles
	logConfig conf.ErrorLog // of log
	pid       *pidFile
	control   *control
	stats     *stats.Segment
	table     *slots.Table
	zones     *zones
	keeper    *keeper

	signals chan os.Signal
	childs  chan os.Signal // SIGCHLD alone: many at once count as one, and push no other signal out
	asked   chan request   // orders from the control socket
	inspect chan func()    // questions from the control socket, answered between two turns
	said    chan event     // from workers
	loads   chan loaded    // configs that were read
	made    chan made      // zones that were made
	left    chan struct{}  // closed when the loop has ended

	wanted   [orders]bool
	askers   [orders][]asker
	change   *change    // a start or reload that is not decided yet
	switched []switched // those that have been decided, while their askers wait
	endBegan time.Time  // when it was told to end
	current  *generation
	live     []*generation // all that have workers or are starting, oldest first
	sockets  sockets       // of the current generation
	rotation *rotation     // a reopening of the logs that not every worker has confirmed
	serial   int           // of the last reopen message

	ending  ending
	enders  []asker // who asked for the end
	failure error   // why the process ends, when it never served
}

// ending is whether and how the process is leaving.
type ending uint8

const (
	staying  ending = iota
	quitting        // workers finish what is in flight
	stopping        // workers leave at once
)

// stopGrace is how long a worker may take to obey an order to stop, and to exit after it has said that it is done.
const stopGrace = 3 * time.Second

// Run starts weir, serves until a signal or an order ends it, and returns nil then. An error says why it could not start;
// a [conf.Faults] among them is every fault of the config. It is called once, from the main goroutine, and locks it to
// its thread: workers get a signal when the thread that started them ends.
func Run(o Options) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	first := load(o, nil)
	if first.err != nil {
		return first.err
	}
	if err := sys.CloseOnExecFrom(ipc.ManifestFD); err != nil { // what a careless parent left open must not reach the workers
		return err
	}
	m := &master{
		opts:    o,
		started: time.Now(),
		logs:    newLogFiles(),
		signals: make(chan os.Signal, 64),
		childs:  make(chan os.Signal, 1),
		asked:   make(chan request),
		inspect: make(chan func()),
		said:    make(chan event, 64),
		loads:   make(chan loaded, 1),
		made:    make(chan made),
		left:    make(chan struct{}),
	}
	defer close(m.left)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(m.signals, caught...)
	signal.Notify(m.childs, syscall.SIGCHLD)
	defer signal.Stop(m.signals)
	defer signal.Stop(m.childs)
	if err := m.open(first); err != nil {
		m.close()
		return err
	}
	m.change = &change{began: m.started, first: true}
	m.prepare(first)
	return m.run()
}

// run is the loop. One turn: wait for one thing to happen, note it, act on all that is noted.
func (m *master) run() error {
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		m.act()
		m.bury()
		if m.ending != staying && len(m.live) == 0 {
			m.finish()
			return m.failure
		}
		due.Reset(time.Until(m.nextDue()))
		select {
		case s := <-m.signals:
			m.onSignal(s)
		case <-m.childs:
			m.want(orderReap, nil)
		case r := <-m.asked:
			m.want(r.order, r.asker)
		case e := <-m.said:
			m.onEvent(e)
		case l := <-m.loads:
			m.onLoaded(l)
		case made := <-m.made:
			m.onMade(made)
		case answer := <-m.inspect:
			answer()
		case <-due.C:
		}
	}
}

// act does what the flags ask for, each flag cleared first, and then what is due by time. What cannot
// be done yet keeps its flag.
func (m *master) act() {
	if _, ok := m.take(orderReap); ok {
		m.reap()
	}
	if askers, ok := m.take(orderStop); ok {
		m.becomeStopping(askers)
	}
	if askers, ok := m.take(orderQuit); ok {
		m.becomeQuitting(askers)
	}
	if askers, ok := m.take(orderDrain); ok {
		m.drainCurrent(askers)
	}
	if askers, ok := m.take(orderUpgrade); ok {
		m.refuseUpgrade(askers)
	}
	if m.rotation == nil {
		if askers, ok := m.take(orderReopen); ok {
			m.beginRotation(askers)
		}
	}
	if m.change == nil {
		if askers, ok := m.take(orderReload); ok {
			m.beginChange(askers)
		}
	}
	m.expire(time.Now())
}

// open makes what lives as long as the process, in the order in which a second start of weir should fail.
func (m *master) open(l loaded) error {
	if err := m.openLog(l.config); err != nil {
		return err
	}
	var err error
	if m.pid, err = lockPidFile(l.config.Pid); err != nil {
		return err
	}
	if m.pid.stale != 0 {
		m.log.Notice(fmt.Sprintf("pid file of process %d, which is gone, is taken over", m.pid.stale))
	}
	if m.program, err = openProgram(m.opts.WorkerPath); err != nil {
		return err
	}
	if err := m.openShared(slotsFor(l.config)); err != nil {
		return err
	}
	m.control, err = m.openControl(l.config.Control)
	return err
}

// openShared makes the memory that the processes share for as long as this one lives. Zones follow with the generations.
func (m *master) openShared(count int) (err error) {
	if m.stats, err = stats.Create("weir", count); err != nil {
		return err
	}
	if m.table, err = slots.Create("weir", count); err != nil {
		return err
	}
	m.zones = new(zones)
	m.keeper = startKeeper(m.zones, m.table, m.inspect, func(level logfile.Level, message string, fields ...zap.Field) {
		m.log.Log(level, message, fields...)
	})
	m.zones.complain = m.keeper.complain
	return nil
}

// closeShared gives back what openShared made, all of it or a part, and the zones that are left.
func (m *master) closeShared() {
	m.keeper.stop(m.inspect)
	var faults []error
	if m.zones != nil {
		m.zones.retain(func(*zone) bool { return false })
		m.zones.closing.Wait()
	}
	if m.table != nil {
		faults = append(faults, m.table.Close())
	}
	if m.stats != nil {
		faults = append(faults, m.stats.Close())
	}
	if err := errors.Join(faults...); err != nil {
		m.log.Alert("closing shared memory", zap.Error(err))
	}
}

// slotsFor is the size of the slot table: room for all generations that may live at once, one that is starting,
// and workers that are on their way out, as far as zones can tell slots apart.
func slotsFor(c *conf.Config) int {
	return min(max(64, workersOf(c)*(c.MaxGenerations+2)), limitconn.SlotsMax)
}

// close gives back what open made, in the reverse order. It takes what open had not reached.
func (m *master) close() {
	m.sockets.close(nil)
	m.control.close()
	m.closeShared()
	m.program.close()
	m.pid.remove()
	m.logs.close()
}

// finish ends the process in good order: first everything that a next start needs is free, then the askers are told.
func (m *master) finish() {
	m.keeper.stop(m.inspect) // its last words come before ours
	m.keeper = nil
	if m.failure == nil {
		m.log.Notice("exit")
	}
	m.close()
	m.answer(m.enders, m.failure, m.endBegan)
	m.control.wait()
}

// becomeStopping tells every worker to leave at once.
func (m *master) becomeStopping(askers []asker) {
	m.enders = append(m.enders, askers...)
	if m.ending == stopping {
		return
	}
	if m.ending == staying {
		m.endBegan = time.Now()
	}
	m.ending = stopping
	m.cancelChange()
	m.sockets.close(nil)
	for _, g := range m.live {
		m.stopGeneration(g)
	}
}

// becomeQuitting tells every worker to finish what is in flight and leave.
func (m *master) becomeQuitting(askers []asker) {
	m.enders = append(m.enders, askers...)
	if m.ending != staying {
		return
	}
	m.ending, m.endBegan = quitting, time.Now()
	m.log.Notice("gracefully shutting down")
	m.cancelChange()
	m.sockets.close(nil)
	for _, g := range m.live {
		m.drainGeneration(g)
	}
}

var errLeaving = errors.New("weir is shutting down")

// cancelChange gives up a reload because the process leaves.
func (m *master) cancelChange() {
	if m.change != nil {
		m.abort(errLeaving)
	}
}

// caught are the signals that the master acts on, beside SIGCHLD.
var caught = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
}

// onSignal sets the flag that a signal stands for.
func (m *master) onSignal(s os.Signal) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		m.want(orderStop, nil)
	case syscall.SIGQUIT:
		m.want(orderQuit, nil)
	case syscall.SIGHUP:
		m.want(orderReload, nil)
	case syscall.SIGUSR1:
		m.want(orderReopen, nil)
	case syscall.SIGUSR2:
		m.want(orderUpgrade, nil)
	case syscall.SIGWINCH:
		if sys.TerminalForeground() {
			m.log.Info("the terminal's window changed its size: SIGWINCH ignored (weir -s drain drains the workers)")
			return
		}
		m.want(orderDrain, nil)
	}
}
