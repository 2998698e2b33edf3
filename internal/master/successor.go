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
	"weir/internal/sys"
	"weir/internal/systemd"
)

// successorState is where the new master of an upgrade stands, as the old one sees it.
type successorState uint8

const (
	successorTrying  successorState = iota // it starts; it has to prove itself within upgrade_timeout
	successorTaking                        // it was told to take over
	successorServing                       // it has; this master is beside it, or leaves
	successorFailed                        // it is given up, and has to end
)

// successor is the new master of an upgrade, in the old one.
//
//	start -> trying --Ready--> taking --Serving--> serving --by hand--> beside --upgrade_hold, or QUIT--> this master drains and leaves
//	           |                 |                    '--else------------------------------------------->      (ending is leaving)
//	           '-any failure-.   '--- it ends --------+--- it ends while this one is there ---.
//	                         v                                                                v
//	                    failed: killed, nothing was changed                     this master goes on as before
type successor struct {
	*peer
	state    successorState
	byHand   bool // SIGUSR2: an operator decides what becomes of this master
	askers   []asker
	began    time.Time
	limit    time.Duration // upgrade_timeout
	deadline time.Time     // of the state; zero: none
	hold     time.Time     // when this master leaves by itself; zero: never, or at once

	rotated   bool        // log files were reopened here since it began: it may have opened the old ones
	handedOn  bool        // it was itself followed by another: what becomes of it does not matter any more
	withdrawn bool        // nobody there takes connections from workers here
	hungUp    bool        // its channel is at its end
	exit      *sys.Exit   // how it ended; nil: it was not reaped yet
	ready     ipc.Message // what it said of itself
	keys      []string    // the addresses it listens on
	failure   error       // why it was given up

	asked, askedSerial int // serials of the last question what holds this master's workers: here, and the new master's

	reloads []passed // that it makes for those who have asked this master

	server *controlServer // answers those who had asked before the new one took over
}

// Why an upgrade is refused.
var (
	errUpgradeRuns = errors.New("an upgrade is running already")
	errStarting    = errors.New("weir is still starting")
)

// beginUpgrade starts the program on the disk as a new master. Nothing of this one changes before that has proved itself.
func (m *master) beginUpgrade(askers []asker, byHand, resetZones bool) {
	if err := m.mayUpgrade(); err != nil {
		m.log.Error("upgrade refused", zap.Error(err))
		m.answer(askers, err, time.Now())
		return
	}
	m.log.Notice("upgrade: a new master is started", zap.String("program", m.opts.Program))
	now := time.Now()
	limit := m.current.config.UpgradeTimeout
	s := &successor{byHand: byHand, askers: askers, began: now, limit: limit, deadline: now.Add(limit)}
	m.at("old.begin")
	if err := m.startSuccessor(s, resetZones); err != nil {
		err = explainProgram(err)
		m.log.Error("upgrade failed: this weir goes on", zap.Error(err))
		m.answer(askers, err, now)
		return
	}
	m.successor = s
	m.at("old.started")
}

// mayUpgrade says why there can be no upgrade now.
func (m *master) mayUpgrade() error {
	switch {
	case m.successor != nil && m.successor.state < successorServing:
		return errUpgradeRuns
	case m.successor != nil:
		return fmt.Errorf("process %d is a new master already: first send QUIT to it, or to this one (process %d)", m.successor.pid, os.Getpid())
	case m.ending != staying:
		return m.errHandedOver()
	case m.current == nil:
		return errStarting
	case m.predecessor.lives() && !m.predecessor.leaving:
		return fmt.Errorf("the old master (process %d) is still there to go back to: first send QUIT to it, or to this one (process %d)",
			m.predecessor.pid, os.Getpid())
	case os.Getpid() == 1:
		return errUpgradeAsInit
	}
	return nil
}

// startSuccessor executes the program with exactly the descriptors that its manifest lists.
func (m *master) startSuccessor(s *successor, resetZones bool) error {
	channel, theirs, err := ipc.OpenPair()
	if err != nil {
		return err
	}
	defer sys.Close(theirs)
	files := []uintptr{0, ipc.StdoutFD, ipc.StderrFD, 0}
	inherit := func(fd int) int {
		files = append(files, uintptr(fd))
		return len(files) - 1
	}
	used := m.zones.use()
	defer m.zones.done(used)
	manifest := &ipc.Manifest{
		Build: m.opts.Build, Slots: m.table.Slots(), MasterPID: os.Getpid(),
		Channel: inherit(theirs), Stats: inherit(m.stats.FD()), Table: inherit(m.table.FD()), Quota: inherit(m.quota.FD()), Peers: inherit(m.peers.FD()),
		HandOverSend: inherit(m.handOver[0]), HandOverReceive: inherit(m.handOver[1]),
		Wakes:     m.wakes.inherit(inherit),
		Listeners: m.sockets.manifest(inherit), Zones: zoneManifest(used, inherit),
		Succession: &ipc.Succession{
			Format: ipc.SuccessionFormat, ControlPath: m.control.path(), PidPath: m.pid.path,
			Generations: m.forebearsOfMine(), ResetZones: resetZones,
		},
	}
	if m.control.path() != "" {
		manifest.Succession.Control = inherit(m.control.fd)
	}
	sealed, err := manifest.Seal()
	if err == nil {
		defer sys.Close(sealed)
		files[ipc.ManifestFD] = uintptr(sealed)
		env := append(systemd.UpgradeEnv(os.Environ()), fmt.Sprintf("%s=%d", ipc.UpgradeEnv, ipc.SuccessionFormat))
		var pid int
		if pid, err = sys.Spawn(m.opts.Program, m.opts.Args, env, files); err == nil {
			s.peer = newPeer(pid, channel)
			go s.listen(m.heard, m.left)
			return nil
		}
	}
	channel.Close()
	return err
}

// explainProgram adds to an error of a start what a user can do about it.
func explainProgram(err error) error {
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("%w (the new program must lie, executable, where weir was started from)", err)
	}
	return err
}

// manifest lists all sockets.
func (list sockets) manifest(inherit func(fd int) int) []ipc.Listener {
	var all []ipc.Listener
	for _, s := range list {
		for _, fd := range s.fds {
			all = append(all, ipc.Listener{
				Protocol: s.protocol, Address: s.address, IPv6Only: s.options.IPv6Only, ReusePort: s.options.ReusePort, Passed: s.passed, FD: inherit(fd),
			})
		}
	}
	return all
}

// forebearsOfMine are all generations that a new master must know of: those of masters before this one, too.
func (m *master) forebearsOfMine() []ipc.Forebear {
	var list []ipc.Forebear
	add := func(g *generation) {
		f := ipc.Forebear{Number: g.number, Zones: []int{}, Older: []int{}}
		for _, c := range g.zones {
			if c.older {
				f.Older = append(f.Older, c.zone.serial)
			} else {
				f.Zones = append(f.Zones, c.zone.serial)
			}
		}
		list = append(list, f)
	}
	for _, g := range m.countingGenerations() {
		if g != m.current {
			add(g)
		}
	}
	add(m.current) // the last one; it may have drained
	return list
}

// onSuccessor acts on what the new master said.
func (m *master) onSuccessor(w word) {
	s := m.successor
	switch {
	case w.end:
		s.hungUp = true
		s.socket.Close()
		m.buryOf(s)
	case w.message.Kind == ipc.Failed && s.state <= successorTaking:
		m.giveUp(errors.New(w.message.Text), false)
	case w.message.Kind == ipc.Ready && s.state == successorTrying:
		m.letTakeOver(w.message)
	case w.message.Kind == ipc.Serving && s.state == successorTaking:
		m.onTakenOver(w.message)
	case w.message.Kind == ipc.Stop && s.state == successorServing:
		m.want(orderStop, nil)
	case w.message.Kind == ipc.Reloaded:
		s.onReloaded(w.message)
	case w.message.Kind == ipc.Reopen && s.state == successorServing:
		m.reopenFor(w.message.Serial)
	case w.message.Kind == ipc.Report && s.state == successorServing:
		m.onReport(w.message.Serial)
	case (w.message.Kind == ipc.HandedOn || w.message.Kind == ipc.Serving || w.message.Kind == ipc.Withdrawn) && s.state == successorServing:
		m.onTakersChanged(w.message)
	}
}

// onTakersChanged notes who takes connections from the workers of this master, and of those before it.
func (m *master) onTakersChanged(message ipc.Message) {
	s := m.successor
	if s.withdrawn = message.Kind == ipc.Withdrawn; !s.withdrawn {
		s.handedOn, s.keys = message.Kind == ipc.HandedOn, message.Listeners
		message.Kind = ipc.HandedOn
	}
	if m.ending == leaving {
		m.predecessor.tell(message)
	}
	m.redrain()
}

// tell sends a message; io.EOF when the channel is at its end.
func (s *successor) tell(message ipc.Message) error {
	if s.hungUp {
		return io.EOF
	}
	return s.channel.Send(message)
}

// letTakeOver has a new master that has proved itself become the master.
func (m *master) letTakeOver(ready ipc.Message) {
	s := m.successor
	s.ready = ready
	m.at("old.ready")
	if err := m.pid.stepAside(); err != nil {
		m.giveUp(err, true)
		return
	}
	s.state, s.deadline = successorTaking, time.Now().Add(s.limit)
	s.server = m.control.pause()
	if err := s.tell(ipc.Message{Kind: ipc.TakeOver, Leaves: !m.staysBeside()}); err != nil {
		m.giveUp(fmt.Errorf("the new master, process %d: %w", s.pid, err), true)
		return
	}
	m.at("old.take-over")
}

// onTakenOver goes on when the new master serves: this one drains its workers and leaves, or stays beside it for an operator to decide.
func (m *master) onTakenOver(serving ipc.Message) {
	s := m.successor
	s.state, s.deadline, s.keys = successorServing, time.Time{}, serving.Listeners
	m.keeper.setConfig(nil)
	m.log.Notice("upgrade: the new master serves", zap.Int("master", s.pid), zap.String("version", s.ready.Build),
		zap.Int("generation", s.ready.Generation), zap.Int("workers", s.ready.Workers), zap.Duration("took", time.Since(s.began).Round(time.Millisecond)))
	if s.rotated || m.rotation != nil || m.wanted[orderReopen] {
		s.tell(ipc.Message{Kind: ipc.Reopen})
	}
	if !m.staysBeside() {
		m.becomeLeaving()
		return
	}
	hold := m.current.config.UpgradeHold
	s.hold = time.Now().Add(hold)
	m.log.Notice(fmt.Sprintf("this master stays beside it; in %s it leaves, unless WINCH (drain its workers) or HUP (new workers) to it let an operator decide: "+
		"QUIT to this one completes the upgrade, QUIT to the new one goes back", hold), zap.String("pid_file", m.pid.path+oldSuffix))
}

// staysBeside says whether this master stays beside the new one, for an operator to decide.
func (m *master) staysBeside() bool { return m.successor.byHand && m.current.config.UpgradeHold > 0 }

// takeTheWheel notes that an operator has begun to decide: this master does not leave by itself any more.
func (m *master) takeTheWheel() {
	if m.successor != nil {
		m.successor.hold = time.Time{}
	}
}

// beside says whether a new master serves, with which this one shares files and sockets.
func (m *master) beside() bool {
	return m.successor != nil && (m.successor.state == successorTaking || m.successor.state == successorServing)
}

// becomeLeaving drains the workers; the process leaves after them. The sockets stay open: should the new master end before that, this one
// goes on.
func (m *master) becomeLeaving() {
	s := m.successor
	s.hold = time.Time{}
	if m.ending != staying {
		return
	}
	m.ending, m.endBegan = leaving, time.Now()
	m.onTakeover(s.pid)
	m.cancelChange()
	s.tell(ipc.Message{Kind: ipc.Retiring})
	m.predecessor.tell(ipc.Message{Kind: ipc.HandedOn, Listeners: s.keys})
	m.log.Notice("the workers drain, then this master leaves")
	m.at("old.leaving")
	for _, g := range m.live {
		m.drainGeneration(g)
	}
	m.redrain()
}

// settleUpgrade tells those who asked for an upgrade once no worker of this master takes connections any more: who connects then meets the new ones.
func (m *master) settleUpgrade(now time.Time) {
	s := m.successor
	if s == nil || s.askers == nil || s.state != successorServing {
		return
	}
	if now.Before(m.endBegan.Add(settleLimit)) {
		for _, g := range m.live {
			if !g.released() {
				return
			}
		}
	}
	outcome := Outcome{OK: true, Master: s.pid, Generation: s.ready.Generation, Workers: s.ready.Workers, TookMs: now.Sub(s.began).Milliseconds()}
	tell(s.askers, outcome)
	s.askers = nil
}

// giveUp ends an upgrade that has failed. A new master that says so itself lets its workers finish what they may have accepted; any other one is to be killed, with what it
// has started, but for workers that serve: these notice, and finish.
func (m *master) giveUp(reason error, kill bool) {
	s := m.successor
	if s.state == successorFailed {
		return
	}
	s.state, s.failure, s.deadline = successorFailed, reason, time.Now().Add(settleLimit)
	m.log.Error("upgrade failed: this weir goes on", zap.Error(reason))
	if kill {
		m.killSuccessor()
	}
	m.goOn()
}

// killSuccessor ends the new master, and what it has started and is not in the slot table: a script may have children.
func (m *master) killSuccessor() {
	s := m.successor
	if s.exit != nil {
		return
	}
	known := make(map[int]bool)
	for _, slot := range m.table.All() {
		known[slot.PID] = true
	}
	for _, pid := range append(descendants(s.pid), s.pid) {
		if pid == s.pid || !known[pid] {
			sys.Kill(pid, syscall.SIGKILL)
		}
	}
}

// goOn makes this master the only one again, whatever it had given away. It changes nothing when that was nothing.
func (m *master) goOn() {
	if err := m.pid.stepBack(); err != nil {
		m.log.Error("pid file", zap.Error(err))
	}
	if err := m.serveControl(m.control); err != nil {
		m.log.Error("control socket", zap.Error(err))
	}
	m.keeper.setQuota(int64(m.current.config.Buffers.TempQuota)) // the other one's may be another
	m.keeper.setConfig(m.current.config)
	if m.ending == leaving {
		m.ending = staying
		m.onTakenBack()
		m.predecessor.tell(ipc.Message{Kind: ipc.Serving, Listeners: m.sockets.keys()})
	}
}

// reapSuccessor asks whether the new master has ended, and those whose upgrade has failed.
func (m *master) reapSuccessor() {
	m.departing = slices.DeleteFunc(m.departing, func(s *successor) bool {
		if s.exit != nil {
			return true
		}
		_, ended, err := sys.Reap(s.pid)
		if ended {
			m.removePendingPid()
		}
		return ended || err != nil
	})
	s := m.successor
	if s == nil || s.exit != nil {
		return
	}
	exit, ended, err := sys.Reap(s.pid)
	if err != nil {
		exit, ended = sys.Exit{Code: -1}, true
	}
	if ended {
		s.exit = &exit
		m.buryOf(s)
	}
}

// buryOf acts on the end of a new master: it is reaped, and all that it had said is read.
func (m *master) buryOf(s *successor) {
	if s.exit == nil || !s.hungUp {
		return
	}
	s.abandonReloads()
	switch s.state {
	case successorTrying, successorTaking:
		m.giveUp(fmt.Errorf("the new master, process %d, %s before it served", s.pid, s.exit), true)
	case successorServing:
		if !s.handedOn {
			m.onSuccessorGone()
		}
		return
	case successorFailed:
	}
	m.removePendingPid()
	m.answer(s.askers, s.failure, s.began)
	m.successor = nil
}

// removePendingPid removes the pid file of a new master that has ended before its file had the name.
func (m *master) removePendingPid() {
	if m.pid.path != "" {
		removeUnlocked(m.pid.path + newSuffix)
	}
}

// onSuccessorGone goes on without the new master that had taken over: an operator has sent it away, or it has died.
func (m *master) onSuccessorGone() {
	s := m.successor
	m.successor = nil
	err := fmt.Errorf("the new master, process %d, %s", s.pid, s.exit)
	switch {
	case *s.exit != (sys.Exit{}):
		m.log.Alert("upgrade undone: this weir goes on", zap.Error(err))
	case m.ending == staying:
		m.log.Notice("upgrade undone: this weir goes on", zap.Error(err))
	}
	m.answer(s.askers, err, s.began)
	if m.ending > leaving {
		return
	}
	if m.ending == leaving && *s.exit == (sys.Exit{}) { // by order: this was to be the end of the service
		if err := m.pid.stepBack(); err != nil {
			m.log.Error("pid file", zap.Error(err))
		}
		m.redrain()
		return
	}
	m.goOn()
	if m.current.state != genServing && m.change == nil {
		m.restoreWorkers(nil)
	}
}

// expireSuccessor does for an upgrade what is due by time.
func (m *master) expireSuccessor(now time.Time) {
	s := m.successor
	switch {
	case s == nil:
	case !s.hold.IsZero() && !now.Before(s.hold):
		m.becomeLeaving()
	case s.deadline.IsZero() || now.Before(s.deadline):
	case s.state == successorTrying:
		m.giveUp(fmt.Errorf("the new master, process %d, did not serve within upgrade_timeout (%s)", s.pid, s.limit), true)
	case s.state == successorTaking:
		m.giveUp(fmt.Errorf("the new master, process %d, did not take over within upgrade_timeout (%s)", s.pid, s.limit), true)
	case s.state == successorFailed:
		m.answer(s.askers, s.failure, s.began)
		m.successor = nil
		m.departing = append(m.departing, s) // it still has clients to finish with; another may be tried
	}
}
