// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/event"
	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/resolver"
	"weir/internal/sight"
	"weir/internal/sys"
	"weir/internal/upstream"
)

// Origins that the config names by host. Their group has no peer for them until the name has been looked up, which begins when the worker is about to
// serve and holds nothing up: requests of the group wait for that a moment (nameWaitMs), those of others do not.
//
// A name is looked up as any program does it (/etc/hosts, resolv.conf), on a goroutine, once: as with nginx. Unlike there, one that cannot be resolved
// keeps nothing from starting, and is tried again until it can. With the parameter resolve the name servers of the directive resolver are asked, in the loop, and
// again whenever the answer has expired. Each worker does that by itself: no worker depends on another, and each goes by what it has seen itself.

// How long requests wait for the first peers of their group, and how long the system may take for a name.
const (
	nameWaitMs  = 2000
	systemLimit = 10 * time.Second
)

// How long to wait before a name that could not be resolved is looked up again, more each time; and before one that could is.
const (
	retryMs    = 1000
	retryMaxMs = 30_000
	againMs    = 1000
)

// names are the hosts of all groups.
type names struct {
	w         *worker
	groups    []*namedGroup
	hosts     map[string]*hostLookup
	resolvers map[string]*resolver.Resolver
	servers   []*serverLookup // their name servers that are hosts
	targets   *upstream.Targets
	timer     event.Timer // ends the wait for first peers
}

// namedGroup is a group with origins that are named by host.
type namedGroup struct {
	w       *worker
	group   *upstream.Group
	servers []namedServer
	missing int // hosts that have not been looked up yet
	peers   []upstream.PeerOptions
	found   []found // how each of them has been found
}

// namedServer is one origin as the config has it: a peer as it is, or a host with the options of its peers.
type namedServer struct {
	options upstream.PeerOptions
	port    uint16
	service bool
	host    *hostLookup // nil: options are a peer's
	first   bool        // the first of the group with that host
}

// hostLookup looks up one host, or a service of one.
type hostLookup struct {
	names    *names
	host     string
	service  string
	resolver *resolver.Resolver // nil: the system
	timer    event.Timer        // has it looked up again
	fails    int
	users    []*namedGroup

	asked bool // it has been looked up once
	addrs []resolver.Address

	job     offload.Job  // the system's
	found   []netip.Addr // what came of it
	failure error

	entry  *resolver.Entry // the resolver's
	waiter event.Waiter
	task   event.Task
}

// nameGroup notes a group whose peers have to be looked up.
func (b *builder) nameGroup(g *upstream.Group, servers []namedServer) {
	named := &namedGroup{w: b.worker, group: g, servers: servers}
	for i := range servers {
		if h := servers[i].host; h != nil && !slices.Contains(h.users, named) {
			h.users = append(h.users, named)
			servers[i].first = true
			named.missing++
		}
	}
	g.Expect()
	b.worker.names.groups = append(b.worker.names.groups, named)
}

// lookup is the one of a host.
func (n *names) lookup(host, service string, r *resolver.Resolver) *hostLookup {
	key := fmt.Sprintf("%s %s %p", host, service, r)
	h := n.hosts[key]
	if h == nil {
		if n.hosts == nil {
			n.hosts = map[string]*hostLookup{}
		}
		h = &hostLookup{names: n, host: host, service: service, resolver: r}
		h.job.Init(h)
		h.task.Init(h)
		h.timer.Init(h)
		n.hosts[key] = h
	}
	return h
}

// startNames begins to look up. It is the last step before the worker says that it is ready.
func (w *worker) startNames() error {
	n := &w.names
	n.w = w
	for _, l := range n.servers {
		w.calls.Start(&l.job)
	}
	n.recall()
	for _, h := range n.hosts {
		h.begin()
	}
	if len(n.groups) > 0 {
		n.timer.Init(n)
		w.timers.Arm(&n.timer, w.clock.Ms()+nameWaitMs)
	}
	return nil
}

// OnTimer ends the wait of requests for the first peers, and says every minute which origins this worker has. See event.Expirer.
func (n *names) OnTimer(*event.Timer) {
	for _, g := range n.groups {
		if g.group.Pending() {
			g.group.Arrived(n.w.loop)
		}
		g.see(n.w.clock.SharedMs())
	}
	n.w.timers.Arm(&n.timer, n.w.clock.Ms()+seeMs)
}

// seeMs is how often a worker says which origins it has.
const seeMs = 60_000

func (g *namedGroup) see(nowMs int64) {
	for i := range g.peers {
		if shared := g.peers[i].Shared; shared != nil {
			shared.SetSeen(nowMs)
			if f := g.found[i]; f.host != 0 {
				shared.SetFound(f.host, f.record)
			}
		}
	}
}

// begin looks the host up.
func (h *hostLookup) begin() {
	if h.resolver == nil {
		h.names.w.calls.Start(&h.job)
		return
	}
	if h.entry = h.resolver.Lookup(h.host, h.service); h.entry.Pending() {
		h.entry.Await(&h.waiter, &h.task)
		return
	}
	h.RunTask()
}

// OnTimer looks the host up again. See event.Expirer.
func (h *hostLookup) OnTimer(*event.Timer) { h.begin() }

// Work asks the system. See offload.Worker.
func (h *hostLookup) Work() {
	ctx, cancel := context.WithTimeout(context.Background(), systemLimit)
	defer cancel()
	h.found, h.failure = (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", h.host)
}

// OnWorked takes what the system said. See offload.Worker.
func (h *hostLookup) OnWorked() {
	if h.failure != nil {
		var e *net.DNSError
		if errors.As(h.failure, &e) {
			h.failure = errors.New(e.Err)
		}
		h.failed(h.failure)
		return
	}
	var addrs []resolver.Address
	for _, a := range h.found {
		addrs = append(addrs, resolver.Address{IP: a.Unmap(), Weight: 1})
	}
	h.succeeded(addrs)
}

// RunTask takes what the resolver said. See event.Runner.
func (h *hostLookup) RunTask() {
	addrs, err := h.entry.Addresses()
	if err != nil {
		if err == resolver.ErrNotFound {
			h.addrs = nil // it has none any more: that is news, not a failure to learn
		}
		h.failed(err)
		return
	}
	h.succeeded(addrs)
	now := h.names.w.clock.Ms()
	h.names.w.timers.Arm(&h.timer, now+max(h.entry.ExpiresMs()-now, againMs))
}

func (h *hostLookup) succeeded(addrs []resolver.Address) {
	if h.fails > 0 {
		h.names.w.log.Log(logfile.LevelNotice, "host has been found", zap.String("host", h.String()))
	}
	h.fails, h.addrs = 0, addrs
	h.tell()
}

// failed has the host looked up again after a while. What was known of it holds on.
func (h *hostLookup) failed(err error) {
	w := h.names.w
	if h.fails++; h.fails == 1 && w.manifest.Worker == 0 { // each worker finds the same
		message := "host not found in upstream: it has no origins until it is"
		if len(h.addrs) > 0 {
			message = "host could not be resolved: its origins stay as they were"
		}
		w.log.Warn(message, zap.String("host", h.String()), zap.Error(err))
	}
	most := int64(retryMaxMs)
	if h.resolver != nil {
		most = min(most, max(h.resolver.TimeoutMs(), retryMs)) // nginx waits for resolver_timeout
	}
	w.timers.Arm(&h.timer, w.clock.Ms()+min(int64(retryMs)<<min(h.fails-1, 10), most))
	h.tell()
}

// String is the host, or its service.
func (h *hostLookup) String() string {
	if h.service == "" {
		return h.host
	}
	return h.service + " of " + h.host
}

// tell has the groups know what came of the lookup.
func (h *hostLookup) tell() {
	first := !h.asked
	h.asked = true
	for _, g := range h.users {
		if first {
			g.missing--
		}
		g.update(h.names.w.loop)
	}
}

// update gives the group the peers that are known now.
func (g *namedGroup) update(l *event.Loop) {
	g.forget()
	g.peers, g.found = nil, nil
	for i := range g.servers {
		g.add(&g.servers[i])
	}
	g.w.share(g.group.Zone, g.group.Name, g.peers)
	g.see(g.w.clock.SharedMs())
	g.group.SetPeers(g.peers)
	if g.missing == 0 && g.group.Pending() {
		g.group.Arrived(l)
	}
}

// add adds the peers that the config's origin stands for. Of a service, the records with the least number are of the highest priority: the others are
// backups, or none for an origin that is a backup itself.
func (g *namedGroup) add(s *namedServer) {
	if s.host == nil {
		g.peers, g.found = append(g.peers, s.options), append(g.found, found{})
		return
	}
	least := uint16(math.MaxUint16)
	for _, a := range s.host.addrs {
		least = min(least, a.Priority)
	}
	for _, a := range s.host.addrs {
		o, port := s.options, s.port
		if s.service {
			port = a.Port
			if o.Weight == 1 {
				o.Weight = int(a.Weight)
			}
			if a.Priority != least && o.Backup {
				continue
			}
			o.Backup = o.Backup || a.Priority != least
		}
		o.IP = netip.AddrPortFrom(a.IP, port)
		o.Addr, o.Name = sys.SockaddrTCP(o.IP), o.IP.String()
		g.peers, g.found = append(g.peers, o), append(g.found, s.foundBy(a))
	}
}

// peers makes the peers of a group; named says that some of them are hosts.
func (b *builder) peers(c *conf.Upstream) (list []namedServer, named bool, err error) {
	for i := range c.Servers {
		s := &c.Servers[i]
		p := namedServer{port: s.Address.PortOr(80), service: s.Service != "", options: upstream.PeerOptions{
			Weight: s.Weight, MaxFails: s.MaxFails, FailTimeoutMs: s.FailTimeout.Milliseconds(), Backup: s.Backup, Down: s.Down, MaxConns: s.MaxConns,
			Server: s.Address.String(), Drain: s.Drain, SlowStartMs: s.SlowStart.Milliseconds(), Route: s.Route,
			Row: b.row(sight.OfPeer(c, s)), Checked: c.HealthCheck != nil, Mandatory: c.HealthCheck != nil && c.HealthCheck.Mandatory,
		}}
		o := &p.options
		switch a := s.Address; {
		case a.Host != "":
			var r *resolver.Resolver
			if s.Resolve {
				r = b.groupResolver(c)
			}
			p.host, named = b.worker.names.lookup(a.Host, s.Service, r), true
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
