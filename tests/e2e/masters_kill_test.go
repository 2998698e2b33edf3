// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Points at which a master stops when a test wants it: see master.Options.Pause.
var (
	upgradePoints = []string{
		"old.begin", "old.started", "new.started", "new.ready", "new.proved", "old.ready", "old.take-over", "new.take-over", "new.commit", "new.taken", "old.leaving",
	}
	reloadPoints = []string{"reload.started", "reload.commit", "reload.committed"}
)

// pausing starts a weir whose master, or next master, stops at a point.
func pausing(t *testing.T, point string) *masters {
	o := targetOrigin(t)
	var file string
	m := startMasters(t, limitedSite(o.addr, `upgrade_timeout = "1m"`), func(m *masters, cmd *exec.Cmd) {
		file = m.path("pause")
		cmd.Env = append(os.Environ(), "WEIR_TEST_PAUSE_AT="+point+" "+file)
	})
	m.allow(`killed|upgrade undone|worker process \d+ is`)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// stopped waits for the process that has come to the point.
func (m *masters) stopped() int {
	m.t.Helper()
	found := 0
	if !within(ioDeadline, func() bool {
		for _, q := range processes() {
			if q.state == "T" && slices.Contains(m.group(), q.pid) {
				found = q.pid
			}
		}
		return found != 0
	}) {
		m.t.Fatalf("nobody has come to the point\n%s", m.log())
	}
	return found
}

// begin gives an order that will not be answered soon.
func (m *masters) begin(order string) (answered chan string) {
	answered = make(chan string, 1)
	cmd := exec.Command(weirBinary, "-p", m.dir, "-s", order)
	go func() {
		out, err := cmd.CombinedOutput()
		answered <- fmt.Sprint(strings.TrimSpace(string(out)), " ", err)
	}()
	return answered
}

// settle waits until one master and its workers are all there is, after a start if no master is left, and checks that all is well.
func (m *masters) settle(answered chan string) {
	m.t.Helper()
	masters := func() (pids []int) {
		for _, pid := range m.group() {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(name), "/bin/weir\x00") {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	if !within(stopDeadline, func() bool { return len(masters()) < 2 && (len(answered) > 0 || cap(answered) == 0) }) {
		m.t.Fatalf("masters %v, answered %d\n%s", masters(), len(answered), m.log())
	}
	if len(masters()) == 0 {
		m.past = append(m.past, m.cmd.Process.Pid)
		if err := m.launch(); err != nil {
			m.t.Fatalf("start after the kill: %v\n%s", err, m.log())
		}
	}
	if !within(stopDeadline, func() bool { return len(m.group()) == 3 && slices.Contains(m.group(), m.master()) }) {
		m.t.Fatalf("master %d; processes %v, want a master and two workers\n%s", m.master(), m.group(), m.log())
	}
	if n := m.zonesInMemory(); n != 1 {
		m.t.Errorf("%d zones in memory", n)
	}
	m.get("/")
	if s := m.status(); s.State != "serving" || len(s.Workers) != 2 || s.PID != m.master() {
		m.t.Errorf("status %+v", s)
	}
}

// killAt runs an order, stops it at a point, kills somebody there, and sees that the service goes on, or comes back with one start.
func killAt(t *testing.T, order, point, victim string) {
	m := pausing(t, point)
	old, first := m.master(), m.children()
	const clients = 8
	l := startLoad(m.addr, clients)
	l.progress(m.proxy, 50)
	answered := m.begin(order)
	paused := m.stopped()
	next := 0
	for _, pid := range childrenOf(old) {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(name), "/bin/weir\x00") {
			next = pid
		}
	}
	pid := map[string]int{"old master": old, "new master": next, "old worker": first[0]}[victim]
	if victim == "new worker" {
		children := childrenOf(old)
		if next != 0 {
			children = childrenOf(next)
		}
		for _, child := range children {
			if child != next && !slices.Contains(first, child) {
				pid = child
			}
		}
	}
	if pid != 0 && alive(pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if paused != pid {
		if err := syscall.Kill(paused, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	m.settle(answered)
	t.Logf("answered: %s", <-answered)
	l.progress(m.proxy, 50)
	m.upgrade() // the next good one works
	m.settle(nil)
	l.end()
	lost := l.losses()
	if worker := strings.HasSuffix(victim, "worker"); len(lost) > 0 && !worker || len(lost) > clients {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
}

// Log files that are moved away and reopened while a new master starts, which has opened the old ones, are reopened by that one too.
func TestReopenDuringUpgrade(t *testing.T) {
	t.Parallel()
	m := pausing(t, "new.ready")
	answered := m.begin("upgrade")
	next := m.stopped()
	if err := os.Rename(m.path("logs", "access.log"), m.path("logs", "moved")); err != nil {
		t.Fatal(err)
	}
	m.signal(syscall.SIGUSR1)
	eventually(t, ioDeadline, "the old master to reopen", func() bool { return strings.Contains(m.log(), "log files reopened") })
	if err := syscall.Kill(next, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	t.Logf("answered: %s", <-answered)
	if m.master() != next {
		t.Fatalf("process %d is the master, not %d", m.master(), next)
	}
	eventually(t, ioDeadline, "the new master's workers to write to the new file", func() bool {
		m.get("/after")
		return strings.Contains(m.readLog("access.log"), "/after")
	})
	m.settle(nil)
	for range 10 {
		m.get("/late")
	}
	m.waitLines("access.log", 11)
	if strings.Contains(m.readLog("moved"), "/late") {
		t.Errorf("a worker still writes to the file that was moved away:\n%s", m.readLog("moved"))
	}
}

// kill -9 at every step of an upgrade.
func TestUpgradeKilled(t *testing.T) {
	weirOnly(t)
	victims := []string{"old master", "new master", "new worker"}
	if longTests() {
		victims = append(victims, "old worker")
	}
	for _, point := range upgradePoints {
		for _, victim := range victims {
			if victim == "new worker" && strings.HasPrefix(point, "old.") && !longTests() {
				continue
			}
			t.Run(point+"/"+victim, func(t *testing.T) {
				t.Parallel()
				killAt(t, "upgrade", point, victim)
			})
		}
	}
}

// kill -9 at every step of a reload.
func TestReloadKilled(t *testing.T) {
	weirOnly(t)
	for _, point := range reloadPoints {
		for _, victim := range []string{"old master", "old worker", "new worker"} {
			t.Run(point+"/"+victim, func(t *testing.T) {
				t.Parallel()
				killAt(t, "reload", point, victim)
			})
		}
	}
}
