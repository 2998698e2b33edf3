// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceManager is a stand-in for systemd's end of the notify socket.
type serviceManager struct {
	t      testing.TB
	name   string
	socket *net.UnixConn
}

func newServiceManager(t testing.TB, name string) *serviceManager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &serviceManager{t, name, socket}
}

// hear waits for the next datagram and returns its assignments.
func (s *serviceManager) hear(patience time.Duration) (map[string]string, bool) {
	s.t.Helper()
	_ = s.socket.SetReadDeadline(time.Now().Add(patience))
	text := make([]byte, 8192)
	n, err := s.socket.Read(text)
	if err != nil {
		return nil, false
	}
	said := map[string]string{}
	for line := range strings.Lines(string(text[:n])) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			s.t.Errorf("not an assignment: %q", line)
		}
		said[key] = value
	}
	return said, true
}

// fill has the manager hear so much that there is no room for more, until it listens.
func (s *serviceManager) fill() {
	s.t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer syscall.Close(fd)
	for err == nil {
		err = syscall.Sendto(fd, []byte("STATUS=busy"), 0, &syscall.SockaddrUnix{Name: s.name})
	}
	if err != syscall.EAGAIN {
		s.t.Fatal(err)
	}
}

// await waits for a datagram with the key and returns it. What else comes meanwhile may be STATUS and WATCHDOG only.
func (s *serviceManager) await(key string) map[string]string {
	s.t.Helper()
	for deadline := time.Now().Add(startDeadline); time.Now().Before(deadline); {
		said, ok := s.hear(time.Until(deadline))
		if _, found := said[key]; found {
			return said
		}
		for other := range said {
			if other != "STATUS" && other != "WATCHDOG" {
				s.t.Fatalf("%v before %s", said, key)
			}
		}
		if !ok {
			break
		}
	}
	s.t.Fatalf("%s has not come", key)
	return nil
}

// notifying makes a proxy that is started as systemd starts a service of Type=notify.
func notifying(t testing.TB, s *serviceManager, env ...string) *proxy {
	t.Helper()
	p := newProxy(t)
	p.prepare = func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), append([]string{"NOTIFY_SOCKET=" + s.name}, env...)...)
	}
	return p
}

// environment reads the environment that a process was started with.
func environment(t testing.TB, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// What the service manager hears from start to end, over a reload and one that fails.
func TestNotify(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	s := newServiceManager(t, fmt.Sprintf("@weir-e2e-%d-%s", os.Getpid(), t.Name()))
	p := notifying(t, s)
	p.start(versioned(o.addr, "1", "").toml())
	p.allow(`reload failed`)
	if said := s.await("READY"); said["STATUS"] == "" || said["READY"] != "1" || !strings.Contains(said["STATUS"], "generation 1, workers 2") {
		t.Errorf("at the start: %v", said)
	}
	for _, pid := range p.children() {
		for _, variable := range environment(t, pid) {
			if strings.HasPrefix(variable, "NOTIFY_") || strings.HasPrefix(variable, "LISTEN_") || strings.HasPrefix(variable, "WATCHDOG_") {
				t.Errorf("a worker's environment has %s", variable)
			}
		}
	}
	p.writeConfig(versioned(o.addr, "2", "").toml())
	p.signal(syscall.SIGHUP)
	if said := s.await("RELOADING"); said["MONOTONIC_USEC"] == "" || said["READY"] != "" {
		t.Errorf("reloading: %v", said)
	}
	if said := s.await("READY"); !strings.Contains(said["STATUS"], "generation 2, workers 2") || strings.Contains(said["STATUS"], "failed") {
		t.Errorf("reloaded: %v", said)
	}
	if got := string(p.get("/version").body); got != "2" {
		t.Errorf("READY, but config %s answers", got)
	}
	p.writeConfig("nonsense = 1\n")
	p.signal(syscall.SIGHUP)
	s.await("RELOADING")
	if said := s.await("READY"); !strings.Contains(said["STATUS"], "reload failed: ") || !strings.Contains(said["STATUS"], "nonsense") ||
		!strings.Contains(said["STATUS"], "generation 2, workers 2") {
		t.Errorf("after a reload that failed: %v", said)
	}
	p.writeConfig(versioned(o.addr, "3", "").toml())
	p.signal(syscall.SIGHUP)
	if first := s.await("RELOADING"); first["MONOTONIC_USEC"] == "" {
		t.Errorf("reloading again: %v", first)
	}
	if said := s.await("READY"); strings.Contains(said["STATUS"], "failed") {
		t.Errorf("a good reload after a failed one: %v", said)
	}
	p.signal(syscall.SIGQUIT)
	s.await("STOPPING")
	p.wait(stopDeadline)
	if said, ok := s.hear(10 * time.Millisecond); ok && said["STATUS"] == "" {
		t.Errorf("after STOPPING: %v", said)
	}
}

// gatedWorker makes a copy of the binaries whose worker does not start before the test opens the gate.
func gatedWorker(t testing.TB) (weir string, open func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-e2e-gate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(filepath.Dir(weirBinary), "weir-worker")
	gate, worker := filepath.Join(dir, "gate"), filepath.Join(dir, "weir-worker")
	script := fmt.Sprintf("#!/bin/sh\nwhile ! [ -e '%s' ]; do sleep 0.01; done\nexec '%s'\n", gate, real)
	writeProgram(t, worker, []byte(script), 0o755)
	weir = filepath.Join(dir, "weir")
	if err := os.Link(weirBinary, weir); err != nil {
		t.Fatal(err)
	}
	return weir, func() {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// READY comes when the workers serve, not when the port is open.
func TestNotifyReadyIsReady(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	s := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	binary, open := gatedWorker(t)
	p := notifying(t, s)
	environ := p.prepare
	p.prepare = func(cmd *exec.Cmd) {
		environ(cmd)
		cmd.Path = binary
		cmd.Args[0] = binary
	}
	p.noPid = true // the pid file too is written when the workers serve
	p.start(site{workers: 2, origin: o.addr}.toml())
	early := p.dial()
	early.send("GET /early HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(t, ioDeadline, "two workers before the gate", func() bool { return len(p.children()) == 2 })
	if said, ok := s.hear(50 * time.Millisecond); ok {
		t.Errorf("before the workers are ready: %v", said)
	}
	open()
	s.await("READY")
	if r := early.read("GET"); r.status != 200 {
		t.Errorf("the connection that waited: status %d", r.status)
	}
	p.get("/")
}

// The watchdog is beaten from the loop, twice in its time; one for another process is not.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	s := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	p := notifying(t, s, "WATCHDOG_USEC=200000")
	begun := time.Now()
	p.start(site{origin: o.addr}.toml())
	s.await("READY")
	for range 10 {
		s.await("WATCHDOG")
	}
	if took := time.Since(begun); took < 800*time.Millisecond {
		t.Errorf("10 beats in %v, at 100 ms each", took)
	}
	other := newServiceManager(t, filepath.Join(t.TempDir(), "other"))
	q := notifying(t, other, "WATCHDOG_USEC=1000", "WATCHDOG_PID="+strconv.Itoa(os.Getpid()))
	q.start(site{origin: o.addr}.toml())
	other.await("READY")
	for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
		if said, ok := other.hear(20 * time.Millisecond); ok && said["WATCHDOG"] != "" {
			t.Fatal("it beats another's watchdog")
		}
	}
}

// A start that fails says why.
func TestNotifyFailedStart(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	p := notifying(t, s)
	p.writeConfig("[[http.server]]\nlisten = [\"192.0.2.1:9\"]\n" + location("/", answer("x")))
	cmd := exec.Command(weirBinary, "-p", p.dir)
	p.prepare(cmd)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("it started on an address that this machine does not have")
	}
	said := s.await("STOPPING")
	if !strings.Contains(said["STATUS"], "start failed") || !strings.Contains(said["STATUS"], "192.0.2.1:9") {
		t.Errorf("a start that failed: %v\n%s", said, out)
	}
}

// Over an upgrade the new master becomes the service's main process, by the word of the old one, and goes on with the watchdog.
func TestNotifyUpgrade(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	s := newServiceManager(t, filepath.Join(t.TempDir(), "notify"))
	m := startMasters(t, site{workers: 2, origin: o.addr}, func(_ *masters, cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `WATCHDOG_PID=$$ exec "$0" "$@"`}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.name, "WATCHDOG_USEC=200000")
	})
	s.await("READY")
	old := m.cmd.Process.Pid
	s.fill()
	if out, code := weirCommand(t, m.dir, "-s", "upgrade"); code != 0 {
		t.Fatalf("weir -s upgrade: exit %d, %s", code, out)
	}
	var handed, ready, main string
	for deadline := time.Now().Add(startDeadline); (handed == "" || ready == "") && time.Now().Before(deadline); {
		said, ok := s.hear(time.Until(deadline))
		switch main = said["MAINPID"]; {
		case !ok || main == "":
		case said["READY"] == "1":
			ready = main
		default:
			handed = main
		}
		if said["STOPPING"] != "" {
			t.Error("STOPPING, but the service goes on")
		}
	}
	if handed == "" || handed != ready || handed == strconv.Itoa(old) {
		t.Errorf("the old master (%d) says MAINPID=%s, the new one MAINPID=%s", old, handed, ready)
	}
	eventually(t, ioDeadline, "the old master to leave", func() bool { return !alive(old) })
	for range 3 {
		s.await("WATCHDOG")
	}
	m.get("/")
}
