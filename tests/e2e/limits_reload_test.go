// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reload has the master read its config again, fails the test unless that succeeds, and waits until the workers from before take no more
// connections: the master answers when the new ones do.
func (p *proxy) reload() {
	p.t.Helper()
	var before struct { // not the master's children: after an upgrade the old master's are the new master too
		Workers []struct{ PID int }
	}
	if code, err := p.control("GET", "/status", &before); code != 200 || err != nil {
		p.t.Fatalf("status: %d, %v", code, err)
	}
	var answer struct {
		OK    bool
		Error string
	}
	if code, err := p.control("POST", "/reload", &answer); code != 200 || err != nil || !answer.OK {
		p.t.Fatalf("reload: %d, %v, %s", code, err, answer.Error)
	}
	eventually(p.t, ioDeadline, "the workers from before to leave the listening sockets", func() bool {
		listening := listeningSockets()
		return !slices.ContainsFunc(before.Workers, func(w struct{ PID int }) bool {
			return slices.ContainsFunc(socketNames(w.PID), func(name string) bool { return listening[name] })
		})
	})
}

// listeningSockets are the TCP sockets of this machine that listen, as /proc/PID/fd names them. proc_net_tcp(5).
func listeningSockets() map[string]bool {
	names := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				names["socket:["+f[9]+"]"] = true
			}
		}
	}
	return names
}

// socketNames lists the sockets that process pid has open.
func socketNames(pid int) []string {
	var names []string
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, "socket:") {
			names = append(names, name)
		}
	}
	return names
}

// generationsStay has no generation cut while it holds something, however long the test takes on a busy machine.
const generationsStay = "\nmax_generations = 64\nworker_shutdown_timeout = \"10m\""

// keyed is a site that limits by $arg_k to most.
func keyed(origin, size string, most int, main string) site {
	return site{workers: 2, origin: origin, main: main + generationsStay, http: limitZone("k", "$arg_k", size),
		location: limit(fmt.Sprintf("k:%d", most)) + "\nlimit_conn_status = 429"}
}

// waitWorkers waits until no more than n workers live.
func (p *proxy) waitWorkers(n int) {
	p.t.Helper()
	eventually(p.t, ioDeadline, fmt.Sprintf("%d workers", n), func() bool { return len(p.children()) <= n })
}

// A reload keeps the zone and its counts: while connections of many generations are held, one too many is refused, and one fewer leaves
// a place.
func TestLimitOverReloads(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, atomic bool) {
		reloads := 30
		if longTests() {
			reloads = 100
		}
		if !atomic {
			reloads = 10
		}
		const most = 3
		g := newGate(t)
		p := start(t, keyed(g.addr, "64k", most, main))
		holders := map[string]*client{}
		hold := func(name string) {
			holders[name] = p.dial()
			g.hold(holders[name], name)
		}
		letGo := func(name string) { g.letGo(holders[name], name); holders[name].Close(); delete(holders, name) }
		for i := range most {
			hold(fmt.Sprintf("%d?k=full", i))
			if i > 0 {
				hold(fmt.Sprintf("%d?k=room", i))
			}
		}
		for i := range reloads {
			p.reload()
			p.get("/x?k=other")
			for range 3 {
				if r := p.get("/x?k=full"); r.status != 429 {
					t.Fatalf("after %d reloads with %d held: status %d, want 429", i+1, most, r.status)
				}
				if r := p.get("/x?k=room"); r.status != 200 {
					t.Fatalf("after %d reloads with %d held: status %d, want 200", i+1, most-1, r.status)
				}
				p.waitCount("k", quoted("room"), most-1)
			}
			if z := p.zone("k"); z.count(quoted("full")) != most || len(z.Older) != 0 {
				t.Fatalf("after %d reloads: %d of %d counted, %d older zones", i+1, z.count(quoted("full")), most, len(z.Older))
			}
			// The oldest place moves to a worker of the newest generation.
			letGo(fmt.Sprintf("%d?k=full", i))
			p.waitCount("k", quoted("full"), most-1)
			hold(fmt.Sprintf("%d?k=full", i+most))
		}
		for name := range holders {
			letGo(name)
		}
		p.waitEmpty("k")
		p.waitWorkers(2)
		t.Logf("%d reloads", reloads)
	})
}

// Places held by clients for the whole time stay counted over many quick reloads.
func TestLimitHeldOverReloads(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	reloads := 25
	if longTests() {
		reloads = 100
	}
	g := newGate(t)
	p := start(t, keyed(g.addr, "64k", 4, ""))
	var holders []*client
	for i := range 4 {
		holders = append(holders, p.dial())
		g.hold(holders[i], fmt.Sprintf("%d?k=a", i))
	}
	for i := range reloads {
		p.reload()
		if r := p.get("/x?k=a"); r.status != 429 {
			t.Fatalf("after %d reloads: status %d", i+1, r.status)
		}
	}
	p.waitCount("k", quoted("a"), 4)
	for i, h := range holders {
		g.letGo(h, fmt.Sprintf("%d?k=a", i))
		p.waitCount("k", quoted("a"), 3-i)
		if r := p.get("/x?k=a"); r.status != 200 {
			t.Fatalf("with %d held: status %d", 3-i, r.status)
		}
	}
	p.waitEmpty("k")
}

// A new max holds for new requests at once; the zone stays.
func TestLimitReloadOfMax(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, keyed(g.addr, "64k", 2, ""))
	a, b := p.dial(), p.dial()
	g.hold(a, "a?k=a")
	g.hold(b, "b?k=a")
	p.writeConfig(keyed(g.addr, "64k", 3, "").toml())
	p.reload()
	c := p.dial()
	g.hold(c, "c?k=a")
	if r := p.get("/x?k=a"); r.status != 429 {
		t.Errorf("with max 3: status %d", r.status)
	}
	p.writeConfig(keyed(g.addr, "64k", 1, "").toml())
	p.reload()
	g.letGo(a, "a?k=a")
	g.letGo(b, "b?k=a")
	p.waitCount("k", quoted("a"), 1)
	if r := p.get("/x?k=a"); r.status != 429 {
		t.Errorf("with max 1: status %d", r.status)
	}
	g.letGo(c, "c?k=a")
	p.waitEmpty("k")
	if r := p.get("/x?k=a"); r.status != 200 {
		t.Errorf("with nothing held: status %d", r.status)
	}
	p.waitEmpty("k")
}

// A reload that changes the size, or the kind of lock, makes a new zone; until the old workers have left the limit holds over both.
func TestLimitReloadOfSize(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, tt := range []struct{ name, size, main string }{
		{"larger", "256k", `shared_mutex = "atomic"`},
		{"smaller", "32k", `shared_mutex = "atomic"`},
		{"lock", "64k", `shared_mutex = "flock"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t)
			p := start(t, keyed(g.addr, "64k", 3, `shared_mutex = "atomic"`))
			first := []*client{p.dial(), p.dial()}
			for i, c := range first {
				g.hold(c, fmt.Sprintf("%d?k=a", i))
			}
			p.writeConfig(keyed(g.addr, tt.size, 3, tt.main).toml())
			p.reload()
			p.waitLog(`zone "k" has another size or lock`)
			second := []*client{p.dial(), p.dial()}
			g.hold(second[0], "2?k=a")
			for range 4 {
				if r := p.get("/x?k=a"); r.status != 429 {
					t.Errorf("two held before and one after: status %d, want 429", r.status)
				}
			}
			z := p.zone("k")
			if z.count(quoted("a")) != 1 || len(z.Older) != 1 || z.Older[0].count(quoted("a")) != 3 {
				t.Errorf("the new zone counts %d, the older ones: %+v; want 1, and 3", z.count(quoted("a")), z.Older)
			}
			g.letGo(first[0], "0?k=a")
			eventually(t, ioDeadline, "the place to be given back in the old zone", func() bool {
				z := p.zone("k")
				return len(z.Older) == 1 && z.Older[0].count(quoted("a")) == 2
			})
			g.hold(second[1], "3?k=a")
			if r := p.get("/x?k=a"); r.status != 429 {
				t.Errorf("one held before and two after: status %d, want 429", r.status)
			}
			g.letGo(first[1], "1?k=a")
			eventually(t, ioDeadline, "the old zone to go", func() bool { return len(p.zone("k").Older) == 0 })
			p.waitCount("k", quoted("a"), 2)
			if r := p.get("/x?k=a"); r.status != 200 {
				t.Errorf("two held after: status %d, want 200", r.status)
			}
			p.waitCount("k", quoted("a"), 2)
			g.letGo(second[0], "2?k=a")
			g.letGo(second[1], "3?k=a")
			p.waitEmpty("k")
			p.waitWorkers(2)
		})
	}
}

// Another key makes a zone that starts empty, and the log says so.
func TestLimitReloadOfKey(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := keyed(g.addr, "64k", 1, "")
	p := start(t, s)
	c := p.dial()
	g.hold(c, "c?k=a")
	s.http = limitZone("k", "$arg_k$arg_none", "64k")
	p.writeConfig(s.toml())
	p.reload()
	p.waitLog(`\[warn\].*zone "k" has another key: it starts empty.*key_before=\$arg_k`)
	if z := p.zone("k"); z.Keys != 0 {
		t.Errorf("the new zone has %d keys", z.Keys)
	}
	d := p.dial()
	g.hold(d, "d?k=a")
	if r := p.get("/x?k=a"); r.status != 429 {
		t.Errorf("status %d, want 429", r.status)
	}
	g.letGo(c, "c?k=a")
	p.waitWorkers(2)
	p.waitCount("k", quoted("a"), 1)
	g.letGo(d, "d?k=a")
	p.waitEmpty("k")
}

// A reload with a fault changes nothing of the counts.
func TestLimitReloadOfFaultyConfig(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := keyed(g.addr, "64k", 1, "")
	p := start(t, s)
	c := p.dial()
	g.hold(c, "c?k=a")
	p.writeConfig(strings.Replace(s.toml(), `zone = "k"`, `zone = "q"`, 1))
	var answer struct {
		OK    bool
		Error string
	}
	if _, err := p.control("POST", "/reload", &answer); err != nil || answer.OK || !strings.Contains(answer.Error, `"q"`) {
		t.Errorf("reload of an unknown zone: %v, %+v", err, answer)
	}
	if r := p.get("/x?k=a"); r.status != 429 {
		t.Errorf("status %d, want 429", r.status)
	}
	g.letGo(c, "c?k=a")
	p.waitEmpty("k")
}
