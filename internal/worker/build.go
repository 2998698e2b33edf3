// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weir/conf"
	"weir/internal/access"
	"weir/internal/budget"
	"weir/internal/http1"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/request"
	"weir/internal/route"
	"weir/internal/sight"
	"weir/internal/static"
	"weir/internal/upstream"
)

// builder turns the config into what requests use. The config has been checked; an error here means that the checks have a gap.
type builder struct {
	*worker
	build    string
	hostname string
	groups   []*upstream.Group
	formats  map[string]conf.LogFormat

	errorLogs map[string]*logfile.ErrorLog
	syslogs   map[string]*logfile.Syslog

	trusted      map[string][]access.Net // hosts of set_real_ip_from
	trustedUntil time.Time               // when looking them up ends

	typeTables map[typesKey]*static.Types // one for all locations that have inherited it

	sightWanted bool // conf.Config.ShowsNumbers
}

// buildBinds makes everything that requests use. The binds are indexed as conf.Config.Listeners.
func (w *worker) buildBinds(build, hostname string) ([]*request.Bind, []*upstream.Group, error) {
	b := &builder{worker: w, build: build, hostname: hostname, formats: map[string]conf.LogFormat{}, errorLogs: map[string]*logfile.ErrorLog{}, syslogs: map[string]*logfile.Syslog{}, sightWanted: w.config.ShowsNumbers()}
	b.define()
	if err := b.lookups(); err != nil {
		return nil, nil, err
	}
	for _, f := range w.config.HTTP.LogFormats {
		b.formats[f.Name] = f
	}
	for i := range w.config.Groups {
		g, err := b.group(&w.config.Groups[i])
		if err != nil {
			return nil, nil, err
		}
		b.groups = append(b.groups, g)
	}
	w.names.targets = b.targets()
	servers := make([]*request.Server, len(w.config.HTTP.Servers))
	for i := range servers {
		s, err := b.server(&w.config.HTTP.Servers[i])
		if err != nil {
			return nil, nil, fmt.Errorf("http.server[%d]: %w", i, err)
		}
		servers[i] = s
	}
	binds := make([]*request.Bind, len(w.config.Listeners))
	for i := range binds {
		bind, err := b.bind(&w.config.Listeners[i], servers)
		if err != nil {
			return nil, nil, err
		}
		binds[i] = bind
	}
	for i := range binds {
		if l := &w.config.Listeners[i]; l.Via != i {
			via := binds[l.Via]
			if via.ByLocal == nil {
				via.ByLocal = map[netip.AddrPort]*request.Bind{}
			}
			via.ByLocal[l.Address.IP] = binds[i]
		}
	}
	if w.manifest.Probe != 0 {
		probe, err := w.probeBind()
		if err != nil {
			return nil, nil, err
		}
		binds = append(binds, probe)
	}
	return binds, b.groups, nil
}

func (b *builder) group(c *conf.Upstream) (*upstream.Group, error) {
	o := upstream.Options{
		Name: c.Name, Keepalive: c.Keepalive, KeepaliveRequests: uint32(c.KeepaliveRequests),
		KeepaliveTimeMs: c.KeepaliveTime.Milliseconds(), KeepaliveIdleMs: c.KeepaliveTimeout.Milliseconds(),
	}
	o.Places, o.KeepaliveTotal = b.zones.places, c.KeepaliveTotal
	if c.Queue != nil {
		o.QueueSize, o.QueueMs = c.Queue.Size, c.Queue.Timeout.Milliseconds()
	}
	switch {
	case c.LeastConn:
		o.Method = upstream.LeastConn
	case c.IPHash:
		o.Method = upstream.IPHash
	case c.Hash != nil && c.Hash.Consistent:
		o.Method = upstream.ConsistentHash
	case c.Hash != nil:
		o.Method = upstream.Hash
	case c.Random == conf.RandomOne:
		o.Method = upstream.Random
	case c.Random == conf.RandomTwo:
		o.Method = upstream.RandomTwo
	}
	if c.Hash != nil {
		var err error
		if o.Key, err = b.compile(string(c.Hash.Key)); err != nil {
			return nil, err
		}
	}
	o.Zone = b.sharedBy(c)
	var err error
	if o.Sticky, err = b.sticky(c.Sticky); err != nil {
		return nil, err
	}
	servers, named, err := b.peers(c)
	if err != nil {
		return nil, err
	}
	for i := range servers {
		if servers[i].host == nil {
			o.Peers = append(o.Peers, servers[i].options)
		}
	}
	b.share(o.Zone, c.Name, o.Peers)
	g := upstream.NewGroup(o)
	if named {
		b.nameGroup(g, servers)
	}
	return g, nil
}

func (b *builder) bind(l *conf.Listener, servers []*request.Server) (*request.Bind, error) {
	_, address := ipc.AddressKey(l.Address.IP, l.Address.Path)
	bind := &request.Bind{Address: address, Unix: l.Address.Path != "", Path: l.Address.Path, ProxyProtocol: l.ProxyProtocol}
	if ip := l.Address.IP; ip.IsValid() && !ip.Addr().IsUnspecified() {
		bind.Local = ip
	}
	var names []route.Server
	for _, i := range l.Servers {
		bind.Servers = append(bind.Servers, servers[i])
		names = append(names, route.Server{Names: b.names(&b.config.HTTP.Servers[i]), Default: i == l.Default})
		if i == l.Default {
			bind.Default = servers[i]
		}
	}
	var err error
	if bind.Limits, err = b.listenLimits(l); err != nil {
		return nil, err
	}
	if bind.Names, err = route.NewServerNames(names); err != nil {
		return nil, err
	}
	for _, p := range bind.Names.Patterns() {
		p.Bind(b.number)
	}
	return bind, nil
}

// names are a server's names with $hostname replaced.
func (b *builder) names(s *conf.Server) []string {
	names := make([]string, len(s.ServerName))
	for i, name := range s.ServerName {
		if name == "$hostname" {
			name = b.hostname
		}
		names[i] = name
	}
	return names
}

func (b *builder) server(c *conf.Server) (*request.Server, error) {
	s := &request.Server{
		HeaderTimeoutMs: c.ClientHeaderTimeout.Milliseconds(),
		KeepSlashes:     !c.MergeSlashes,
		Limits:          limits(&c.ServerSettings),
		RequestPool:     b.memory.requests[int(c.RequestPoolSize)],
		ConnectionPool:  b.memory.connections[int(c.ConnectionPoolSize)],
	}
	s.Row = b.row(sight.OfServer(c))
	if len(c.ServerName) > 0 {
		s.Name = strings.TrimPrefix(b.names(c)[0], ".")
	}
	var err error
	if s.Default, err = b.location(&c.Settings); err != nil {
		return nil, err
	}
	if s.Default.Judge, err = b.judge(&c.JudgeSettings, c); err != nil {
		return nil, err
	}
	s.Default.ShutdownMs = b.config.WorkerShutdownTimeout.Milliseconds()
	if s.Default.TryFiles, err = b.tryFiles(c.TryFiles); err != nil {
		return nil, err
	}
	if s.Rules, err = b.rules(c.Rules, c.Return, c.RewriteLog, c); err != nil {
		return nil, err
	}
	if s.Locations, err = route.NewLocations(paths(c.Locations)); err != nil {
		return nil, err
	}
	for inner := range c.AllLocations() {
		n := len(s.List)
		l, err := b.fullLocation(inner, c)
		if err != nil {
			return nil, fmt.Errorf("location %s: %w", inner.Path, err)
		}
		if l.Pattern = s.Locations.Pattern(n); l.Pattern != nil {
			l.Pattern.Bind(b.number)
		}
		s.List = append(s.List, l)
	}
	outer(s.List, c.Locations, nil)
	return s, nil
}

// pathText is a location's path as package route reads it.
func pathText(p conf.Path) string {
	switch p.Modifier {
	case conf.Prefix, conf.Named:
		return p.Text
	}
	return p.Modifier.String() + " " + p.Text
}

// limits are those of request heads. A first line or field line may be as long as the larger kind of buffer, a head as all of them.
func limits(c *conf.ServerSettings) http1.Limits {
	l := http1.DefaultLimits()
	small, large := int(c.ClientHeaderBufferSize), int(c.LargeClientHeaderBuffers.Size)
	l.LineBytes = max(small, large)
	l.HeadBytes = budget.HeadBytes(c)
	l.Fields, l.IgnoreInvalid, l.Underscores = c.MaxHeaders, c.IgnoreInvalidHeaders, c.UnderscoresInHeaders
	return l
}
