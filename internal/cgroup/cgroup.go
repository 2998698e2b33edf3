// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package cgroup

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Limits are what the control groups of a process allow it and those that share a group with it.
type Limits struct {
	Processors  int   // CPU quota in processors, rounded up; Unlimited if there is none
	MemoryBytes int64 // memory.max or memory.high (version 2), memory.limit_in_bytes (version 1); UnlimitedBytes if there is none
}

// What Limits has where there is no limit.
const (
	Unlimited      = math.MaxInt32
	UnlimitedBytes = math.MaxInt64
)

// Read reads the limits of this process. root is where proc and the control groups are mounted: "/", or a tree of a test. cgroups(7).
func Read(root string) Limits {
	limits := Limits{Unlimited, UnlimitedBytes}
	for _, h := range hierarchies(root) {
		switch {
		case h.version2():
			for dir := range h.upwards() {
				limits.Processors = min(limits.Processors, quotaV2(dir))
				limits.MemoryBytes = min(limits.MemoryBytes, bytesIn(dir, "memory.max"), bytesIn(dir, "memory.high"))
			}
		default:
			for dir := range h.upwards() {
				if h.has("cpu") {
					limits.Processors = min(limits.Processors, quotaV1(dir))
				}
				if h.has("memory") {
					limits.MemoryBytes = min(limits.MemoryBytes, bytesIn(dir, "memory.limit_in_bytes"))
				}
			}
		}
	}
	return limits
}

// hierarchy is one mounted hierarchy and this process's group in it.
type hierarchy struct {
	controllers []string // of version 1: those that it is for; none: version 2
	mount       string   // directory, below the root of Read
	group       string   // path below mount
}

func (h hierarchy) version2() bool { return len(h.controllers) == 0 }

func (h hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

// upwards yields the directory of the group and of those above it, up to the mount point.
func (h hierarchy) upwards() func(yield func(dir string) bool) {
	return func(yield func(string) bool) {
		for group := h.group; yield(path.Join(h.mount, group)) && group != "/"; {
			group = path.Dir(group)
		}
	}
}

// hierarchies finds the hierarchies that may limit processors or memory.
func hierarchies(root string) []hierarchy {
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	mounts, err := os.ReadFile(path.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil
	}
	var found []hierarchy
	for line := range strings.Lines(string(groups)) {
		// "0::/group" (version 2) or "4:cpu,cpuacct:/group" (version 1).
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		var controllers []string
		if fields[1] != "" {
			controllers = strings.Split(fields[1], ",")
		}
		for mount := range strings.Lines(string(mounts)) {
			if h, ok := mountOf(strings.Fields(mount), controllers, fields[2]); ok {
				h.mount = path.Join(root, h.mount)
				found = append(found, h)
				break
			}
		}
	}
	return found
}

// mountOf says whether a line of mountinfo mounts the hierarchy of these controllers, and where the group is in it. The line is
// "36 35 0:31 ROOT MOUNTPOINT OPTIONS [OPTIONAL ...] - TYPE SOURCE SUPEROPTIONS". proc_pid_mountinfo(5)
func mountOf(fields, controllers []string, group string) (hierarchy, bool) {
	dash := slices.Index(fields, "-")
	if dash < 5 || len(fields) < dash+4 {
		return hierarchy{}, false
	}
	kind, options := fields[dash+1], strings.Split(fields[dash+3], ",")
	switch {
	case len(controllers) == 0 && kind == "cgroup2":
	case len(controllers) > 0 && kind == "cgroup" && slices.Contains(options, controllers[0]):
	default:
		return hierarchy{}, false
	}
	return hierarchy{controllers, unescape(fields[4]), below(path.Clean("/"+group), unescape(fields[3]))}, true
}

// below is a group's path as seen from a mount point that shows the group root. A group that is not below it, as in a
// container that has the control groups of its host mounted without a namespace of its own, is taken for root itself.
func below(group, root string) string {
	if root == "/" {
		return group
	}
	rest, ok := strings.CutPrefix(group+"/", strings.TrimSuffix(root, "/")+"/")
	if !ok {
		return "/"
	}
	return path.Clean("/" + rest)
}

// unescape undoes what the kernel does to blanks in paths: \040 for a space.
func unescape(text string) string {
	for _, c := range []string{" ", "\t", "\n", "\\"} {
		code := strconv.FormatInt(int64(c[0]), 8)
		text = strings.ReplaceAll(text, "\\"+strings.Repeat("0", 3-len(code))+code, c)
	}
	return text
}

// quotaV2 reads cpu.max: "max 100000", or the microseconds of processor time in a period.
func quotaV2(dir string) int {
	limit, period, _ := strings.Cut(textIn(dir, "cpu.max"), " ")
	return inProcessors(limit, period)
}

// quotaV1 reads the same from two files; -1 is no limit.
func quotaV1(dir string) int {
	return inProcessors(textIn(dir, "cpu.cfs_quota_us"), textIn(dir, "cpu.cfs_period_us"))
}

// inProcessors rounds up: half a processor is a worker, one and a half keep two busy.
func inProcessors(limit, period string) int {
	l, err1 := strconv.ParseInt(limit, 10, 32)
	p, err2 := strconv.ParseInt(period, 10, 32)
	if err1 != nil || err2 != nil || l <= 0 || p <= 0 {
		return Unlimited
	}
	return int((l + p - 1) / p)
}

// pageCounterMax is about what version 1 says when there is no limit: the largest number of whole pages in 63 bits.
const pageCounterMax = 1 << 62

// bytesIn reads a limit in bytes; "max", no file and nonsense are none.
func bytesIn(dir, name string) int64 {
	n, err := strconv.ParseInt(textIn(dir, name), 10, 64)
	if err != nil || n <= 0 || n >= pageCounterMax {
		return UnlimitedBytes
	}
	return n
}

func textIn(dir, name string) string {
	text, err := os.ReadFile(path.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
