// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"weir/conf"
	"weir/internal/cgroup"
	"weir/internal/sys"
)

// Workers is the number of workers that a config asks for.
func Workers(config *conf.Config) int {
	if config.WorkerProcesses == 0 {
		return processors("/")
	}
	return int(config.WorkerProcesses)
}

// processors is how many workers "auto" means: the processors in the affinity mask (a cpuset narrows it), and not more than
// the CPU quota of the control groups keeps busy. root is where proc and sys are mounted.
func processors(root string) int {
	return min(sys.Processors(), cgroup.Read(root).Processors)
}
