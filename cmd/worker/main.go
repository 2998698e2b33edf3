// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"weir/internal/ipc"
	"weir/internal/prober"
)

// version is the build's, set by the linker to the same text in weir and weir-worker.
var version = "dev"

func init() {
	runtime.LockOSThread() // before main, so that the loop has the process's first thread: the one that ps and perf show
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "-v", "--version":
			fmt.Println("weir-worker version " + version)
			return
		}
		fmt.Fprintln(os.Stderr, "weir-worker takes no arguments: it is started by weir. -v prints its version.")
		os.Exit(2)
	}
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGWINCH)
	if os.Getenv(ipc.RoleVariable) == ipc.RoleProber {
		os.Exit(prober.Run(version))
	}
	os.Exit(run())
}
