// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strings"

	"weir/internal/access"
	"weir/internal/vars"
)

func (Satisfy) names() []string { return []string{"all", "any"} }

// String is the choice as written.
func (s Satisfy) String() string { return s.names()[s] }

func (r *AccessRule) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	verb, peer, _ := strings.Cut(text, " ")
	if !ok || verb != "allow" && verb != "deny" {
		d.fault(n, p, "must be a rule such as \"allow 10.0.0.0/8\" or \"deny all\", not %s", n.describe())
		return false
	}
	r.Deny = verb == "deny"
	r.Net, ok = d.peer(n, p, strings.TrimLeft(peer, " "), true)
	return ok
}

// String is the rule as it is written in a configuration.
func (r AccessRule) String() string {
	if r.Deny {
		return "deny " + formatPeer(r.Net)
	}
	return "allow " + formatPeer(r.Net)
}

func (t *TrustedPeer) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be an address, a network, \"unix:\" or the name of a host, not %s", n.describe())
		return false
	}
	if _, network := parseNetwork(text); !network && text != "all" && len(text) <= hostMax && looksLikeName(text) {
		t.Host = strings.ToLower(text)
		return true
	}
	t.Net, ok = d.peer(n, p, text, false)
	return ok
}

// String is the peer as it is written in a configuration.
func (t TrustedPeer) String() string {
	if t.Host != "" {
		return t.Host
	}
	return formatPeer(t.Net)
}

// peer reads a set of peers; all says whether it may be everybody.
func (d *decoder) peer(n *node, p *path, text string, all bool) (access.Net, bool) {
	switch {
	case text == "all" && all:
		return access.Net{All: true}, true
	case text == "unix:":
		return access.Net{Unix: true}, true
	}
	network, ok := parseNetwork(text)
	if !ok {
		why := ""
		if looksLikeName(text) {
			why = "; names of hosts are not resolved"
		}
		d.fault(n, p, "%s is no address, no network such as \"10.0.0.0/8\", and not \"unix:\"%s", quote(text), why)
		return access.Net{}, false
	}
	if masked := network.Masked(); masked != network.Prefix {
		d.warnAt(p, "%s is the network %s: the bits behind the prefix mean nothing", quote(text), masked)
		network.Prefix = masked
	}
	return access.Net{Prefix: network.Prefix}, true
}

func formatPeer(n access.Net) string {
	switch {
	case n.All:
		return "all"
	case n.Unix:
		return "unix:"
	}
	return Network{n.Prefix}.String()
}

// checkAccess checks the access settings that are written at one level.
func (k *checker) checkAccess(p *path, s *AccessSettings) {
	if at := k.writtenKey(p, "real_ip_header"); at != nil && !isToken(s.RealIPHeader) {
		k.faultAt(at, "must be \"proxy_protocol\" or the name of a header field, not %s", quote(s.RealIPHeader))
	}
	if at := k.writtenKey(p, "auth_request"); at != nil && s.AuthRequest != "off" && !strings.HasPrefix(s.AuthRequest, "/") {
		k.faultAt(at, "must be \"off\" or a path that begins with \"/\", not %s", quote(s.AuthRequest))
	}
	if at := k.writtenKey(p, "mirror"); at != nil {
		for i, uri := range s.Mirror {
			if !strings.HasPrefix(uri, "/") {
				k.faultAt(at.at(i), "must be a path that begins with \"/\", not %s", quote(uri))
			}
		}
	}
	if at := k.writtenKey(p, "auth_request_set"); at != nil {
		for i, set := range s.AuthRequestSet {
			if _, ok := vars.Assignable(set.Name); ok {
				continue
			}
			if _, err := k.variables.Define(set.Name); err != nil {
				k.faultAt(k.entry(at, set.Name, i), "%v", err)
			}
		}
	}
	if at := k.writtenKey(p, "auth_basic"); at != nil {
		if s.AuthBasic == "" {
			k.faultAt(at, "must be a text, or \"off\"")
		}
		k.checkLine(at, s.AuthBasic)
	}
}
