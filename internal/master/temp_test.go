// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

// temp is the budget of temporary files as the control socket shows it.
func (w *weir) temp() TempStatus {
	w.t.Helper()
	s := w.status()
	require.NotNil(w.t, s.Temp)
	return *s.Temp
}

const tempQuota = "[buffers]\ntemp_quota = '1m'\n[[http.server]]\nlisten = 'ADDR'\n"

func TestQuotaGivesBackWhatAKilledWorkerHeld(t *testing.T) {
	for _, mutex := range []string{"atomic", "flock"} {
		t.Run(mutex, func(t *testing.T) {
			w := newWeir(t, "ok", "shared_mutex = '"+mutex+"'\n"+twoWorkers+tempQuota).start()
			pids := w.workers(1)
			require.Equal(t, "true", w.order(pids[0], "take temp 300000"))
			require.Equal(t, "true", w.order(pids[1], "take temp 200000"))
			require.Equal(t, "false", w.order(pids[1], "take temp 300000"), "more than half of it")
			s := w.temp()
			require.Equal(t, []int64{1 << 20, 500000, 500000}, []int64{s.LimitBytes, s.UsedBytes, s.PeakBytes})
			require.Equal(t, uint64(1), s.Refused)
			require.Equal(t, mutex, s.Mutex.Kind)
			w.kill(pids[0])
			w.eventually("what it held is given back", func() bool { return w.temp().UsedBytes == 200000 })
			w.eventually("it is logged", func() bool {
				return strings.Contains(w.errors(), "temp_quota: what a dead worker held is given back slot=0 bytes=300000")
			})
			w.eventually("it is replaced", func() bool { return len(w.workers(1)) == 2 })
			w.kill(pids[1])
			w.eventually("nothing is held", func() bool { return w.temp().UsedBytes == 0 })
			require.True(t, w.temp().Sound)
		})
	}
}

func TestQuotaOfAWorkerKilledWithTheLock(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+tempQuota).start()
	kept := w.workers(1)[1]
	require.Equal(t, "true", w.order(kept, "take temp 1000"))
	victim := w.workers(1)[0]
	for store := 1; store <= 6; store++ {
		require.NotEqual(t, standinOutlived, w.order(victim, "break temp 5000 %d", store))
		next := 0
		w.eventually("it is replaced", func() bool {
			for _, p := range w.status().Workers {
				if p.PID != kept && p.PID != victim && p.State == "ready" {
					next = p.PID
				}
			}
			return next != 0
		})
		victim = next
		w.eventually("what it held is given back", func() bool { return w.temp().UsedBytes == 1000 })
	}
	w.eventually("the zone is sound", func() bool { return w.temp().Sound })
}

func TestQuotaIsKeptOverAReload(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\n"+tempQuota).start()
	old := w.workers(1)[0]
	require.Equal(t, "true", w.order(old, "take temp 400000"))
	w.configure("slow", "worker_processes = 1\n"+strings.Replace(tempQuota, "1m", "2m", 1))
	w.reload()
	w.eventually("the limit is the new one", func() bool { return w.temp().LimitBytes == 2<<20 })
	next := w.workers(2)[0]
	require.Equal(t, "true", w.order(next, "take temp 600000"))
	require.Equal(t, "false", w.order(next, "take temp 100000"), "both generations count")
	require.Equal(t, int64(1000000), w.temp().UsedBytes)
	w.kill(old)
	w.eventually("what it held is given back", func() bool { return w.temp().UsedBytes == 600000 })
}

func TestTempDirectory(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n"+tempQuota).start()
	m := w.meet().Manifest
	require.NotZero(t, m.Temp)
	require.NotZero(t, m.Quota)
	info, err := os.Stat(w.path("tmp"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	t.Run("no quota, no directory", func(t *testing.T) {
		w := newWeir(t, "ok", "worker_processes = 1\n"+strings.Replace(tempQuota, "1m", "0", 1)).start()
		require.Zero(t, w.meet().Manifest.Temp)
		require.NoDirExists(t, w.path("tmp"))
	})
	t.Run("a path that cannot be used", func(t *testing.T) {
		w := newWeir(t, "ok", "worker_processes = 1\n"+tempQuota)
		require.NoError(t, os.WriteFile(w.path("tmp"), nil, 0o600))
		w.start()
		require.Zero(t, w.meet().Manifest.Temp)
		require.Contains(t, w.errors(), "no temporary files: bodies wait in memory")
	})
}

// TestTempDirectoryBelongsToTheWorkers: an empty directory is given to the workers' user; one with files of somebody else's is not.
func TestTempDirectoryBelongsToTheWorkers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: directories change hands")
	}
	account := conf.User{Name: "nobody"}
	owner := func(path string) uint32 {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Sys().(*syscall.Stat_t).Uid
	}
	path := t.TempDir() + "/a/tmp"
	dir, err := prepareTemp(path, account)
	require.NoError(t, err)
	dir.Close()
	require.NotZero(t, owner(path))

	require.NoError(t, os.Chown(path, 0, 0))
	require.NoError(t, os.WriteFile(path+"/precious", nil, 0o600))
	_, err = prepareTemp(path, account)
	require.ErrorContains(t, err, "it is not empty")
	require.Zero(t, owner(path))
	require.NoError(t, os.Chmod(path, 0o777), "a directory for everybody is used as it is")
	dir, err = prepareTemp(path, account)
	require.NoError(t, err)
	dir.Close()
	require.Zero(t, owner(path))
	_, err = prepareTemp(path, conf.User{Name: "no such user"})
	require.Error(t, err)
}
