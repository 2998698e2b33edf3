// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"slices"
	"strings"
)

func (k *checker) checkUpstream(p *path, u *Upstream) {
	if _, ok := k.groups[strings.ToLower(u.Name)]; ok {
		k.faultAt(p, "upstream %s exists already", quote(u.Name))
	}
	if u.Name == "" || strings.ContainsAny(u.Name, "/:?#$ \t") {
		k.faultAt(p, "%s cannot be the name of a group", quote(u.Name))
	}
	k.checkResolver(p, u.Resolver)
	k.checkHealth(p, u)
	usable := false
	for i := range u.Servers {
		s := &u.Servers[i]
		at := p.key("server").at(i)
		k.checkOrigin(at, s.Address)
		k.checkSlowStart(at, u, s)
		k.checkRoute(at.key("route"), s.Route)
		k.checkResolve(at, u, s)
		usable = usable || !s.Backup
		if s.Backup && (u.IPHash || u.Hash != nil || u.Random != RandomOff) {
			k.faultAt(at.key("backup"), "does not go together with ip_hash, hash and random")
		}
	}
	k.checkSticky(p.key("sticky"), u.Sticky)
	if methods := u.methods(); len(methods) > 1 {
		k.faultAt(p.key(methods[1]), "does not go together with %s: a group has one method", methods[0])
	}
	switch {
	case len(u.Servers) == 0 && k.writtenKey(p, "server") != nil:
		k.faultAt(p.key("server"), "must not be empty")
	case !usable && len(u.Servers) > 0:
		k.faultAt(p.key("server"), "needs one that is not a backup")
	}
}

// methods are the keys of the methods of choice that the group has.
func (u *Upstream) methods() (keys []string) {
	for _, m := range []struct {
		key string
		set bool
	}{{"least_conn", u.LeastConn}, {"ip_hash", u.IPHash}, {"hash", u.Hash != nil}, {"random", u.Random != RandomOff}} {
		if m.set {
			keys = append(keys, m.key)
		}
	}
	return keys
}

// checkOrigin checks that an origin is one to connect to.
func (k *checker) checkOrigin(p *path, a Origin) {
	if a.Path == "" && a.IP.IsValid() && a.IP.Addr().IsUnspecified() {
		k.faultAt(p, "%s is an address to listen on, not one to connect to", quote(a.String()))
	}
}

func (k *checker) checkServer(p *path, s *Server) {
	k.checkSettings(p, &s.Settings, s)
	k.checkReturn(p.key("return"), s.Return)
	for i, name := range s.ServerName {
		if at := p.key("server_name").at(i); k.written(at) {
			k.checkServerName(at, name)
		}
	}
	if len(s.Listen) == 0 && k.writtenKey(p, "listen") != nil {
		k.faultAt(p.key("listen"), "must not be empty")
	}
	k.checkTryFiles(p, s.TryFiles, s)
	k.checkRules(p.key("rewrite"), s.Rules, s, nil)
	k.checkLocations(p.key("location"), s.Locations, nil, s)
}

func (k *checker) checkLocation(p *path, l *Location, server *Server) {
	k.checkSettings(p, &l.Settings, server)
	k.checkReturn(p.key("return"), l.Return)
	k.checkRules(p.key("rewrite"), l.Rules, server, l)
	k.checkLimitExcept(p.key("limit_except"), l.LimitExcept, server)
	k.checkLocations(p.key("location"), l.Locations, l, server)
	k.checkPages(p, l, server)
	k.checkTryFiles(p, l.TryFiles, server)
	k.checkAlias(p, l)
	if l.ProxyPass == nil {
		return
	}
	at := p.key("proxy_pass")
	if at := k.writtenKey(p, "proxy_redirect"); at != nil && l.ProxyPass.Variable && slices.ContainsFunc(l.ProxyRedirect, func(r Redirect) bool { return r.Default }) {
		k.faultAt(at, "\"default\" does not go together with variables in proxy_pass")
	}
	if m := l.Path.Modifier; l.ProxyPass.HasURI && (m == Regex || m == RegexFold || m == Named) {
		k.faultAt(at, "cannot have a path in a location given by a regular expression or a name")
	}
	k.checkTarget(at, l.ProxyPass)
}

// checkPages checks the keys that have a location answer with a page of weir's own.
func (k *checker) checkPages(p *path, l *Location, server *Server) {
	first := ""
	for _, page := range []struct {
		key string
		set bool
	}{{"stub_status", l.StubStatus}, {"metrics", l.Metrics}, {"status_api", l.StatusAPI}, {"dashboard", l.Dashboard}, {"empty_gif", l.EmptyGIF}} {
		switch at := p.key(page.key); {
		case !page.set:
			continue
		case first != "":
			k.faultAt(at, "cannot stand beside %s: each answers the request", first)
		case l.ProxyPass != nil:
			k.faultAt(at, "cannot stand beside proxy_pass: each answers the request")
		case l.Return != nil:
			k.faultAt(at, "cannot stand beside return: each answers the request")
		}
		first = page.key
	}
	if l.Dashboard && server.StatusPath() == "" {
		k.faultAt(p.key("dashboard"), "needs a location of the same server with status_api = true, given by a prefix or an exact path")
	}
}

// ShowsNumbers says whether the config has a location with metrics, status_api or dashboard. Only then servers and origins are counted one by one.
func (c *Config) ShowsNumbers() bool {
	for i := range c.HTTP.Servers {
		for l := range c.HTTP.Servers[i].AllLocations() {
			if l.Metrics || l.StatusAPI || l.Dashboard {
				return true
			}
		}
	}
	return false
}

// StatusPath is where the server answers with its numbers as JSON; "" where it does not.
func (s *Server) StatusPath() string {
	for l := range s.AllLocations() {
		if l.StatusAPI && (l.Path.Modifier == Prefix || l.Path.Modifier == PrefixFinal || l.Path.Modifier == Exact) {
			return l.Path.Text
		}
	}
	return ""
}

// checkTarget checks that a proxy_pass names a group or an address.
func (k *checker) checkTarget(p *path, x *ProxyPass) {
	if x.Authority == "" { // a fault already
		return
	}
	if _, ok := k.groups[strings.ToLower(x.Authority)]; ok {
		return
	}
	name, port, _ := strings.Cut(x.Authority, ":")
	if _, ok := k.groups[strings.ToLower(name)]; ok {
		k.faultAt(p, "upstream %s cannot have a port (:%s): its servers have theirs", quote(name), port)
		return
	}
	a, err := parseOrigin(x.Authority)
	switch {
	case err != nil:
		k.faultAt(p, "%v", err)
		return
	case isDigits(x.Authority):
		k.faultAt(p, "no upstream group %s", quote(x.Authority))
		return
	}
	if near := suggest(x.Authority, k.groupNames()); near != "" && a.Host != "" {
		k.warnAt(p, "no upstream group %s%s: it is taken for the name of a host", quote(x.Authority), near)
	}
	if a.Path != "" {
		a.Path = k.file(&node{}, p, a.Path)
		if len(a.Path) > maxUnixPath {
			k.faultAt(p, "the path of a unix socket has at most %d bytes, not %d", maxUnixPath, len(a.Path))
		}
	}
	k.checkOrigin(p, a)
}

func (k *checker) groupNames() []string {
	names := make([]string, len(k.cfg.HTTP.Upstreams))
	for i := range names {
		names[i] = k.cfg.HTTP.Upstreams[i].Name
	}
	return names
}
