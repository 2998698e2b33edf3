// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/event"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/sight"
	"weir/internal/sys"
	"weir/internal/upstream"
)

// Origins that the config names by host. Their group has no peer for them until the name has been looked up, which begins when the worker is about to
// serve and holds nothing up: requests of the group wait for that a moment (nameWaitMs), those of others do not.
//
// A name is looked up as any program does it (/etc/hosts, resolv.conf), on a goroutine, once: as with nginx. Unlike there, one that cannot be resolved
// keeps nothing from starting, and is tried again until it can.

// How long requests wait for the first peers of their group, and how long a name is looked up before that has failed.
const (
	nameWaitMs  = 2000
	lookupLimit = 10 * time.Second
)

// How long to wait before a name that could not be resolved is looked up again: more each time.
const (
	retryMs    = 1000
	retryMaxMs = 60_000
)

// names are the hosts of all groups.
type names struct {
	w      *worker
	groups []*namedGroup
	hosts  map[string]*hostLookup
	timer  event.Timer // ends the wait for first peers
}

// namedGroup is a group with origins that are named by host.
type namedGroup struct {
	w       *worker
	group   *upstream.Group
	servers []namedServer
	missing int // hosts that have not been looked up yet
}

// namedServer is one origin as the config has it: a peer as it is, or a host with the options of its peers.
type namedServer struct {
	options upstream.PeerOptions
	port    uint16
	host    *hostLookup // nil: options are a peer's
}

// hostLookup looks up one host.
type hostLookup struct {
	names *names
	host  string
	job   offload.Job
	timer event.Timer
	fails int
	users []*namedGroup

	asked   bool         // it has been looked up once
	addrs   []netip.Addr // what came of it last
	found   []netip.Addr // the job's
	failure error        // the job's
}

// nameGroup notes a group whose peers have to be looked up.
func (b *builder) nameGroup(g *upstream.Group, servers []namedServer) {
	named := &namedGroup{w: b.worker, group: g, servers: servers}
	for i := range servers {
		if h := servers[i].host; h != nil && !contains(h.users, named) {
			h.users = append(h.users, named)
			named.missing++
		}
	}
	g.Expect()
	b.worker.names.groups = append(b.worker.names.groups, named)
}

func contains(list []*namedGroup, g *namedGroup) bool {
	for _, other := range list {
		if other == g {
			return true
		}
	}
	return false
}

// lookup is the one of a host.
func (n *names) lookup(host string) *hostLookup {
	h := n.hosts[host]
	if h == nil {
		if n.hosts == nil {
			n.hosts = map[string]*hostLookup{}
		}
		h = &hostLookup{names: n, host: host}
		h.job.Init(h)
		h.timer.Init(h)
		n.hosts[host] = h
	}
	return h
}

// startNames begins to look up. It is the last step before the worker says that it is ready.
func (w *worker) startNames() error {
	n := &w.names
	n.w = w
	if len(n.groups) == 0 {
		return nil
	}
	n.timer.Init(n)
	w.timers.Arm(&n.timer, w.clock.Ms()+nameWaitMs)
	for _, h := range n.hosts {
		w.calls.Start(&h.job)
	}
	return nil
}

// OnTimer has requests wait no more. See event.Expirer.
func (n *names) OnTimer(*event.Timer) {
	for _, g := range n.groups {
		if g.group.Pending() {
			g.group.Arrived(n.w.loop)
		}
	}
}

// OnTimer looks the host up again. See event.Expirer.
func (h *hostLookup) OnTimer(*event.Timer) { h.names.w.calls.Start(&h.job) }

// Work looks the host up. See offload.Worker.
func (h *hostLookup) Work() {
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	h.found, h.failure = (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", h.host)
}

// OnWorked has the groups know what came of it. See offload.Worker.
func (h *hostLookup) OnWorked() {
	w := h.names.w
	first := !h.asked
	h.asked = true
	if h.failure != nil {
		if h.fails++; h.fails == 1 {
			w.warnName(h.host, h.failure)
		}
		w.timers.Arm(&h.timer, w.clock.Ms()+min(int64(retryMs)<<min(h.fails-1, 10), retryMaxMs))
	} else {
		if h.fails > 0 {
			w.log.Log(logfile.LevelNotice, "host has been found", zap.String("host", h.host))
		}
		h.addrs = h.found
	}
	for _, g := range h.users {
		if first {
			g.missing--
		}
		g.update(w.loop)
	}
}

// warnName says that a host cannot be resolved, once for the instance.
func (w *worker) warnName(host string, err error) {
	if w.manifest.Worker != 0 {
		return
	}
	if e := (*net.DNSError)(nil); errors.As(err, &e) && e.Err != "" {
		err = errors.New(e.Err)
	}
	w.log.Warn("host not found in upstream: its origins are left out until it is", zap.String("host", host), zap.Error(err))
}

// update gives the group the peers that are known now.
func (g *namedGroup) update(l *event.Loop) {
	var list []upstream.PeerOptions
	for i := range g.servers {
		s := &g.servers[i]
		if s.host == nil {
			list = append(list, s.options)
			continue
		}
		for _, addr := range s.host.addrs {
			list = append(list, s.peer(addr))
		}
	}
	g.w.share(g.group.Zone, g.group.Name, list)
	g.group.SetPeers(list)
	if g.missing == 0 && g.group.Pending() {
		g.group.Arrived(l)
	}
}

// peer is the origin at one of the host's addresses.
func (s *namedServer) peer(addr netip.Addr) upstream.PeerOptions {
	o := s.options
	o.IP = netip.AddrPortFrom(addr.Unmap(), s.port)
	o.Addr, o.Name = sys.SockaddrTCP(o.IP), o.IP.String()
	return o
}

// peers makes the peers of a group; named says that some of them are hosts.
func (b *builder) peers(c *conf.Upstream) (list []namedServer, named bool, err error) {
	for i := range c.Servers {
		s := &c.Servers[i]
		p := namedServer{port: s.Address.PortOr(80), options: upstream.PeerOptions{
			Weight: s.Weight, MaxFails: s.MaxFails, FailTimeoutMs: s.FailTimeout.Milliseconds(), Backup: s.Backup, Down: s.Down, MaxConns: s.MaxConns,
			Drain: s.Drain, SlowStartMs: s.SlowStart.Milliseconds(), Route: s.Route,
			Row: b.row(sight.OfPeer(c, s)),
		}}
		o := &p.options
		switch a := s.Address; {
		case a.Host != "":
			p.host, named = b.worker.names.lookup(a.Host), true
		case a.Path != "":
			if o.Addr, err = sys.SockaddrUnix(a.Path); err != nil {
				return nil, false, err
			}
			o.Name = "unix:" + a.Path
		default:
			o.Addr, o.IP, o.Name = sys.SockaddrTCP(a.IP), a.IP, a.IP.String()
		}
		list = append(list, p)
	}
	return list, named, nil
}
