// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"net/netip"
	"slices"
	"strings"
)

// checkProxy checks what one level says about requests to origins and their answers.
func (k *checker) checkProxy(p *path, s *ProxySettings) {
	if at := k.writtenKey(p, "proxy_method"); at != nil && s.ProxyMethod != "" && s.ProxyMethod.constant() && !isToken(string(s.ProxyMethod)) {
		k.faultAt(at, "%s is not a method", quote(string(s.ProxyMethod)))
	}
	if at := k.writtenKey(p, "proxy_bind"); at != nil && s.ProxyBind.On() && s.ProxyBind.Address.constant() {
		if _, err := ParseBind(string(s.ProxyBind.Address)); err != nil {
			k.faultAt(at, "must be an IP address, with a port or without, not %s", quote(string(s.ProxyBind.Address)))
		}
	}
	if at := k.writtenKey(p, "proxy_cookie_flags"); at != nil {
		for i := range s.ProxyCookieFlags {
			k.checkCookieFlags(at.at(i), &s.ProxyCookieFlags[i])
		}
	}
}

// cookieFlags are the flags of proxy_cookie_flags. Read-only.
var cookieFlags = []string{"secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none", "nosecure", "nohttponly", "nosamesite"}

func (k *checker) checkCookieFlags(p *path, c *CookieFlags) {
	if at := k.writtenKey(p, "cookie"); at != nil && c.Cookie == "" {
		k.faultAt(at, "must not be empty")
	} else if n, ok := k.root.locate(at); ok {
		k.matcher(n, at, c.Cookie)
	}
	for i, flag := range c.Flags {
		if flag.constant() && !slices.Contains(cookieFlags, strings.ToLower(string(flag))) {
			k.faultAt(p.key("flags").at(i), "must be %s, not %s", alternatives(cookieFlags), quote(string(flag)))
		}
	}
}

// constant says whether the text has no variables.
func (t Template) constant() bool { return !strings.Contains(string(t), "$") }

// On says whether connections to origins come from an address that is given.
func (b ProxyBind) On() bool { return b.Address != "off" && b.Address != "" }

// ParseBind reads an address to connect from: an IP address, with a port or without, an IPv6 address with a port in brackets. Without a port it is 0.
func ParseBind(text string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	return netip.ParseAddrPort(text)
}

// BindsTransparently says whether connections to origins may come from addresses that are not this machine's.
func (c *Config) BindsTransparently() bool {
	for i := range c.HTTP.Servers {
		for l := range c.HTTP.Servers[i].AllLocations() {
			if l.ProxyPass != nil && l.ProxyBind.On() && l.ProxyBind.Transparent {
				return true
			}
		}
	}
	return false
}
