// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"

	"weir/internal/worker"
)

// profiles is the folder that every worker leaves a profile of its processor time in, set by the linker: see the Makefile's target profile.
var profiles string

// run is the life of a worker, profiled.
func run() int {
	file, err := os.Create(filepath.Join(profiles, fmt.Sprintf("%d.pprof", os.Getpid())))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir-worker:", err)
		return 1
	}
	defer pprof.StopCPUProfile()
	return worker.Run(version)
}
