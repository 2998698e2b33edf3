// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// upstreamPeer is what weir upstream list --json says of an origin.
type upstreamPeer struct {
	Peer, State, Admin string
	Active, Fails      int
	Requests           uint64
}

// peers are the origins of the group "app", by address.
func (p *proxy) peers() map[string]upstreamPeer {
	p.t.Helper()
	out, code := runCommand(p.t, p.dir, weirBinary, "-p", p.dir, "upstream", "list", "app", "--json")
	var list struct {
		Upstreams []struct {
			Upstream string
			Peers    []upstreamPeer
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list.Upstreams) != 1 || list.Upstreams[0].Upstream != "app" {
		p.t.Fatalf("upstream list: exit %d, %v: %s", code, err, out)
	}
	peers := map[string]upstreamPeer{}
	for _, x := range list.Upstreams[0].Peers {
		peers[x.Peer] = x
	}
	return peers
}

// orderPeer runs weir upstream VERB app ADDR and returns what it prints.
func (p *proxy) orderPeer(verb, addr string) string {
	p.t.Helper()
	out, code := runCommand(p.t, p.dir, weirBinary, "-p", p.dir, "upstream", verb, "app", addr)
	if code != 0 {
		p.t.Fatalf("upstream %s: exit %d: %s", verb, code, out)
	}
	return out
}

// tallyNew is tally over a new connection for each request, so that all workers have some.
func tallyNew(p *proxy, n int) map[string]int {
	got := map[string]int{}
	for range n {
		c := p.dial()
		got[string(c.get("/", 200).body)]++
		c.Close()
	}
	return got
}

// TestOneFailureForAllWorkers: a dead origin costs the host one failed attempt in fail_timeout, not one of each worker; turns are taken by all together.
func TestOneFailureForAllWorkers(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	bad, good, better := failing(t), named(t, "good"), named(t, "better")
	p := start(t, site{workers: 4, main: "accept_mutex = false", servers: []string{peer(bad.addr, `fail_timeout = "1h"`), peer(good.addr), peer(better.addr)},
		server: `listen = { address = "127.0.0.1:@PORT1@", reuseport = true }`})
	if got := tallyNew(p, 61); got["good"]+got["better"] != 61 || got["good"]-got["better"] > 1 || got["better"]-got["good"] > 1 {
		t.Errorf("61 requests went %v: not by turns", got)
	}
	if n := bad.accepted.Load(); n != 1 {
		t.Errorf("the dead origin was tried %d times by 4 workers, want 1", n)
	}
	if x := p.peers()[bad.addr]; x.State != "unavailable" || x.Fails != 1 || x.Requests != 1 {
		t.Errorf("the dead origin is said to be %+v", x)
	}
}

// TestUpstreamOrders takes origins out of service and back, over a reload and while workers are killed.
func TestUpstreamOrders(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	s := site{workers: 2, servers: []string{peer(a.addr), peer(b.addr, "down = true")}}
	p := start(t, s)
	p.allow("killed|signal")
	only := func(want string) {
		t.Helper()
		if got := tallyNew(p, 8); got[want] != 8 {
			t.Errorf("8 requests went %v, want all to %s", got, want)
		}
	}
	only("a")
	if out := p.orderPeer("up", b.addr); !strings.Contains(out, b.addr+" is up, and was down") {
		t.Errorf("up: %s", out)
	}
	if out := p.orderPeer("drain", a.addr); !strings.Contains(out, a.addr+" is draining, and was up") {
		t.Errorf("drain: %s", out)
	}
	only("b")
	s.servers = append(s.servers, peer(deadAddress(t), "down = true"))
	p.reloadTo(s)
	only("b")
	for _, pid := range p.children() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	only("b")
	if x := p.peers(); len(x) != 3 || x[a.addr].Admin != "drain" || x[b.addr].Admin != "up" {
		t.Errorf("after a reload: %+v", x)
	}
	p.orderPeer("down", b.addr)
	p.orderPeer("up", a.addr)
	only("a")
	p.reloadTo(site{workers: 2, servers: s.servers[:1]})
	p.reloadTo(s)
	if x := p.peers(); x[b.addr].Admin != "" || x[a.addr].Admin != "up" {
		t.Errorf("an origin that has left and come back: %+v", x)
	}
	p.waitLog(fmt.Sprintf(`upstream "app": origin %s is ordered drain .*uid=`, a.addr))

	for _, args := range [][]string{{"drain", "app", "127.0.0.1:1"}, {"up", "nowhere", a.addr}, {"list", "nowhere"}} {
		if out, code := runCommand(t, p.dir, weirBinary, append([]string{"-p", p.dir, "upstream"}, args...)...); code != 1 || !strings.Contains(out, "no ") {
			t.Errorf("upstream %v: exit %d, %s", args, code, out)
		}
	}
	p.peers()
	out, _ := runCommand(t, p.dir, weirBinary, "-p", p.dir, "status")
	if !strings.Contains(out, "1 up, 2 down") {
		t.Errorf("status:\n%s", out)
	}
}

// TestUpstreamStateOverUpgrade: what is known of origins goes along with an upgrade.
func TestUpstreamStateOverUpgrade(t *testing.T) {
	t.Parallel()
	bad, good, other := failing(t), named(t, "good"), named(t, "other")
	s := site{workers: 2, servers: []string{peer(bad.addr, `fail_timeout = "1h"`), peer(good.addr), peer(other.addr)}}
	m := startMasters(t, s, nil)
	tallyNew(m.proxy, 3)
	m.orderPeer("down", other.addr)
	before := m.peers()
	m.installNext()
	m.upgrade()
	if got := tallyNew(m.proxy, 6); got["good"] != 6 || bad.accepted.Load() != 1 {
		t.Errorf("after the upgrade: %v, the failed origin was tried %d times", got, bad.accepted.Load())
	}
	if x := m.peers(); x[bad.addr].Fails != 1 || x[other.addr].Admin != "down" || x[good.addr].Requests < before[good.addr].Requests+6 {
		t.Errorf("before the upgrade %+v, after it %+v", before, x)
	}
}

// TestStickyCookie: a client comes back to the origin that it began with, also when that drains, and is told of another one when it is gone.
func TestStickyCookie(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	p := start(t, site{
		workers: 2, servers: []string{peer(a.addr), peer(b.addr, `route = "second"`)},
		upstream: `sticky = { cookie = "srv", expires = "1h", domain = "$arg_d", path = "/", httponly = true, secure = true, samesite = "$arg_same" }`,
	})
	c := p.dial()
	first := c.get("/?d=x.example%3B&same=lax", 200)
	other := c.get("/", 200)
	if string(first.body) == string(other.body) {
		t.Fatalf("two requests without a cookie went to one origin")
	}
	for string(first.body) != "b" { // they take turns
		first = c.get("/?d=x.example%3B&same=lax", 200)
	}
	set := first.fields.get("Set-Cookie")
	if !strings.HasPrefix(set, "srv=second; expires=") || !strings.HasSuffix(set, " GMT; max-age=3600; domain=x.example%3B; httponly; secure; samesite=lax; path=/") {
		t.Errorf("Set-Cookie: %s", set)
	}
	with := func(cookie string) *response {
		t.Helper()
		c.send("GET / HTTP/1.1\r\nHost: x\r\nCookie: x=1; srv=" + cookie + "\r\n\r\n")
		return c.read("GET")
	}
	for range 6 {
		if r := with("second"); string(r.body) != "b" || !strings.HasPrefix(r.fields.get("Set-Cookie"), "srv=second; expires=") { // which goes on from here
			t.Fatalf("with the cookie: %s from %s", r.fields.get("Set-Cookie"), r.body)
		}
	}
	if r := with("unknown"); r.fields.get("Set-Cookie") == "" || strings.Contains(r.fields.get("Set-Cookie"), "samesite") {
		t.Errorf("with an unknown cookie: %q", r.fields.get("Set-Cookie"))
	}
	p.orderPeer("drain", b.addr)
	if r := with("second"); string(r.body) != "b" {
		t.Errorf("a bound request went to %s while its origin drains", r.body)
	}
	if got := tally(t, p, 6); got["a"] != 6 {
		t.Errorf("unbound requests went %v", got)
	}
	p.orderPeer("down", b.addr)
	if r := with("second"); string(r.body) != "a" || !strings.HasPrefix(r.fields.get("Set-Cookie"), "srv=") {
		t.Errorf("when the origin is down: %s, cookie %q", r.body, r.fields.get("Set-Cookie"))
	}
}

// TestStickyRoute: the origin is the one whose route the request brings in the first variable with a value.
func TestStickyRoute(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	p := start(t, site{servers: []string{peer(a.addr, `route = "r1"`), peer(b.addr, `route = "r2"`)}, upstream: `sticky = { route = ["$cookie_r", "$arg_r"] }`})
	c := p.dial()
	for range 4 {
		if r := c.get("/?r=r2", 200); string(r.body) != "b" || r.fields.get("Set-Cookie") != "" {
			t.Fatalf("?r=r2 went to %s", r.body)
		}
		c.send("GET /?r=r2 HTTP/1.1\r\nHost: x\r\nCookie: r=r1\r\n\r\n")
		if r := c.read("GET"); string(r.body) != "a" {
			t.Fatalf("the cookie r1 went to %s", r.body)
		}
	}
}

// TestSlowStartAfterRecovery: an origin that comes back gets few requests at first.
func TestSlowStartAfterRecovery(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	p := start(t, site{workers: 2, servers: []string{peer(a.addr), peer(b.addr, `slow_start = "1h"`)}})
	if got := tally(t, p, 20); got["b"] != 10 {
		t.Errorf("before: %v", got)
	}
	p.orderPeer("down", b.addr)
	tally(t, p, 2)
	p.orderPeer("up", b.addr)
	began := time.Now()
	if got := tally(t, p, 40); got["b"] > 2 && time.Since(began) < time.Minute {
		t.Errorf("after it has come back: %v", got)
	}
	if x := p.peers()[b.addr]; x.State != "slow_start" {
		t.Errorf("it is said to be %+v", x)
	}
}

// TestLeastConnOverWorkers: requests that take long spread evenly over origins, whichever workers have them, and those of killed workers count no more.
func TestLeastConnOverWorkers(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	release := make(chan struct{})
	slow := func() *origin {
		return newOrigin(t, func(c *originConn) {
			if c.request() != nil {
				<-release
			}
		})
	}
	a, b := slow(), slow()
	t.Cleanup(func() { close(release) }) // before the origins wait for their connections
	p := start(t, site{workers: 4, servers: []string{peer(a.addr), peer(b.addr)}, upstream: "least_conn = true",
		server: `listen = { address = "127.0.0.1:@PORT1@", reuseport = true }`})
	p.allow("killed|signal")
	for i := range 12 {
		p.dial().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		eventually(t, ioDeadline, "the request to be with an origin", func() bool { return a.accepted.Load()+b.accepted.Load() == int64(i+1) })
	}
	if x := p.peers(); x[a.addr].Active != 6 || x[b.addr].Active != 6 {
		t.Errorf("12 requests: %+v", x)
	}
	for _, pid := range p.children() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, ioDeadline, "the requests of killed workers to be given back", func() bool {
		x := p.peers()
		return x[a.addr].Active == 0 && x[b.addr].Active == 0 && x[a.addr].Requests == 6
	})
}

// TestUpstreamOrdersOverRestart: what operators have said outlasts a stop, a kill and a start, also for an origin that a host's name led to; a file that cannot be used is a warning, one that cannot be
// written too, and the order is obeyed.
func TestUpstreamOrdersOverRestart(t *testing.T) {
	weirOnly(t)
	t.Parallel()
	a, b := named(t, "a"), named(t, "b")
	_, port, _ := strings.Cut(b.addr, ":")
	s := site{workers: 1, main: `state_path = "run/orders"`, servers: []string{peer(a.addr), peer("localhost:"+port, "max_fails = 0"), peer(deadAddress(t), "down = true")}}
	p := start(t, s)
	p.allow("killed|signal|cannot be used|will not outlast|is forgotten|no live upstreams|connect failed")
	state := p.path("run", "orders")
	eventually(t, ioDeadline, "the host's address", func() bool { return p.peers()[b.addr].Peer != "" })
	p.orderPeer("up", a.addr) // it is up by itself: there is nothing to remember
	if _, err := os.Stat(state); err == nil {
		t.Error("a file without orders")
	}
	p.orderPeer("drain", a.addr)
	p.orderPeer("down", b.addr)
	restart := func(sig syscall.Signal) {
		t.Helper()
		p.signal(sig)
		p.wait(stopDeadline)
		if err := p.launch(); err != nil {
			t.Fatal(err)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		restart(sig)
		eventually(t, ioDeadline, "the host's address", func() bool { return p.peers()[b.addr].Peer != "" })
		if x := p.peers(); x[a.addr].Admin != "drain" || x[b.addr].Admin != "down" {
			t.Errorf("after signal %v: %+v", sig, x)
		}
		p.dial().get("/", 502)
	}
	p.reloadTo(site{workers: 1, main: s.main, servers: s.servers[1:]})
	eventually(t, ioDeadline, "the origin that has left to be forgotten", func() bool {
		text, _ := os.ReadFile(state)
		return !strings.Contains(string(text), a.addr) && strings.Contains(string(text), b.addr)
	})
	p.orderPeer("up", b.addr) // of a host: what the config says of it may change
	p.writeConfig(s.toml())
	if err := os.WriteFile(state, []byte(`{"format": 1, "upstreams": [{"upstream": "app", "peer": "`+a.addr+`", "state": "sideways"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	restart(syscall.SIGTERM)
	p.waitLog(`cannot be used.*sideways`)
	p.dial().get("/", 200)
	if err := errors.Join(os.Remove(state), os.Mkdir(state, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out := p.orderPeer("down", a.addr); !strings.Contains(out, "is down") || !strings.Contains(out, "warning: it is forgotten when weir stops") {
		t.Errorf("an order that cannot be written: %s", out)
	}
	p.waitLog("will not outlast this weir")
}
