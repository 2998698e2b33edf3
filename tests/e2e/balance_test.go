// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"syscall"
	"testing"
)

// max_conns holds over all workers; a request that finds no place gets 502, and a killed worker's places come back.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx counts it in each worker, unless the group has a zone
	g := newGate(t)
	p := start(t, site{workers: 2, servers: []string{fmt.Sprintf("{ address = %q, max_conns = 2 }", g.addr)},
		more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	byWorker := p.spread(2, 2)
	c := inTurn(byWorker)
	g.hold(c[0], "a")
	g.hold(c[1], "b")
	for _, c := range c[2:] {
		c.get("/x", 502)
	}
	p.waitLog("no live upstreams")
	g.letGo(c[0], "a")
	eventually(t, ioDeadline, "a place", func() bool { // on one connection: when it asks again, its worker has given the place back
		c[0].send(plain("free"))
		return c[0].read("GET").status == 200
	})

	p.allow("killed")
	g.hold(c[0], "c")
	if statusOf(p, "/full") != 502 {
		t.Error("a third request was let through")
	}
	for pid := range byWorker {
		if byWorker[pid][0] == c[0] || byWorker[pid][1] == c[0] {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, ioDeadline, "the places of the killed worker", func() bool { return statusOf(p, "/again") == 200 })
	close(g.word("/held/c"))
	g.letGo(c[1], "b")
}

// Each method of choice chooses as it says: least_conn the idle origin, hash the same one for the same text, ip_hash the same one for a client.
func TestBalancing(t *testing.T) {
	t.Parallel()
	weirOnly(t) // the choices themselves are compared with nginx's in package upstream
	for method, check := range map[string]func(seen map[string][]string) bool{
		`hash = "$arg_k"`: oneEach,
		`hash = { key = "$arg_k", consistent = true }`: oneEach,
		"ip_hash = true":    func(seen map[string][]string) bool { return len(origins(seen)) == 1 },
		`random = "one"`:    func(seen map[string][]string) bool { return len(origins(seen)) > 1 },
		`random = "two"`:    func(seen map[string][]string) bool { return len(origins(seen)) > 1 },
		"least_conn = true": func(seen map[string][]string) bool { return len(origins(seen)) == 4 },
	} {
		var servers []string
		for i := range 4 {
			o := answering(t, func(*request) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i) })
			servers = append(servers, fmt.Sprintf("{ address = %q }", o.addr))
		}
		p := start(t, site{servers: servers, upstream: method})
		seen := map[string][]string{}
		for i := range 48 {
			key := fmt.Sprint("key", i%12)
			r := p.get("/?k=" + key)
			seen[key] = append(seen[key], string(r.body))
		}
		if !check(seen) {
			t.Errorf("%s: %v", method, seen)
		}
	}
}

// oneEach says whether each key went to one origin, and not all to the same.
func oneEach(seen map[string][]string) bool {
	for _, bodies := range seen {
		for _, body := range bodies {
			if body != bodies[0] {
				return false
			}
		}
	}
	return len(origins(seen)) > 1
}

func origins(seen map[string][]string) map[string]bool {
	all := map[string]bool{}
	for _, bodies := range seen {
		for _, body := range bodies {
			all[body] = true
		}
	}
	return all
}

// statusOf asks on a new connection.
func statusOf(p *proxy, target string) int {
	c := p.dial()
	c.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
	return c.read("GET").status
}
