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
	*r = decodeRules(d, n, p, true)
	return true
}

func (r *CookieRules) decodeTOML(d *decoder, n *node, p *path) bool {
	*r = decodeRules(d, n, p, false)
	return true
}

// decodeRules decodes "off", or a list of rules; where it is possible, "default" is one.
func decodeRules(d *decoder, n *node, p *path, hasDefault bool) (rules []Redirect) {
	elems := n.elems
	if !n.list {
		elems = []*node{n}
	}
	what := `"off" or a list of { from, to }`
	if hasDefault {
		what = `"default", "off" or a list of "default" and { from, to }`
	}
	for i, e := range elems {
		at := p
		if n.list {
			at = p.at(i)
		}
		switch {
		case e.value == "default" && hasDefault:
			rules = append(rules, Redirect{Default: true})
		case (e.value == "off" || e.value == false) && !n.list:
		case e.kids != nil:
			if rule, ok := decodeRule(d, e, at); ok {
				rules = append(rules, rule)
			}
		default:
			d.fault(e, at, "must be %s, not %s", what, e.describe())
		}
	}
	return rules
}

func decodeRule(d *decoder, n *node, p *path) (Redirect, bool) {
	var rule Redirect
	before := len(d.faults)
	d.table(n, p, reflect.ValueOf(&rule).Elem(), reflect.Value{})
	if len(d.faults) > before {
		return rule, false
	}
	from, at := p.key("from"), n.kids["from"]
	if rule.From == "" {
		d.fault(at, from, "must not be empty")
	} else {
		d.matcher(at, from, rule.From)
	}
	return rule, len(d.faults) == before
}

// Expression splits "~regex" and "~*regex" into the expression and whether letter case is ignored. False: the text is none.
func Expression(text string) (expression string, fold, ok bool) {
	expression, ok = strings.CutPrefix(text, "~")
	if !ok {
		return text, false, false
	}
	if rest, star := strings.CutPrefix(expression, "*"); star {
		return rest, true, true
	}
	return expression, false, true
}

// matcher checks what a value is compared with: a regular expression behind "~" or "~*", or a template.
func (d *decoder) matcher(n *node, p *path, text string) {
	if expression, fold, ok := Expression(text); ok {
		d.regex(n, p, expression, fold)
		return
	}
	d.templates = append(d.templates, templateUse{n, p, text})
}
