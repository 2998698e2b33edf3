// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package prober

import (
	"context"
	"net/netip"
	"time"

	"weir/internal/sys"
)

// Origins to which hosts' names have led. The workers look names up, and say in shared memory which origins they have; those are checked, so there
// is nothing to look up here, and no other answer than theirs.

// followEvery is how often the origins are looked for.
const followEvery = 200 * time.Millisecond

// follow has those origins of the group checked, as they come and go.
func (g *group) follow() {
	running := map[string]context.CancelFunc{}
	for {
		found := g.found()
		for name, stop := range running {
			if _, ok := found[name]; !ok {
				stop()
				delete(running, name)
			}
		}
		for name, at := range found {
			if running[name] == nil {
				ctx, stop := context.WithCancel(context.Background())
				running[name] = stop
				go g.newTarget(name, "tcp", g.dialAddress(at)).run(ctx)
			}
		}
		time.Sleep(followEvery)
	}
}

// found are the group's origins that workers have, beside those that the config names by address.
func (g *group) found() map[string]netip.AddrPort {
	found := map[string]netip.AddrPort{}
	nowMs := sys.MonotonicNs() / 1e6
	for _, n := range g.prober.origins.Names() {
		if n.Group != g.config.Name || g.fixed[n.Address] {
			continue
		}
		at, err := netip.ParseAddrPort(n.Address)
		if err != nil {
			continue
		}
		if p, ok := g.prober.origins.Find(n); ok && p.Seen(nowMs) {
			found[n.Address] = at
		}
	}
	return found
}
