// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Deadlines of the harness. They are for hangs: nothing waits for them to pass.
const (
	startDeadline = 20 * time.Second
	stopDeadline  = 15 * time.Second
)

// proxy is a running weir (or nginx): a master, its workers, its prefix.
type proxy struct {
	t      testing.TB
	dir    string   // the prefix; the config is dir/conf/weir.toml, or dir/conf/ and config
	config string   // the name of the config file, if not weir.toml
	args   []string // further arguments of weir
	addr   string   // @PORT1@ on loopback
	ports  []string // what @PORT1@, @PORT2@, ... stand for
	stderr *logBuffer
	cmd    *exec.Cmd

	prepare func(*exec.Cmd) // changes how the master is started; nil: nothing
	noPid   bool            // the config has no pid file, or not the master's number as this process sees it

	exited  chan struct{}  // closed when the master has been waited for
	workers map[int]string // every worker that was seen: its pid, and when it began
	allowed []*regexp.Regexp
}

// maxPorts is how many ports a config may name.
const maxPorts = 4

// logBuffer collects what a process writes to standard error.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs the proxy with s and waits until it takes connections. The test
// fails at its end if the proxy did not leave cleanly.
func start(t testing.TB, s site) *proxy {
	t.Helper()
	return startConfig(t, s.toml())
}

// startConfig is start for a config written out in full. In it @PORTn@ is a
// port from the kernel, and @DIR@ the prefix.
func startConfig(t testing.TB, config string) *proxy {
	t.Helper()
	p := newProxy(t)
	p.start(config)
	return p
}

// start is startConfig for a proxy that has been made, and perhaps changed.
func (p *proxy) start(config string) {
	t := p.t
	t.Helper()
	p.ports = freePorts(t, maxPorts)
	p.addr = "127.0.0.1:" + p.ports[0]
	p.writeConfig(config)
	if err := p.launch(); err != nil {
		t.Fatalf("start: %v\n%s%s", err, p.stderr, p.readLog("stderr"))
	}
	t.Cleanup(p.finish)
}

// newProxy makes a prefix that an unprivileged worker can reach into.
func newProxy(t testing.TB) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"conf", "logs", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o1777); err != nil {
		t.Fatal(err)
	}
	return &proxy{t: t, dir: dir, workers: map[int]string{}}
}

// freePorts gives n ports for the proxy to listen on. Until the test ends each has a socket of this process bound to it that does not listen: the kernel gives the
// port to nobody then who does not ask for it, and the proxy, which allows the address to be used again as this socket does, can have it. See socket(7), SO_REUSEADDR.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		_, addr := bind(t, true)
		_, ports[i], _ = net.SplitHostPort(addr)
	}
	return ports
}

// path is a file under the prefix.
func (p *proxy) path(elem ...string) string {
	return filepath.Join(append([]string{p.dir}, elem...)...)
}

// writeConfig replaces the config file; the proxy does not know until it is told.
func (p *proxy) writeConfig(config string) {
	p.t.Helper()
	config = strings.ReplaceAll(config, "@DIR@", p.dir)
	for i, port := range p.ports {
		config = strings.ReplaceAll(config, fmt.Sprintf("@PORT%d@", i+1), port)
	}
	name := p.path("conf", "weir.toml")
	if p.config != "" {
		name = p.path("conf", p.config)
	}
	if useNginx() {
		text, err := nginxConfig(config)
		if err != nil {
			p.t.Fatalf("translate for nginx: %v", err)
		}
		name, config = p.path("conf", "nginx.conf"), text
	}
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// launch starts the master and waits until the pid file is there
// and the first port takes a connection.
func (p *proxy) launch() error {
	p.stderr = &logBuffer{}
	p.cmd = exec.Command(weirBinary, append([]string{"-p", p.dir}, p.args...)...)
	switch {
	case useConverted():
		p.cmd = exec.Command(weirBinary, "-p", p.dir, "-c", "conf/nginx.conf", "-g", "daemon off;")
	case useNginx():
		p.cmd = exec.Command("nginx", "-p", p.dir, "-c", p.path("conf", "nginx.conf"), "-g", "daemon off;")
	}
	p.cmd.Stderr = p.stderr
	// Standard output is for what a user asked for; a server that runs has nothing to say there.
	p.cmd.Stdout = p.stderr
	// A session, not only a process group: that would be orphaned when the first master leaves, and the kernel would have what a test has stopped in it go on.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if p.prepare != nil {
		p.prepare(p.cmd)
	}
	// A worker that outlives its master holds the stderr pipe: Wait must not wait for it.
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.exited = exited
	cmd := p.cmd
	go func() { _ = cmd.Wait(); close(exited) }()
	deadline := time.Now().Add(startDeadline)
	for time.Now().Before(deadline) {
		// The sockets are open before the pid file is written; a connection made meanwhile would be counted, and perhaps refused by a limit.
		if p.noPid || p.pidFile() == strconv.Itoa(p.cmd.Process.Pid) {
			if conn, err := net.DialTimeout("tcp", p.addr, time.Second); err == nil {
				conn.Close()
				p.children()
				return nil
			}
		}
		select {
		case <-exited:
			return fmt.Errorf("it left: %v", p.cmd.ProcessState)
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.killAll()
	return errors.New("it does not take connections")
}

// allow says that log lines matching pattern are expected, although they look like faults.
func (p *proxy) allow(pattern string) { p.allowed = append(p.allowed, regexp.MustCompile(pattern)) }

// signal sends sig to the master.
func (p *proxy) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %v: %v", sig, err)
	}
}

// wait waits for the master to leave and returns its exit code (-1: by signal).
func (p *proxy) wait(d time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(d):
		p.t.Fatalf("the master (pid %d) has not left after %v\n%s", p.cmd.Process.Pid, d, p.stderr)
		return 0
	}
}

// finish stops the proxy if it still runs and checks what it left behind.
func (p *proxy) finish() {
	p.children()
	select {
	case <-p.exited:
	default:
		ended := p.cmd.Process.Signal(syscall.SIGTERM) != nil // before, as the test had it; p.exited waits for the workers' end of the pipe, too
		select {
		case <-p.exited:
			if code := p.cmd.ProcessState.ExitCode(); code != 0 && !ended {
				p.t.Errorf("after TERM the master left with %v", p.cmd.ProcessState)
			}
		case <-time.After(stopDeadline):
			p.t.Errorf("TERM did not end the master within %v", stopDeadline)
		}
	}
	if !within(stopDeadline, func() bool { return len(p.leftBehind()) == 0 }) {
		p.t.Errorf("processes left behind: %v", p.leftBehind())
		p.killAll()
	}
	p.checkLog()
	if p.t.Failed() {
		p.t.Logf("the proxy's standard error:\n%s", tail(p.stderr.String(), 8<<10))
	}
}

var faultLines = regexp.MustCompile(`(?m)^.*(panic|fatal error:|DATA RACE|(?i:\balert\b|\bemerg\b)).*$`)

// checkLog fails the test for every line of the error log that only a bug writes.
func (p *proxy) checkLog() {
lines:
	for _, line := range faultLines.FindAllString(p.stderr.String(), -1) {
		for _, re := range p.allowed {
			if re.MatchString(line) {
				continue lines
			}
		}
		p.t.Errorf("in the error log: %s", line)
	}
}

// waitLog waits for a line that matches pattern.
func (p *proxy) waitLog(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	eventually(p.t, ioDeadline, "a log line "+pattern, func() bool { return re.MatchString(p.stderr.String()) })
}

// killAll kills what this test started, by pid.
func (p *proxy) killAll() {
	_ = p.cmd.Process.Kill()
	for _, pid := range p.leftBehind() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "[...]" + s[len(s)-n:]
	}
	return s
}

// within polls cond until it holds or d has passed, ever more slowly: some conditions read the whole process table, and the load
// that is waited for needs the processors.
func within(d time.Duration, cond func() bool) bool {
	pause := time.Millisecond
	for deadline := time.Now().Add(d); ; time.Sleep(pause) {
		if cond() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		pause = min(2*pause, 16*time.Millisecond)
	}
}

// eventually fails the test unless cond holds within d.
func eventually(t testing.TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	if !within(d, cond) {
		t.Fatalf("not within %v: %s", d, what)
	}
}

// readLog returns what is in logs/name now.
func (p *proxy) readLog(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(p.path("logs", name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return string(text)
}
