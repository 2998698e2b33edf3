// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// acceptSite is a server whose answer is the worker's number, with accept_mutex.
func acceptSite(main string) site {
	return site{workers: 4, main: "accept_mutex = true\n" + main, proxyPass: "-", location: `return = { code = 200, text = "$pid" }`,
		http: "access_log = []"}
}

// askOnce asks on a connection of its own, and returns the worker that answered.
func askOnce(p *proxy) int {
	c := p.dial()
	defer c.Close()
	pid, err := strconv.Atoi(strings.TrimSpace(string(c.get("/", 200).body)))
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// sleeps is how often the loop of a worker has gone to sleep so far: the thread of the process's number.
func sleeps(t *testing.T, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// With accept_mutex one worker has all connections that come one after the other, and the others sleep on.
func TestAcceptMutexWakesOne(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, _ bool) {
		p := start(t, acceptSite(main+"\naccept_mutex_delay = \"1m\""))
		holder := askOnce(p)
		before := map[int]int{}
		for _, pid := range p.children() {
			before[pid] = sleeps(t, pid)
		}
		if len(before) != 4 {
			t.Fatalf("%d workers", len(before))
		}
		const connections = 100
		for range connections {
			if pid := askOnce(p); pid != holder {
				t.Fatalf("worker %d answered, and %d before", pid, holder)
			}
		}
		// Behind the last connection it sleeps; on a busy machine each other one is there before it would.
		eventually(t, ioDeadline, "the holder to have slept", func() bool { return sleeps(t, holder) > before[holder] })
		for pid, n := range before {
			if slept := sleeps(t, pid) - n; pid != holder && slept > connections/10 {
				t.Errorf("worker %d, which does not hold the lock, slept %d times", pid, slept)
			}
		}
	})
}

// Those who do not hold the lock, whoever it is by then, try again each accept_mutex_delay: with its default they would do so 20 times within the deadline.
func TestAcceptMutexDelay(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, acceptSite("accept_mutex_delay = \"5ms\""))
	askOnce(p)
	before := map[int]int{}
	for _, pid := range p.children() {
		before[pid] = sleeps(t, pid)
	}
	eventually(t, ioDeadline, "all workers but one to try a hundred times", func() bool {
		tried := 0
		for pid, n := range before {
			if sleeps(t, pid) > n+100 {
				tried++
			}
		}
		return tried >= len(before)-1
	})
}

// Whoever comes is served, while the holder is killed again and again, and over reloads that turn it off and on.
func TestAcceptMutexServesAll(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, _ bool) {
		s := acceptSite(main + "\naccept_mutex_delay = \"50ms\"")
		p := start(t, s)
		p.allow(`exited on signal 9|killed`)
		crowd := func() {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for range 20 {
						askOnce(p)
					}
				})
			}
			all.Wait()
		}
		crowd()
		for range 5 {
			holder := askOnce(p)
			if err := syscall.Kill(holder, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, ioDeadline, "its end", func() bool { return !alive(holder) })
			if pid := askOnce(p); pid == holder {
				t.Errorf("worker %d answered after its end", pid)
			}
		}
		on := s.toml()
		for range 2 {
			for _, config := range []string{strings.Replace(on, "accept_mutex = true", "accept_mutex = false", 1), on} {
				p.writeConfig(config)
				p.reload()
				crowd()
			}
		}
	})
}
