// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"testing"
)

// Reloads and an upgrade whose queues and origins need more room grow the zone of max_conns, in which old workers go on counting: the origin has no more in work than it may, and who waits has
// the place of an old worker when that gives it back. So it is when a config in between has no max_conns at all.
func TestMaxConnsZoneGrows(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	limited := fmt.Sprintf("{ address = %q, max_conns = 1 }", g.addr)
	s := site{servers: []string{limited}, upstream: queue(5, "60s")}
	p := startMasters(t, s, nil)
	p.allow("no live upstreams")
	size := func() int64 { return p.zone(places).SizeBytes }
	small := size()
	first := p.dial()
	g.hold(first, "first")
	s.upstream = queue(100_000, "60s")
	p.writeConfig(s.toml())
	p.reload()
	if grown := size(); grown <= small {
		t.Errorf("the zone has %d bytes, and had %d", grown, small)
	}
	var clients []*client
	ask := func() {
		c := p.dial()
		c.send(fmt.Sprintf("GET /held/q%d HTTP/1.1\r\nHost: h\r\n\r\n", len(clients)))
		clients = append(clients, c)
		p.waitQueue(places, len(clients))
	}
	ask()
	s.upstream, s.servers = "", []string{fmt.Sprintf("{ address = %q }", g.addr)}
	p.writeConfig(s.toml())
	p.reload()
	s.upstream, s.servers = queue(1_000_000, "60s"), []string{limited, fmt.Sprintf("{ address = %q, backup = true, down = true }", deadAddress(t))}
	p.writeConfig(s.toml())
	p.upgrade()
	ask()
	s.upstream = queue(5, "60s")
	p.writeConfig(s.toml())
	if out, code := p.order("reload"); code != 0 {
		t.Fatal(out)
	}
	ask()
	if g.has("/held/q0") {
		t.Error("two requests in work, of at most one")
	}
	g.letGo(first, "first")
	g.serveInOrder(clients, "q")
	p.waitEmpty(places)
	if z := p.zone(places); !z.Sound || z.SizeBytes <= small {
		t.Errorf("the zone: %+v", z)
	}
}
