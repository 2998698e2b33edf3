// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"reflect"
	"slices"
	"strings"
)

// complete works out what add_header and secure_link come to, and adds the fields of requests to origins that are set unless the configuration names them.
func (s *Settings) complete() {
	s.inheritHeaders()
	s.inheritLinks()
	for _, h := range s.ProxySetHeader {
		if strings.EqualFold(h.Name, "Host") {
			return
		}
	}
	s.ProxySetHeader = append(slices.Clip(s.ProxySetHeader), Header{Name: "Host", Value: "$proxy_host"})
}

// resolve works out what follows from a configuration without faults: the groups that locations pass requests to, and their redirects.
func (k *checker) resolve() {
	k.cfg.Groups = slices.Clone(k.cfg.HTTP.Upstreams)
	byAddress := map[Origin]int{}
	for i := range k.cfg.HTTP.Servers {
		server := &k.cfg.HTTP.Servers[i]
		for l := range server.AllLocations() {
			for i := range l.Locations { // they come later: nobody gets in by a location within one that is shut
				l.Locations[i].Internal = l.Locations[i].Internal || l.Internal
			}
			l.derive()
		}
		for l := range server.Blocks() {
			if l.ProxyPass != nil {
				k.resolveTarget(l.ProxyPass, byAddress)
				l.Redirects = l.redirects()
			}
		}
	}
}

// resolveTarget sets the group that a proxy_pass means, making one for an address that is named for the first time.
func (k *checker) resolveTarget(x *ProxyPass, byAddress map[Origin]int) {
	if x.Variable {
		return
	}
	written := x.Authority
	if i, ok := k.groups[strings.ToLower(written)]; ok {
		x.Group, x.Port = i, defaultPort
		return
	}
	a, err := parseOrigin(written)
	if err != nil {
		panic("conf: an address that was checked is faulty: " + err.Error())
	}
	switch {
	case a.Host != "":
		a.Port = a.PortOr(defaultPort)
		x.Port = int(a.Port)
	case a.Path != "":
		a.Path = k.file(&node{}, nil, a.Path)
		x.Authority = "localhost" // as nginx's $proxy_host
	default:
		x.Port = int(a.IP.Port())
	}
	i, ok := byAddress[a]
	if !ok {
		i = len(k.cfg.Groups)
		byAddress[a] = i
		k.cfg.Groups = append(k.cfg.Groups, k.implicitGroup(written, a))
	}
	x.Group = i
}

// implicitGroup is the group of one origin that a proxy_pass to an address means: with the defaults of [http.upstream].
func (k *checker) implicitGroup(name string, a Origin) Upstream {
	var group Upstream
	var server UpstreamServer
	k.begin(k.specs.of(reflect.TypeFor[Upstream]()), reflect.ValueOf(&group).Elem(), reflect.Value{})
	k.begin(k.specs.of(reflect.TypeFor[UpstreamServer]()), reflect.ValueOf(&server).Elem(), reflect.Value{})
	server.Address = a
	group.Name, group.Servers, group.Implicit = name, []UpstreamServer{server}, true
	return group
}

// redirects is proxy_redirect with "default" worked out: what stands in proxy_pass is replaced by the location's path, or by "/" when it has no
// path, as in a location given by a regular expression or a name.
func (l *Location) redirects() []Redirect {
	var rules []Redirect
	for _, r := range l.ProxyRedirect {
		switch {
		case !r.Default:
			rules = append(rules, r)
		case l.ProxyPass.Variable: // there is nothing that could be replaced
		case l.ProxyPass.HasURI:
			rules = append(rules, Redirect{From: l.ProxyPass.Text, To: Template(l.Path.Text)})
		default:
			rules = append(rules, Redirect{From: l.ProxyPass.Text + "/", To: "/"})
		}
	}
	return rules
}

// maxConnsBytes is the size of the zone for max_conns, unless the config has very many origins.
const maxConnsBytes = 1 << 20

// MaxConnsBytesMost is the largest that zone can be.
const MaxConnsBytesMost = 1 << 30

// MaxConnsBytes is how large the zone has to be in which requests in progress at origins with max_conns, those that wait for it, and idle connections with keepalive_total are counted;
// 0: there are none. 1 KiB is ample for an origin: its name, and what 30 workers have of it. One that waits takes 48 bytes and 8 for each origin, as a power of two.
func (c *Config) MaxConnsBytes() Size {
	needed := Size(0)
	for i := range c.Groups {
		g := &c.Groups[i]
		limited := 0
		for _, s := range g.Servers {
			if s.MaxConns > 0 {
				limited++
			}
		}
		needed += Size(limited) * 1024
		if g.KeepaliveTotal > 0 {
			needed += 1024
		}
		if g.Queue != nil && limited > 0 {
			waiter := Size(64)
			for waiter < Size(48+8*limited) {
				waiter *= 2
			}
			needed += min(Size(g.Queue.Size), 1<<17)*waiter*5/4 + 16<<10
		}
	}
	if needed == 0 {
		return 0
	}
	size := Size(maxConnsBytes)
	for size < needed {
		size *= 2
	}
	return size
}

// HasQueues says whether requests may have to wait for a place under a limit, or with an origin.
func (c *Config) HasQueues() bool {
	for i := range c.Groups {
		if c.Groups[i].Queue != nil {
			return true
		}
	}
	queued := func(list []LimitConn) bool {
		return slices.ContainsFunc(list, func(l LimitConn) bool { return l.Queue != nil })
	}
	for i := range c.HTTP.Servers {
		s := &c.HTTP.Servers[i]
		if queued(s.LimitConns) || slices.ContainsFunc(s.Locations, func(l Location) bool { return queued(l.LimitConns) }) {
			return true
		}
	}
	return false
}
