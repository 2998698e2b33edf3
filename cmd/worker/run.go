// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !profile && !mallocs

package main

import "weir/internal/worker"

// run is the life of a worker; it returns the exit code.
func run() int { return worker.Run(version) }
