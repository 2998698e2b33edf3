// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/sys"
	"weir/internal/syslog"
)

// Names of logs that are not files.
const (
	logStdout = "stdout"
	logStderr = "stderr"
)

// logFiles are the logs of all live generations, by path, each opened once.
type logFiles struct {
	own string // the master's error log
	fds map[string]int
}

func newLogFiles() *logFiles { return &logFiles{fds: make(map[string]int)} }

// errorLogPaths lists the files of the main error log.
func errorLogPaths(config *conf.Config) (paths []string) {
	if path := config.ErrorLog.Path; !syslog.Is(path) {
		paths = append(paths, path)
	}
	for i := range config.ErrorLog.Also {
		if path := config.ErrorLog.Also[i].Path; !syslog.Is(path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// logPathsOf lists the log files of a config, each once.
func logPathsOf(config *conf.Config) []string {
	paths := errorLogPaths(config)
	known := map[string]bool{}
	for _, path := range paths {
		known[path] = true
	}
	add := func(path string) {
		if !known[path] && !syslog.Is(path) {
			known[path] = true
			paths = append(paths, path)
		}
	}
	addAll := func(s *conf.Settings) {
		for i := range s.AccessLogs {
			if l := &s.AccessLogs[i]; !l.Named() {
				add(string(l.Path))
			}
		}
		for i := range s.ErrorLogs {
			add(s.ErrorLogs[i].Path)
		}
	}
	addAll(&config.HTTP.Settings)
	for i := range config.HTTP.Servers {
		server := &config.HTTP.Servers[i]
		addAll(&server.Settings)
		for l := range server.Blocks() {
			addAll(&l.Settings)
		}
	}
	return paths
}

// open opens a log if it is not open yet. Directories on the way to a file are made.
func (l *logFiles) open(path string) error {
	if _, ok := l.fds[path]; ok {
		return nil
	}
	fd, err := openLogFile(path)
	if err == nil {
		l.fds[path] = fd
	}
	return err
}

func openLogFile(path string) (int, error) {
	switch path {
	case logStdout:
		return openStandard(ipc.StdoutFD), nil
	case logStderr:
		return openStandard(ipc.StderrFD), nil
	}
	if err := makeParent(path); err != nil {
		return -1, err
	}
	return sys.OpenAppend(path)
}

// openStandard returns a descriptor for standard output or error that a worker can write to without blocking; where there
// can be none, the inherited one.
func openStandard(fd int) int {
	if again, ok := sys.OpenAgainNonblocking(fd); ok {
		return again
	}
	return fd
}

// makeParent makes the directory that a file is to lie in.
func makeParent(path string) error {
	return os.MkdirAll(filepath.Dir(path), 0o755)
}

// closeLog closes a log's descriptor unless it is an inherited one.
func closeLog(fd int) {
	if fd > ipc.StderrFD {
		sys.Close(fd)
	}
}

// inherit lists logs for a manifest.
func (l *logFiles) inherit(paths []string, inherit func(fd int) int) []ipc.Log {
	list := make([]ipc.Log, 0, len(paths))
	for _, path := range paths {
		fd := l.fds[path]
		if fd > ipc.StderrFD {
			fd = inherit(fd)
		}
		list = append(list, ipc.Log{Path: path, FD: fd})
	}
	return list
}

// retain closes the logs that nobody writes to any more.
func (l *logFiles) retain(paths map[string]bool) {
	for path, fd := range l.fds {
		if !paths[path] {
			closeLog(fd)
			delete(l.fds, path)
		}
	}
}

// reopen opens every file anew. One that cannot be opened stays as it is, and is among the errors.
func (l *logFiles) reopen() (changed []string, old []int, faults []error) {
	for path, fd := range l.fds {
		if path == logStdout || path == logStderr {
			continue
		}
		again, err := openLogFile(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		l.fds[path] = again
		changed = append(changed, path)
		old = append(old, fd)
	}
	slices.Sort(changed)
	return changed, old, faults
}

func (l *logFiles) close() { l.retain(nil) }

// openLog opens the master's error log for the first time.
func (m *master) openLog(config *conf.Config) error {
	for _, path := range errorLogPaths(config) {
		if err := m.logs.open(path); err != nil {
			return err
		}
	}
	m.useLog(config)
	return nil
}

// switchLog goes on with the error log of another config, whose file is open already.
func (m *master) switchLog(config *conf.Config) {
	if m.current == nil || m.logs.own != config.ErrorLog.Path || !reflect.DeepEqual(m.logConfig, config.ErrorLog) {
		m.useLog(config)
	}
}

func (m *master) useLog(config *conf.Config) {
	m.logs.own, m.logConfig = config.ErrorLog.Path, config.ErrorLog
	c := &config.ErrorLog
	open := func(path string, level conf.Level) *logfile.ErrorLog {
		return logfile.OpenErrorLog(logfile.ErrorLogOptions{
			FD: m.logFD(path), Path: path, Level: logfile.Level(level), Format: logfile.Format(c.Format), PID: os.Getpid(), Slot: logfile.NoSlot,
		})
	}
	m.log = open(c.Path, c.Level)
	m.alsoLogs = map[string]*logfile.ErrorLog{}
	for i := range c.Also {
		also := open(c.Also[i].Path, c.Also[i].Level)
		m.log = m.log.Both(also)
		m.alsoLogs[c.Also[i].Path] = also
	}
	m.captureStderr()
}

// captureStderr has what is written to standard error, by this process and its workers, in the error log, as nginx does: in the background there is nobody who
// would read it elsewhere.
func (m *master) captureStderr() {
	if fd := m.logFD(m.logs.own); m.opts.Background != nil && fd > ipc.StderrFD {
		if err := sys.Dup3(fd, ipc.StderrFD); err != nil {
			m.log.Alert("standard error stays where it was", zap.Error(err))
		}
	}
}

// logFD is where the master's own lines for a log go. Unlike a worker it may wait for whoever reads its standard error, and so loses no line. What is sent to
// a syslog server has no descriptor here.
func (m *master) logFD(path string) int {
	switch {
	case path == logStdout:
		return ipc.StdoutFD
	case path == logStderr, syslog.Is(path):
		return ipc.StderrFD
	}
	return m.logs.fds[path]
}

// rotation is a reopening of the logs: it is over when every worker of every generation writes to the new files.
type rotation struct {
	askers   []asker
	began    time.Time
	deadline time.Time
	faults   []error

	elsewhere int   // serial of the message that asks an old master for the same; 0: it has answered, or there is none
	owed      []int // serials of a new master's messages that ask this one
}

// rotationLimit is how long workers may take to switch to new log files.
const rotationLimit = 5 * time.Second

// What one reopen message holds at most.
const (
	rotationFilesMax = ipc.MessageDescriptorsMax / 2
	rotationBytesMax = ipc.MessageBytesMax / 4 // of paths; JSON may need several bytes for one
)

// beginRotation opens the log files anew, writes to them, and passes them to all workers.
func (m *master) beginRotation(askers []asker) {
	now := time.Now()
	r := &rotation{askers: askers, began: now, deadline: now.Add(rotationLimit)}
	m.rotation = r
	if m.successor != nil {
		m.successor.rotated = true
	}
	changed, old, faults := m.logs.reopen()
	r.faults = faults
	m.log.SetFD(m.logFD(m.logs.own))
	for path, also := range m.alsoLogs {
		also.SetFD(m.logFD(path))
	}
	m.captureStderr()
	for _, fd := range old {
		closeLog(fd)
	}
	for _, g := range m.live {
		for _, w := range g.workers {
			if w.state < workerStopping && !w.hungUp {
				m.passLogs(w, changed)
			}
		}
	}
	m.killProber() // the next one has the new files
	if p := m.predecessor; p.lives() && !p.undecided() {
		m.serial++
		r.elsewhere = m.serial
		p.tell(ipc.Message{Kind: ipc.Reopen, Serial: m.serial})
	}
	r.owed, m.owedReopens = m.owedReopens, nil
	m.settleRotation()
}

// passLogs sends a worker those of the new files that its generation writes to, in as many messages as it takes. There is one at least: workers have
// files of their own, too (open_log_file_cache).
func (m *master) passLogs(w *worker, changed []string) {
	var paths []string
	var fds []int
	bytes := 0
	flush := func() {
		m.serial++
		err := m.tell(w, ipc.Message{Kind: ipc.Reopen, Serial: m.serial, Paths: paths}, 0, fds...)
		if err != nil {
			m.rotation.faults = append(m.rotation.faults, fmt.Errorf("worker %d: %w", w.pid, err))
		} else {
			w.owes = append(w.owes, m.serial)
		}
		paths, fds, bytes = nil, nil, 0
	}
	for _, path := range changed {
		if !slices.Contains(w.gen.logs, path) {
			continue
		}
		if len(paths) == rotationFilesMax || bytes+len(path) > rotationBytesMax {
			flush()
		}
		paths, fds, bytes = append(paths, path), append(fds, m.logs.fds[path]), bytes+len(path)
	}
	flush()
}

// onReopened notes that a worker has switched.
func (m *master) onReopened(w *worker, serial int) {
	w.owes = slices.DeleteFunc(w.owes, func(s int) bool { return s == serial })
	if m.rotation != nil {
		m.settleRotation()
	}
}

// settleRotation ends a rotation when no worker is left to switch.
func (m *master) settleRotation() {
	if len(m.unswitched()) == 0 && m.rotation.elsewhere == 0 {
		m.endRotation()
	}
}

// onReopenedElsewhere notes that an old master's workers have switched, or that it has left with them.
func (m *master) onReopenedElsewhere(serial int, fault string) {
	r := m.rotation
	if r == nil || r.elsewhere == 0 || serial != r.elsewhere {
		return
	}
	r.elsewhere = 0
	if fault != "" {
		r.faults = append(r.faults, fmt.Errorf("the old master, process %d: %s", m.predecessor.pid, fault))
	}
	m.settleRotation()
}

// reopenFor reopens the logs because a new master asks for it, whose workers write to the same files.
func (m *master) reopenFor(serial int) {
	m.owedReopens = append(m.owedReopens, serial)
	m.want(orderReopen, nil)
}

func (m *master) unswitched() (pids []int) {
	for _, g := range m.live {
		for _, w := range g.workers {
			if len(w.owes) > 0 {
				pids = append(pids, w.pid)
			}
		}
	}
	return pids
}

// endRotation says how it went. A worker that has not switched by now still may, and gets new files with the next rotation.
func (m *master) endRotation() {
	r := m.rotation
	m.rotation = nil
	if pids := m.unswitched(); len(pids) > 0 {
		r.faults = append(r.faults, fmt.Errorf("workers %v still write to the old log files after %s", pids, rotationLimit))
	}
	if r.elsewhere != 0 {
		r.faults = append(r.faults, fmt.Errorf("the old master, process %d, has not answered within %s", m.predecessor.pid, rotationLimit))
	}
	err := errors.Join(r.faults...)
	m.tellReopened(r.owed, err)
	if err != nil {
		m.log.Error("log files reopened, but not all", zap.Error(err))
	} else {
		m.log.Notice("log files reopened")
	}
	m.answer(r.askers, err, r.began)
}

// tellReopened tells the new master that has asked for it how a rotation went.
func (m *master) tellReopened(serials []int, err error) {
	answer := ipc.Message{Kind: ipc.Reopened}
	if err != nil {
		answer.Text = shortened(err.Error())
	}
	for _, serial := range serials {
		if answer.Serial = serial; m.successor != nil {
			m.successor.tell(answer)
		}
	}
}
