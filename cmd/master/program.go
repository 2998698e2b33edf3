// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// ownProgram is the path that weir was started by, absolute: what lies there when an upgrade comes is the new binary. A symbolic link stays one, so that it may
// point to another folder by then. self is the file that runs; it is taken when the name that weir was started by does not lead to it.
func ownProgram(self string) string {
	name := os.Args[0]
	if !strings.ContainsRune(name, filepath.Separator) {
		found, err := exec.LookPath(name)
		if err != nil {
			return self
		}
		name = found
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return self
	}
	named, err1 := os.Stat(path)
	running, err2 := os.Stat("/proc/self/exe")
	if err1 != nil || err2 != nil || !os.SameFile(named, running) {
		return self
	}
	return path
}

// pauseEnv is for tests, which kill processes at named points of a reload and an upgrade (master.Options.Pause): "POINT FILE". The process that comes to the point
// first, and so removes the file, stops there (SIGSTOP).
const pauseEnv = "WEIR_TEST_PAUSE_AT"

// pausePoint is what stops the process at the point that the environment names; nil when it names none.
func pausePoint() func(point string) {
	wanted, file, ok := strings.Cut(os.Getenv(pauseEnv), " ")
	if !ok {
		return nil
	}
	return func(point string) {
		if point == wanted && os.Remove(file) == nil {
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
	}
}
