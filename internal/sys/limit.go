// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// LimitSelf bounds what this process may use from now on: so many seconds of processor time, after which the kernel kills it, no growth of
// any file, and no core file. setrlimit(2).
func LimitSelf(cpuSeconds int) error {
	for _, limit := range []struct {
		resource int
		name     string
		max      uint64
	}{
		{unix.RLIMIT_CPU, "RLIMIT_CPU", uint64(cpuSeconds)}, {unix.RLIMIT_FSIZE, "RLIMIT_FSIZE", 0}, {unix.RLIMIT_CORE, "RLIMIT_CORE", 0},
	} {
		err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: limit.max, Max: limit.max})
		if err != nil {
			return wrapf(err, "setrlimit(%s, %d)", limit.name, limit.max)
		}
	}
	return nil
}

// LimitDescriptors changes how many descriptors this process may have. More than the limit so far need CAP_SYS_RESOURCE. setrlimit(2), RLIMIT_NOFILE.
func LimitDescriptors(n int) error {
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)})
	return wrapf(err, "setrlimit(RLIMIT_NOFILE, %d)", n)
}

// SetPriority changes the nice value of all threads that this process has: from -20 to 19, where lower needs CAP_SYS_NICE. setpriority(2).
func SetPriority(nice int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return wrapf(err, "setpriority(%d)", nice)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && err != unix.ESRCH {
			return wrapf(err, "setpriority(%d)", nice)
		}
	}
	return nil
}

// DescriptorLimit is how many descriptors this process may have: RLIMIT_NOFILE. getrlimit(2).
func DescriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}
