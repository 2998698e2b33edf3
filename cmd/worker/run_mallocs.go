// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build mallocs

package main

import (
	"fmt"
	"os"
	"runtime"

	"weir/internal/worker"
)

// run is the life of a worker, which says at its end how many objects it has allocated. TestFeaturesAllocateNothing of tests/e2e reads that.
func run() int {
	code := worker.Run(version)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintln(os.Stderr, "weir-worker: mallocs:", m.Mallocs)
	return code
}
