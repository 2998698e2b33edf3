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
	"weir/internal/sys"
)

// The process that checks the health of the origins (package prober): one for the host. It runs while a generation serves that has a health_check, with the config of that
// generation. The next one is started when the one before has ended, so that there are never two. It is killed, not asked: what it has found stands in
// shared memory, and whoever checks next goes on with it.

// prober is one process.
type prober struct {
	gen     *generation
	pid     int
	started time.Time
	killed  bool // by us
}

// probing is who checks, and when the next one is to be started.
type probing struct {
	now   *prober // nil: nobody does
	young int     // deaths in a row of processes that did not live long
	due   time.Time
}

// probes says whether a config has a health check.
func probes(c *conf.Config) bool {
	return slices.ContainsFunc(c.HTTP.Upstreams, func(u conf.Upstream) bool { return u.HealthCheck != nil })
}

// probedBy is the generation whose origins are to be checked by this master; nil: none.
func (m *master) probedBy() *generation {
	g := m.current
	switch {
	case m.ending != staying || g == nil || g.state != genServing || !probes(g.config):
		return nil
	case m.successor != nil && m.successor.state == successorServing: // it does that now
		return nil
	}
	return g
}

// settleProber ends the prober that is not wanted any more, and starts the one that is and whose time has come.
func (m *master) settleProber(now time.Time) {
	wanted := m.probedBy()
	if p := m.probing.now; p != nil {
		if p.gen != wanted {
			m.killProber()
		}
		return
	}
	if wanted == nil {
		m.probing = probing{}
		return
	}
	if now.Before(m.probing.due) {
		return
	}
	pid, err := m.spawnProber(wanted)
	if err != nil {
		m.probing.young++
		m.probing.due = now.Add(max(restartAfter(m.probing.young), 100*time.Millisecond))
		m.log.Limited("prober", logAlert, "cannot start the health checks", zap.Error(err))
		return
	}
	m.probing.now = &prober{gen: wanted, pid: pid, started: now}
	m.log.Info(fmt.Sprintf("health checks are made by process %d", pid), zap.Int("generation", wanted.number))
}

// killProber ends the prober. Another one, if there is to be one, follows when it has been reaped: so it also gets the log files of now.
func (m *master) killProber() {
	p := m.probing.now
	if p == nil || p.killed {
		return
	}
	p.killed = true
	if err := sys.Kill(p.pid, syscall.SIGKILL); err != nil {
		m.log.Alert("cannot kill the process of health checks", zap.Error(err))
	}
}

// proberDue is when settleProber has something to do; zero: not by time.
func (m *master) proberDue() time.Time {
	if m.probing.now == nil && m.probedBy() != nil {
		return m.probing.due.Add(1) // in the past, if there has been none yet
	}
	return time.Time{}
}

// reapProber asks whether the prober has ended.
func (m *master) reapProber() {
	p := m.probing.now
	if p == nil {
		return
	}
	exit, ended, err := sys.Reap(p.pid)
	if err == nil && !ended {
		return
	}
	m.probing.now = nil
	if p.killed {
		m.probing.young, m.probing.due = 0, time.Time{}
		return
	}
	now := time.Now()
	if now.Sub(p.started) >= youngAge {
		m.probing.young = 0
	}
	m.probing.young++
	m.probing.due = now.Add(restartAfter(m.probing.young))
	m.log.Alert(fmt.Sprintf("the process %d of health checks has ended: another one follows", p.pid), zap.Stringer("how", exit), zap.Error(err))
}

// spawnProber executes weir-worker with what a prober needs.
func (m *master) spawnProber(g *generation) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), ipc.StdoutFD, ipc.StderrFD, 0}
	inherit := func(fd int) int {
		files = append(files, uintptr(fd))
		return len(files) - 1
	}
	manifest := &ipc.Manifest{
		Build: m.opts.Build, Prober: true, Generation: g.number, MasterPID: os.Getpid(),
		Prefix: g.source.Prefix,
		Config: inherit(g.configFD), Peers: inherit(m.peers.FD()),
		Logs: m.logs.inherit(errorLogPaths(g.config), inherit), ErrorLog: g.config.ErrorLog.Path,
	}
	if err := manifest.Check(); err != nil {
		panic(err) // it is all our own doing
	}
	sealed, err := manifest.Seal()
	if err != nil {
		return 0, err
	}
	defer sys.Close(sealed)
	files[ipc.ManifestFD] = uintptr(sealed)
	env := append(workerEnv(m.opts.WorkerEnv), ipc.RoleVariable+"="+ipc.RoleProber)
	pid, err = sys.Spawn(m.program.executable(), []string{fmt.Sprintf("weir-prober: generation %d", g.number)}, env, files)
	return pid, explainSpawn(err)
}
