// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuota(t *testing.T) {
	for _, c := range []struct {
		name, groups string
		files        map[string]string
		want         int
	}{
		{"no control group", "", nil, unlimited},
		{"version 2, no limit", "0::/a/b\n", map[string]string{"a/b/cpu.max": "max 100000\n"}, unlimited},
		{"version 2, half a processor", "0::/a/b\n", map[string]string{"a/b/cpu.max": "50000 100000\n"}, 1},
		{"version 2, limit above", "0::/a/b\n", map[string]string{"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n"}, 3},
		{"version 2, in a container", "0::/../x\n", map[string]string{"cpu.max": "400000 100000\n"}, 4},
		{"version 1", "4:cpu,cpuacct:/a\n1:name=systemd:/\n", map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 2},
		{"version 1, no limit", "4:cpu,cpuacct:/a\n", map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, unlimited},
		{"nonsense", "0::/a\nnonsense\n", map[string]string{"a/cpu.max": "many\n"}, unlimited},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, text string) {
				name = filepath.Join(root, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
				require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
			}
			write("proc/self/cgroup", c.groups)
			for name, text := range c.files {
				write("sys/fs/cgroup/"+name, text)
			}
			require.Equal(t, min(c.want, runtime.NumCPU()), processors(root))
			require.Equal(t, c.want, quotaOf(root))
		})
	}
}
