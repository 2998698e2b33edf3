// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// nextVersion is the version of the other build that upgrades go to.
const nextVersion = "0.0.1-e2e"

// nextBuild builds weir and weir-worker as another version, once, and returns their folder.
var nextBuild = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(weirBinary), "next")
	return dir, buildPair(dir, nextVersion)
})

func buildPair(dir, version string, flags ...string) error {
	return buildBinaries(map[string]string{filepath.Join(dir, "weir"): "../../cmd/master", filepath.Join(dir, "weir-worker"): "../../cmd/worker"}, version, flags...)
}

// masters is a weir in a folder of its own, where binaries can be replaced, through its successive masters.
type masters struct {
	*proxy
	bin  string // the folder of weir and weir-worker
	seen []int  // every master that was met
	past []int  // process groups of those that were started before the present one
}

// startMasters starts weir from a copy of the binaries; change, which may be nil, changes how.
func startMasters(t testing.TB, s site, change func(m *masters, cmd *exec.Cmd)) *masters {
	t.Helper()
	weirOnly(t)
	m := &masters{proxy: newProxy(t)}
	m.bin = m.path("bin")
	if err := os.Mkdir(m.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	m.install(filepath.Dir(weirBinary))
	m.prepare = func(cmd *exec.Cmd) {
		cmd.Path = filepath.Join(m.bin, "weir")
		cmd.Args[0] = cmd.Path
		// A file: with a pipe, waiting for the first master would close it for the others.
		file, err := os.OpenFile(m.path("logs", "stderr"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		cmd.Stdout, cmd.Stderr = file, file
		if change != nil {
			change(m, cmd)
		}
	}
	m.start(s.toml())
	t.Cleanup(m.stopAll) // before proxy.finish
	return m
}

// install puts binaries from another folder in place, as a package manager does: by renaming.
func (m *masters) install(from string, names ...string) {
	m.t.Helper()
	if names == nil {
		names = []string{"weir", "weir-worker"}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			m.t.Fatal(err)
		}
		m.replace(name, string(text), 0o755)
	}
}

// replace puts a file in the place of a binary.
func (m *masters) replace(name, text string, mode os.FileMode) {
	m.t.Helper()
	file := filepath.Join(m.bin, name)
	writeProgram(m.t, file+".new", []byte(text), mode)
	if err := os.Rename(file+".new", file); err != nil {
		m.t.Fatal(err)
	}
}

// installNext puts the other version in place.
func (m *masters) installNext() {
	m.t.Helper()
	dir, err := nextBuild()
	if err != nil {
		m.t.Fatal(err)
	}
	m.install(dir)
}

// master is the process in the pid file.
func (m *masters) master() int {
	pid, _ := strconv.Atoi(m.pidFile())
	if pid != 0 && !slices.Contains(m.seen, pid) {
		m.seen = append(m.seen, pid)
	}
	return pid
}

// order gives an order by -s, and returns what was printed and the exit code.
func (m *masters) order(args ...string) (string, int) {
	m.t.Helper()
	return runCommand(m.t, m.dir, weirBinary, append([]string{"-p", m.dir, "-s"}, args...)...)
}

// upgrade upgrades, and returns the new master.
func (m *masters) upgrade() int {
	m.t.Helper()
	before := m.master()
	out, code := m.order("upgrade")
	if code != 0 {
		m.t.Fatalf("upgrade: exit %d, %s\n%s", code, out, m.log())
	}
	pid := m.master()
	if pid == before || !strings.Contains(out, fmt.Sprintf("process %d serves", pid)) {
		m.t.Fatalf("upgrade: master %d, then %d; it says %q", before, pid, out)
	}
	return pid
}

// status is the answer to GET /status.
func (m *masters) status() (s struct {
	Version    string
	PID        int
	State      string
	Generation int
	Workers    []struct {
		PID, Slot, Generation int
		State                 string
	}
}) {
	m.t.Helper()
	if _, err := m.control("GET", "/status", &s); err != nil {
		m.t.Fatalf("status: %v\n%s", err, m.log())
	}
	return s
}

// log is the standard error of all masters and workers.
func (m *masters) log() string { return m.readLog("stderr") }

// waitGone waits until processes have ended.
func (m *masters) waitGone(pids ...int) {
	m.t.Helper()
	if !within(stopDeadline, func() bool { return !slices.ContainsFunc(pids, alive) }) {
		m.t.Fatalf("of processes %v some have not ended\n%s", pids, m.log())
	}
}

// childrenOf are the live children of a process.
func childrenOf(pid int) []int {
	var pids []int
	for _, q := range processes() {
		if q.parent == pid && q.state != "Z" {
			pids = append(pids, q.pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// group are all live processes of this weir: masters, workers, and what they have started.
func (m *masters) group() []int {
	var pids []int
	for _, q := range processes() {
		if (q.group == m.cmd.Process.Pid || slices.Contains(m.past, q.group)) && q.state != "Z" {
			pids = append(pids, q.pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// stopAll stops what runs, and checks what it has left behind.
func (m *masters) stopAll() {
	t := m.t
	if pid := m.master(); pid != 0 && alive(pid) {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Errorf("TERM to master %d: %v", pid, err)
		}
	}
	select {
	case <-m.exited:
	default: // an old master that still waits for an operator
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
	}
	if !within(stopDeadline, func() bool { return len(m.group()) == 0 }) {
		t.Errorf("processes left behind: %v", m.group())
	}
	_ = os.Remove(m.path("run", "weir.state")) // it is meant to stay
	if files, _ := filepath.Glob(m.path("run", "*")); len(files) > 0 {
		t.Errorf("files left behind: %v", files)
	}
	m.stderr = &logBuffer{}
	_, _ = m.stderr.Write([]byte(m.log()))
}

// zonesInMemory counts the memory files of limit zones that any process of this weir has open.
func (m *masters) zonesInMemory() int { return zonesOf(m.group()...) }

// zonesOf is zonesInMemory for some processes.
func zonesOf(pids ...int) int {
	inodes := map[string]bool{}
	for _, pid := range pids {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "/memfd:weir-limit_conn") {
				if info, err := os.Stat(link); err == nil {
					inodes[strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)] = true
				}
			}
		}
	}
	return len(inodes)
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// calls are clients that make a connection for each request, so that one is always in some queue. Nothing may fail: no connection refused or reset, no answer missing.
type calls struct {
	stop   atomic.Bool
	done   sync.WaitGroup
	served atomic.Int64
	failed atomic.Int64
	fault  atomic.Value
}

func startCalls(addr string, n int) *calls {
	c := &calls{}
	for range n {
		c.done.Go(func() {
			for !c.stop.Load() {
				if err := call(addr); err != nil {
					c.failed.Add(1)
					c.fault.Store(err.Error())
				}
				c.served.Add(1)
			}
		})
	}
	return c
}

func call(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, ioDeadline)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(ioDeadline))
	if _, err := fmt.Fprint(conn, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	r, err := readResponse(bufio.NewReader(conn), "GET")
	if err == nil && r.status != 200 {
		err = fmt.Errorf("status %d", r.status)
	}
	return err
}

func (c *calls) end(t testing.TB) {
	t.Helper()
	c.stop.Store(true)
	c.done.Wait()
	if n := c.failed.Load(); n > 0 {
		t.Errorf("%d of %d calls failed, the last: %v", n, c.served.Load(), c.fault.Load())
	}
	t.Logf("%d calls", c.served.Load())
}

// A hard limit of 1024 descriptors, as shells and containers have it, is enough, for upgrades too.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("there is no prlimit")
	}
	m := startMasters(t, site{proxyPass: "-", location: answer("hello")}, func(_ *masters, cmd *exec.Cmd) {
		cmd.Args = append([]string{tool, "--nofile=1024:1024", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = tool
	})
	m.upgrade()
	if r := m.get("/"); r.status != 200 {
		t.Errorf("status %d", r.status)
	}
}
