// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// pidSite tells in every answer which worker gave it.
func pidSite(addr string, workers int) site {
	return site{workers: workers, origin: addr, location: `add_header = { X-Worker = "$pid" }`}
}

// workerOf asks on c and returns which worker has the connection.
func (c *client) workerOf() int {
	c.t.Helper()
	pid, err := strconv.Atoi(c.get("/who", 200).fields.get("X-Worker"))
	if err != nil {
		c.t.Fatalf("X-Worker: %v", err)
	}
	return pid
}

// kill -9 of a worker loses what that worker had in flight, and nothing else.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	p := start(t, pidSite(o.addr, 2))
	p.allow(`exited on signal 9|killed`)
	clients := map[int][]*client{}
	for i := 0; i < 64 && (len(clients) < 2 || i < 8); i++ {
		c := p.dial()
		pid := c.workerOf()
		p.held(o, c, strconv.Itoa(i))
		clients[pid] = append(clients[pid], c)
	}
	if len(clients) != 2 {
		t.Fatalf("64 connections went to %d workers", len(clients))
	}
	const loaded = 16
	l := startLoad(p.addr, loaded)
	l.progress(p, 200)
	victim := p.children()[0]
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.progress(p, 500)
	eventually(t, ioDeadline, "two workers again", func() bool { return len(p.children()) == 2 && !alive(victim) })
	close(release)
	for pid, list := range clients {
		for i, c := range list {
			c.within(ioDeadline)
			r, err := readResponse(c.br, "GET")
			if ok := err == nil && r.status == 200; ok != (pid != victim) {
				t.Errorf("connection %d of worker %d (killed: %d): %v", i, pid, victim, err)
			}
		}
	}
	l.end()
	if lost := l.losses(); len(lost) > loaded {
		t.Errorf("%d clients lost %d requests, the last: %s", loaded, len(lost), lost[len(lost)-1])
	}
}

// A new worker serves within 100 ms of the old one's death, also when it is the only one.
func TestWorkerIsReplacedFast(t *testing.T) {
	o := okOrigin(t)
	p := start(t, pidSite(o.addr, 1))
	p.allow(`exited on signal 9|killed`)
	best := time.Hour
	for range 3 { // the best of three: the machine may be busy with something else
		c := p.dial()
		pid := c.workerOf()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		c.wantClosed(ioDeadline)
		if now := p.dial().workerOf(); now == pid {
			t.Fatalf("worker %d still answers", pid)
		}
		best = min(best, time.Since(begun))
		p.children()
	}
	t.Logf("best of three: %v", best)
	if most := max(100*time.Millisecond, 5*processTime(t)); best > most {
		t.Errorf("after a kill the next answer took %v, want at most %v", best, most)
	}
}

// processTime is how long a process that does nothing takes here and now: a few milliseconds, unless the machine is very slow.
func processTime(t *testing.T) time.Duration {
	best := time.Hour
	for range 3 {
		begun := time.Now()
		if out, code := weirCommand(t, t.TempDir(), "-v"); code != 0 {
			t.Fatalf("weir -v: exit %d, %s", code, out)
		}
		best = min(best, time.Since(begun))
	}
	return best
}

// QUIT to one worker: it finishes, and is replaced.
func TestWorkerIsAskedToQuit(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	p := start(t, pidSite(o.addr, 1))
	c := p.dial()
	pid := c.workerOf()
	p.held(o, c, "x")
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	close(release)
	if r := c.read("GET"); r.status != 200 {
		t.Errorf("the held request: status %d", r.status)
	}
	c.Close()
	eventually(t, ioDeadline, "the worker to leave", func() bool { return !alive(pid) })
	if now := p.dial().workerOf(); now == pid {
		t.Errorf("worker %d still answers", pid)
	}
	p.children()
}

// kill -9 of the master: the workers finish what they have and leave, and a
// restart serves within a second.
func TestMasterIsKilled(t *testing.T) {
	weirOnly(t) // nginx's workers go on without a master
	best := time.Hour
	for range 2 { // the better of two: the machine may be busy with something else
		best = min(best, restartAfterKill(t))
	}
	t.Logf("the better of two: %v", best)
	if most := max(time.Second, 10*processTime(t)); best > most {
		t.Errorf("the restart served after %v, want at most %v", best, most)
	}
}

// restartAfterKill kills a master with a request in flight, starts it again and
// returns how long it took until the new one answered.
func restartAfterKill(t *testing.T) time.Duration {
	o, release := heldOrigin(t)
	p := start(t, pidSite(o.addr, 2))
	c := p.dial()
	c.workerOf()
	p.held(o, c, "x")
	workers := p.children()
	stderr := p.stderr
	p.signal(syscall.SIGKILL)
	<-p.exited
	begun := time.Now()
	if err := p.launch(); err != nil {
		t.Fatalf("restart: %v\n%s", err, p.stderr)
	}
	if r := p.get("/again"); r.status != 200 {
		t.Errorf("after the restart: status %d", r.status)
	}
	took := time.Since(begun)
	close(release)
	if r := c.read("GET"); r.status != 200 || string(r.body) != "/held/x" {
		t.Errorf("the request in flight when the master was killed: status %d", r.status)
	}
	c.Close()
	for _, pid := range workers {
		if !within(ioDeadline, func() bool { return !alive(pid) }) {
			t.Errorf("worker %d has not left\n%s", pid, stderr)
		}
	}
	return took
}

// 1,000 connections are spread over two workers within 25 %.
func TestConnectionsAreBalanced(t *testing.T) {
	weirOnly(t) // nginx leaves it to the kernel
	o := okOrigin(t)
	p := start(t, pidSite(o.addr, 2))
	const connections = 1000
	counts := map[int]int{}
	for range connections {
		counts[p.dial().workerOf()]++
	}
	low, high := connections, 0
	for _, n := range counts {
		low, high = min(low, n), max(high, n)
	}
	t.Logf("connections per worker: %v", counts)
	if len(counts) != 2 || float64(high) > 1.25*float64(low) {
		t.Errorf("connections per worker: %s, want within 25 %%", fmt.Sprint(counts))
	}
}
