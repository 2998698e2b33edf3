// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"weir/conf"
	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/request"
	"weir/internal/stats"
	"weir/internal/sys"
)

// processors is the loop's and one for everything else. See the package's documentation.
const processors = 2

// extraSlots is the room in the loop for descriptors that are not connections, besides the listeners.
const extraSlots = 8

// setUp makes everything that serving needs, in the order in which it needs each other. Privileges go before the first byte of a
// client is read.
func (w *worker) setUp(build string) error {
	runtime.GOMAXPROCS(processors)
	err := sys.SetName("weir-worker") // it may have been executed by the number of a descriptor
	if err != nil {
		return err
	}
	if w.manifest, err = ipc.ReadManifest(ipc.ManifestFD); err != nil {
		return err
	}
	w.channel = ipc.NewChannel(w.manifest.Channel)
	if err := w.manifest.CheckBuild(build); err != nil {
		return err
	}
	if err := w.manifest.Check(); err != nil {
		return err
	}
	for _, step := range []func() error{w.loadConfig, w.openLogs, w.makeLoop, w.attachZones, w.makeGate, func() error { return w.makeEngine(build) },
		w.dropPrivileges, w.watchMaster, w.listen} {
		if err := step(); err != nil {
			return err
		}
	}
	w.watchSignals()
	return nil
}

// loadConfig parses the bytes that the master has checked, with the same code.
func (w *worker) loadConfig() error {
	m := w.manifest
	text, err := m.ReadConfig()
	if err != nil {
		return err
	}
	w.config, _, err = conf.Load(conf.Source{Name: m.ConfigName, Text: text, Overrides: m.Overrides, Prefix: m.Prefix})
	return err
}

// openLogs takes over the error log; access logs follow with the servers.
func (w *worker) openLogs() error {
	c := &w.config.ErrorLog
	path := w.manifest.ErrorLog
	fd, ok := w.manifest.Log(path)
	if !ok {
		return fmt.Errorf("manifest: no descriptor for error log %s", path)
	}
	w.log = logfile.OpenErrorLog(logfile.ErrorLogOptions{
		FD: fd, Level: logfile.Level(c.Level), Format: logfile.Format(c.Format), PID: os.Getpid(),
		Slot: w.manifest.Slot, Generation: w.manifest.Generation,
	})
	return nil
}

func (w *worker) makeLoop() error {
	w.clock = clock.New(time.Local)
	w.timers.Init(w.clock.Ms())
	w.logTimer.Init(w)
	w.trimTimer.Init(w)
	w.shutdownTimer.Init(w)
	w.timers.Arm(&w.trimTimer, w.clock.Ms()+trimMs)
	slots := w.config.WorkerConnections + len(w.manifest.Listeners) + extraSlots
	var err error
	if w.loop, err = event.NewLoop(slots, w.clock, &w.timers, w.calls.Drain); err != nil {
		return err
	}
	w.calls.Bind(w.loop)
	return nil
}

// blocksPerConnection is how many blocks a connection can need at most times: with buffers.limit = 0 the limit follows from it.
const blocksPerConnection = 2

func (w *worker) makeEngine(build string) error {
	segment, err := stats.Attach(w.manifest.Stats)
	if err != nil {
		return err
	}
	w.segment = segment
	w.stats = segment.Slot(w.manifest.Slot)
	b := &w.config.Buffers
	limit := b.Limit
	if limit == 0 {
		limit = w.config.WorkerConnections * blocksPerConnection
	}
	w.wakePool.Init(w)
	w.pool, err = buffer.NewPool(buffer.Options{
		BlockSize: int(b.Size), Reserve: b.Reserve, Limit: limit,
		OnReady: func() { w.loop.Post(&w.wakePool) },
	})
	if err != nil {
		return err
	}
	w.table = conn.NewTable(w.config.WorkerConnections, w.loop, &w.timers, w.clock)
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	binds, groups, err := w.buildBinds(build, hostname)
	if err != nil {
		return err
	}
	w.engine = request.NewEngine(request.Options{
		Loop: w.loop, Clock: w.clock, Table: w.table, Pool: w.pool, Stats: w.stats, Segment: w.segment, Log: w.log, OnDamaged: w.onDamaged,
		Binds: binds, Groups: groups, Version: build, Hostname: hostname, PID: os.Getpid(),
		MaxRewrite: int(b.MaxRewrite),
	})
	return nil
}

// dropPrivileges becomes the configured user, if the master runs as root, and gives up for good the means to gain rights.
func (w *worker) dropPrivileges() error {
	if os.Getuid() == 0 {
		uid, gid, err := lookUp(w.config.User)
		if err != nil {
			return err
		}
		if uid != 0 {
			if err := sys.DropPrivileges(uid, gid, []int{gid}); err != nil {
				return err
			}
		}
	}
	return sys.NoNewPrivileges()
}

// lookUp finds the numbers of the configured user and group; the group's default is the user's own.
func lookUp(c conf.User) (uid, gid int, err error) {
	u, err := user.Lookup(c.Name)
	if err != nil {
		if u, err = user.LookupId(c.Name); err != nil {
			return 0, 0, fmt.Errorf("user = %q: no such user", c.Name)
		}
	}
	group := u.Gid
	if c.Group != "" {
		g, err := user.LookupGroup(c.Group)
		if err != nil {
			if g, err = user.LookupGroupId(c.Group); err != nil {
				return 0, 0, fmt.Errorf("group = %q: no such group", c.Group)
			}
		}
		group = g.Gid
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(group)
	return uid, gid, err
}

// watchMaster makes sure that the worker learns of its master's death, and puts the channel into the loop.
func (w *worker) watchMaster() error {
	if err := sys.SetParentDeathSignal(syscall.SIGQUIT); err != nil {
		return err
	}
	if parent := os.Getppid(); parent != w.manifest.MasterPID {
		return fmt.Errorf("the master (%d) has died", w.manifest.MasterPID)
	}
	if _, errno := w.loop.Register(w.channel.FD(), sys.EpollIn|sys.EpollRdHup, (*masterEnd)(w)); errno != 0 {
		return fmt.Errorf("epoll_ctl(channel): %w", errno)
	}
	return nil
}
