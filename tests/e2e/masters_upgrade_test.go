// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// limitedSite has a limit of 10 connections of an address below /held/, where the origin waits.
func limitedSite(addr, main string) site {
	return site{workers: 2, origin: addr, main: main, http: accessLog + "\n[http.limit_conn_zone.addr]\nkey = \"$binary_remote_addr\"\nsize = \"1m\"",
		more: location("/held/", `proxy_pass = "http://app"`, `limit_conn = [{ zone = "addr", max = 10 }]`)}
}

// asker asks for the status without a pause, and counts the answers and those that were not given.
type asker struct {
	stop             atomic.Bool
	done             chan struct{}
	answered, failed atomic.Int64
	fault            atomic.Value
}

func (m *masters) startAsking() *asker {
	a := &asker{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for !a.stop.Load() {
			var s struct{ PID int }
			if code, err := m.control("GET", "/status", &s); err != nil || code != 200 || s.PID == 0 {
				a.failed.Add(1)
				a.fault.Store(fmt.Sprint(code, " ", err))
			}
			a.answered.Add(1)
		}
	}()
	return a
}

func (a *asker) end(t testing.TB) {
	t.Helper()
	a.stop.Store(true)
	<-a.done
	if n := a.failed.Load(); n > 0 {
		t.Errorf("the control socket: %d of %d not answered, the last: %v", n, a.answered.Load(), a.fault.Load())
	}
}

// Upgrades under load, one after the other: nothing is lost, a limit holds for clients from before and after together, the control socket always answers.
func TestUpgradeUnderLoad(t *testing.T) {
	o, release := heldOrigin(t)
	m := startMasters(t, limitedSite(o.addr, ""), nil)
	upgrades := 3
	if longTests() {
		upgrades = 20
	}
	var inside []*client
	for i := range 5 {
		c := m.dial()
		m.held(o, c, fmt.Sprintf("first%d", i))
		inside = append(inside, c)
	}
	l := startLoad(m.addr, 16)
	l.progress(m.proxy, 100)
	a := m.startAsking()
	old := m.master()
	m.installNext()
	for i := range upgrades {
		m.upgrade()
		if i == 0 {
			for k := range 5 {
				c := m.dial()
				m.held(o, c, fmt.Sprintf("second%d", k))
				inside = append(inside, c)
			}
		}
		c := m.dial()
		if r := c.ask("/held/over"); r.status != 503 {
			t.Errorf("upgrade %d: the eleventh connection got %d", i, r.status)
		}
		c.Close()
		m.waitCount("addr", "127.0.0.1", 10)
		if s := m.status(); s.Version != nextVersion || s.Generation != i+2 || s.PID != m.master() {
			t.Errorf("upgrade %d: status %+v", i, s)
		}
		l.progress(m.proxy, 50)
	}
	if !alive(old) {
		t.Error("the first master has left while its workers had requests in flight")
	}
	close(release)
	for i, c := range inside {
		c.within(ioDeadline)
		if r := c.read("GET"); r.status != 200 {
			t.Errorf("held request %d: status %d", i, r.status)
		}
		c.Close()
	}
	l.end()
	a.end(t)
	if lost := l.losses(); len(lost) > 0 {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
	if n := l.refused.Load(); n > 0 {
		t.Errorf("%d connections refused", n)
	}
	t.Logf("sent %d, served %d; control answered %d", l.sent.Load(), l.served.Load(), a.answered.Load())
	m.waitGone(m.seen[:len(m.seen)-1]...)
	m.waitCount("addr", "127.0.0.1", 0)
	if n := m.zonesInMemory(); n != 1 {
		t.Errorf("%d zones in memory", n)
	}
	if got := len(m.group()); got != 3 {
		t.Errorf("%d processes, want a master and two workers: %v", got, m.group())
	}
}

// The path that weir was started by is looked at again: relative, through a link, or found in PATH.
func TestUpgradeFindsTheProgram(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	for name, change := range map[string]func(m *masters, cmd *exec.Cmd){
		"relative": func(m *masters, cmd *exec.Cmd) {
			cmd.Dir, cmd.Path, cmd.Args[0] = m.dir, "./bin/weir", "./bin/weir"
		},
		"link": func(m *masters, cmd *exec.Cmd) {
			link := m.path("current")
			if err := os.Symlink("bin", link); err != nil && !os.IsExist(err) {
				m.t.Fatal(err)
			}
			cmd.Path = filepath.Join(link, "weir")
			cmd.Args[0] = cmd.Path
		},
		"PATH": func(m *masters, cmd *exec.Cmd) {
			cmd.Args[0] = "weir"
			cmd.Env = append(os.Environ(), "PATH="+m.bin+":"+os.Getenv("PATH"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := startMasters(t, site{origin: o.addr}, change)
			if name == "link" { // a release in another folder, and the link moved
				dir, err := nextBuild()
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(dir, m.path("next")); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(m.path("next"), m.path("current")); err != nil {
					t.Fatal(err)
				}
			} else {
				if err := os.Rename(filepath.Join(m.bin, "weir"), filepath.Join(m.bin, "weir.before")); err != nil {
					t.Fatal(err)
				}
				m.installNext()
			}
			old := m.master()
			m.upgrade()
			m.waitGone(old)
			if v := m.status().Version; v != nextVersion {
				t.Errorf("version %s", v)
			}
			m.get("/")
		})
	}
}

// badBinary is something that cannot take over, and what the operator reads about it.
type badBinary struct {
	name   string
	put    func(m *masters)
	reason string
}

func script(text string) func(*masters) {
	return func(m *masters) { m.replace("weir", "#!/bin/sh\n"+text+"\n", 0o755) }
}

// hangingBinaries are those that only upgrade_timeout ends.
func hangingBinaries() []badBinary {
	return []badBinary{
		{name: "hangs", put: script("sleep 100; exit 0"), reason: `did not serve within upgrade_timeout \(1s\)`},
		{name: "closes everything and hangs", put: script("exec 3>&- 4>&-; sleep 100; exit 0"), reason: `upgrade_timeout`},
	}
}

// badBinaries are the others.
func badBinaries() []badBinary {
	config := func(more string) func(m *masters) {
		return func(m *masters) { m.writeConfig(limitedSite("127.0.0.1:1", more).toml()) }
	}
	return []badBinary{
		{name: "missing", put: func(m *masters) { os.Remove(filepath.Join(m.bin, "weir")) }, reason: `no such file`},
		{name: "not executable", put: func(m *masters) { m.replace("weir", "text", 0o644) }, reason: `permission denied`},
		{name: "not a program", put: func(m *masters) { m.replace("weir", "text\n", 0o755) }, reason: `exec format error`},
		{name: "a folder", put: func(m *masters) {
			os.Remove(filepath.Join(m.bin, "weir"))
			os.Mkdir(filepath.Join(m.bin, "weir"), 0o755)
		}, reason: `permission denied`},
		{name: "exits 0", put: script("exit 0"), reason: `exited with code 0 before it served`},
		{name: "exits 1", put: script("exit 1"), reason: `exited with code 1 before it served`},
		{name: "crashes", put: script("kill -SEGV $$"), reason: `killed by signal 11`},
		{name: "a worker of another build", put: func(m *masters) {
			dir, err := nextBuild()
			if err != nil {
				m.t.Fatal(err)
			}
			m.install(dir, "weir-worker")
		}, reason: `install both from one build`},
		{name: "a worker that exits", put: func(m *masters) { m.replace("weir-worker", "#!/bin/sh\nexit 3\n", 0o755) }, reason: `exited with code 3 before it was ready`},
		{name: "a bad config", put: config("worker_proceses = 2"), reason: `weir.toml:\d+: worker_proceses: .*did you mean`},
		{name: "an address in use", put: func(m *masters) {
			s := limitedSite("127.0.0.1:1", "")
			s.more += "[[http.server]]\nlisten = [\"" + m.taken() + "\"]\n" + location("/", answer("x"))
			m.writeConfig(s.toml())
		}, reason: `(?i)address already in use`},
	}
}

// taken is an address that this process listens on.
func (m *masters) taken() string {
	fd, addr := bind(m.t, false)
	if err := syscall.Listen(fd, 1); err != nil {
		m.t.Fatal(err)
	}
	return addr
}

// upgradeTo tries to upgrade to what cannot take over, and puts everything back in its place.
func (m *masters) upgradeTo(b badBinary, good site, l *load) {
	m.t.Helper()
	before, master := m.group(), m.master()
	b.put(m)
	out, code := m.order("upgrade")
	if code != 1 || !matches(b.reason, out) {
		m.t.Errorf("%s: exit %d, %q; want 1 and %q", b.name, code, out, b.reason)
	}
	l.progress(m.proxy, 20)
	if !within(ioDeadline, func() bool { return slices.Equal(m.group(), before) }) {
		m.t.Fatalf("%s: processes were %v, now %v", b.name, before, m.group())
	}
	if files, _ := filepath.Glob(m.path("run", "*")); len(files) != 2 || m.master() != master {
		m.t.Errorf("%s: master %d, then %d; %v", b.name, master, m.master(), files)
	}
	os.Remove(filepath.Join(m.bin, "weir"))
	m.install(filepath.Dir(weirBinary))
	m.writeConfig(good.toml())
}

// What cannot take over changes nothing: nobody notices, the operator reads why, and a good one takes over afterwards.
func TestUpgradeToBadBinaries(t *testing.T) {
	o := targetOrigin(t)
	patient, hurried := limitedSite(o.addr, ""), limitedSite(o.addr, `upgrade_timeout = "1s"`)
	m := startMasters(t, patient, nil)
	m.allow(`killed|exited`)
	l := startLoad(m.addr, 8)
	l.progress(m.proxy, 50)
	a := m.startAsking()
	for _, b := range badBinaries() {
		m.upgradeTo(b, patient, l)
	}
	m.reloadTo(hurried)
	for _, b := range hangingBinaries() {
		m.upgradeTo(b, hurried, l)
	}
	m.reloadTo(patient)
	master := m.master()
	m.installNext()
	m.upgrade()
	m.waitGone(master)
	if v := m.status().Version; v != nextVersion {
		t.Errorf("version %s", v)
	}
	l.progress(m.proxy, 20)
	l.end()
	a.end(t)
	if lost := l.losses(); len(lost) > 0 {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
}

// Another layout of shared memory: refused, or with counts from 0 when the operator says so.
func TestUpgradeToAnotherLayout(t *testing.T) {
	o, release := heldOrigin(t)
	dir := t.TempDir()
	text, err := os.ReadFile("../../internal/limitconn/layout.go")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "kindLayout = ", "kindLayout = 100 + ", 1)
	if changed == string(text) {
		t.Fatal("layout.go has no kindLayout")
	}
	overlay := filepath.Join(dir, "overlay.json")
	source, _ := filepath.Abs("../../internal/limitconn/layout.go")
	table, _ := json.Marshal(map[string]map[string]string{"Replace": {source: filepath.Join(dir, "layout.go")}})
	for name, text := range map[string]string{filepath.Join(dir, "layout.go"): changed, overlay: string(table)} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := buildPair(dir, nextVersion, "-overlay", overlay); err != nil {
		t.Fatal(err)
	}
	m := startMasters(t, limitedSite(o.addr, ""), nil)
	c := m.dial()
	m.held(o, c, "x")
	m.install(dir)
	out, code := m.order("upgrade")
	if code != 1 || !matches(`zone "addr": .*layout \d+, want 10\d.*--reset-zones`, out) {
		t.Errorf("exit %d, %q", code, out)
	}
	m.waitCount("addr", "127.0.0.1", 1)
	if out, code := m.order("upgrade", "--reset-zones"); code != 0 {
		t.Fatalf("exit %d, %q", code, out)
	}
	if !matches(`zone "addr" has another layout: its counts start at 0`, m.log()) {
		t.Errorf("the log says\n%s", m.log())
	}
	m.waitCount("addr", "127.0.0.1", 0)
	close(release)
	if r := c.read("GET"); r.status != 200 {
		t.Errorf("the held request: %d", r.status)
	}
}

// nginx's way by signals: the new master comes up beside the old one, and an operator decides.
func TestUpgradeByHand(t *testing.T) {
	t.Parallel()
	o := targetOrigin(t)
	m := startMasters(t, site{workers: 2, origin: o.addr, main: `upgrade_hold = "1h"`}, nil)
	l := startLoad(m.addr, 8)
	oldbin := func() int {
		text, _ := os.ReadFile(m.path("run", "weir.pid.oldbin"))
		var pid int
		fmt.Sscan(string(text), &pid)
		return pid
	}
	kill := func(pid int, s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	workers := func(pid, want int) {
		t.Helper()
		if !within(ioDeadline, func() bool {
			n := 0
			for _, child := range childrenOf(pid) {
				if !slices.Contains(m.seen, child) {
					n++
				}
			}
			return n == want
		}) {
			t.Fatalf("master %d has not %d workers: %v\n%s", pid, want, childrenOf(pid), m.log())
		}
	}
	for _, back := range []bool{true, false} {
		old := m.master()
		m.installNext()
		kill(old, syscall.SIGUSR2)
		eventually(t, ioDeadline, "the new master", func() bool { return oldbin() == old && m.master() != old })
		next := m.master()
		workers(old, 2)
		workers(next, 2)
		if s := m.status(); s.PID != next {
			t.Errorf("master %d answers, want %d", s.PID, next)
		}
		if out, code := m.order("upgrade"); code != 1 || !matches(`first send QUIT`, out) {
			t.Errorf("an upgrade of the new master beside the old one: exit %d, %q", code, out)
		}
		l.progress(m.proxy, 50)
		kill(old, syscall.SIGWINCH)
		workers(old, 0)
		l.progress(m.proxy, 50)
		if !back {
			kill(old, syscall.SIGQUIT)
			m.waitGone(old)
			break
		}
		kill(old, syscall.SIGHUP)
		workers(old, 2)
		kill(next, syscall.SIGQUIT)
		m.waitGone(next)
		eventually(t, ioDeadline, "the old pid file", func() bool { return m.master() == old && oldbin() == 0 })
		if s := m.status(); s.PID != old || s.Version != testVersion {
			t.Errorf("status %+v", s)
		}
		l.progress(m.proxy, 50)
	}
	if oldbin() != 0 {
		t.Error("the old master's pid file is left")
	}
	if v := m.status().Version; v != nextVersion {
		t.Errorf("version %s", v)
	}
	l.progress(m.proxy, 50)
	l.end()
	if lost := l.losses(); len(lost) > 0 {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
}

// By signal, and nobody decides: the old master leaves after upgrade_hold. The new master sent away while the old one has no workers: these come back.
func TestUpgradeByHandLeftAlone(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	m := startMasters(t, site{origin: o.addr, main: `upgrade_hold = "100ms"`}, nil)
	old := m.master()
	m.signal(syscall.SIGUSR2)
	eventually(t, ioDeadline, "the new master", func() bool { return m.master() != old })
	m.waitGone(old)
	next := m.master()
	m.writeConfig(site{origin: o.addr, main: `upgrade_hold = "1h"`}.toml())
	if out, code := m.order("reload"); code != 0 {
		t.Fatal(out)
	}
	if err := syscall.Kill(next, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "a third master", func() bool { return m.master() != next })
	third := m.master()
	if err := syscall.Kill(next, syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "the second master without workers", func() bool { return len(childrenOf(next)) == 1 })
	if out, code := m.order("quit"); code != 0 {
		t.Fatal(out)
	}
	m.waitGone(third)
	eventually(t, ioDeadline, "the second master serves again", func() bool { return m.master() == next && m.status().State == "serving" })
	m.get("/")
}
