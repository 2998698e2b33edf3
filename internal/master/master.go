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
	"weir/internal/peers"
	"weir/internal/quota"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// Options is what the command line decides.
type Options struct {
	Build      string                      // version of this binary; workers must have the same
	WorkerPath string                      // file of weir-worker
	Program    string                      // file of weir, as it was started: an upgrade starts what lies there then
	Args       []string                    // arguments of this process, its name first; those of the next one too
	Pause      func(point string)          // for tests: called at named points of a reload and an upgrade; may be nil
	WorkerEnv  []string                    // added to the workers' environment
	Read       func() (conf.Source, error) // reads the config's text anew: called at start and at each reload, from another goroutine
	ErrorLog   string                      // -e: the error log's file, whatever the config says; "": as the config says
	Quiet      bool                        // -q: no start-up message
	Out        io.Writer                   // where the start-up message goes
	Background func()                      // not nil: the process is one in the background, and this is called when it serves
}

// master is the state of the process. Only the goroutine of run touches it.
type master struct {
	opts      Options
	started   time.Time
	program   *program
	log       *logfile.ErrorLog
	logs      *logFiles
	logConfig conf.ErrorLog                // of log
	alsoLogs  map[string]*logfile.ErrorLog // those of log besides the main one, by path
	pid       *pidFile
	notify    notifier
	control   *control
	stats     *stats.Segment
	handOver  [2]int // the queue of connections from workers that drain to others: the end to send, the end to receive; 0: none
	wakes     wakes
	table     *slots.Table
	zones     *zones
	quota     *quota.Zone
	peers     *peers.Zone
	keeper    *keeper

	freshPeers bool // nobody has said anything of an origin since peers was made

	signals chan os.Signal
	childs  chan os.Signal // SIGCHLD alone: many at once count as one, and push no other signal out
	asked   chan request   // orders from the control socket
	inspect chan func()    // questions from the control socket, answered between two turns
	said    chan event     // from workers
	heard   chan word      // from other masters
	loads   chan loaded    // configs that were read
	made    chan made      // zones that were made
	left    chan struct{}  // closed when the loop has ended

	wanted      [orders]bool
	askers      [orders][]asker
	change      *change    // a start or reload that is not decided yet
	switched    []switched // those that have been decided, while their askers wait
	endBegan    time.Time  // when it was told to end
	current     *generation
	live        []*generation // all that have workers or are starting, oldest first
	sockets     sockets       // of the current generation
	rotation    *rotation     // a reopening of the logs that not every worker has confirmed
	owedReopens []int         // serials of a new master's messages that ask for the next reopening
	serial      int           // of the last reopen message or inquiry
	inquiries   []*inquiry

	probing probing // of the origins' health

	predecessor *predecessor // the old master, when this one was started by an upgrade
	successor   *successor   // the new master, when there is an upgrade
	departing   []*successor // new masters of upgrades that have failed, which have not ended

	ending  ending
	enders  []asker // who asked for the end
	failure error   // why the process ends, when it never served

	owedSince time.Time // when it could have ended, but for askers; zero: not yet
}

// ending is whether and how the process is leaving.
type ending uint8

const (
	staying  ending = iota
	leaving         // the same as quitting, but another master goes on
	quitting        // workers finish what is in flight
	stopping        // workers leave at once
)

// stopGrace is how long a worker may take to obey an order to stop, and to exit after it has said that it is done.
const stopGrace = 3 * time.Second

// Run starts weir, serves until a signal or an order ends it, and returns nil then. An error says why it could not start;
// a [conf.Faults] among them is every fault of the config. It is called once, from the main goroutine, and locks it to
// its thread: workers get a signal when the thread that started them ends.
func Run(o Options) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := findPredecessor()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.tellFailure(err)
		}
	}()
	first := load(o, nil)
	if first.err != nil {
		return first.err
	}
	err = sys.CloseOnExecFrom(ipc.ManifestFD) // what a careless parent left open must not reach the workers
	if err != nil {
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
		heard:   make(chan word, 16),
		loads:   make(chan loaded, 1),
		made:    make(chan made),
		left:    make(chan struct{}),

		predecessor: p,
	}
	defer close(m.left)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(m.signals, caught...)
	signal.Notify(m.childs, syscall.SIGCHLD)
	defer func() {
		signal.Stop(m.childs)
		if err != nil { // else the others stay caught: one that arrives while the process exits must not be what it dies of
			signal.Stop(m.signals)
		}
	}()
	m.notify, err = openNotifier()
	if err != nil {
		return err
	}
	if err := m.open(first); err != nil {
		m.close()
		return err
	}
	if p != nil {
		m.notify.upgraded = true
		go p.listen(m.heard, m.left)
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
		if m.ending != staying && len(m.live) == 0 && m.probing.now == nil && !m.owesAnswers() && !m.awaitsOld() && !m.notify.manager.Owes() {
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
			m.log.Notice("signal process started") // as nginx -s says; it is the control socket here
			m.want(r.order, r.asker)
		case e := <-m.said:
			m.onEvent(e)
		case w := <-m.heard:
			m.onWord(w)
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
	if m.rotation == nil {
		if askers, ok := m.take(orderReopen); ok {
			m.beginRotation(askers)
		}
	}
	m.actOnChanges()
	m.expire(time.Now())
}

// actOnChanges begins a reload or an upgrade, if none is under way.
func (m *master) actOnChanges() {
	if askers, ok := m.takeIf(m.mayChange(), orderReload); ok {
		m.takeTheWheel()
		m.beginChange(askers)
	}
	for _, o := range []order{orderUpgrade, orderUpgradeReset, orderBeside} {
		if askers, ok := m.takeIf(m.change == nil, o); ok {
			m.beginUpgrade(askers, o == orderBeside, o == orderUpgradeReset)
		}
	}
}

// mayChange says whether a reload can begin: nothing else is undecided.
func (m *master) mayChange() bool {
	return m.change == nil && (m.successor == nil || m.successor.state >= successorServing)
}

// open makes what lives as long as the process, in the order in which a second start of weir should fail.
func (m *master) open(l loaded) error {
	if err := m.openLog(l.config); err != nil {
		return err
	}
	if err := checkProc(); err != nil {
		return err
	}
	var err error
	if p := m.predecessor; p != nil {
		if err := m.adopt(p); err != nil {
			return err
		}
	}
	if m.pid, err = m.openPidFile(l.config.Pid); err != nil {
		return explainPath("pid", l.config.Pid, err)
	}
	if m.pid.stale != 0 {
		m.log.Notice(fmt.Sprintf("pid file of process %d, which is gone, is taken over", m.pid.stale))
	}
	if m.program, err = openProgram(m.opts.WorkerPath); err != nil {
		return err
	}
	if err := m.activate(); err != nil {
		return err
	}
	if err := m.openShared(l.config); err != nil {
		return err
	}
	if p := m.predecessor; p != nil && l.config.Control != "" && l.config.Control == p.manifest.Succession.ControlPath {
		m.control = adoptControl(l.config.Control, p.manifest.Succession.Control)
		return nil
	}
	m.control, err = m.openControl(l.config.Control)
	return err
}

// openPidFile takes the pid file. That of an old master is taken when this one takes over.
func (m *master) openPidFile(path string) (*pidFile, error) {
	if p := m.predecessor; p != nil && path != "" && path == p.manifest.Succession.PidPath {
		return lockNewPidFile(path)
	}
	return lockPidFile(path)
}

// openShared makes the memory that the processes share for as long as this one lives, or goes on with that of an old master. Zones follow with the generations.
func (m *master) openShared(config *conf.Config) error {
	count := slotsFor(config)
	var err error
	if m.predecessor != nil {
		err = m.attachShared(m.predecessor, config, count)
	} else {
		err = errors.Join(m.createShared(config, count), m.openHandOver())
	}
	if err != nil {
		return err
	}
	m.keeper = startKeeper(m.zones, m.quota, m.peers, m.table, m.stats.Retire, m.inspect, func(level logfile.Level, message string, fields ...zap.Field) {
		m.log.Log(level, message, fields...)
	})
	m.zones.complain = m.keeper.complain
	return nil
}

// openHandOver makes the queue by which workers hand connections to those of newer generations.
func (m *master) openHandOver() (err error) {
	m.handOver[0], m.handOver[1], err = sys.SeqpacketPair()
	return err
}

// createStats makes the counters, which are 0.
func (m *master) createStats(count int) (err error) {
	if m.stats, err = stats.Create("weir", count); err != nil {
		return err
	}
	m.stats.Master().StartedSec.Set(uint64(m.started.Unix()))
	return nil
}

func (m *master) createShared(config *conf.Config, count int) (err error) {
	if err = m.createStats(count); err != nil {
		return err
	}
	if m.table, err = slots.Create("weir", count); err != nil {
		return err
	}
	m.zones = &zones{onCall: m.wakes.wake}
	return errors.Join(m.openQuota(config), m.openPeers(config))
}

// closeShared gives back what openShared made, all of it or a part, and the zones that are left.
func (m *master) closeShared() {
	m.keeper.stop(m.inspect)
	var faults []error
	if m.zones != nil {
		m.zones.retain(func(*zone) bool { return false })
		m.zones.closing.Wait()
	}
	if m.peers != nil {
		faults = append(faults, m.peers.Close())
	}
	if m.quota != nil {
		faults = append(faults, m.quota.Close())
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
	return min(max(64, Workers(c)*(c.MaxGenerations+2)), limitconn.SlotsMax)
}

// close gives back what open made, in the reverse order. It takes what open had not reached.
func (m *master) close() {
	m.closeSockets()
	for _, fd := range m.handOver {
		if fd > 0 {
			sys.Close(fd)
		}
	}
	m.closeControl()
	m.closeShared()
	m.wakes.close()
	m.program.close()
	m.closePid()
	m.logs.close()
}

// finish ends the process in good order: first everything that a next start needs is free, then the askers are told.
func (m *master) finish() {
	m.keeper.stop(m.inspect) // its last words come before ours
	m.keeper = nil
	if m.failure == nil {
		m.log.Notice("exit")
	}
	server := m.answering()
	m.close()
	m.answer(m.enders, m.failure, m.endBegan)
	server.drain()
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
	m.notifyStopping()
	m.cancelChange()
	if m.successor != nil && m.successor.state != successorServing {
		m.giveUp(errLeaving, true)
	}
	m.stopOld()
	m.closeSockets()
	for _, g := range m.live {
		m.stopGeneration(g)
	}
}

// becomeQuitting tells every worker to finish what is in flight and leave.
func (m *master) becomeQuitting(askers []asker) {
	m.enders = append(m.enders, askers...)
	if m.successor != nil && m.successor.state < successorServing {
		m.giveUp(errLeaving, true)
	}
	if m.beside() {
		m.becomeLeaving()
	}
	if m.ending != staying {
		return
	}
	m.ending, m.endBegan = quitting, time.Now()
	m.log.Notice("gracefully shutting down")
	m.notifyStopping()
	m.cancelChange()
	m.closeSockets()
	m.withdrawTakers()
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

// signalWords say what a signal is about, as nginx's log does.
var signalWords = map[os.Signal]string{ // read-only
	syscall.SIGTERM: "SIGTERM) received, exiting", syscall.SIGINT: "SIGINT) received, exiting", syscall.SIGQUIT: "SIGQUIT) received, shutting down",
	syscall.SIGHUP: "SIGHUP) received, reconfiguring", syscall.SIGUSR1: "SIGUSR1) received, reopening logs", syscall.SIGUSR2: "SIGUSR2) received, changing binary",
	syscall.SIGWINCH: "SIGWINCH) received, stop accepting connections",
}

// onSignal sets the flag that a signal stands for.
func (m *master) onSignal(s os.Signal) {
	if s == syscall.SIGWINCH && sys.TerminalForeground() {
		m.log.Info("the terminal's window changed its size: SIGWINCH ignored (weir -s drain drains the workers)")
		return
	}
	m.log.Notice(fmt.Sprintf("signal %d (%s", s, signalWords[s]))
	switch s {
	case syscall.SIGTERM:
		m.want(m.terminate(), nil)
	case syscall.SIGINT:
		m.want(orderStop, nil)
	case syscall.SIGQUIT:
		m.want(orderQuit, nil)
	case syscall.SIGHUP:
		m.want(orderReload, nil)
	case syscall.SIGUSR1:
		m.want(orderReopen, nil)
	case syscall.SIGUSR2:
		m.want(orderBeside, nil)
	case syscall.SIGWINCH:
		m.want(orderDrain, nil)
	}
}
