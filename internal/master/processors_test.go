// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

// The quota lowers the number of workers, and never raises it above the processors of the affinity mask.
func TestProcessors(t *testing.T) {
	for _, c := range []struct {
		quota string
		want  int
	}{{"max 100000", sys.Processors()}, {"50000 100000", 1}, {"100000 100000", 1}, {"999900000 100000", sys.Processors()}} {
		root := t.TempDir()
		for name, text := range map[string]string{
			"proc/self/cgroup":        "0::/a/b\n",
			"proc/self/mountinfo":     "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/a/cpu.max": c.quota + "\n",
		} {
			name = filepath.Join(root, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		}
		require.Equal(t, c.want, processors(root), c.quota)
	}
}
