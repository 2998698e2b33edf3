// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Lines of mountinfo.
const (
	mountV2     = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountTmpfs  = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
	mountCPU    = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
	mountMemory = "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	mountHybrid = "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

func TestRead(t *testing.T) {
	const mega = 1 << 20
	for _, c := range []struct {
		name, groups, mounts string
		files                map[string]string // below sys/fs/cgroup
		processors           int
		memory               int64
	}{
		{"no control group", "", mountV2, nil, Unlimited, UnlimitedBytes},
		{"version 2, no limit", "0::/a/b\n", mountV2,
			map[string]string{"a/b/cpu.max": "max 100000\n", "a/b/memory.max": "max\n"}, Unlimited, UnlimitedBytes},
		{"version 2, half a processor", "0::/a/b\n", mountV2, map[string]string{"a/b/cpu.max": "50000 100000\n"}, 1, UnlimitedBytes},
		{"version 2, exactly two", "0::/a\n", mountV2, map[string]string{"a/cpu.max": "200000 100000\n"}, 2, UnlimitedBytes},
		{"version 2, a little more than two", "0::/a\n", mountV2, map[string]string{"a/cpu.max": "200001 100000\n"}, 3, UnlimitedBytes},
		{"version 2, another period", "0::/a\n", mountV2, map[string]string{"a/cpu.max": "15000 10000\n"}, 2, UnlimitedBytes},
		{"version 2, limits above", "0::/a/b\n", mountV2, map[string]string{
			"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n", "a/b/memory.max": "max\n", "a/memory.max": "536870912\n",
		}, 3, 512 * mega},
		{"version 2, the least counts", "0::/a/b\n", mountV2, map[string]string{
			"a/b/memory.max": "268435456\n", "a/memory.max": "536870912\n", "a/b/memory.high": "max\n",
		}, Unlimited, 256 * mega},
		{"version 2, memory.high", "0::/a\n", mountV2, map[string]string{
			"a/memory.max": "536870912\n", "a/memory.high": "134217728\n",
		}, Unlimited, 128 * mega},
		{"version 2, a container with a namespace", "0::/\n", mountV2, map[string]string{
			"cpu.max": "400000 100000\n", "memory.max": "1048576\n",
		}, 4, mega},
		{"version 2, outside of the namespace", "0::/../x\n", mountV2, map[string]string{"cpu.max": "400000 100000\n"}, 4, UnlimitedBytes},
		{"version 2, a container without a namespace", "0::/docker/1f/in\n",
			"30 23 0:26 /docker/1f /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			map[string]string{"in/cpu.max": "max 100000\n", "cpu.max": "100000 100000\n", "in/memory.max": "2097152\n"}, 1, 2 * mega},
		{"version 2, another group's mount", "0::/docker/1f\n", "30 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			map[string]string{"cpu.max": "100000 100000\n", "f/cpu.max": "50000 10000\n"}, 1, UnlimitedBytes},
		{"version 1", "4:cpu,cpuacct:/a\n3:memory:/m\n1:name=systemd:/\n", mountTmpfs + mountCPU + mountMemory, map[string]string{
			"cpu,cpuacct/a/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
			"memory/m/memory.limit_in_bytes": "1048576\n",
		}, 2, mega},
		{"version 1, limits above", "4:cpu,cpuacct:/a/b\n3:memory:/m/n\n", mountTmpfs + mountCPU + mountMemory, map[string]string{
			"cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
			"cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
			"memory/m/n/memory.limit_in_bytes": "9223372036854771712\n", "memory/m/memory.limit_in_bytes": "1048576\n",
		}, 1, mega},
		{"version 1, no limit", "4:cpu,cpuacct:/a\n3:memory:/\n", mountTmpfs + mountCPU + mountMemory, map[string]string{
			"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
			"memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, Unlimited, UnlimitedBytes},
		{"version 1, a container without a namespace", "4:cpu,cpuacct:/docker/1f\n",
			"32 31 0:29 /docker/1f /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n", map[string]string{
				"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
			}, 3, UnlimitedBytes},
		{"both versions", "3:memory:/m\n0::/u\n", mountTmpfs + mountMemory + mountHybrid, map[string]string{
			"memory/m/memory.limit_in_bytes": "1048576\n", "unified/u/cpu.max": "100000 100000\n",
		}, 1, mega},
		{"a mount point with a space", "0::/a\n", "30 23 0:26 / /sys/fs/cgroup/a\\040b rw - cgroup2 cgroup2 rw\n",
			map[string]string{"a b/a/memory.max": "1048576\n"}, Unlimited, mega},
		{"nonsense", "0::/a\nnonsense\n", "nonsense\n" + mountV2,
			map[string]string{"a/cpu.max": "many\n", "a/memory.max": "-5\n"}, Unlimited, UnlimitedBytes},
		{"no mount", "0::/a\n", "", map[string]string{"a/cpu.max": "100000 100000\n"}, Unlimited, UnlimitedBytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "proc/self/cgroup", c.groups)
			write(t, root, "proc/self/mountinfo", c.mounts)
			for name, text := range c.files {
				write(t, root, "sys/fs/cgroup/"+name, text)
			}
			require.Equal(t, Limits{c.processors, c.memory}, Read(root))
		})
	}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	name = filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
}

// The kernel's own files, whatever they say, are read without a fault.
func TestReadOfThisMachine(t *testing.T) {
	limits := Read("/")
	require.Positive(t, limits.Processors)
	require.Positive(t, limits.MemoryBytes)
	require.Equal(t, Limits{Unlimited, UnlimitedBytes}, Read(t.TempDir()))
}

// A group that this test makes: the kernel's format, not this package's idea of it. It needs control groups that it may write.
func TestReadOfARealGroup(t *testing.T) {
	for _, h := range hierarchies("/") {
		if !h.version2() && !h.has("cpu") {
			continue
		}
		dir := filepath.Join(h.mount, h.group, "weir-cgroup-test")
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		name, text := "cpu.max", "150000 100000"
		if !h.version2() {
			name, text = "cpu.cfs_quota_us", "150000"
		}
		if os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) != nil {
			continue // the controller is not given to groups below
		}
		h.group = "/" + strings.TrimPrefix(dir, h.mount+"/")
		for dir := range h.upwards() {
			if h.version2() {
				require.Equal(t, 2, quotaV2(dir))
			} else {
				require.Equal(t, 2, quotaV1(dir))
			}
			return
		}
	}
	t.Skip("no control group that may be made here")
}

// Whatever stands in mountinfo, a group that is found is a clean path below the mount point.
func FuzzMountOf(f *testing.F) {
	for _, line := range []string{mountV2, mountTmpfs, mountCPU, "30 23 0:26 /docker/1f /a\\040b ro shared:1 - cgroup2 cgroup2 rw\n", "- - - - - -", ""} {
		f.Add(line, "/docker/1f/in")
		f.Add(line, "/../x")
	}
	f.Fuzz(func(t *testing.T, line, group string) {
		for _, controllers := range [][]string{nil, {"cpu", "cpuacct"}} {
			h, ok := mountOf(strings.Fields(line), controllers, group)
			if !ok {
				continue
			}
			if h.group != filepath.Clean(h.group) || h.group[0] != '/' || slices.Contains(strings.Split(h.group, "/"), "..") {
				t.Fatalf("%q, %q: group %q", line, group, h.group)
			}
			n := 0
			for range h.upwards() {
				n++
			}
			if n > 1+strings.Count(h.group, "/") {
				t.Fatalf("%d groups from %q upwards", n, h.group)
			}
		}
	})
}
