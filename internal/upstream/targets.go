// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"net/netip"
	"strings"

	"weir/internal/resolver"
	"weir/internal/sys"
)

// targetsMax bounds the groups that are made for targets of proxy_pass with variables.
const targetsMax = 1024

// Targets are the groups that a proxy_pass with variables may lead to: those of the config, and others that are made when a request asks for them. Such a group has
// one origin for each address of its host. Failures with them are not remembered, as with nginx: a request begins with any of them.
type Targets struct {
	options Options
	fixed   map[string]*Group
	made    map[targetKey]*target
}

type targetKey struct {
	resolver  *resolver.Resolver // nil: the authority is an address
	authority string
}

// target is a group that was made, and what it was made of.
type target struct {
	group *Group
	entry *resolver.Entry // nil: of an address
}

// NewTargets makes them. The groups that are made have these options; fixed are those of the config, by the authority that leads to them, in lower case.
func NewTargets(o Options, fixed map[string]*Group) *Targets {
	return &Targets{options: o, fixed: fixed, made: map[targetKey]*target{}}
}

// Find is the group for an authority, in lower case, at nowMs; nil when there is none, or what was known of its host has expired.
func (t *Targets) Find(r *resolver.Resolver, authority []byte, nowMs int64) *Group {
	if g := t.fixed[string(authority)]; g != nil {
		return g
	}
	if x := t.made[targetKey{authority: string(authority)}]; x != nil {
		return x.group
	}
	if x := t.made[targetKey{r, string(authority)}]; x != nil && x.entry != nil && nowMs < x.entry.ExpiresMs() {
		return x.group
	}
	return nil
}

// Literal makes the group for an authority whose host is an address, or "unix:" and the path of a socket; nil when it is neither.
func (t *Targets) Literal(authority, host string, port uint16) (*Group, error) {
	var o PeerOptions
	if path, ok := strings.CutPrefix(host, "unix:"); ok {
		addr, err := sys.SockaddrUnix(path)
		if err != nil {
			return nil, err
		}
		o = PeerOptions{Name: host, Addr: addr, Weight: 1}
	} else {
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || ip.Is6() != strings.HasPrefix(host, "[") || ip.Zone() != "" {
			return nil, nil
		}
		o = targetPeer(netip.AddrPortFrom(ip, port))
	}
	g := t.group(targetKey{authority: authority})
	g.group.SetPeers([]PeerOptions{o})
	return g.group, nil
}

// Resolved is the group for an authority of whose host the entry knows addresses.
func (t *Targets) Resolved(r *resolver.Resolver, authority string, port uint16, entry *resolver.Entry) *Group {
	x := t.group(targetKey{r, authority})
	if x.entry != entry {
		x.entry = entry
		addrs, _ := entry.Addresses()
		list := make([]PeerOptions, 0, len(addrs))
		for _, a := range addrs {
			list = append(list, targetPeer(netip.AddrPortFrom(a.IP, port)))
		}
		x.group.SetPeers(list)
	}
	return x.group
}

func targetPeer(at netip.AddrPort) PeerOptions {
	return PeerOptions{Name: at.String(), Addr: sys.SockaddrTCP(at), IP: at, Weight: 1}
}

// group is the one of a key, made if there is none. Then, when there are too many, another one goes; requests that it has in progress go on.
func (t *Targets) group(key targetKey) *target {
	x := t.made[key]
	if x != nil {
		return x
	}
	for other, old := range t.made {
		if len(t.made) < targetsMax {
			break
		}
		old.group.SetPeers(nil)
		delete(t.made, other)
	}
	o := t.options
	o.Name = key.authority
	x = &target{group: NewGroup(o)}
	t.made[key] = x
	return x
}

// Idlest is one of the groups that were made with kept connections; nil: none has any.
func (t *Targets) Idlest() *Group {
	if t == nil {
		return nil
	}
	for _, x := range t.made {
		if x.group.Idle() > 0 {
			return x.group
		}
	}
	return nil
}
