// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// named is an origin that answers its name; what it is told to, it answers instead.
func named(t testing.TB, name string) *origin {
	return answering(t, func(*request) string { return ok(name) })
}

// failing closes every connection when it has read a request.
func failing(t testing.TB) *origin {
	return newOrigin(t, func(c *originConn) { c.request() })
}

// peer renders one server of a group.
func peer(addr string, params ...string) string {
	return fmt.Sprintf("{ %s }", strings.Join(append([]string{fmt.Sprintf("address = %q", addr)}, params...), ", "))
}

// tally asks n times and counts the answers by body.
func tally(t *testing.T, p *proxy, n int) map[string]int {
	t.Helper()
	c := p.dial()
	got := map[string]int{}
	for range n {
		got[string(c.get("/", 200).body)]++
	}
	return got
}

func TestWeights(t *testing.T) {
	t.Parallel()
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	p := start(t, site{servers: []string{peer(a.addr, "weight = 5"), peer(b.addr, "weight = 2"), peer(c.addr)}})
	if got := tally(t, p, 80); got["a"] != 50 || got["b"] != 20 || got["c"] != 10 {
		t.Errorf("80 requests went %v, want 50, 20, 10", got)
	}
	// Smooth: the heavy one does not get its share in one run.
	run, longest := 0, 0
	for _, r := range interleave(t, p, 16) {
		if run++; r != "a" {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest > 4 {
		t.Errorf("%d requests in a row went to one origin", longest)
	}
}

func interleave(t *testing.T, p *proxy, n int) []string {
	var order []string
	c := p.dial()
	for range n {
		order = append(order, string(c.get("/", 200).body))
	}
	return order
}

func TestBackupAndDown(t *testing.T) {
	t.Parallel()
	a, spare, down := named(t, "a"), named(t, "spare"), named(t, "down")
	p := start(t, site{servers: []string{peer(a.addr), peer(spare.addr, "backup = true"), peer(down.addr, "down = true")}})
	if got := tally(t, p, 10); got["a"] != 10 {
		t.Errorf("with a peer up: %v", got)
	}
	q := start(t, site{servers: []string{peer(deadAddress(t)), peer(spare.addr, "backup = true"), peer(down.addr, "down = true")}})
	if got := tally(t, q, 10); got["spare"] != 10 {
		t.Errorf("with the peer dead: %v", got)
	}
}

// A dead peer costs no client an error, and after max_fails it is left alone.
func TestNextPeer(t *testing.T) {
	t.Parallel()
	good, bad := named(t, "good"), failing(t)
	p := start(t, site{servers: []string{peer(deadAddress(t)), peer(bad.addr, `fail_timeout = "1h"`), peer(good.addr)}})
	if got := tally(t, p, 20); got["good"] != 20 {
		t.Errorf("got %v", got)
	}
	if n := bad.accepted.Load(); n != 1 {
		t.Errorf("the failing peer was tried %d times, want max_fails = 1", n)
	}
}

func TestMaxFails(t *testing.T) {
	t.Parallel()
	good := named(t, "good")
	three, always, again := failing(t), failing(t), failing(t)
	for _, tt := range []struct {
		bad    *origin
		params string
		want   func(int64) bool
	}{
		{three, `max_fails = 3, fail_timeout = "1h"`, func(n int64) bool { return n == 3 }},
		{always, `max_fails = 0`, func(n int64) bool { return n >= 8 }},
	} {
		p := start(t, site{servers: []string{peer(tt.bad.addr, tt.params), peer(good.addr)}})
		tally(t, p, 20)
		if n := tt.bad.accepted.Load(); !tt.want(n) {
			t.Errorf("%s: tried %d times in 20 requests", tt.params, n)
		}
	}
	p := start(t, site{servers: []string{peer(again.addr, `fail_timeout = "1s"`), peer(good.addr)}})
	begun := time.Now()
	tally(t, p, 4)
	if n, took := again.accepted.Load(), time.Since(begun); n != 1 && took < time.Second {
		t.Fatalf("tried %d times within %v, want 1", n, took)
	}
	eventually(t, ioDeadline, "the peer to be tried again after fail_timeout", func() bool {
		tally(t, p, 2)
		return again.accepted.Load() >= 2
	})
}

func TestNextUpstreamConditions(t *testing.T) {
	t.Parallel()
	good := answering(t, func(r *request) string { return ok("good") })
	busy := answering(t, func(*request) string { return reply(503, "Busy", "busy") })
	hang := newOrigin(t, func(c *originConn) { c.request(); c.request() })
	bad := failing(t)
	two := func(o *origin) []string {
		return []string{peer(o.addr, "max_fails = 0"), peer(good.addr, "backup = true")}
	}
	for _, tt := range []struct {
		name, method, config string
		servers              []string
		status, seen         int // seen: requests at the good one
	}{
		{"default passes a 503 on", "GET", "", two(busy), 503, 0},
		{"http_503", "GET", `proxy_next_upstream = ["error", "http_503"]`, two(busy), 200, 1},
		{"default on a timeout", "GET", `proxy_read_timeout = "1s"`, two(hang), 200, 1},
		{"off", "GET", `proxy_next_upstream = "off"`, two(bad), 502, 0},
		{"one try", "GET", `proxy_next_upstream_tries = 1`, two(bad), 502, 0},
		{"a POST is not repeated", "POST", "", two(bad), 502, 0},
		{"non_idempotent", "POST", `proxy_next_upstream = ["error", "non_idempotent"]`, two(bad), 200, 1},
		{"a POST not sent may go on", "POST", "", []string{peer(deadAddress(t)), peer(good.addr, "backup = true")}, 200, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(good.seen())
			p := start(t, site{servers: tt.servers, location: tt.config})
			r := p.exchange(tt.method, tt.method+" / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
			if r.status != tt.status {
				t.Errorf("status %d, want %d", r.status, tt.status)
			}
			if n := len(good.seen()) - before; n != tt.seen {
				t.Errorf("the next peer got %d requests, want %d", n, tt.seen)
			}
			if tt.seen == 1 && tt.status == 200 && string(good.last().body) != "body" {
				t.Errorf("the next peer got the body %q", good.last().body)
			}
		})
	}
}

// When every peer is dead the client hears it at once.
func TestAllPeersDead(t *testing.T) {
	t.Parallel()
	p := start(t, site{servers: []string{peer(deadAddress(t)), peer(deadAddress(t))}})
	begun := time.Now()
	c := p.dial()
	for range 5 {
		c.get("/", 502)
	}
	if took := time.Since(begun); took > tooLate {
		t.Errorf("five answers took %v", took)
	}
}
