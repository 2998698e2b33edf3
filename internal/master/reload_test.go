// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/ipc"
)

func TestReloadReplacesTheGenerationAndRefusesNobody(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.meetAll(1, 2)
	var stop atomic.Bool
	var visits, failures atomic.Int64
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for !stop.Load() {
				conn, err := net.Dial("tcp", w.addr)
				if err != nil { // refused: at some moment nobody had the listener
					failures.Add(1)
					continue
				}
				conn.Close()
				visits.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	for generation := 2; generation <= 4; generation++ {
		w.configure("ok", fmt.Sprintf("worker_processes = %d\n", generation))
		code, o := w.post("/reload")
		require.Equal(t, 200, code)
		require.True(t, o.OK, o.Error)
		require.Equal(t, generation, o.Generation)
		require.Equal(t, generation, o.Workers)
		w.meetAll(generation, generation)
	}
	stop.Store(true)
	clients.Wait()
	require.Zero(t, failures.Load())
	require.Positive(t, visits.Load())
	w.eventually("the old generations have left", func() bool { return len(w.status().Workers) == 4 })
	seen := make(map[int]bool)
	for _, p := range w.status().Workers {
		require.Equal(t, 4, p.Generation)
		require.Equal(t, "ready", p.State)
		require.False(t, seen[p.Slot], "slot %d twice", p.Slot)
		seen[p.Slot] = true
	}
	require.NotContains(t, w.errors(), "[alert]")
}

func TestReloadBySignal(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.signal(syscall.SIGHUP)
	require.Eventually(t, func() bool { return strings.Contains(w.errors(), "signal 1 (SIGHUP) received, reconfiguring") }, patience, 10*time.Millisecond)
	w.meetAll(2, 2)
}

func TestAFailedReloadChangesNothing(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	before := w.meetAll(1, 2)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	extra := freeAddress(t)
	withExtra := "[[http.server]]\nlisten = ['ADDR', '" + extra + "', 'unix:extra.sock']\n"
	for _, c := range []struct {
		name, mode, settings, want string
	}{
		{"unknown key", "ok", "worker_proceses = 2\n", `weir.toml:3: worker_proceses: unknown key (did you mean "worker_processes"?)`},
		{"not TOML", "ok", "worker_processes = \n", "weir.toml:3:"},
		{"port in use", "ok", "[[http.server]]\nlisten = ['ADDR', '" + taken.Addr().String() + "']\n", "bind(" + taken.Addr().String() + "): address already in use"},
		{"workers crash", "crash", twoWorkers + withExtra, "exited with code 3 before it was ready"},
		{"workers refuse", "fail", twoWorkers + withExtra, `user "nobody": not found`},
		{"log is a directory", "ok", "[http]\naccess_log = ['run']\n" + withExtra, "is a directory"},
		{"pid file of another", "ok", "pid = 'other.pid'\n" + withExtra, "weir is running already"},
		{"too many workers", "ok", "worker_processes = 70\n" + withExtra, "no free slot for a worker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.settings, "pid") {
				other, err := lockPidFile(w.path("other.pid"))
				require.NoError(t, err)
				require.NoError(t, other.write())
				defer other.remove()
			}
			w.configure(c.mode, c.settings)
			code, o := w.post("/reload")
			require.Equal(t, 500, code)
			require.False(t, o.OK)
			require.Contains(t, o.Error, c.want)
			require.Equal(t, 1, o.Generation)
			require.Contains(t, w.errors(), "reload failed: the generation before goes on")
			_, err := net.Dial("tcp", extra)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NoFileExists(t, w.path("extra.sock"))
			for pid := range w.meetAll(1, 2) {
				require.Contains(t, before, pid, "the same workers go on")
			}
		})
	}
	w.configure("ok", twoWorkers)
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	w.meetAll(2, 2)
}

func TestAReloadThatHangsIsGivenUp(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+"reload_timeout = '3s'\n").start()
	w.configure("hang", twoWorkers)
	waiting := make(chan Outcome)
	began := time.Now()
	go func() {
		_, o := w.post("/reload")
		waiting <- o
	}()
	w.eventually("new workers start", func() bool { return len(w.status().Workers) == 4 })
	w.configure("ok", twoWorkers)
	_, second := w.post("/reload") // waits for its turn
	first := <-waiting
	require.False(t, first.OK)
	require.Contains(t, first.Error, "2 of 2 new workers were not ready within reload_timeout (3s)")
	require.GreaterOrEqual(t, time.Since(began), 3*time.Second)
	require.True(t, second.OK, second.Error)
	require.Equal(t, 2, second.Generation)
	w.eventually("hanging workers are killed", func() bool { return len(w.status().Workers) == 2 })
}

func TestStopDuringAReload(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.configure("hang", twoWorkers)
	w.signal(syscall.SIGHUP)
	w.eventually("new workers start", func() bool { return len(w.status().Workers) == 4 })
	w.signal(syscall.SIGTERM)
	require.NoError(t, w.waitEnd())
}

func TestReloadWithOtherListeners(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n").start()
	port := w.addr[strings.LastIndexByte(w.addr, ':'):]
	second := freeAddress(t)

	w.configure("ok", "worker_processes = 1\n[[http.server]]\nlisten = ['"+second+"', 'ADDR']\n")
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	for _, addr := range []string{w.addr, second} {
		r, err := visit("tcp", addr)
		require.NoError(t, err)
		require.Len(t, r.Manifest.ListenersAt("tcp4", addr), 1)
	}

	// The wildcard on a port of which a single address is open: both exist until the switch.
	w.configure("ok", "worker_processes = 1\n[[http.server]]\nlisten = ['*"+port+"']\n")
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	w.eventually("the dropped address is closed", func() bool {
		_, err := net.Dial("tcp", second)
		return err != nil
	})
	r := w.meetAll(3, 1)
	for _, one := range r {
		require.Len(t, one.Manifest.Listeners, 1)
		require.Equal(t, "0.0.0.0"+port, one.Manifest.Listeners[0].Address)
	}

	w.configure("ok", "worker_processes = 1\n")
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	w.meetAll(4, 1)
}

func TestReuseportGivesEachWorkerASocketAndForgetsNoQueue(t *testing.T) {
	reuseport := "[[http.server]]\nlisten = [{ address = 'ADDR', reuseport = true }]\n"
	w := newWeir(t, "ok", "worker_processes = 3\n"+reuseport).start()
	sockets := func(generation, workers int) map[string]bool {
		inodes := make(map[string]bool)
		for _, r := range w.meetAll(generation, workers) {
			for _, l := range r.Manifest.ListenersAt("tcp4", w.addr) {
				require.True(t, l.ReusePort)
				require.False(t, inodes[r.Open[l.FD]], "a socket of two workers")
				inodes[r.Open[l.FD]] = true
			}
		}
		return inodes
	}
	three := sockets(1, 3)
	require.Len(t, three, 3)
	w.configure("ok", "worker_processes = 2\n"+reuseport)
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	require.Equal(t, three, sockets(2, 2), "two workers serve all three queues")
	w.configure("ok", "worker_processes = 4\n"+reuseport)
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	require.Len(t, sockets(3, 4), 4)
	w.configure("ok", "worker_processes = 2\n") // shared from now on
	_, o = w.post("/reload")
	require.True(t, o.OK, o.Error)
	for _, r := range w.meetAll(4, 2) {
		require.Len(t, r.Manifest.ListenersAt("tcp4", w.addr), 4)
	}
}

func TestMaxGenerationsStopsTheOldest(t *testing.T) {
	w := newWeir(t, "slow", "worker_processes = 1\nmax_generations = 2\n").start()
	for generation := 2; generation <= 4; generation++ {
		_, o := w.post("/reload")
		require.True(t, o.OK, o.Error)
		w.eventually("at most two generations", func() bool { return len(w.status().Workers) == 2 })
	}
	s := w.status()
	require.Equal(t, 3, s.Workers[0].Generation)
	require.Equal(t, "draining", s.Workers[0].State)
	require.Equal(t, 4, s.Workers[1].Generation)
	require.Contains(t, w.errors(), "the oldest is stopped generation=1 max_generations=2")
}

func TestAWorkerThatNeverLeavesIsKilled(t *testing.T) {
	w := newWeir(t, "deaf", "worker_processes = 1\nworker_shutdown_timeout = '100ms'\n").start()
	r := w.meet()
	w.signal(syscall.SIGQUIT)
	began := time.Now()
	require.NoError(t, w.waitEnd())
	require.GreaterOrEqual(t, time.Since(began), killMargin)
	require.Contains(t, w.errors(), fmt.Sprintf("worker process %d is still draining past its time: killed", r.PID))
}

func TestDrainKeepsTheMasterAndReloadBringsWorkersBack(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	code, o := w.post("/drain")
	require.Equal(t, 200, code)
	require.Equal(t, Outcome{OK: true, Generation: 1, Workers: 0, TookMs: o.TookMs}, o)
	s := w.status()
	require.Empty(t, s.Workers)
	require.Equal(t, "draining", s.State)
	_, o = w.post("/drain")
	require.True(t, o.OK)
	conn, err := net.Dial("tcp", w.addr) // waits in the queue
	require.NoError(t, err)
	defer conn.Close()
	w.signal(syscall.SIGHUP)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(text), `"generation":2`)
	w.meetAll(2, 2)
}

func TestWinchDrains(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.signal(syscall.SIGWINCH)
	if foreground := strings.Contains(w.errors(), "SIGWINCH ignored"); foreground {
		return // the test runs on a terminal, where the signal says that the window has changed
	}
	w.eventually("workers have left", func() bool {
		return len(w.status().Workers) == 0 || strings.Contains(w.errors(), "SIGWINCH ignored")
	})
}

func TestReopenSwitchesAllWorkersOfAllGenerations(t *testing.T) {
	settings := twoWorkers + "[http]\naccess_log = ['logs/a.log', 'logs/b.log', 'stderr']\n"
	w := newWeir(t, "slow", settings).start()
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	require.Len(t, w.status().Workers, 4)
	logs := []string{"logs/a.log", "logs/b.log"}
	for _, name := range logs {
		require.NoError(t, os.Rename(w.path(name), w.path(name+".1")))
	}
	code, o := w.post("/reopen")
	require.Equal(t, 200, code)
	require.True(t, o.OK, o.Error)
	for _, name := range logs {
		text, err := os.ReadFile(w.path(name))
		require.NoError(t, err)
		require.Equal(t, 4, strings.Count(string(text), "writes to the new file"), "every worker has switched before the answer")
	}
	require.Contains(t, w.errors(), "log files reopened")

	// The same by SIGUSR1 to a worker, which cannot open files itself.
	require.NoError(t, os.Rename(w.path(logs[0]), w.path(logs[0]+".2")))
	require.NoError(t, syscall.Kill(w.status().Workers[3].PID, syscall.SIGUSR1))
	w.eventually("the file is there again", func() bool {
		text, _ := os.ReadFile(w.path(logs[0]))
		return strings.Count(string(text), "writes to the new file") == 4
	})
}

func TestReopenSaysWhichFileCannotBeOpened(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers+"[http]\naccess_log = ['a.log', 'b.log']\n").start()
	require.NoError(t, os.Rename(w.path("a.log"), w.path("a.log.1")))
	require.NoError(t, os.Mkdir(w.path("a.log"), 0o755))
	require.NoError(t, os.Remove(w.path("b.log")))
	code, o := w.post("/reopen")
	require.Equal(t, 500, code)
	require.Contains(t, o.Error, "a.log): is a directory")
	text, err := os.ReadFile(w.path("b.log"))
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(text), "writes to the new file"), "the others are switched all the same")
}

func TestReopenNamesWorkersThatDoNotSwitch(t *testing.T) {
	w := newWeir(t, "no-reopen", "worker_processes = 1\n").start()
	r := w.meet()
	_, o := w.post("/reopen")
	require.False(t, o.OK)
	require.Contains(t, o.Error, fmt.Sprintf("workers [%d] still write to the old log files", r.PID))
}

func TestManyLogsArePassedInSeveralMessages(t *testing.T) {
	var logs []string
	for i := range 3*rotationFilesMax + 1 {
		logs = append(logs, fmt.Sprintf("'logs/%d.log'", i))
	}
	w := newWeir(t, "ok", "worker_processes = 1\n[http]\naccess_log = ["+strings.Join(logs, ", ")+"]\n").start()
	require.NoError(t, os.RemoveAll(w.path("logs")))
	_, o := w.post("/reopen")
	require.True(t, o.OK, o.Error)
	for i := range logs {
		text, err := os.ReadFile(w.path(fmt.Sprintf("logs/%d.log", i)))
		require.NoError(t, err)
		require.Contains(t, string(text), "writes to the new file")
	}
}

func TestRestartsUseTheBinaryThatWasThereAtTheStart(t *testing.T) {
	w := newWeir(t, "ok", "worker_processes = 1\n")
	o := w.options()
	o.WorkerPath = w.path("weir-worker")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(o.WorkerPath, text, 0o755))
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		w.result = Run(o)
	}()
	w.eventually("weir serves", func() bool { return w.state() == "serving" })
	first := w.meet()
	require.NoError(t, os.WriteFile(w.path("new"), []byte("#!/bin/false\n"), 0o755))
	require.NoError(t, os.Rename(w.path("new"), o.WorkerPath))
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGKILL))
	w.eventually("a successor answers", func() bool {
		r, err := visit("tcp", w.addr)
		return err == nil && r.PID != first.PID
	})
	w.post("/stop")
	require.NoError(t, w.waitEnd())
}

func TestPidFileAndControlSocketMoveWithTheConfig(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	w.configure("ok", twoWorkers+"pid = 'run/b.pid'\ncontrol = 'run/b.sock'\n")
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	require.FileExists(t, w.path("run/b.pid"))
	require.NoFileExists(t, w.path("run/weir.pid"))
	require.NoFileExists(t, w.path("run/weir.sock"))
	require.NoError(t, os.Symlink("b.sock", w.path("run/weir.sock"))) // where the harness asks
	require.Equal(t, 2, w.status().Generation)
}

func TestErrorLogMovesWithTheConfig(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers).start()
	text, err := os.ReadFile(w.path("weir.toml"))
	require.NoError(t, err)
	changed := strings.Replace(string(text), "error_log = { path = 'error.log', level = 'info' }", "error_log = { path = 'e.json', level = 'notice', format = 'json' }", 1)
	require.NoError(t, os.WriteFile(w.path("weir.toml"), []byte(changed), 0o644))
	_, o := w.post("/reload")
	require.True(t, o.OK, o.Error)
	for _, r := range w.meetAll(2, 2) {
		require.Equal(t, w.path("e.json"), r.Manifest.ErrorLog)
		_, ok := r.Manifest.Log(r.Manifest.ErrorLog)
		require.True(t, ok)
	}
	lines, err := os.ReadFile(w.path("e.json"))
	require.NoError(t, err)
	require.Contains(t, string(lines), `"level":"notice"`)
	require.Contains(t, string(lines), `"msg":"serving"`)
}

func TestErrorLogOfTheCommandLineWins(t *testing.T) {
	w := newWeir(t, "ok", twoWorkers)
	o := w.options()
	o.ErrorLog = w.path("e.log")
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		w.result = Run(o)
	}()
	w.eventually("weir serves", func() bool { return w.state() == "serving" })
	require.Equal(t, o.ErrorLog, w.meet().Manifest.ErrorLog)
	w.post("/stop")
	require.NoError(t, w.waitEnd())
	require.NoFileExists(t, w.path("error.log"))
	text, err := os.ReadFile(o.ErrorLog)
	require.NoError(t, err)
	require.Contains(t, string(text), "exit")
}

func TestWorkersOfAKilledMasterSeeTheEnd(t *testing.T) {
	master, theirs, err := ipc.OpenPair()
	require.NoError(t, err)
	worker := ipc.NewChannel(theirs)
	defer worker.Close()
	master.Close()
	_, _, err = worker.Recv()
	require.ErrorIs(t, err, io.EOF)
}
