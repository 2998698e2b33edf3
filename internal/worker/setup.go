// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/eventpipe"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/request"
	"weir/internal/stats"
	"weir/internal/sys"
	"weir/internal/syslog"
)

// processors is the loop's and one for everything else. See the package's documentation.
const processors = 2

// extraSlots is the room in the loop for descriptors that are not connections, besides the listeners.
const extraSlots = 8

// setUpGCPercent is GOGC while a configuration is read, of which nearly everything stays: with 10,000 servers a third of the time would go into looking for
// what does not.
const setUpGCPercent = 400

// setUp makes everything that serving needs, in the order in which it needs each other. Privileges go before the first byte of a
// client is read.
func (w *worker) setUp(build string) error {
	defer debug.SetGCPercent(debug.SetGCPercent(setUpGCPercent))
	runtime.GOMAXPROCS(processors)
	w.pid = os.Getpid()
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
	for _, step := range []func() error{w.loadConfig, w.openLogs, w.limitProcess, w.makeLoop, w.attachZones, w.makeGate, w.openTemp, func() error { return w.makeEngine(build) },
		w.dropPrivileges, w.tryTemp, w.watchMaster, w.hearCalls, w.listen, w.serveProbe, w.joinQueue, w.startNames, w.settle} {
		if err := step(); err != nil {
			return err
		}
	}
	w.watchSignals()
	return nil
}

// settle gives the memory back that only setting up needed: what requests use has been made of the config, which is larger than that.
func (w *worker) settle() error {
	w.leaveMs = request.LeaveMs(w.shutdownTimes())
	w.config.HTTP = conf.HTTP{}
	debug.FreeOSMemory()
	return nil
}

// loadConfig makes the config that the master has checked, with the same code but for the parser.
func (w *worker) loadConfig() error {
	m := w.manifest
	packed, err := m.ReadConfig()
	if err != nil {
		return err
	}
	w.config, err = conf.Unpack(packed, m.Prefix)
	return err
}

// openLogs takes over the error log; access logs follow with the servers.
func (w *worker) openLogs() error {
	c := &w.config.ErrorLog
	var err error
	if w.log, err = w.openErrorLog(w.manifest.ErrorLog, c.Level); err != nil {
		return err
	}
	for i := range c.Also {
		also, err := w.openErrorLog(c.Also[i].Path, c.Also[i].Level)
		if err != nil {
			return err
		}
		w.log = w.log.Both(also)
	}
	return nil
}

// limitProcess sets what the kernel gives this process. As with nginx, one that may not have it serves all the same.
func (w *worker) limitProcess() error {
	if n := w.config.WorkerRlimitNofile; n > 0 {
		if err := sys.LimitDescriptors(n); err != nil {
			w.log.Alert("worker_rlimit_nofile", zap.Error(err))
		}
	}
	if nice := w.config.WorkerPriority; nice != 0 {
		if err := sys.SetPriority(nice); err != nil {
			w.log.Alert("worker_priority", zap.Error(err))
		}
	}
	return nil
}

// openErrorLog makes an error log of the form that all have.
func (w *worker) openErrorLog(path string, level conf.Level) (*logfile.ErrorLog, error) {
	fd, ok := w.manifest.Log(path)
	if !ok && !syslog.Is(path) {
		return nil, fmt.Errorf("manifest: no descriptor for error log %s", path)
	}
	return logfile.OpenErrorLog(logfile.ErrorLogOptions{
		FD: fd, Path: path, Level: logfile.Level(level), Format: logfile.Format(w.config.ErrorLog.Format), PID: os.Getpid(),
		Slot: w.manifest.Slot, Generation: w.manifest.Generation,
	}), nil
}

func (w *worker) makeLoop() error {
	w.clock = clock.New(time.Local)
	w.timers.Init(w.clock.Ms())
	w.logTimer.Init(w)
	w.trimTimer.Init(w)
	w.shutdownTimer.Init(w)
	w.takersTimer.Init(w)
	w.timers.Arm(&w.trimTimer, w.clock.Ms()+trimMs)
	slots := w.config.WorkerConnections + len(w.manifest.Listeners) + extraSlots + resolverSlots(w.config)
	var err error
	if w.loop, err = event.NewLoop(slots, w.clock, &w.timers, w.calls.Drain); err != nil {
		return err
	}
	w.calls.Bind(w.loop)
	w.loop.SetHelpers(&w.calls)
	return nil
}

func (w *worker) makeEngine(build string) error {
	segment, err := stats.Attach(w.manifest.Stats)
	if err != nil {
		return err
	}
	w.segment = segment
	w.stats = segment.Slot(w.manifest.Slot)
	w.wakePools.Init(w)
	if err := w.memory.open(budget.Of(w.config), func() { w.loop.Post(&w.wakePools) }); err != nil {
		return err
	}
	w.memory.page, w.memory.totals = segment.Memory(w.manifest.Slot), w.stats
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
		Loop: w.loop, Clock: w.clock, Table: w.table, Pool: w.memory.buffers, Calls: &w.calls, Depot: w.memory.depot, Stats: w.stats, Segment: w.segment, Log: w.log, OnDamaged: w.onDamaged,
		Binds: binds, Groups: groups, Targets: w.names.targets, Defined: w.defined, KeepBodies: w.config.Variables.RequestBody(), NameBodies: w.config.Variables.RequestBodyFile(), KeepHeads: w.config.Variables.SentHead(), Version: build, Hostname: hostname, PID: os.Getpid(),
		MaxRewrite: int(w.config.Buffers.MaxRewrite), Splicer: splicerOf(w.config.Buffers.Splice), Spill: w.temp, SpillPath: w.config.Buffers.TempPath, Lister: w.lister(), Filters: w.filters(), Charsets: w.charsets(),
	})
	w.bodies = bodies{pipes: w.engine.Pipes, page: &w.memory.page.Bodies, totals: w.stats}
	w.turns.busy = w.config.ShowsNumbers()
	return nil
}

// splicerOf makes the kernel pipes; nil where they are not wanted.
func splicerOf(s conf.Splice) *eventpipe.Splicer {
	if s == conf.SpliceOff {
		return nil
	}
	return eventpipe.NewSplicer(0)
}

// dropPrivileges becomes the configured user, if the master runs as root, and gives up for good the means to gain rights.
func (w *worker) dropPrivileges() error {
	if os.Getuid() == 0 {
		uid, gid, err := sys.LookUpAccount(w.config.User.Name, w.config.User.Group)
		if err != nil {
			return err
		}
		if uid != 0 {
			if err := sys.DropPrivileges(uid, gid, []int{gid}, w.config.BindsTransparently()); err != nil {
				return err
			}
		}
	}
	return sys.NoNewPrivileges()
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
