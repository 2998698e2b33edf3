// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"weir/conf"
	"weir/internal/request"
	"weir/internal/route"
	"weir/internal/vars"
)

// proxySettings sets what a location changes in requests to origins and in their answers.
func (b *builder) proxySettings(p *request.Proxy, c *conf.Location) error {
	s := &c.ProxySettings
	p.DropBody = !s.ProxyPassRequestBody || s.ProxySetBody != nil
	p.Ranges = s.ProxyForceRanges
	p.Trailers = s.ProxyPassTrailers
	p.DropFields = !s.ProxyPassRequestHeaders
	p.OwnConns = s.ProxyProtocol != conf.ProxyProtocolOff
	var err error
	if s.ProxyMethod != "" {
		if p.Method, err = b.compile(string(s.ProxyMethod)); err != nil {
			return err
		}
	}
	if s.ProxySetBody != nil {
		if p.SetBody, err = b.compile(string(*s.ProxySetBody)); err != nil {
			return err
		}
	}
	if p.Dial, err = b.dial(s); err != nil {
		return err
	}
	if p.Redirects, err = b.replacements(c.Redirects, false); err != nil {
		return err
	}
	p.Cookies, err = b.cookies(s)
	return err
}

// dial is how connections to origins are made; nil: as the kernel would.
func (b *builder) dial(s *conf.ProxySettings) (*request.Dial, error) {
	if !s.ProxyBind.On() && !s.ProxySocketKeepalive && s.ProxyProtocol == conf.ProxyProtocolOff {
		return nil, nil
	}
	d := &request.Dial{Keepalive: s.ProxySocketKeepalive, Transparent: s.ProxyBind.Transparent, Protocol: request.ProxyProtocol(s.ProxyProtocol)}
	var err error
	if s.ProxyBind.On() {
		d.Bind, err = b.compile(string(s.ProxyBind.Address))
	}
	return d, err
}

// replacements makes the rules of proxy_redirect and proxy_cookie_*. fold: letter case counts in no expression.
func (b *builder) replacements(list []conf.Redirect, fold bool) (rules []request.Redirect, err error) {
	for _, c := range list {
		var r request.Redirect
		if r.From, r.Pattern, err = b.matcher(c.From, fold); err != nil {
			return nil, err
		}
		if r.To, err = b.compile(string(c.To)); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// matcher makes what a value is compared with: a template, or an expression.
func (b *builder) matcher(text string, fold bool) (*vars.Template, *route.Pattern, error) {
	if expression, ignoreCase, ok := conf.Expression(text); ok {
		p, err := route.NewPattern(expression, ignoreCase || fold)
		if err == nil {
			p.Bind(b.number)
		}
		return nil, p, err
	}
	t, err := b.compile(text)
	return t, nil, err
}

// cookies are the changes to Set-Cookie; nil: none.
func (b *builder) cookies(s *conf.ProxySettings) (*request.Cookies, error) {
	if len(s.ProxyCookieDomain) == 0 && len(s.ProxyCookiePath) == 0 && len(s.ProxyCookieFlags) == 0 {
		return nil, nil
	}
	c := &request.Cookies{}
	var err error
	if c.Domains, err = b.replacements(s.ProxyCookieDomain, true); err != nil {
		return nil, err
	}
	if c.Paths, err = b.replacements(s.ProxyCookiePath, false); err != nil {
		return nil, err
	}
	for _, entry := range s.ProxyCookieFlags {
		var f request.CookieFlags
		if f.Name, f.Pattern, err = b.matcher(entry.Cookie, true); err != nil {
			return nil, err
		}
		for _, flag := range entry.Flags {
			t, err := b.compile(string(flag))
			if err != nil {
				return nil, err
			}
			f.Flags = append(f.Flags, t)
		}
		c.Flags = append(c.Flags, f)
	}
	return c, nil
}
