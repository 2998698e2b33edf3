// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// places is the zone of max_conns, as the control socket has it in a path.
var places = url.PathEscape("upstream max_conns") // read-only

// queue renders the key queue.
func queue(size int, timeout string) string {
	return fmt.Sprintf("queue = { size = %d, timeout = %q }", size, timeout)
}

// waitQueue waits until as many requests wait in the zone's lines.
func (p *proxy) waitQueue(zone string, want int) {
	p.t.Helper()
	got := -1
	if !within(ioDeadline, func() bool { got = p.zone(zone).Waiting; return got == want }) {
		p.t.Fatalf("zone %s: %d requests wait, want %d", zone, got, want)
	}
}

// inQueue has n requests wait, one after the other, with /held/NAMEi: it returns their clients.
func (p *proxy) inQueue(zone string, clients []*client, name string) {
	p.t.Helper()
	before := p.zone(zone).Waiting
	for i, c := range clients {
		c.send(fmt.Sprintf("GET /held/%s%d HTTP/1.1\r\nHost: h\r\n\r\n", name, i))
		p.waitQueue(zone, before+i+1)
	}
}

// serveInOrder lets the waiting requests go one after the other: each has the place of the one before it.
func (g *gate) serveInOrder(clients []*client, name string) {
	g.origin.t.Helper()
	for i, c := range clients {
		eventually(c.t, ioDeadline, fmt.Sprintf("request %s%d at the origin", name, i), func() bool { return g.has(fmt.Sprintf("/held/%s%d", name, i)) })
		if i+1 < len(clients) && g.has(fmt.Sprintf("/held/%s%d", name, i+1)) {
			c.t.Errorf("request %s%d is at the origin before its turn", name, i+1)
		}
		g.letGo(c, fmt.Sprint(name, i))
	}
}

// The queue of an upstream: requests for which no origin has a place wait, first come first served over all workers; a full queue and a time that is over are a 502.
func TestQueueOfUpstream(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, servers: []string{fmt.Sprintf("{ address = %q, max_conns = 1 }", g.addr)}, upstream: queue(5, "30s"),
		more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	c := inTurn(p.spread(2, 4))
	g.hold(c[0], "first")
	p.inQueue(places, c[1:6], "q")
	c[6].get("/overflow", 502)
	p.waitLog("the queue of the upstream is full")

	c[3].Close() // leaves the line at once
	p.waitQueue(places, 4)
	g.letGo(c[0], "first")
	g.serveInOrder(c[1:3], "q")
	eventually(t, ioDeadline, "the request behind the one that left", func() bool { return g.has("/held/q3") })
	if g.has("/held/q2") {
		t.Error("a request whose client had gone came to the origin")
	}
	g.letGo(c[4], "q3")
	g.letGo(c[5], "q4")
	z := p.zone(places)
	if z.Waiting != 0 || z.Waited != 4 || z.Left != 1 || z.Overflowed != 1 || z.Late != 0 {
		t.Errorf("the zone counts %+v", z)
	}
	c[7].get("/free", 200)
	p.waitEmpty(places)
	p.allow("client closed the connection")
}

// Who has waited as long as it may gets 502, and a killed worker's places pass on to those who wait, as its own waiting requests vanish.
func TestQueueTimeoutAndKill(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, servers: []string{fmt.Sprintf("{ address = %q, max_conns = 1 }", g.addr)}, upstream: queue(10, "60s"),
		http:     limitZone("one", "$arg_one", "1m"),
		location: `limit_conn = [{ zone = "one", max = 1, queue = { size = 1, timeout = "300ms" } }]` + "\nlimit_conn_status = 429",
		more:     location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	byWorker := p.spread(2, 4)
	pids := sortedKeys(byWorker)
	dying, living := byWorker[pids[0]], byWorker[pids[1]]

	g.hold(living[3], "timeout?one=a")
	living[2].get("/?one=a", 429)
	if z := p.zone("one"); z.Late != 1 || z.Waiting != 0 {
		t.Errorf("the zone counts %+v", z)
	}
	g.letGo(living[3], "timeout?one=a")

	p.allow("exited on signal 9|killed")
	g.hold(dying[0], "first")
	p.inQueue(places, []*client{dying[1], living[0], dying[2], living[1]}, "k")
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*client{living[0], living[1]} {
		name := fmt.Sprint("k", 2*i+1)
		eventually(t, ioDeadline, "the request behind those of the killed worker", func() bool { return g.has("/held/" + name) })
		g.letGo(c, name)
	}
	if g.has("/held/k0") || g.has("/held/k2") {
		t.Error("a request of the killed worker came to the origin")
	}
	close(g.word("/held/first"))
	p.waitEmpty(places, "one")
}

// Requests of old and new workers stand in one queue, over a reload and an upgrade. A worker whose config has no queue, and so no means to wake others, has them woken.
func TestQueueOverReload(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := site{servers: []string{fmt.Sprintf("{ address = %q, max_conns = 1 }", g.addr)}, http: `log_format.q = "$request_uri $upstream_queue_time"` + "\n" +
		`access_log = [{ path = "logs/queue.log", format = "q" }]`}
	p := startMasters(t, s, nil)
	first := p.dial()
	g.hold(first, "first")
	s.upstream = queue(5, "60s")
	p.writeConfig(s.toml())
	p.reload()
	var clients []*client
	ask := func(name string) {
		c := p.dial()
		c.send("GET /held/" + name + " HTTP/1.1\r\nHost: h\r\n\r\n")
		clients = append(clients, c)
		p.waitQueue(places, len(clients))
	}
	ask("o0")
	p.reload()
	ask("o1")
	p.upgrade()
	ask("o2")
	g.letGo(first, "first")
	g.serveInOrder(clients, "o")
	p.waitEmpty(places)
	eventually(t, ioDeadline, "the time in the queue in the log", func() bool {
		text, _ := os.ReadFile(p.path("logs", "queue.log"))
		return regexp.MustCompile(`(?m)^/held/first 0\.000$`).Match(text) && regexp.MustCompile(`(?m)^/held/o2 [0-9]+\.[0-9]{3}$`).Match(text) &&
			!regexp.MustCompile(`(?m)^/held/o2 0\.000$`).Match(text)
	})
}

// The queue of limit_conn: requests of a key wait for each other, those of other keys do not wait; $limit_conn_status says what became of it.
func TestQueueOfLimit(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, origin: g.addr, http: limitZone("key", "$arg_k", "1m") + limitZone("total", "$server_name", "1m"), server: `server_name = ["h"]`,
		location: `limit_conn = [{ zone = "key", max = 1, queue = { size = 2, timeout = "30s" } }, { zone = "total", max = 4, queue = { size = 2, timeout = "30s" } }]` + `
limit_conn_status = 429
limit_retry_after = true
add_header = { X-Limit = { value = "$limit_conn_status", always = true } }`,
		more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	c := inTurn(p.spread(2, 5))
	send := func(c *client, name string) { c.send("GET /held/" + name + " HTTP/1.1\r\nHost: h\r\n\r\n") }
	g.hold(c[0], "a0?k=a")
	send(c[1], "a1?k=a")
	p.waitQueue("key", 1)
	send(c[2], "a2?k=a")
	p.waitQueue("key", 2)
	if r := c[3].get("/?k=a", 429); r.fields.get("X-Limit") != "REJECTED" || r.fields.get("Retry-After") == "" {
		t.Errorf("a request that found the line full: %v", r.fields)
	}
	if r := c[3].get("/?k=b", 200); r.fields.get("X-Limit") != "PASSED" {
		t.Errorf("a request of another key: %v", r.fields)
	}
	for i, name := range []string{"a0?k=a", "a1?k=a", "a2?k=a"} {
		eventually(t, ioDeadline, name, func() bool { return g.has("/held/" + name) })
		close(g.word("/held/" + name))
		r := c[i].read("GET")
		if want := []string{"PASSED", "QUEUED", "QUEUED"}[i]; r.status != 200 || r.fields.get("X-Limit") != want {
			t.Errorf("%s: %d, %v, want %s", name, r.status, r.fields, want)
		}
	}

	// Two limits: who waits for the second keeps its place under the first.
	for i := range 4 {
		g.hold(c[i], fmt.Sprintf("m%d?k=m%d", i, i))
	}
	send(c[4], "m4?k=m4")
	p.waitQueue("total", 1)
	send(c[5], "m5?k=m4")
	p.waitQueue("key", 1)
	for i := range 4 {
		g.letGo(c[i], fmt.Sprintf("m%d?k=m%d", i, i))
	}
	eventually(t, ioDeadline, "m4", func() bool { return g.has("/held/m4?k=m4") })
	g.letGo(c[4], "m4?k=m4")
	g.letGo(c[5], "m5?k=m4")
	p.waitEmpty("key", "total")
}

// crowded is an origin that counts how many requests it has in work.
type crowded struct {
	now, most, served atomic.Int64
}

func (o *crowded) origin(t testing.TB, took func() time.Duration) *origin {
	return newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			n := o.now.Add(1)
			for most := o.most.Load(); n > most && !o.most.CompareAndSwap(most, n); most = o.most.Load() {
			}
			<-time.After(took())
			o.now.Add(-1)
			o.served.Add(1)
			c.write(ok("x"))
		}
	})
}

// tryGet is the status of a request of its own connection; 0: there was none.
func tryGet(addr string) int {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(ioDeadline))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	return r.StatusCode
}

// Many clients before few places, while workers are killed: the origin never has more in work than it may, and no place and no waiting request is left over. What a killed
// worker had in work the origin may still be at when the next one comes, so it is told to end then: the connection is closed.
func TestQueueUnderLoad(t *testing.T) {
	weirOnly(t)
	workers, most, clients, d := 4, 8, 150, 2*time.Second
	if longTests() {
		workers, most, clients, d = 8, 30, 2000, 30*time.Second
	}
	var o crowded
	origin := o.origin(t, func() time.Duration { return time.Duration(1+rand.IntN(10)) * time.Millisecond })
	p := start(t, site{workers: workers, servers: []string{fmt.Sprintf("{ address = %q, max_conns = %d, max_fails = 0 }", origin.addr, most)}, upstream: queue(10_000, "30s"),
		main: "worker_connections = 8192\nerror_log = { path = \"stderr\", level = \"notice\" }", http: "access_log = []"})
	var served, failed atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if tryGet(p.addr) == 200 {
					served.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	eventually(t, ioDeadline, "a queue", func() bool { return p.zone(places).Waiting > clients/4 })
	if got := o.most.Load(); got > int64(most) {
		t.Errorf("the origin had %d requests in work, of at most %d", got, most)
	}
	p.allow(`exited on signal 9|killed`)
	kills := 0
	for end := time.Now().Add(d); time.Now().Before(end); {
		if pids := p.children(); len(pids) > 0 && kills < 4*workers {
			syscall.Kill(pids[rand.N(len(pids))], syscall.SIGKILL)
			kills++
		}
		<-time.After(d / 10)
	}
	close(stop)
	all.Wait()
	z := p.zone(places)
	t.Logf("%d served, %d failed, %d workers killed; %d waited, %d left; the origin had at most %d in work", served.Load(), failed.Load(), kills, z.Waited, z.Left, o.most.Load())
	if z.Overflowed+z.Late > 0 || served.Load() < 100 {
		t.Errorf("the zone counts %+v", z)
	}
	p.waitEmpty(places)
}

// A worker is woken when another one frees a place for one of its requests. How soon is logged, from the end of one response to the next request at the origin, by way of the
// other worker; the bound is generous, since whoever else runs on the machine has a say in it.
func TestQueueWakes(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	var mu sync.Mutex
	var answered time.Time
	var last string
	var gaps []time.Duration
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			mu.Lock()
			if !answered.IsZero() && r.target != last {
				gaps = append(gaps, time.Since(answered))
			}
			last, answered = r.target, time.Now()
			c.write(ok("x"))
			mu.Unlock()
		}
	})
	p := start(t, site{workers: 2, servers: []string{fmt.Sprintf("{ address = %q, max_conns = 1 }", o.addr)}, upstream: queue(10, "30s"), http: "access_log = []",
		more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	var all sync.WaitGroup
	for pid, clients := range p.spread(2, 1) {
		all.Go(func() {
			for range 500 {
				clients[0].get(fmt.Sprint("/", pid), 200)
			}
		})
	}
	all.Wait()
	z := p.zone(places)
	slices.Sort(gaps)
	if len(gaps) < 100 || z.Waited < 100 {
		t.Fatalf("%d changes of worker, %d waited", len(gaps), z.Waited)
	}
	t.Logf("%d changes of worker, %d waited; from response to request: median %v, 99 %% %v, longest %v", len(gaps), z.Waited, gaps[len(gaps)/2], gaps[len(gaps)*99/100], gaps[len(gaps)-1])
	if median := gaps[len(gaps)/2]; median > 100*time.Millisecond {
		t.Errorf("the median is %v", median)
	}
}
