// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/conf"
)

func TestStartServesWithEveryWorkerAndStops(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	met := w.meetAll(1, 2)
	var slots, indexes []int
	for _, r := range met {
		m := r.Manifest
		require.Equal(t, standinBuild, m.Build)
		require.Equal(t, 1, m.Generation)
		require.Equal(t, 2, m.Workers)
		require.Equal(t, os.Getpid(), m.MasterPID)
		require.Equal(t, w.dir, m.Prefix)
		require.Equal(t, "ok", r.Mode)
		require.Equal(t, fmt.Sprintf("weir-worker: generation 1 slot %d", m.Slot), r.Title)
		slots, indexes = append(slots, m.Slot), append(indexes, m.Worker)
	}
	slices.Sort(slots)
	slices.Sort(indexes)
	require.Equal(t, []int{0, 1}, slots)
	require.Equal(t, []int{0, 1}, indexes)
	pid, err := os.ReadFile(w.path("run/weir.pid"))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid())+"\n", string(pid))
	require.Contains(t, w.out.String(), "curl -i http://"+w.addr+"/")

	code, o := w.post("/stop")
	require.Equal(t, 200, code)
	require.True(t, o.OK)
	require.NoError(t, w.waitEnd())
	for pid := range met {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "worker %d is left", pid)
	}
	require.NoFileExists(t, w.path("run/weir.pid"))
	require.NoFileExists(t, w.path("run/weir.sock"))
	_, err = net.Dial("tcp", w.addr)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestSignalsEndTheMaster(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) {
			w := newWeir(t, "ok", twoWorkers).start()
			w.signal(s)
			require.NoError(t, w.waitEnd())
			require.Contains(t, w.errors(), "exit")
			require.NotContains(t, w.errors(), "[alert]")
		})
	}
}

func TestDescriptorsOfAWorkerAreThoseOfItsManifest(t *testing.T) {
	w := newWeir(t, "ok", "accept_mutex = true\n"+twoWorkers+"[http]\naccess_log = [{ path = 'a.log' }, { path = 'stdout' }]\n[[http.server]]\nlisten = ['ADDR', 'unix:x.sock']\n").start()
	check := func(generation int) {
		for _, r := range w.meetAll(generation, 2) {
			var open []int
			for fd := range r.Open {
				open = append(open, fd)
			}
			want := r.Manifest.Descriptors()
			slices.Sort(open)
			slices.Sort(want)
			require.Equal(t, want, open, "%v", r.Open)
			require.Equal(t, "/dev/null", r.Open[0])
			require.Contains(t, r.Open[3], "weir-manifest")
			fd, ok := r.Manifest.Log(w.path("a.log"))
			require.True(t, ok)
			require.Equal(t, w.path("a.log"), r.Open[fd])
			require.Contains(t, r.Open[r.Manifest.AcceptMutex], "weir-accept_mutex")
			require.Len(t, r.Manifest.ListenersAt("tcp4", w.addr), 1)
			require.Len(t, r.Manifest.ListenersAt("unix", w.path("x.sock")), 1)
		}
	}
	check(1)
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	check(2)
	w.signal(syscall.SIGUSR1)
	w.eventually("logs are reopened", func() bool { return strings.Contains(w.errors(), "log files reopened") })
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	check(3)
}

func TestReloadsLeaveNoDescriptorBehind(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	count := func() int {
		w.eventually("one generation is left", func() bool { return len(w.status().Workers) == 2 })
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(names)
	}
	before := count()
	for i := range 10 {
		w.configure("ok", twoWorkers)
		if i%2 == 0 {
			w.configure("fail", twoWorkers+"[[http.server]]\nlisten = ['ADDR', 'unix:other.sock']\n[http]\naccess_log = ['other.log']\n")
		}
		_, o := w.post("/reload")
		require.Equal(t, i%2 != 0, o.OK, o.Error)
		w.post("/reopen")
	}
	require.InDelta(t, before, count(), 2, "descriptors of the master (a control connection may be open)")
}

func TestWorkersSeeLittleOfTheEnvironment(t *testing.T) {
	t.Setenv("WEIR_TEST_SECRET", "swordfish")
	t.Setenv("TZ", "Europe/Zurich")
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	env := w.meet().Env
	require.Contains(t, env, "TZ=Europe/Zurich")
	require.NotContains(t, strings.Join(env, "\n"), "swordfish")
}

// A worker whose runtime gives up, as after a panic, is worth an alert.
func TestAPanicIsAnAlert(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	first := w.meet()
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGABRT))
	line := regexp.MustCompile(fmt.Sprintf(`\[alert\] %d: worker process %d exited with code 2`, os.Getpid(), first.PID))
	require.Eventually(t, func() bool { return line.MatchString(w.errors()) }, patience, 10*time.Millisecond)
}

func TestADeadWorkerIsReplacedAtOnce(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	first := w.meet()
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGKILL))
	killed := time.Now()
	second := w.meetAll(1, 1) // its connection waits in the listener's queue until the new worker accepts
	for pid, r := range second {
		require.NotEqual(t, first.PID, pid)
		require.LessOrEqual(t, r.Manifest.Slot, 1, "the slot of the dead one, or the next: what it held may not have been given back yet")
	}
	t.Logf("served again after %s", time.Since(killed))
	require.Less(t, time.Since(killed), patience/2)
	require.Regexp(t, regexp.MustCompile(fmt.Sprintf(`\[alert\] %d: worker process %d killed by signal 9 \(killed\)`, os.Getpid(), first.PID)), w.errors())
	s := w.status()
	require.Equal(t, 1, s.Workers[0].Restarts)
	require.GreaterOrEqual(t, s.Connections.Accepted, uint64(2), "the counters of the dead are kept")
}

func TestAWorkerThatKeepsDyingDoesNotSpin(t *testing.T) {
	require.Equal(t, time.Duration(0), restartAfter(1), "the first time at once")
	last := time.Duration(0)
	for young := 2; young < 40; young++ {
		delay := restartAfter(young)
		require.Greater(t, delay, time.Duration(0))
		require.GreaterOrEqual(t, delay, last)
		last = delay
	}
	require.Equal(t, restartDelayMax, last)

	w := newWeir(t, "crash-once-ready", "worker_processes = 1\n").run()
	w.eventually("several restarts", func() bool { return strings.Count(w.errors(), "exited with code 7") >= 6 })
	began, before := time.Now(), strings.Count(w.errors(), "exited with code 7")
	w.eventually("two more", func() bool { return strings.Count(w.errors(), "exited with code 7") >= before+2 })
	require.Greater(t, time.Since(began), restartAfter(before), "restarts come ever more slowly")
	_, o := w.post("/stop")
	require.True(t, o.OK)
}

func TestAWorkerThatDrainsByItselfGetsASuccessor(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	first := w.meet()
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGQUIT))
	w.eventually("a successor answers", func() bool {
		r, err := visit("tcp", w.addr)
		return err == nil && r.PID != first.PID
	})
	require.NotContains(t, w.errors(), "[alert]")
}

func TestStartFailures(t *testing.T) {
	for _, c := range []struct {
		mode, want string
	}{
		{"crash", "exited with code 3 before it was ready"},
		{"fail", `user "nobody": not found`},
		{"stale-build", `weir-worker is build "another build", the master that started it is build "build under test": install both from one build`},
		{"lying-build", `weir-worker is build "yet another build", weir is build "build under test"`},
		{"hang", "2 of 2 new workers were not ready within reload_timeout (1s)"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			timeout := "10s"
			if c.mode == "hang" {
				timeout = "1s"
			}
			w := newWeir(t, c.mode, twoWorkers+"reload_timeout = '"+timeout+"'\n").run()
			require.ErrorContains(t, w.waitEnd(), c.want)
			require.NoFileExists(t, w.path("run/weir.pid"))
			require.NoFileExists(t, w.path("run/weir.sock"))
			require.Empty(t, w.out.String())
		})
	}
}

func TestStartWithoutAWorkerBinary(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers)
	o := w.options()
	o.WorkerPath = w.path("weir-worker")
	require.ErrorContains(t, Run(o), "weir finds weir-worker beside itself")
	require.NoError(t, os.WriteFile(o.WorkerPath, []byte("not a program\n"), 0o755))
	require.ErrorContains(t, Run(o), "weir-worker is not an executable of this machine")
}

func TestStartWithAFaultyConfig(t *testing.T) {
	w := newWeir(t, "ok", "worker_proceses = 2\nmax_generations = 1000\n")
	var faults conf.Faults
	require.True(t, errors.As(Run(w.options()), &faults))
	require.Len(t, faults, 2)
}

func TestPortInUse(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers)
	l, err := net.Listen("tcp", w.addr)
	require.NoError(t, err)
	defer l.Close()
	began := time.Now()
	err = Run(w.options())
	require.ErrorContains(t, err, "bind("+w.addr+"): address already in use")
	require.ErrorContains(t, err, fmt.Sprintf("process %d (", os.Getpid()))
	require.Greater(t, time.Since(began), bindPatience/2, "the workers of a killed master get time to leave")

	// One that becomes free meanwhile is taken.
	time.AfterFunc(100*time.Millisecond, func() { l.Close() })
	w.start()
	w.meetAll(1, 1)
}

func TestUnixSocket(t *testing.T) {
	settings := twoWorkers + "[[http.server]]\nlisten = ['unix:web.sock']\n"
	w := newWeir(t, "ok", settings)
	path := w.path("web.sock")
	live, err := net.Listen("unix", path)
	require.NoError(t, err)
	require.ErrorContains(t, Run(w.options()), "another process listens on it")
	live.(*net.UnixListener).SetUnlinkOnClose(false)
	live.Close()
	require.FileExists(t, path, "a stale file")
	w.start()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o666), info.Mode().Perm())
	_, err = visit("unix", path)
	require.NoError(t, err)
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	_, err = visit("unix", path)
	require.NoError(t, err)
	w.configure("ok", twoWorkers)
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	require.NoFileExists(t, path)
	w.meetAll(3, 1)
}

func TestUnixSocketDoesNotReplaceAFile(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+"[[http.server]]\nlisten = ['unix:web.sock']\n")
	require.NoError(t, os.WriteFile(w.path("web.sock"), []byte("precious"), 0o644))
	require.ErrorContains(t, Run(w.options()), "there is a file that is not a socket")
	require.FileExists(t, w.path("web.sock"))
}

func TestPidFileKeepsASecondStartOut(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	err := Run(w.options())
	require.ErrorContains(t, err, fmt.Sprintf("weir is running already (process %d)", os.Getpid()))
	w.meetAll(1, 2)
	require.FileExists(t, w.path("run/weir.pid"))
	_, o := w.post("/stop")
	require.True(t, o.OK)
	require.NoError(t, w.waitEnd())

	require.NoError(t, os.WriteFile(w.path("run/weir.pid"), []byte("1\n"), 0o644)) // alive, but not ours: nobody has the lock
	w.start()
	require.Contains(t, w.errors(), "pid file of process 1, which is gone, is taken over")
}
