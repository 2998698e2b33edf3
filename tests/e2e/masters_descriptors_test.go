// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// descriptors says what a process has open: how many of each kind. What the Go runtime opens when it likes is left out, and so is what this test process has inherited, and
// therefore the first master too.
func descriptors(pid int) map[string]int {
	inherited := map[string]bool{}
	for _, target := range links(os.Getpid()) {
		inherited[target] = strings.HasPrefix(target, "pipe:[") || strings.HasPrefix(target, "socket:[")
	}
	kinds := map[string]int{}
	for _, target := range links(pid) {
		if target == "/dev/null" || strings.HasPrefix(target, "/sys/fs/cgroup/") || inherited[target] {
			continue
		}
		kinds[descriptorNumber.ReplaceAllString(strings.TrimSuffix(target, " (deleted)"), "")]++
	}
	return kinds
}

// descriptorNumber is what tells sockets apart.
var descriptorNumber = regexp.MustCompile(`:\[\d+\]`)

func links(pid int) []string {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	var targets []string
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil {
			targets = append(targets, target)
		}
	}
	return targets
}

// describedSite has each kind of listening socket.
func describedSite(addr string) site {
	s := limitedSite(addr, "")
	s.server = `listen = ["127.0.0.1:@PORT1@", { address = "127.0.0.1:@PORT2@", reuseport = true }, "unix:run/front.sock"]`
	s.more = strings.Replace(s.more, "max = 10", "max = 10, queue = 5", 1)
	return s
}

// wanted is what each process must have open with describedSite and two workers, and nothing else.
func (m *masters) wanted() (master, worker map[string]int) {
	const workers, shared = 2, 2
	const slots = 64 // of the slot table: with a queue, each has an eventfd
	return map[string]int{
			m.path("logs", "stderr"): 2, m.path("logs", "access.log"): 1, m.path("run", "weir.pid"): 1,
			filepath.Join(m.bin, "weir-worker"): 2,
			"/memfd:weir-config":                1, "/memfd:weir-stats-weir": 1, "/memfd:weir-slots-weir": 1, "/memfd:weir-limit_conn-addr": 1,
			m.path("tmp"): 1, "/memfd:weir-temp_quota-temp": 1, "/memfd:weir-peers-peers": 1,
			"anon_inode:[eventpoll]": 1, "anon_inode:[eventfd]": 1 + slots,
			// Listening, one more for each worker with reuseport; the control socket, once to pass on and once to accept; the hand-over queue; the workers' channels.
			"socket": shared + workers + 2 + 2 + workers,
		}, map[string]int{
			m.path("logs", "stderr"): 2, m.path("logs", "access.log"): 1,
			"/memfd:weir-manifest": 1, "/memfd:weir-config": 1, "/memfd:weir-stats-weir": 1, "/memfd:weir-slots-weir": 1, "/memfd:weir-limit_conn-addr": 1,
			m.path("tmp"): 1, "/memfd:weir-temp_quota-temp": 1, "/memfd:weir-peers-peers": 1,
			"anon_inode:[eventpoll]": 2, "anon_inode:[eventfd]": 2 + slots, // the loop's and the Go runtime's
			"socket": shared + 1 + 2 + 1,
		}
}

// checkDescriptors compares what is open with what must be; what is on its way out is waited for.
func (m *masters) checkDescriptors(when string) {
	m.t.Helper()
	wantMaster, wantWorker := m.wanted()
	fault := ""
	if !within(stopDeadline, func() bool {
		fault = ""
		master := m.master()
		workers := childrenOf(master)
		if len(workers) != 2 || len(m.group()) != 3 {
			fault = fmt.Sprintf("processes %v of master %d", m.group(), master)
		}
		if got := descriptors(master); !maps.Equal(got, wantMaster) {
			fault = fmt.Sprintf("master:\n got %v\nwant %v", got, wantMaster)
		}
		for _, pid := range workers {
			if got := descriptors(pid); !maps.Equal(got, wantWorker) {
				fault = fmt.Sprintf("worker %d:\n got %v\nwant %v", pid, got, wantWorker)
			}
		}
		return fault == ""
	}) {
		m.t.Fatalf("after %s: %s\n%s", when, fault, tail(m.log(), 4<<10))
	}
}

// Every process has what it must have and nothing else, after every step of its life.
func TestDescriptors(t *testing.T) {
	o := targetOrigin(t)
	m := startMasters(t, describedSite(o.addr), nil)
	m.allow(`killed`)
	reloads, upgrades := 10, 3
	if longTests() {
		reloads, upgrades = 200, 50
	}
	m.checkDescriptors("the start")
	order := func(args ...string) {
		t.Helper()
		if out, code := m.order(args...); code != 0 {
			t.Fatalf("%v: exit %d, %s\n%s", args, code, out, tail(m.log(), 4<<10))
		}
	}
	order("reload")
	m.checkDescriptors("a reload")
	m.writeConfig("nonsense")
	if _, code := m.order("reload"); code != 1 {
		t.Error("a faulty config was taken")
	}
	m.writeConfig(describedSite(o.addr).toml())
	m.checkDescriptors("a reload that failed")
	order("reopen")
	m.checkDescriptors("reopening the logs")
	if err := syscall.Kill(m.children()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.checkDescriptors("the death of a worker")
	m.upgrade()
	m.checkDescriptors("an upgrade")
	m.replace("weir", "#!/bin/sh\nexit 1\n", 0o755)
	if _, code := m.order("upgrade"); code != 1 {
		t.Error("an upgrade to a script went well")
	}
	m.install(filepath.Dir(weirBinary))
	m.checkDescriptors("an upgrade that failed")
	if err := syscall.Kill(childrenOf(m.master())[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.checkDescriptors("the death of a worker of the new master")
	for range reloads {
		order("reload")
	}
	m.checkDescriptors(fmt.Sprint(reloads, " reloads"))
	for range upgrades {
		m.upgrade()
	}
	m.checkDescriptors(fmt.Sprint(upgrades, " upgrades"))
	if slices.Contains(m.group(), m.cmd.Process.Pid) {
		t.Error("the first master has not left")
	}
}

// A reload to fewer workers, with a socket for each: nothing that waits in a queue is lost.
func TestReloadWithFewerReuseportSockets(t *testing.T) {
	o := targetOrigin(t)
	config := func(workers int) site {
		s := limitedSite(o.addr, generationsStay)
		s.workers, s.server = workers, `listen = [{ address = "127.0.0.1:@PORT1@", reuseport = true }]`
		return s
	}
	m := startMasters(t, config(4), nil)
	rounds := 4
	if longTests() {
		rounds = 50
	}
	l := startCalls(m.addr, 8)
	for i := range rounds {
		for _, workers := range []int{1, 3, 2, 4} {
			m.writeConfig(config(workers).toml())
			if out, code := m.order("reload"); code != 0 || !matches(fmt.Sprintf(`with %d workers`, workers), out) {
				t.Fatalf("round %d: exit %d, %s", i, code, out)
			}
		}
		m.upgrade()
	}
	l.end(t)
}
