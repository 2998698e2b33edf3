// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reloadTo has the proxy take a new config, and waits until no worker of the old generation is left.
func (p *proxy) reloadTo(s site) {
	p.t.Helper()
	old := p.children()
	p.writeConfig(s.toml())
	if out, code := weirCommand(p.t, p.dir, "-s", "reload"); code != 0 {
		p.t.Fatalf("weir -s reload: exit %d, %s", code, out)
	}
	p.waitGone(old)
}

func (p *proxy) waitGone(old []int) {
	p.t.Helper()
	eventually(p.t, ioDeadline, "the old workers to leave", func() bool {
		now := p.children()
		return !slices.ContainsFunc(old, func(pid int) bool { return slices.Contains(now, pid) })
	})
}

// counting tells the client what the worker knows of its connection.
func counting(http string) site {
	return site{workers: 2, proxyPass: "-", http: http, location: answer("$connection $connection_requests $remote_port")}
}

// An idle connection outlives its worker: the client goes on with it, and the next worker knows where it stands.
func TestHandOver(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, counting("keepalive_requests = 5"))
	type one struct {
		*client
		name, port string
	}
	var clients []one
	for range 40 {
		c := p.dial()
		c.get("/", 200)
		fields := strings.Fields(string(c.get("/", 200).body))
		clients = append(clients, one{c, fields[0], fields[2]})
	}
	silent := p.dial() // has not asked for anything yet
	partial := p.dial()
	partial.send("GET / HT") // asks already
	for requests := 3; requests <= 5; requests++ {
		old := p.children()
		p.writeConfig(counting("keepalive_requests = 5\nserver_tokens = " + strconv.FormatBool(requests%2 == 0)).toml())
		if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
			t.Fatal(out)
		}
		if requests == 3 {
			partial.send("TP/1.1\r\nHost: h\r\n\r\n")
			if r := partial.read("GET"); r.status != 200 || strings.EqualFold(r.fields.get("Connection"), "close") {
				t.Errorf("the request that had begun: status %d, %q", r.status, r.raw)
			}
		}
		p.waitGone(old)
		for _, c := range clients {
			r := c.get("/", 200)
			if want := fmt.Sprintf("%s %d %s", c.name, requests, c.port); string(r.body) != want {
				t.Fatalf("the worker says %q, want %q", r.body, want)
			}
			if last := strings.EqualFold(r.fields.get("Connection"), "close"); last != (requests == 5) {
				t.Errorf("request %d: Connection: close is %v", requests, last)
			}
		}
	}
	silent.get("/", 200)
	partial.get("/", 200)
	for _, c := range clients {
		c.wantClosed(ioDeadline)
	}
}

// A request that reaches the socket while nobody reads it is read by who gets the connection.
func TestHandOverWithRequestOnTheWire(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, counting(""))
	var clients []*client
	for range 30 {
		c := p.dial()
		c.get("/", 200)
		clients = append(clients, c)
	}
	old := p.children()
	for _, pid := range old { // asleep: what comes now is found by the reload
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	p.writeConfig(counting("server_tokens = false").toml())
	p.signal(syscall.SIGHUP)
	eventually(t, ioDeadline, "new workers", func() bool { return len(p.children()) == 4 })
	p.waitLog(`generation serves|serving|reload`)
	for _, c := range clients {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	for _, pid := range old {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		if r := c.read("GET"); r.status != 200 {
			t.Fatalf("status %d", r.status)
		}
		c.get("/", 200)
	}
	p.waitGone(old)
}

// What the next generation does not listen on is answered once more, and then ends.
func TestDrainOfAnAddressThatGoes(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := counting("")
	s.main = `worker_shutdown_timeout = "20s"`
	more := s
	more.more = "[[http.server]]\nlisten = [\"127.0.0.1:@PORT2@\"]\n" + location("/", answer("second"))
	p := start(t, more)
	c, d := p.dial(), dialTo(t, "127.0.0.1:"+p.ports[1])
	c.get("/", 200)
	d.get("/", 200)
	old := p.children()
	p.writeConfig(s.toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Fatalf("reload: %s", out)
	}
	if r := d.get("/", 200); string(r.body) != "second" || !strings.EqualFold(r.fields.get("Connection"), "close") {
		t.Errorf("%q, Connection: %s", r.body, r.fields.get("Connection"))
	}
	d.wantClosed(ioDeadline)
	if r := c.get("/", 200); strings.EqualFold(r.fields.get("Connection"), "close") {
		t.Error("the connection to the address that stays was not kept")
	}
	p.waitGone(old)
}

// The places of connections under the limit of their listening address go along: the count is the same at every moment.
func TestHandOverOfPlaces(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const most = 10
	s := func(tokens bool) site {
		return site{
			workers: 2, proxyPass: "-", location: answer("ok"),
			http:   fmt.Sprintf("server_tokens = %v\n", tokens) + limitZone("k", "$remote_addr", "1m"),
			server: fmt.Sprintf(`listen = [{ address = "127.0.0.1:@PORT1@", limit_conn = [{ zone = "k", max = %d }] }]`, most),
			more:   "[[http.server]]\nlisten = [\"127.0.0.1:@PORT2@\"]\n" + location("/", answer("ok")),
		}
	}
	p := newProxy(t)
	p.allow(`.*`)
	p.start(s(true).toml())
	p.waitCount("k", quoted("127.0.0.1"), 0)
	var clients []*client
	for range most {
		c := p.dial()
		c.get("/", 200)
		clients = append(clients, c)
	}
	watched, stop := make(chan string, 1), make(chan struct{})
	go func() {
		fault := ""
		for ended := false; !ended; {
			select {
			case <-stop:
				ended = true
			default:
			}
			var z zoneDetails
			if code, err := p.control("GET", "/zones/k?top=10", &z); code == 200 && err == nil && z.count(quoted("127.0.0.1")) != most {
				fault = fmt.Sprintf("counted %d, want %d", z.count(quoted("127.0.0.1")), most)
			}
		}
		watched <- fault
	}()
	for n := range 6 {
		p.reloadTo(s(n%2 == 1))
		for _, c := range clients {
			c.get("/", 200)
		}
		extra := p.dial()
		extra.within(ioDeadline)
		if ok, err := extra.closed(); !ok {
			t.Fatalf("reload %d: one more was let in: %v", n, err)
		}
	}
	close(stop)
	if fault := <-watched; fault != "" {
		t.Error(fault)
	}
	now := map[int]bool{}
	for _, pid := range p.children() {
		now[pid] = true
	}
	for _, share := range p.zone("k").Top[0].Shares {
		if !now[share.PID] {
			t.Errorf("a share of pid %d, which is not a worker of the last generation", share.PID)
		}
	}
	for _, c := range clients {
		c.Close()
	}
	p.waitEmpty("k")
}

// A worker that dies while it hands over takes its connections along, and no place stays counted.
func TestHandOverKilled(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	rounds := 4
	if longTests() {
		rounds = 40
	}
	s := func(tokens bool) site {
		return site{
			workers: 2, proxyPass: "-", location: answer("ok"),
			http:   fmt.Sprintf("server_tokens = %v\n", tokens) + limitZone("k", "$remote_addr", "1m"),
			server: `listen = [{ address = "127.0.0.1:@PORT1@", limit_conn = [{ zone = "k", max = 200 }] }]`,
		}
	}
	p := newProxy(t)
	p.allow(`.*`)
	p.start(s(true).toml())
	p.get("/")
	for n := range rounds {
		var clients []*client
		for range 100 {
			c := p.dial()
			c.get("/", 200)
			clients = append(clients, c)
		}
		victims := p.children()
		p.writeConfig(s(n%2 == 1).toml())
		p.signal(syscall.SIGHUP)
		eventually(t, ioDeadline, "new workers", func() bool {
			return slices.ContainsFunc(p.children(), func(pid int) bool { return !slices.Contains(victims, pid) })
		})
		time.Sleep(time.Duration(n%8) * 3 * time.Millisecond)
		for _, pid := range p.children() {
			if slices.Contains(victims, pid) == (n%2 == 0) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		for _, c := range clients {
			c.Close()
		}
		p.waitEmpty("k")
		eventually(t, ioDeadline, "service", func() bool {
			c, err := net.DialTimeout("tcp", p.addr, time.Second)
			if err != nil {
				return false
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Second))
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			text, _ := io.ReadAll(c)
			return strings.HasPrefix(string(text), "HTTP/1.1 200")
		})
		p.waitEmpty("k")
	}
}

// HUP, USR2 and WINCH are for the master: a worker that gets them goes on.
func TestWorkerIgnoresSignalsOfTheMaster(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, counting(""))
	c := p.dial()
	c.get("/", 200)
	before := p.children()
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGWINCH} {
		for _, pid := range before {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.waitLog(`ignoring a signal`)
	c.get("/", 200)
	if now := p.children(); !slices.Equal(before, now) {
		t.Errorf("workers were %v, now %v", before, now)
	}
}

// A worker that is told to quit finishes what it has, and another takes its place; one that is told to stop stops.
func TestWorkerQuits(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o, release := heldOrigin(t)
	p := start(t, site{origin: o.addr})
	c := p.dial()
	p.held(o, c, "x")
	before := p.children()
	if err := syscall.Kill(before[0], syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	p.waitLog(`worker process \d+ drains by itself`)
	close(release)
	if r := c.read("GET"); r.status != 200 || !strings.EqualFold(r.fields.get("Connection"), "close") {
		t.Errorf("status %d, Connection: %s", r.status, r.fields.get("Connection"))
	}
	p.waitGone(before)
	eventually(t, ioDeadline, "the next worker", func() bool { return len(p.children()) == 1 })
	p.get("/")
	next := p.children()
	if err := syscall.Kill(next[0], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.waitGone(next)
	eventually(t, ioDeadline, "one more", func() bool { return len(p.children()) == 1 })
}

// The next generation has less room than there are connections: as many go on as fit, others are closed while they are idle, and no request is lost.
func TestHandOverToFullWorkers(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := func(connections int) site {
		s := counting("")
		s.main = fmt.Sprintf("worker_connections = %d", connections)
		return s
	}
	p := start(t, s(256))
	p.allow(`worker_connections`)
	var clients []*client
	for range 100 {
		c := p.dial()
		c.get("/", 200)
		clients = append(clients, c)
	}
	p.reloadTo(s(32))
	kept := 0
	for _, c := range clients {
		c.within(ioDeadline)
		if _, err := io.WriteString(c.TCPConn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			continue
		}
		if r, err := readResponse(c.br, "GET"); err == nil && r.status == 200 {
			kept++
		}
	}
	t.Logf("%d of %d connections go on", kept, len(clients))
	if kept < 30 {
		t.Errorf("%d connections go on, and there is room for 60", kept)
	}
	if r := p.get("/"); r.status != 200 {
		t.Errorf("a new connection: status %d", r.status)
	}
}
