// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "strings"

// checkSlowStart checks that weights count where they are to grow.
func (k *checker) checkSlowStart(p *path, u *Upstream, s *UpstreamServer) {
	if s.SlowStart > 0 && (u.IPHash || u.Hash != nil || u.Random != RandomOff) {
		k.faultAt(p.key("slow_start"), "does not go together with ip_hash, hash and random")
	}
}

// checkMaxConns checks that what is counted of all groups' origins, and those who wait for them, has room in one zone.
func (k *checker) checkMaxConns() {
	if size := k.cfg.MaxConnsBytes(); size > MaxConnsBytesMost {
		k.faultAt((*path)(nil).key("http").key("upstream"), "max_conns and queue of all groups take %d bytes of shared memory, at most %d are possible: make the queues smaller", size, MaxConnsBytesMost)
	}
}

// checkRoute checks that a route can stand in a cookie.
func (k *checker) checkRoute(p *path, route string) {
	for i := range len(route) {
		if c := route[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`",;\\`, c) >= 0 { // RFC 6265, section 4.1.1: cookie-octet
			k.faultAt(p, "%s has a character that a cookie cannot have", quote(route))
			return
		}
	}
}

// checkSticky checks that there is one way to find an origin again.
func (k *checker) checkSticky(p *path, s *Sticky) {
	if s == nil {
		return
	}
	switch {
	case s.Cookie == "" && len(s.Route) == 0:
		k.faultAt(p, "needs one of the keys \"cookie\" and \"route\"")
	case s.Cookie != "" && len(s.Route) > 0:
		k.faultAt(p.key("route"), "does not go together with cookie")
	case s.Cookie != "" && !isToken(s.Cookie):
		k.faultAt(p.key("cookie"), "%s cannot be the name of a cookie", quote(s.Cookie))
	}
	if s.Cookie == "" {
		for _, o := range []struct {
			key string
			set bool
		}{
			{"expires", s.Expires != 0}, {"domain", s.Domain != ""}, {"path", s.Path != ""}, {"httponly", s.HTTPOnly},
			{"secure", s.Secure}, {"samesite", s.SameSite != ""},
		} {
			if o.set {
				k.faultAt(p.key(o.key), "is about a cookie, and there is none")
			}
		}
	}
	if strings.ContainsAny(s.Path, ";\r\n\x00") {
		k.faultAt(p.key("path"), "has a character that a cookie's attribute cannot have")
	}
	if strings.ContainsAny(string(s.Domain), ";\r\n\x00") {
		k.faultAt(p.key("domain"), "has a character that a cookie's attribute cannot have")
	}
	switch s.SameSite {
	case "", "strict", "lax", "none":
	default:
		if !strings.Contains(string(s.SameSite), "$") {
			k.faultAt(p.key("samesite"), "must be \"strict\", \"lax\", \"none\" or a template, not %s", quote(string(s.SameSite)))
		}
	}
}
