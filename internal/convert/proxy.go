// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import "strings"

// Directives about what is changed in requests to origins, and in their answers.

func (c *converter) proxyRedirect(l *level, d *directive) {
	switch {
	case len(d.args) == 2:
		c.replacement(l, d)
	case d.args[0] == "default" && !l.passes():
		c.refuse(l, d, "\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive")
	case d.args[0] == "default":
		c.add(l, d, "proxy_redirect", list, item{value: "default"})
	case d.args[0] == "off":
		c.set(l, d, "off")
	default:
		c.refuse(l, d, "invalid parameter \"%s\"", d.args[0])
	}
}

// proxyNextUpstream converts proxy_next_upstream off | CONDITION... Beside others off wins, and what is about nginx's cache has no effect.
func (c *converter) proxyNextUpstream(l *level, d *directive) {
	if l.table.byKey[d.name] != nil {
		c.duplicate(l, d)
		return
	}
	for _, arg := range d.args {
		switch arg = strings.ToLower(arg); arg {
		case "off":
			l.table.replace(d.name, item{by: d, value: "off"})
			return
		case "updating":
		default:
			c.add(l, d, d.name, list, item{value: arg})
		}
	}
}

// proxyCookie converts proxy_cookie_domain and proxy_cookie_path.
func (c *converter) proxyCookie(l *level, d *directive) {
	switch {
	case len(d.args) == 2:
		c.replacement(l, d)
	case d.args[0] == "off":
		c.set(l, d, "off")
	default:
		c.refuse(l, d, "invalid parameter \"%s\"", d.args[0])
	}
}

// replacement adds a rule that has something replaced by something else.
func (c *converter) replacement(l *level, d *directive) {
	c.add(l, d, d.name, list, item{value: table{{"from", d.args[0]}, {"to", d.args[1]}}})
}

func (c *converter) proxyCookieFlags(l *level, d *directive) {
	if len(d.args) == 1 {
		if d.args[0] != "off" {
			c.refuse(l, d, "invalid parameter \"%s\"", d.args[0])
			return
		}
		c.set(l, d, false)
		return
	}
	c.add(l, d, d.name, list, item{value: table{{"cookie", d.args[0]}, {"flags", texts(d.args[1:])}}})
}

func (c *converter) proxyBind(l *level, d *directive) {
	if len(d.args) == 2 {
		if d.args[1] != "transparent" {
			c.refuse(l, d, "invalid parameter \"%s\": only \"transparent\" is possible", d.args[1])
			return
		}
		c.set(l, d, table{{"address", d.args[0]}, {"transparent", true}})
		return
	}
	c.set(l, d, d.args[0])
}
