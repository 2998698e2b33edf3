// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"weir/internal/master"
)

// signalOf are the signals that stand for the values of -s, as nginx's do.
var signalOf = map[string]syscall.Signal{
	"reload": syscall.SIGHUP, "upgrade": syscall.SIGUSR2, "reopen": syscall.SIGUSR1,
	"drain": syscall.SIGWINCH, "quit": syscall.SIGQUIT, "stop": syscall.SIGINT, // SIGTERM may be told to be graceful
}

// exitInterval is how often a process that was told to leave is asked whether it has.
const exitInterval = 10 * time.Millisecond

// signalByPid gives an order as nginx does: with a signal to the process in the pid file. Why the control socket did not do is in
// unreachable. The outcome is known of quit and stop, by waiting for the process to leave; of the others only the error log tells. A config with
// faults is not worth a reload or an upgrade: its faults are the error.
func signalByPid(c command, at endpoint, unreachable error, stdout io.Writer) error {
	if at.faults != nil && (c.signal == "reload" || c.signal == "upgrade") {
		return at.faults
	}
	if at.pid == "" {
		return fmt.Errorf("%w; and without a pid file (pid = \"\") it cannot be found to be given a signal", unreachable)
	}
	pid, err := master.Running(at.pid)
	if err != nil {
		return fmt.Errorf("%w; pid file: %w", unreachable, err)
	}
	if pid == 0 {
		return fmt.Errorf("%w, and no running process has the pid file %s", unreachable, at.pid)
	}
	signal := signalOf[c.signal]
	began := time.Now()
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("kill(%d, %s): %w", pid, signalName(signal), err)
	}
	text := fmt.Sprintf("weir: %s is sent to process %d; without its control socket only the error log tells how it goes", signalName(signal), pid)
	if c.signal == "quit" || c.signal == "stop" {
		for stillRuns(at.pid, pid) {
			time.Sleep(exitInterval)
		}
		text = fmt.Sprintf("weir: stopped, after %s", time.Since(began).Round(time.Millisecond))
	}
	if !c.quiet {
		fmt.Fprintln(stdout, text)
	}
	return nil
}

// stillRuns says whether a process still has the pid file, or lives at all when the file has moved on to another.
func stillRuns(path string, pid int) bool {
	owner, err := master.Running(path)
	if err == nil && owner != pid {
		return false
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func signalName(s syscall.Signal) string {
	return map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP", syscall.SIGUSR2: "SIGUSR2", syscall.SIGUSR1: "SIGUSR1",
		syscall.SIGWINCH: "SIGWINCH", syscall.SIGQUIT: "SIGQUIT", syscall.SIGINT: "SIGINT",
	}[s]
}
