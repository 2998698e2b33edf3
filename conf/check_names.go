// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

// dnsPort is the port of a name server that names none.
const dnsPort = 53

func (s *NameServer) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be an address such as \"127.0.0.1\" or \"[::1]:53\", not %s", n.describe())
		return false
	}
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && ip.Is6() == strings.HasPrefix(text, "[") && !ip.IsUnspecified() {
		*s = NameServer{Origin{Address: Address{IP: netip.AddrPortFrom(ip, dnsPort)}}}
		return true
	}
	o, err := parseOrigin(text)
	switch {
	case err == nil && (o.Path != "" || isDigits(text) || o.Host == "" && o.IP.Addr().IsUnspecified()):
		err = fmt.Errorf("%s is not the address of a name server", quote(text))
	case err == nil && o.Host == "" && strings.EqualFold(text, "localhost"):
		o.IP = netip.AddrPortFrom(o.IP.Addr(), dnsPort)
	}
	if err != nil {
		d.fault(n, p, "%v", err)
		return false
	}
	if o.Host != "" {
		o.Port = o.PortOr(dnsPort)
	}
	*s = NameServer{o}
	return true
}

// checkResolver checks the resolver that is written at a level.
func (k *checker) checkResolver(p *path, r *Resolver) {
	at := p.key("resolver")
	if r == nil || !k.written(at) {
		return
	}
	if len(r.Addresses) == 0 && k.written(at.key("addresses")) {
		k.faultAt(at.key("addresses"), "must not be empty")
	}
	if !r.IPv4 && !r.IPv6 {
		k.faultAt(at, "\"ipv4\" and \"ipv6\" cannot both be false")
	}
}

// checkResolve checks the parameters of an origin that is looked up while weir serves.
func (k *checker) checkResolve(p *path, u *Upstream, s *UpstreamServer) {
	if s.Service != "" {
		switch {
		case !s.Resolve:
			k.faultAt(p.key("service"), "needs resolve = true")
		case s.Address.Host == "":
			k.faultAt(p.key("service"), "needs the name of a host, not %s", quote(s.Address.String()))
		case s.Address.Port != 0:
			k.faultAt(p.key("address"), "cannot have a port beside \"service\": its records have theirs")
		}
		for i := range len(s.Service) {
			if c := s.Service[i]; !bareByte(c) && c != '.' {
				k.faultAt(p.key("service"), "%s is not the name of a service", quote(s.Service))
				break
			}
		}
	}
	if s.Resolve && s.Address.Host != "" && u.Resolver == nil && k.cfg.HTTP.Resolver == nil {
		k.faultAt(p.key("resolve"), "needs a resolver, in this group or in [http]")
	}
}
