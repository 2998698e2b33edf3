// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// The values of proxy_pass and proxy_redirect.

func (x *ProxyPass) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be an address such as \"http://127.0.0.1:9000\", not %s", n.describe())
		return false
	}
	if strings.Contains(text, "$") {
		d.templates = append(d.templates, templateUse{n, p, text})
		*x = ProxyPass{Text: text, Variable: true}
		return true
	}
	parsed, err := parseProxyPass(text)
	if err != nil {
		d.fault(n, p, "%v", err)
		return false
	}
	*x = parsed
	return true
}

// parseProxyPass splits an address into its parts. Which group the authority means is worked out by resolve.
func parseProxyPass(text string) (ProxyPass, error) {
	const scheme = "http://"
	switch {
	case len(text) >= 8 && strings.EqualFold(text[:8], "https://"):
		return ProxyPass{}, errors.New("\"https://\" is not possible in this version")
	case len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme):
		return ProxyPass{}, fmt.Errorf("must begin with \"http://\", not %s", quote(text))
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f || text[i] == '#' {
			return ProxyPass{}, fmt.Errorf("%s has a character that an address cannot have", quote(text))
		}
	}
	x := ProxyPass{Text: text}
	rest := text[len(scheme):]
	if file, ok := strings.CutPrefix(rest, "unix:"); ok {
		file, x.URI, x.HasURI = strings.Cut(file, ":")
		x.HasURI = x.URI != ""
		x.Authority = "unix:" + file
	} else {
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		x.Authority, x.URI, x.HasURI = rest[:end], rest[end:], end < len(rest)
	}
	if x.Authority == "" {
		return ProxyPass{}, fmt.Errorf("%s names no address", quote(text))
	}
	if x.HasURI && x.URI[0] != '/' {
		x.URI = "/" + x.URI
	}
	return x, nil
}

// String is the address as written.
func (x ProxyPass) String() string { return x.Text }

func (r *Redirects) decodeTOML(d *decoder, n *node, p *path) bool {
	*r = nil
	elems := n.elems
	if !n.list {
		elems = []*node{n}
	}
	for i, e := range elems {
		at := p
		if n.list {
			at = p.at(i)
		}
		switch {
		case e.value == "default":
			*r = append(*r, Redirect{Default: true})
		case (e.value == "off" || e.value == false) && !n.list:
		case e.kids != nil:
			if rule, ok := decodeRedirect(d, e, at); ok {
				*r = append(*r, rule)
			}
		default:
			d.fault(e, at, "must be \"default\", \"off\" or a list of \"default\" and { from, to }, not %s", e.describe())
		}
	}
	return true
}

func decodeRedirect(d *decoder, n *node, p *path) (Redirect, bool) {
	var rule Redirect
	before := len(d.faults)
	d.table(n, p, reflect.ValueOf(&rule).Elem(), reflect.Value{})
	switch from := p.key("from"); {
	case len(d.faults) > before:
		return rule, false
	case rule.From == "":
		d.fault(n.kids["from"], from, "must not be empty")
	case strings.HasPrefix(string(rule.From), "~"):
		d.fault(n.kids["from"], from, "regular expressions are not possible here in this version")
	}
	return rule, len(d.faults) == before
}
