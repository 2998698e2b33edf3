// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package prober

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"weir/conf"
)

// Hosts by name. Their addresses are asked for as the workers do it, of the same servers, and whenever the origins are checked.

// lookupEvery bounds how often a host is looked up: the workers do it no more often.
const lookupEvery = time.Second

// follow has the addresses of a host checked, as they come and go.
func (g *group) follow(s *conf.UpstreamServer) {
	running := map[netip.AddrPort]context.CancelFunc{}
	resolver := g.resolver(s)
	for {
		found, known := g.lookUp(resolver, s)
		for at, stop := range running {
			if known && !found[at] {
				stop()
				delete(running, at)
			}
		}
		for at := range found {
			if running[at] == nil {
				ctx, stop := context.WithCancel(context.Background())
				running[at] = stop
				go g.newTarget(at.String(), "tcp", g.dialAddress(at)).run(ctx)
			}
		}
		time.Sleep(max(g.config.HealthCheck.Interval, lookupEvery))
	}
}

// resolver asks who the workers ask.
func (g *group) resolver(s *conf.UpstreamServer) *net.Resolver {
	r := &net.Resolver{PreferGo: true}
	if !s.Resolve {
		return r
	}
	servers := g.settings().Addresses
	r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, servers[rand.IntN(len(servers))].String())
	}
	return r
}

// settings are those of the group's resolver.
func (g *group) settings() *conf.Resolver {
	if g.config.Resolver != nil {
		return g.config.Resolver
	}
	return g.prober.config.HTTP.Resolver
}

// lookUp gives the addresses of a host, or of a service. known: that is what there is now, and not what could be learned.
func (g *group) lookUp(r *net.Resolver, s *conf.UpstreamServer) (found map[netip.AddrPort]bool, known bool) {
	timeout := g.prober.config.HTTP.ResolverTimeout
	if g.config.ResolverTimeout != nil {
		timeout = *g.config.ResolverTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	found = map[netip.AddrPort]bool{}
	if s.Service == "" {
		return found, g.addAddresses(ctx, r, s, s.Address.Host, s.Address.PortOr(80), found)
	}
	service := s.Service
	if !strings.Contains(service, ".") {
		service = "_" + service + "._tcp"
	}
	_, records, err := r.LookupSRV(ctx, "", "", service+"."+s.Address.Host+".")
	known = err == nil || isGone(err)
	for _, record := range records {
		known = g.addAddresses(ctx, r, s, record.Target, record.Port, found) && known
	}
	return found, known
}

func (g *group) addAddresses(ctx context.Context, r *net.Resolver, s *conf.UpstreamServer, host string, port uint16, found map[netip.AddrPort]bool) (known bool) {
	network := "ip"
	if s.Resolve {
		host = strings.TrimSuffix(host, ".") + "."
		switch c := g.settings(); {
		case !c.IPv6:
			network = "ip4"
		case !c.IPv4:
			network = "ip6"
		}
	}
	addrs, err := r.LookupNetIP(ctx, network, host)
	for _, a := range addrs {
		found[netip.AddrPortFrom(a.Unmap(), port)] = true
	}
	return err == nil || isGone(err)
}

// isGone says whether an error is the answer that there is no such name.
func isGone(err error) bool {
	e, ok := err.(*net.DNSError)
	return ok && e.IsNotFound
}
