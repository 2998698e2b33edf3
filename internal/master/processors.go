// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"weir/conf"
)

// workersOf is the number of workers that a config asks for.
func workersOf(config *conf.Config) int {
	if config.WorkerProcesses == 0 {
		return processors("/")
	}
	return int(config.WorkerProcesses)
}

// processors is how many workers "auto" means: the processors in the affinity mask (a cpuset narrows it), and not more than
// the CPU quota allows to be busy.
func processors(root string) int {
	return min(runtime.NumCPU(), quotaOf(root))
}

// quotaOf is the CPU quota of the control groups above this process, in processors, rounded up. root is where proc and sys
// are mounted.
func quotaOf(root string) int {
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return unlimited
	}
	n := unlimited
	for line := range strings.Lines(string(groups)) {
		// "0::/group" (version 2) or "4:cpu,cpuacct:/group" (version 1). cgroups(7)
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		switch {
		case fields[1] == "":
			n = min(n, quota(path.Join(root, "sys/fs/cgroup"), fields[2], quotaV2))
		case strings.Contains(","+fields[1]+",", ",cpu,"):
			n = min(n, quota(path.Join(root, "sys/fs/cgroup", fields[1]), fields[2], quotaV1))
		}
	}
	return n
}

const unlimited = 1 << 30

// quota is the least limit of a group and those above it, in processors, rounded up. Inside a container the group's path may
// not exist below the mount; then the mount's own limit counts, which is the container's.
func quota(mount, group string, limit func(dir string) int) int {
	n := unlimited
	group = path.Clean("/" + group)
	for {
		n = min(n, limit(path.Join(mount, group)))
		if group == "/" {
			return n
		}
		group = path.Dir(group)
	}
}

// quotaV2 reads cpu.max: "max 100000", or the microseconds of processor time in a period.
func quotaV2(dir string) int {
	text, err := os.ReadFile(path.Join(dir, "cpu.max"))
	if err != nil {
		return unlimited
	}
	limit, period, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return inProcessors(limit, period)
}

// quotaV1 reads the same from two files; -1 is no limit.
func quotaV1(dir string) int {
	limit, err1 := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	period, err2 := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err1 != nil || err2 != nil {
		return unlimited
	}
	return inProcessors(strings.TrimSpace(string(limit)), strings.TrimSpace(string(period)))
}

func inProcessors(limit, period string) int {
	l, err1 := strconv.Atoi(limit)
	p, err2 := strconv.Atoi(period)
	if err1 != nil || err2 != nil || l <= 0 || p <= 0 {
		return unlimited
	}
	return (l + p - 1) / p
}
