// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/sys"
)

// errUpgradeAsInit is why process 1 of a container cannot be followed by another: the kernel ends all others with it.
var errUpgradeAsInit = errors.New("weir is process 1 of its container, which ends with it: to run a new binary, replace the container")

// reapStrangers takes the ended children away that are not ours: the orphans that the kernel gives to process 1 of a container, or to a
// child subreaper. What this process has started itself is left to whoever waits for it, so that no end of a worker is lost. It follows
// reap, and so finds none of ours but one that has ended a moment ago, whose SIGCHLD brings us back here.
func (m *master) reapStrangers() {
	if !sys.ReapsStrangers() {
		return
	}
	for {
		pid, err := sys.EndedChild()
		if err != nil {
			m.log.Limited("strangers", logAlert, "cannot look for ended processes", zap.Error(err))
			return
		}
		if pid == 0 || m.knows(pid) {
			return
		}
		if how, ended, err := sys.Reap(pid); err == nil && ended {
			m.log.Debug("an orphan has ended", zap.Int("process", pid), zap.Stringer("how", how))
		}
	}
}

// knows says whether a child is one that the master has started and waits for.
func (m *master) knows(pid int) bool {
	for _, s := range append(m.departing[:len(m.departing):len(m.departing)], m.successor) {
		if s != nil && s.pid == pid && s.exit == nil {
			return true
		}
	}
	if p := m.probing.now; p != nil && p.pid == pid {
		return true
	}
	for _, g := range m.live {
		for _, w := range g.workers {
			if w.pid == pid && w.exit == nil {
				return true
			}
		}
	}
	return false
}

// checkProc refuses to start where /proc is not there, or belongs to another pid namespace: workers are told from others with
// the same number, and descriptors are opened anew, with its help.
func checkProc() error {
	number, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("%w: weir needs /proc (mount -t proc proc /proc)", err)
	}
	if number != strconv.Itoa(os.Getpid()) {
		return errors.New("/proc belongs to another pid namespace: weir needs its own (mount -t proc proc /proc)")
	}
	return nil
}

// terminate is what SIGTERM asks for: an end at once, or with stop_signal = "graceful" one that worker_shutdown_timeout bounds.
// What has not started yet has nothing in flight.
func (m *master) terminate() order {
	if m.current != nil && m.current.config.StopSignal == conf.StopGraceful {
		return orderQuit
	}
	return orderStop
}

// explainPath adds to an error about a file that weir is to make which key names it and what can be done: a container's root
// may be read-only, and its user may own nothing.
func explainPath(key, path string, err error) error {
	if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EPERM) {
		return err
	}
	without := fmt.Sprintf("or do without: %s = \"\"", key)
	if key == "log" {
		without = `or "stdout" or "stderr"`
	}
	return fmt.Errorf("%s %q: %w (name a place where the user that starts weir may write, %s)", key, path, err, without)
}
