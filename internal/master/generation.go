// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/shm"
	"weir/internal/sys"
)

// genState is where a generation stands.
type genState uint8

const (
	genStarting genState = iota // its workers are being started; its change is not decided
	genServing
	genDraining // its workers finish what is in flight
	genStopping // its workers were told to leave at once
)

// String is the state as weir status prints it.
func (s genState) String() string {
	return [...]string{"starting", "serving", "draining", "stopping"}[s]
}

// generation is one accepted config and the workers that run it.
type generation struct {
	number    int
	state     genState
	source    conf.Source // without its text
	packed    []byte      // conf.Unpack makes config of it
	config    *conf.Config
	configFD  int // sealed memory file with packed
	logs      []string
	sockets   sockets    // what its workers listen on
	temp      *os.File   // directory of its temporary files; nil: there is none
	zones     []counting // that its workers count in
	accept    *shm.Zone  // its workers' accept_mutex; nil: off
	heapBytes int64      // bound on a worker's Go heap; 0: none. See heapBound
	news      []news     // to be said when it serves
	served    bool       // it was the current one

	proofs  []proof   // by Manifest.Worker, of the first generation of a new master until they are asked
	places  []place   // by Manifest.Worker: who serves
	workers []*worker // all that live, those that leave included

	leavers    []asker // who waits until it is empty
	drainAsked time.Time
}

// place is one of a generation's workers through its successive processes.
type place struct {
	worker   *worker // nil: none runs
	restarts int     // processes after the first
	young    int     // deaths in a row of processes that did not live long
	due      time.Time
}

// become moves a generation on; it never goes back.
func (g *generation) become(s genState) {
	if s < g.state {
		panic(fmt.Sprintf("master: generation %d from %s to %s", g.number, g.state, s))
	}
	g.state = s
	g.served = g.served || s == genServing
}

// ready is the number of workers that serve.
func (g *generation) ready() int {
	n := 0
	for _, p := range g.places {
		if p.worker != nil && p.worker.state == workerReady {
			n++
		}
	}
	return n
}

// newGeneration makes a generation without workers. The caller owns it, and with it the sealed config.
func newGeneration(number int, l loaded) (*generation, error) {
	fd, err := sys.SealedFile("weir-config", l.packed)
	if err != nil {
		return nil, err
	}
	return &generation{
		number: number, source: l.source, packed: l.packed, config: l.config, configFD: fd,
		places: make([]place, Workers(l.config)),
	}, nil
}

// drainGeneration tells the workers to finish what is in flight. Their config's worker_shutdown_timeout bounds it:
// they keep to it themselves, and somewhat later they are killed.
func (m *master) drainGeneration(g *generation) {
	if g.state >= genDraining {
		return
	}
	g.become(genDraining)
	for _, w := range slices.Clone(g.workers) {
		m.drainWorker(w)
	}
}

// drainMessage tells workers to drain, and whether somebody takes idle connections from them: workers of a newer generation, or those of another master.
func (m *master) drainMessage() ipc.Message {
	message := ipc.Message{Kind: ipc.Drain}
	switch {
	case m.successor != nil && m.successor.state == successorServing && !m.successor.withdrawn:
		message.HandOver, message.Listeners = true, m.successor.keys
	case m.predecessor.undecided() && m.predecessor.lives(),
		m.ending == staying && m.current != nil && m.current.state == genServing:
		message.HandOver, message.Listeners = true, m.sockets.keys()
	}
	return message
}

// redrain tells the workers that drain already when that has changed, the oldest first.
func (m *master) redrain() {
	message := m.drainMessage()
	for _, g := range m.live {
		for _, w := range g.workers {
			if w.state == workerDraining && !w.hungUp {
				m.tell(w, message, 0)
			}
		}
	}
}

// cutGrace is how long a worker whose time is up may take to close what it has.
const cutGrace = 3 * time.Second

// cutGeneration tells workers that drain that their time is up.
func (m *master) cutGeneration(g *generation) {
	g.become(genStopping)
	for _, w := range slices.Clone(g.workers) {
		if w.state < workerStopping {
			w.become(workerStopping, time.Now().Add(cutGrace))
			m.tell(w, ipc.Message{Kind: ipc.Cut}, syscall.SIGTERM)
		}
	}
}

// stopGeneration tells the workers to leave at once.
func (m *master) stopGeneration(g *generation) {
	if g.state >= genStopping {
		return
	}
	g.become(genStopping)
	for _, w := range slices.Clone(g.workers) {
		m.stopWorker(w)
	}
}

// boundGenerations stops the oldest generations until no more than max_generations live.
func (m *master) boundGenerations(limit int) {
	excess := len(m.live) - limit
	for _, g := range m.live {
		if excess <= 0 {
			return
		}
		if g != m.current && g.state < genStopping {
			m.log.Warn("more generations than max_generations still have connections: the oldest is stopped",
				zap.Int("generation", g.number), zap.Int("max_generations", limit))
			m.cutGeneration(g)
		}
		excess--
	}
}

// bury takes generations away that have ended: no worker left, and none to come.
func (m *master) bury() {
	before := len(m.live)
	m.live = slices.DeleteFunc(m.live, func(g *generation) bool {
		if g.state < genDraining || len(g.workers) > 0 {
			return false
		}
		sys.Close(g.configFD)
		m.closeAcceptMutex(g)
		g.temp.Close()
		if g.served {
			m.log.Notice("generation has left", zap.Int("generation", g.number))
		}
		m.answer(g.leavers, nil, g.drainAsked)
		g.leavers = nil
		return true
	})
	if len(m.live) != before {
		m.logs.retain(m.logPaths())
		m.leaveZones()
	}
	m.settle(time.Now())
	m.settleUpgrade(time.Now())
}

// logPaths lists the logs that any generation, or the master, writes to.
func (m *master) logPaths() map[string]bool {
	paths := map[string]bool{m.logs.own: true}
	for path := range m.alsoLogs {
		paths[path] = true
	}
	for _, g := range m.live {
		for _, path := range g.logs {
			paths[path] = true
		}
	}
	if m.current != nil { // it may have drained
		for _, path := range m.current.logs {
			paths[path] = true
		}
	}
	return paths
}

// Restarts: how long a process has to live so that its end counts as a single event, and how long to wait before the
// next one when several in a row did not.
const (
	youngAge        = time.Second
	restartDelay    = 10 * time.Millisecond
	restartDelayMax = 5 * time.Second
	// restartDelayKilled bounds the wait after a worker that served and was killed from outside: that is nothing that it would do again by itself.
	restartDelayKilled = 50 * time.Millisecond
)

// restartAfter is the wait before a restart after so many young deaths in a row: none for the first.
func restartAfter(young int) time.Duration {
	if young < 2 {
		return 0
	}
	return min(restartDelay<<min(young-2, 16), restartDelayMax)
}

// vacate notes that a place has lost its worker and when to start another.
func (g *generation) vacate(w *worker, now time.Time) {
	p := &g.places[w.place]
	if p.worker != w {
		return
	}
	p.worker = nil
	if now.Sub(w.started) < youngAge {
		p.young++
	} else {
		p.young = 1
	}
	delay := restartAfter(p.young)
	if w.served && w.exit != nil && w.exit.Signal == syscall.SIGKILL {
		delay = min(delay, restartDelayKilled)
	}
	p.due = now.Add(delay)
}

// fill starts workers for the empty places of the serving generation whose time has come.
func (m *master) fill(now time.Time) {
	g := m.current
	if g == nil || g.state != genServing {
		return
	}
	for i := range g.places {
		p := &g.places[i]
		if p.worker != nil || now.Before(p.due) {
			continue
		}
		p.restarts++
		if err := m.startWorker(g, i); err != nil {
			p.young++
			p.due = now.Add(max(restartAfter(p.young), 100*time.Millisecond))
			m.log.Limited("restart", logAlert, "cannot start a worker", zap.Error(err))
		}
	}
}

// expire does what is due by time.
func (m *master) expire(now time.Time) {
	if c := m.change; c != nil && c.failed == nil {
		switch {
		case !c.deadline.IsZero() && !now.Before(c.deadline):
			m.abort(c.late())
		case !c.retry.IsZero() && !now.Before(c.retry):
			m.prepare(*c.opening)
		}
	}
	if m.rotation != nil && !now.Before(m.rotation.deadline) {
		m.endRotation()
	}
	for _, g := range m.live {
		for _, w := range g.workers {
			if !w.deadline.IsZero() && !now.Before(w.deadline) {
				m.onLate(w)
			}
		}
	}
	m.expireSuccessor(now)
	m.forgetForebears()
	m.fill(now)
	m.settleProber(now)
	m.notifyBeat(now)
}

// never is a time that no loop waits for.
const never = 24 * time.Hour

// nextDue is when expire has something to do next.
func (m *master) nextDue() time.Time {
	if m.waiting() {
		return time.Now() // what it had to wait for has ended in this turn
	}
	due := time.Now().Add(never)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(due) {
			due = t
		}
	}
	sooner(m.notifyDue())
	sooner(m.proberDue())
	if m.change != nil {
		sooner(m.change.deadline)
		sooner(m.change.retry)
	}
	for _, s := range m.switched {
		sooner(s.deadline)
	}
	m.dueOfMasters(sooner)
	if m.rotation != nil {
		sooner(m.rotation.deadline)
	}
	for _, g := range m.live {
		for _, w := range g.workers {
			sooner(w.deadline)
		}
	}
	if m.current != nil && m.current.state == genServing {
		for _, p := range m.current.places {
			if p.worker == nil {
				sooner(p.due)
			}
		}
	}
	return due
}

// released says whether no worker of the generation has a listener any more. It holds for no generation.
func (g *generation) released() bool {
	return g == nil || !slices.ContainsFunc(g.workers, func(w *worker) bool { return !w.released })
}

// allReady says whether every place has a worker that serves.
func (g *generation) allReady() bool { return g.ready() == len(g.places) }

// listenersOf lists the sockets of one worker: those that all share, and of sockets that each worker has for itself, its
// own. When there are more of the latter than workers, because their number has shrunk, somebody must
// go on serving the queues of the rest.
func (g *generation) listenersOf(workerIndex int, inherit func(fd int) int) []ipc.Listener {
	var list []ipc.Listener
	for _, s := range g.sockets {
		for i, fd := range s.fds {
			if s.options.ReusePort && i%len(g.places) != workerIndex {
				continue
			}
			list = append(list, ipc.Listener{
				Protocol: s.protocol, Address: s.address,
				IPv6Only: s.options.IPv6Only, ReusePort: s.options.ReusePort, FD: inherit(fd),
			})
		}
	}
	return list
}
