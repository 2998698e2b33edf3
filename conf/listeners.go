// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"net/netip"
	"reflect"
	"strings"

	"weir/internal/route"
)

// listening gathers Config.Listeners and checks what the servers on one address have to agree on.
type listening struct {
	*checker
	index   map[Address]int      // in Config.Listeners
	options map[Address]*path    // where an address got its socket options
	chosen  map[Address]struct{} // addresses with a default_server
}

func (k *checker) checkListeners() {
	l := &listening{k, map[Address]int{}, map[Address]*path{}, map[Address]struct{}{}}
	servers := (*path)(nil).key("http").key("server")
	for i := range k.cfg.HTTP.Servers {
		own := map[Address]bool{}
		for j, listen := range k.cfg.HTTP.Servers[i].Listen {
			p := servers.at(i).key("listen").at(j)
			k.checkListenLimits(p, &listen)
			if listen.Address.valid() && !listen.IPv6Only && (listen.Address.Path != "" || !listen.Address.IP.Addr().Is6()) {
				k.faultAt(p.key("ipv6only"), "is of no use with %s, which is no IPv6 address", listen.Address)
			}
			if !listen.Address.valid() { // a fault already
				continue
			}
			if own[listen.Address] {
				k.faultAt(p, "duplicate listen %s", quote(listen.Address.String()))
				continue
			}
			own[listen.Address] = true
			l.add(i, listen, p)
		}
	}
	for i := range k.cfg.Listeners {
		k.cfg.Listeners[i].Via = l.via(i)
		l.checkNames(&k.cfg.Listeners[i], servers)
	}
}

// add adds server i, which listens at p.
func (l *listening) add(server int, listen Listen, p *path) {
	at, ok := l.index[listen.Address]
	if !ok {
		at = len(l.cfg.Listeners)
		l.index[listen.Address] = at
		l.cfg.Listeners = append(l.cfg.Listeners, Listener{Listen: listen, Default: server})
	}
	known := &l.cfg.Listeners[at]
	known.Servers = append(known.Servers, server)
	proxied := known.ProxyProtocol || listen.ProxyProtocol // as with nginx, of the address if one of its servers says so
	known.ProxyProtocol, listen.ProxyProtocol = proxied, proxied
	if listen.DefaultServer {
		if _, ok := l.chosen[listen.Address]; ok {
			l.faultAt(p, "a second default_server for %s", listen.Address)
		}
		l.chosen[listen.Address] = struct{}{}
		known.Default, known.DefaultServer = server, true
	}
	if !listen.hasOptions() {
		return
	}
	if first := l.options[listen.Address]; first != nil && !known.sameOptions(listen) {
		l.faultAt(p, "the options for %s are not those of %s: write them once", listen.Address, first)
		return
	}
	l.options[listen.Address] = p
	isDefault := known.DefaultServer
	known.Listen = listen
	known.DefaultServer = isDefault
}

// sameOptions says whether l and other ask for the same of their socket: all but default_server is equal.
func (l Listen) sameOptions(other Listen) bool {
	l.DefaultServer, other.DefaultServer = false, false
	return reflect.DeepEqual(l, other)
}

// hasOptions says whether an option of the socket has been changed, which in nginx makes the address bind a socket of its own. So do limits: they
// are counted when a connection is accepted, and then only the socket is known that accepted it.
func (l Listen) hasOptions() bool {
	return l.Backlog != 511 || l.Reuseport || !l.IPv6Only || l.Rcvbuf != 0 || l.Sndbuf != 0 || l.SoKeepalive != SoKeepalive{} ||
		l.Deferred || l.FastOpen != 0 || l.Bind || len(l.LimitConns) > 0 || len(l.LimitConnBypass) > 0
}

// via finds the listener whose socket accepts for listener i; see Listener.Via.
func (l *listening) via(i int) int {
	listener := &l.cfg.Listeners[i]
	ip := listener.Address.IP
	if listener.Address.Path != "" || ip.Addr().IsUnspecified() || listener.hasOptions() {
		return i
	}
	wildcard := netip.IPv6Unspecified()
	if ip.Addr().Is4() {
		if at, ok := l.index[Address{IP: netip.AddrPortFrom(netip.IPv4Unspecified(), ip.Port())}]; ok {
			return at
		}
	}
	if at, ok := l.index[Address{IP: netip.AddrPortFrom(wildcard, ip.Port())}]; ok && (ip.Addr().Is6() || !l.cfg.Listeners[at].IPv6Only) {
		return at
	}
	return i
}

// checkNames warns of names that more than one server on an address has, as nginx does: the first keeps it.
func (l *listening) checkNames(listener *Listener, servers *path) {
	var all []route.Server
	for _, i := range listener.Servers {
		all = append(all, route.Server{Names: l.cfg.HTTP.Servers[i].ServerName})
	}
	names, err := route.NewServerNames(all)
	if err != nil { // a name is faulty, and that has been said
		return
	}
	for _, c := range names.Conflicts() {
		loser := listener.Servers[c.Loser]
		p := servers.at(loser).key("server_name")
		for j, name := range l.cfg.HTTP.Servers[loser].ServerName {
			if strings.EqualFold(name, c.Name) {
				p = p.at(j)
				break
			}
		}
		l.warnAt(p, "conflicting server name %s on %s, ignored", quote(c.Name), listener.Address)
	}
}
