// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
)

// change is a config on its way to be the one that serves: the start, or a reload. It is decided once, by commit or by abort.
// Until then nothing of the present generation has changed.
type change struct {
	first    bool // the start of weir: there is no generation to go back to
	askers   []asker
	began    time.Time
	limit    time.Duration // reload_timeout: of the present config, at the start of its own
	deadline time.Time     // zero: the start has not read its config yet

	opening *loaded // waits for retry, because an address is in use that may come free
	retry   time.Time
	gen     *generation // nil while the config is being read
	making  bool        // its zones are being made
	control *control    // a new control socket, when its path has changed
	pid     *pidFile    // a new pid file, when its path has changed
	failed  error       // it is given up, and waits for its workers to let go of what they inherited
}

// awaits says whether the change is undecided and depends on this generation's workers. No change awaits none.
func (c *change) awaits(g *generation) bool {
	return c != nil && c.failed == nil && c.gen == g
}

// loaded is a config that was read and checked, or why it could not be.
type loaded struct {
	change   *change     // for which it was read
	source   conf.Source // without its text
	packed   []byte      // conf.Unpack makes the config of it, in the workers
	config   *conf.Config
	warnings conf.Faults
	err      error
}

// load reads and checks a config. It may wait for the file system.
func load(o Options, c *change) loaded {
	defer debug.FreeOSMemory()                        // of what does not stay: the text, and what the parser made of it
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // nearly everything that is made here stays
	l := loaded{change: c}
	if l.source, l.err = o.Read(); l.err != nil {
		return l
	}
	l.config, l.packed, l.warnings, l.err = conf.LoadPacked(l.source)
	l.source.Text, l.source.Packed, l.source.Lines = nil, nil, nil
	if l.err == nil && o.ErrorLog != "" {
		l.config.ErrorLog.Path = o.ErrorLog
	}
	return l
}

// beginChange starts a reload: the config is read in another goroutine, because a file system may hang.
func (m *master) beginChange(askers []asker) {
	if m.ending != staying {
		m.passReload(askers)
		return
	}
	if m.beside() { // as with nginx: the old master brings its workers back, and does not read the config anew
		m.restoreWorkers(askers)
		return
	}
	m.log.Notice("reload")
	m.notifyReloading()
	now := time.Now()
	limit := m.current.config.ReloadTimeout
	c := &change{askers: askers, began: now, limit: limit, deadline: now.Add(limit)}
	m.change = c
	go func() {
		l := load(m.opts, c)
		select {
		case m.loads <- l:
		case <-m.left:
		}
	}()
}

// restoreWorkers starts workers with the config that this master has.
func (m *master) restoreWorkers(askers []asker) {
	m.log.Notice("new workers with the present config")
	now := time.Now()
	limit := m.current.config.ReloadTimeout
	m.change = &change{askers: askers, began: now, limit: limit, deadline: now.Add(limit)}
	m.prepare(loaded{change: m.change, source: m.current.source, packed: m.current.packed, config: m.current.config})
}

// onLoaded goes on with a reload when its config has been read.
func (m *master) onLoaded(l loaded) {
	if l.change != m.change || m.change.failed != nil {
		return // given up meanwhile
	}
	if l.err != nil {
		m.abort(l.err)
		return
	}
	m.prepare(l)
}

// prepare opens what the config names and is not open yet. Its zones are made in another goroutine, and then its workers are started. The change is decided when they have
// all said that they are ready, or the first of them that it is not.
func (m *master) prepare(l loaded) {
	c := m.change
	list, err := openSockets(l.config, m.sockets)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) && m.mayComeFree(c) {
			c.opening, c.retry = &l, time.Now().Add(bindInterval)
			return
		}
		m.abort(explainBind(err))
		return
	}
	c.opening, c.retry = nil, time.Time{}
	for _, w := range l.warnings {
		m.log.Warn(w.String())
	}
	if c.first {
		c.limit = l.config.ReloadTimeout
		c.deadline = time.Now().Add(c.limit)
	}
	number := m.table.NextGeneration()
	g, err := newGeneration(number, l)
	if err != nil {
		m.table.UndoGeneration(number)
		list.close(m.sockets)
		m.abort(err)
		return
	}
	g.sockets = list
	c.gen = g
	m.live = append(m.live, g)
	if err := m.openFor(c, l.config); err != nil {
		m.abort(err)
		return
	}
	m.makeZones(c)
}

// startWorkers starts the workers of a change for which everything is there.
func (m *master) startWorkers(c *change) {
	g := c.gen
	if m.freeSlots() < len(g.places) {
		m.abort(errNoSlot)
		return
	}
	if m.predecessor.undecided() {
		if err := g.openProofs(); err != nil {
			m.abort(err)
			return
		}
	}
	m.registerSeries(g)
	for i := range g.places {
		if err := m.startWorker(g, i); err != nil {
			m.abort(err)
			return
		}
	}
	g.passProofs()
	m.atChange("started")
}

// mayComeFree says whether to try an address again that is in use: the workers of a master that was killed close their
// listeners as soon as they notice, and a start must not lose that race; and workers of our own that were
// told to leave may not have closed an address yet that they had and we dropped.
func (m *master) mayComeFree(c *change) bool {
	if c.first && m.predecessor == nil {
		return time.Since(c.began) < bindPatience
	}
	for _, g := range m.live {
		if g.state >= genDraining && !g.released() {
			return true
		}
	}
	return false
}

// openFor opens the files of a change; what it opened before an error is closed when the change is given up.
func (m *master) openFor(c *change, config *conf.Config) (err error) {
	g := c.gen
	g.heapBytes = m.heapBound(config)
	for _, path := range logPathsOf(config) {
		if err := m.logs.open(path); err != nil {
			return explainPath("log", path, err)
		}
		g.logs = append(g.logs, path)
	}
	if err := openAcceptMutex(g); err != nil {
		return err
	}
	m.openTemp(g)
	if !c.first && config.Pid != m.pid.path {
		if c.pid, err = lockPidFile(config.Pid); err != nil {
			return explainPath("pid", config.Pid, err)
		}
	}
	if !c.first && config.Control != m.control.path() {
		if c.control, err = m.openControl(config.Control); err != nil {
			return err
		}
	}
	return nil
}

// commit makes a change the present: its generation serves, and the one before drains.
func (m *master) commit() {
	c := m.change
	m.atChange("commit")
	m.change = nil
	old, oldSockets := m.current, m.sockets
	m.current, m.sockets = c.gen, c.gen.sockets
	c.gen.become(genServing)
	c.gen.boundHeap()
	m.countChange(c, true)
	for _, err := range m.sockets.tune() {
		m.log.Warn("listening socket keeps its old option", zap.Error(err))
	}
	if c.pid != nil {
		m.pid.remove()
		m.pid = c.pid
	}
	if err := m.pid.write(); err != nil {
		m.log.Error("pid file", zap.Error(err))
	}
	if c.control != nil {
		m.control.close()
		m.control = c.control
	}
	m.switchLog(c.gen.config)
	m.tellNews(c.gen)
	m.keeper.setQuota(int64(c.gen.config.Buffers.TempQuota))
	m.keeper.setConfig(c.gen.config)
	switch {
	case old != nil:
		m.drainGeneration(old)
		oldSockets.close(m.sockets)
		m.predecessor.tell(ipc.Message{Kind: ipc.Serving, Listeners: m.sockets.keys()})
	case m.predecessor != nil:
		m.becomeTaken(oldSockets)
	default:
		m.settleActivation(oldSockets)
	}
	m.redrain()
	m.boundGenerations(c.gen.config.MaxGenerations)
	m.logs.retain(m.logPaths())
	m.leaveZones()
	took := time.Since(c.began)
	m.log.Notice("serving", zap.Int("generation", c.gen.number), zap.Int("workers", c.gen.ready()),
		zap.String("config", c.gen.source.Name), zap.Duration("took", took.Round(time.Millisecond)))
	m.switched = append(m.switched, switched{change: c, from: old, deadline: time.Now().Add(settleLimit)})
	m.atChange("committed")
	if c.first && m.opts.Background != nil {
		m.opts.Background()
	}
	if c.first && !m.opts.Quiet && m.predecessor == nil {
		m.banner(took)
	}
}

// abort gives a change up and puts everything back as it was. New workers that were not ready have done nothing yet
// and are killed; those that were, whether this process has heard of it or not, may have accepted a connection, and finish what is in flight.
func (m *master) abort(reason error) {
	c := m.change
	if c.failed != nil {
		return
	}
	c.failed = reason
	c.deadline, c.retry, c.opening = time.Now().Add(settleLimit), time.Time{}, nil
	if c.gen != nil {
		m.table.UndoGeneration(c.gen.number)
		c.gen.sockets.close(m.sockets)
		c.gen.sockets = nil
		c.gen.closeProofs()
		for _, w := range c.gen.workers {
			if w.state == workerStarting && (w.exit != nil || m.table.Revoke(w.slot, w.pid)) {
				w.become(workerStopping, time.Time{})
				m.killWorker(w)
			}
		}
		m.drainGeneration(c.gen)
	}
	c.pid.remove()
	c.control.close()
	if c.first && m.predecessor.undecided() && m.predecessor.lives() && m.ending == staying {
		m.withdraw(reason)
		return
	}
	if !c.first {
		m.countChange(c, false)
		m.logFaults(reason)
		m.log.Error("reload failed: the generation before goes on", zap.Int("generation", m.current.number), zap.Error(reason))
	} else if m.ending == staying {
		if m.logs.own != logStderr { // where Run's caller says so too
			m.log.Emerg("start failed", zap.Error(reason))
		}
		m.failure = reason
		m.becomeStopping(nil)
	}
}

// logFaults logs each fault of an nginx.conf on a line of its own, where nginx would have.
func (m *master) logFaults(reason error) {
	var faults conf.Faults
	if errors.As(reason, &faults) {
		for _, f := range faults {
			if f.Level == conf.LevelEmerg {
				m.log.Emerg(f.String())
			}
		}
	}
}

// switched is a change that has been made, whose askers have not been told yet.
type switched struct {
	change   *change
	from     *generation // the one before; nil at the start
	deadline time.Time
}

// settleLimit is how long an asker waits at most for workers to let go of the listeners: those of a failed reload, or those that
// a reload has replaced.
const settleLimit = time.Second

// settle tells the askers of a change that has been made once the workers before it take no more connections, so that who connects then meets
// the new config; and those of a failed one once nothing of it is left that a next one could stumble over.
func (m *master) settle(now time.Time) {
	m.switched = slices.DeleteFunc(m.switched, func(s switched) bool {
		if !s.from.released() && now.Before(s.deadline) {
			return false
		}
		m.answer(s.change.askers, nil, s.change.began)
		m.notifySettled(nil)
		return true
	})
	c := m.change
	if c == nil || c.failed == nil || !c.gen.released() && now.Before(c.deadline) {
		return
	}
	m.change = nil
	m.retainPeers() // not those that only this one had
	m.answer(c.askers, c.failed, c.began)
	m.notifySettled(c.failed)
}

// late says what a change that ran into its deadline was waiting for.
func (c *change) late() error {
	if c.gen == nil {
		return fmt.Errorf("reading the config did not end within reload_timeout (%s)", c.limit)
	}
	if c.making {
		return fmt.Errorf("making the limit zones did not end within reload_timeout (%s)", c.limit)
	}
	return fmt.Errorf("%d of %d new workers were not ready within reload_timeout (%s)",
		len(c.gen.places)-c.gen.ready(), len(c.gen.places), c.limit)
}
