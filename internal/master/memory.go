// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"os"
	"runtime/debug"

	"weir/conf"
	"weir/internal/budget"
	"weir/internal/cgroup"
)

// heapShareMin is the least that a process's heap is bounded to: a bound below what a process needs makes it collect garbage
// all the time and frees nothing.
const heapShareMin = 32 << 20

// heapShare is the bound on one process's Go heap when a control group bounds the memory of all: half of that belongs to the
// heaps, the other to zones, blocks and the kernel's socket buffers, which no garbage collector can shrink. While a reload is under way there
// are two generations of workers, beside the master.
func heapShare(limit int64, workers int) int64 {
	return max(limit/2/int64(2*workers+1), heapShareMin)
}

// heapBound is what the garbage collectors of a config's workers, and of this process once the config serves, are to keep to, because of the control group's
// limit; 0: there is none, or an operator has set GOMEMLIMIT. It says so when the config may ask for more than the limit.
func (m *master) heapBound(config *conf.Config) int64 {
	limit := cgroup.Read("/").MemoryBytes
	if limit == cgroup.UnlimitedBytes {
		return 0
	}
	if warning := memoryWarning(memoryOf(config), limit); warning != "" {
		m.log.Notice(warning)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	return heapShare(limit, Workers(config))
}

// heapEnv is what a new worker's environment says about its heap.
func (g *generation) heapEnv() []string {
	if g.heapBytes == 0 {
		return nil
	}
	return []string{fmt.Sprintf("GOMEMLIMIT=%d", g.heapBytes)}
}

// boundHeap bounds this process's heap as those of a generation's workers.
func (g *generation) boundHeap() {
	if g.heapBytes > 0 {
		debug.SetMemoryLimit(g.heapBytes)
	}
}

// memoryWarning says that a config may ask for more memory than the control group has; "" when it does not.
func memoryWarning(bytes, limit int64) string {
	if bytes <= limit {
		return ""
	}
	return fmt.Sprintf("the config lets weir use up to %d MiB of memory, its control group has %d MiB: the kernel kills a process "+
		"when that is used up (lower buffers.limit, worker_connections or worker_processes, or raise memory.max)", bytes>>20, limit>>20)
}

// memoryOf is what one generation's workers may use at most, with the zones.
func memoryOf(config *conf.Config) int64 {
	workers := Workers(config)
	lines := budget.Of(config).Lines(workers)
	return int64(workers)*budget.Sum(lines, budget.PerWorker) + budget.Sum(lines, budget.Shared)
}
