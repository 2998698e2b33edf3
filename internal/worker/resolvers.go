// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/event"
	"weir/internal/offload"
	"weir/internal/resolver"
	"weir/internal/upstream"
)

// Resolvers. There is one for each set of settings, however many places of the config have it, so that a name is known to all of them.

// groupResolver is a group's resolver: its own, or that of [http]. conf has seen to it that there is one.
func (b *builder) groupResolver(c *conf.Upstream) *resolver.Resolver {
	settings, timeout := c.Resolver, b.config.HTTP.ResolverTimeout
	if settings == nil {
		settings = b.config.HTTP.Resolver
	}
	if c.ResolverTimeout != nil {
		timeout = *c.ResolverTimeout
	}
	return b.resolver(settings, timeout)
}

// resolver is the one for some settings; nil: there are none.
func (b *builder) resolver(c *conf.Resolver, timeout time.Duration) *resolver.Resolver {
	if c == nil {
		return nil
	}
	n, key := &b.worker.names, resolverKey(c, timeout)
	if r := n.resolvers[key]; r != nil {
		return r
	}
	r := resolver.New(resolver.Options{
		Loop: b.loop, Timers: &b.timers, Clock: b.clock, ValidMs: c.Valid.Milliseconds(), TimeoutMs: timeout.Milliseconds(), IPv4: c.IPv4, IPv6: c.IPv6,
	})
	for _, s := range c.Addresses {
		if s.Host == "" {
			r.AddServers(s.IP)
			continue
		}
		l := &serverLookup{w: b.worker, host: s.Host, port: s.Port, resolver: r}
		l.job.Init(l)
		l.timer.Init(l)
		n.servers = append(n.servers, l)
	}
	if n.resolvers == nil {
		n.resolvers = map[string]*resolver.Resolver{}
	}
	n.resolvers[key] = r
	return r
}

func resolverKey(c *conf.Resolver, timeout time.Duration) string { return fmt.Sprint(*c, timeout) }

// resolverSlots is how many descriptors the resolvers of a config may have registered with the loop.
func resolverSlots(c *conf.Config) int {
	seen := map[string]bool{}
	note := func(r *conf.Resolver, timeout time.Duration) {
		if r != nil {
			seen[resolverKey(r, timeout)] = true
		}
	}
	for i := range c.HTTP.Servers {
		for j := range c.HTTP.Servers[i].Locations {
			l := &c.HTTP.Servers[i].Locations[j]
			note(l.Resolver, l.ResolverTimeout)
		}
	}
	for i := range c.Groups {
		timeout := c.HTTP.ResolverTimeout
		if t := c.Groups[i].ResolverTimeout; t != nil {
			timeout = *t
		}
		note(c.HTTP.Resolver, timeout)
		note(c.Groups[i].Resolver, timeout)
	}
	return len(seen) * resolver.Slots
}

// serverLookup looks a name server up that is named by host.
type serverLookup struct {
	w        *worker
	host     string
	port     uint16
	resolver *resolver.Resolver
	timer    event.Timer // has it looked up again
	fails    int
	job      offload.Job
	found    []netip.Addr
	failure  error
}

// OnTimer looks it up again. See event.Expirer.
func (l *serverLookup) OnTimer(*event.Timer) { l.w.calls.Start(&l.job) }

// Work asks the system. See offload.Worker.
func (l *serverLookup) Work() {
	ctx, cancel := context.WithTimeout(context.Background(), systemLimit)
	defer cancel()
	l.found, l.failure = (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", l.host)
}

// OnWorked has the resolver know its server. See offload.Worker.
func (l *serverLookup) OnWorked() {
	if l.failure != nil {
		if l.fails++; l.fails == 1 && l.w.manifest.Worker == 0 {
			l.w.log.Warn("host not found in resolver: it is not asked for names until it is", zap.String("host", l.host), zap.Error(l.failure))
		}
		l.w.timers.Arm(&l.timer, l.w.clock.Ms()+retryMaxMs)
		return
	}
	for _, a := range l.found {
		l.resolver.AddServers(netip.AddrPortFrom(a.Unmap(), l.port))
	}
}

// targets are the groups that a proxy_pass with variables may lead to. Those of the config are found by their names, or, where a proxy_pass names their address, by that
// address with its port, as with nginx.
func (b *builder) targets() *upstream.Targets {
	fixed := map[string]*upstream.Group{}
	named := len(b.config.HTTP.Upstreams)
	for i, g := range b.groups {
		name := strings.ToLower(g.Name)
		if a := b.config.Groups[i].Servers[0].Address; i >= named && a.Host != "" {
			name = fmt.Sprintf("%s:%d", a.Host, a.PortOr(80))
		}
		fixed[name] = g
	}
	return upstream.NewTargets(upstream.Options{Keepalive: 32, KeepaliveRequests: 1000, KeepaliveTimeMs: 3_600_000, KeepaliveIdleMs: 60_000}, fixed)
}
