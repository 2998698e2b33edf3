// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// meter is an origin that counts the requests it has in hand. A request leaves the count before its answer does, so that what is
// counted is never more than what the proxy has admitted.
type meter struct {
	*origin
	now, most atomic.Int64
	longest   atomic.Int64 // how long a request may take, in ns; 0: no time
}

func newMeter(t testing.TB) *meter {
	m := &meter{}
	m.origin = newOrigin(t, func(c *originConn) {
		for {
			r, err := readRequestHead(c.br)
			if err != nil {
				return
			}
			for n, most := m.now.Add(1), m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
			}
			if longest := time.Duration(m.longest.Load()); longest > 0 {
				time.Sleep(rand.N(longest)) // the work
			}
			m.now.Add(-1)
			c.write(ok(r.target))
		}
	})
	return m
}

// hammer has each client ask again as soon as it has its answer, for d, and counts the answers by status.
func hammer(t *testing.T, addr string, clients int, d time.Duration) map[int]int {
	t.Helper()
	answers := map[int]int{}
	var mu sync.Mutex
	var running sync.WaitGroup
	begin := make(chan struct{})
	all := make([]*client, clients)
	for i := range all {
		all[i] = dialTo(t, addr)
	}
	for i, c := range all {
		running.Go(func() {
			<-begin
			own := map[int]int{}
			for end := time.Now().Add(d); time.Now().Before(end); {
				_ = c.SetDeadline(time.Now().Add(ioDeadline))
				_, err := fmt.Fprintf(c.TCPConn, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
				r, readErr := readResponse(c.br, "GET")
				if err != nil || readErr != nil {
					t.Errorf("client %d: %v, %v", i, err, readErr)
					break
				}
				own[r.status]++
			}
			c.Close()
			mu.Lock()
			defer mu.Unlock()
			for status, n := range own {
				answers[status] += n
			}
		})
	}
	close(begin)
	running.Wait()
	return answers
}

// forEachMutex runs test with each kind of shared_mutex; main is the key for the config.
func forEachMutex(t *testing.T, test func(t *testing.T, main string, atomic bool)) {
	for _, kind := range []string{"atomic", "flock"} {
		t.Run(kind, func(t *testing.T) { test(t, fmt.Sprintf("shared_mutex = %q", kind), kind == "atomic") })
	}
}

// However many ask at once, no more than the limit are in work, over all workers; and with no more askers than places nobody is refused.
func TestLimitIsExact(t *testing.T) {
	weirOnly(t)
	const most = 10
	for _, workers := range []int{2, 8} {
		forEachMutex(t, func(t *testing.T, main string, atomic bool) {
			d := 800 * time.Millisecond
			if longTests() && atomic {
				d = 10 * time.Second
			}
			m := newMeter(t)
			m.longest.Store(int64(40 * time.Millisecond))
			s := byAddress(m.addr, most, "limit_conn_log_level = \"info\"\naccess_log = []\nkeepalive_requests = 1000000000")
			s.workers, s.main = workers, main+"\nerror_log = { path = \"stderr\", level = \"notice\" }"
			p := start(t, s)
			answers := hammer(t, p.addr, 500, d)
			for i := 0; i < 5 && m.most.Load() < most; i++ { // a busy machine may need longer to fill all places at once
				hammer(t, p.addr, 500, d)
			}
			p.waitEmpty("addr")
			t.Logf("%d workers, 500 clients: answers %v, at most %d at once at the origin", workers, answers, m.most.Load())
			if m.most.Load() != most {
				t.Errorf("at most %d requests were in work at once, want %d", m.most.Load(), most)
			}
			if answers[503] == 0 || len(answers) != 2 {
				t.Errorf("answers by status: %v, want 200 and 503", answers)
			}
			// A worker begins the next request of a connection when the last one is over: ten connections need no eleventh place.
			m.longest.Store(0)
			answers = hammer(t, p.addr, most, d)
			t.Logf("%d workers, %d clients: answers %v", workers, most, answers)
			if len(answers) != 1 || answers[200] == 0 {
				t.Errorf("with %d clients, answers by status: %v, want 200 only", most, answers)
			}
			p.waitEmpty("addr")
		})
	}
}

// With nine held at the origin a tenth is always admitted, whichever worker it comes to, and with ten an eleventh never.
func TestLimitLastPlace(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const most = 10
	for _, workers := range []int{2, 8} {
		forEachMutex(t, func(t *testing.T, main string, atomic bool) {
			g := newGate(t)
			s := byAddress(g.addr, most, `limit_conn_log_level = "info"`)
			s.workers, s.main = workers, main+"\nerror_log = { path = \"stderr\", level = \"notice\" }"
			p := start(t, s)
			holders := inTurn(p.spread(workers, (most+workers-1)/workers))[:most]
			asking := inTurn(p.spread(workers, 1))
			for i, h := range holders[:most-1] {
				g.hold(h, fmt.Sprint(i))
			}
			rounds := 3
			if longTests() {
				rounds = 50
			}
			for round := range rounds {
				for _, c := range asking {
					for range 20 { // on one connection there is nothing to wait for in between
						c.get("/x", 200)
					}
					p.waitCount("addr", "127.0.0.1", most-1)
				}
				last := fmt.Sprintf("last%d", round)
				g.hold(holders[most-1], last)
				for _, c := range asking {
					c.get("/x", 503)
				}
				g.letGo(holders[most-1], last)
				p.waitCount("addr", "127.0.0.1", most-1)
				// The places move on: another one is let go, and taken again in another worker.
				i := round % (most - 1)
				name := fmt.Sprint(i)
				if round >= most-1 {
					name = fmt.Sprintf("%d-%d", i, round-(most-1))
				}
				g.letGo(holders[i], name)
				p.waitCount("addr", "127.0.0.1", most-2)
				g.hold(holders[i], fmt.Sprintf("%d-%d", i, round))
			}
			for _, h := range holders {
				h.Close()
			}
			p.waitEmpty("addr")
		})
	}
}

// A worker that is killed gives its places back, and those of the others stay.
func TestLimitWorkerIsKilled(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, _ bool) {
		g := newGate(t)
		s := byAddress(g.addr, 4)
		s.main = main
		p := start(t, s)
		p.allow(`exited on signal 9|killed`)
		spread := p.spread(2, 2)
		holders := inTurn(spread)
		for i, h := range holders {
			g.hold(h, fmt.Sprint(i))
		}
		victim := sortedKeys(spread)[0]
		begun := time.Now()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.waitCount("addr", "127.0.0.1", 2)
		t.Logf("given back after %v", time.Since(begun))
		p.waitLog(`zone "addr": the connections of a dead worker are given back.* connections=2`)
		next := []*client{p.dial(), p.dial()}
		for i, c := range next {
			g.hold(c, fmt.Sprintf("next%d", i))
		}
		p.dial().get("/x", 503)
		for i, h := range holders {
			if i%2 == 1 {
				g.letGo(h, fmt.Sprint(i))
			}
		}
		p.waitCount("addr", "127.0.0.1", 2)
		for i, c := range next {
			g.letGo(c, fmt.Sprintf("next%d", i))
		}
		p.waitEmpty("addr")
		p.children()
	})
}

// A limit at accept gives a dead worker's connections back too.
func TestLimitAtAcceptWorkerIsKilled(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, listenLimit(o.addr, 8, ""))
	p.allow(`exited on signal 9|killed`)
	p.waitEmpty("open")
	var all []net.Conn
	for range 8 {
		all = append(all, p.dial())
	}
	p.waitCount("open", "127.0.0.1", 8)
	for _, pid := range p.children() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	p.waitEmpty("open")
	if i := slices.IndexFunc(all, func(c net.Conn) bool { return !dead(c) }); i >= 0 {
		t.Errorf("connection %d is open", i)
	}
	c := p.dial()
	c.get("/x", 200)
	p.waitCount("open", "127.0.0.1", 1)
	p.children()
}
