// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"strings"

	"weir/internal/convert/wire"
)

// The directives of nginx's commercial version about health checks. There they stand in the location that passes to a group, here in the group.

// healthChecks are what is found on the way through the tree; the groups get them at its end.
type healthChecks struct {
	found   []healthCheck
	matches map[string]*directive // blocks match, by name
}

type healthCheck struct {
	l *level
	d *directive
}

// match notes a block match.
func (c *converter) match(l *level, d *directive) {
	if c.checks.matches == nil {
		c.checks.matches = map[string]*directive{}
	}
	if c.checks.matches[d.args[0]] != nil {
		c.refuse(l, d, "duplicate match \"%s\"", d.args[0])
		return
	}
	c.checks.matches[d.args[0]] = d
}

// healthCheck notes a health_check.
func (c *converter) healthCheck(l *level, d *directive) {
	c.checks.found = append(c.checks.found, healthCheck{l, d})
}

// placeChecks gives the groups their health checks.
func (c *converter) placeChecks() {
	for _, h := range c.checks.found {
		group := c.groupOf(h.l)
		if group == nil {
			c.refuse(h.l, h.d, "needs a proxy_pass to an upstream in the same location")
			continue
		}
		fields, why := c.checkFields(h.d)
		if why != "" {
			c.refuse(h.l, h.d, "%s", why)
			continue
		}
		if !group.set("health_check", item{by: h.d, value: fields}) {
			c.refuse(h.l, h.d, "the group has one already: weir checks a group in one way")
		}
	}
}

// groupOf is the table of the group that a location passes to; nil: there is none.
func (c *converter) groupOf(l *level) *block {
	pass := l.table.byKey["proxy_pass"]
	if pass == nil {
		return nil
	}
	url, _ := pass.items[0].value.(string)
	name, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return c.http.find("upstream", name)
}

// checkFields converts the parameters of a health_check.
func (c *converter) checkFields(d *directive) (fields table, why string) {
	for _, arg := range d.args {
		name, value, valued := strings.Cut(arg, "=")
		switch {
		case arg == "mandatory":
			fields = append(fields, field{"mandatory", true})
		case arg == "persistent": // it always is
		case !valued:
			return nil, fmt.Sprintf("invalid parameter %q", arg)
		case name == "interval" || name == "jitter" || name == "uri":
			fields = append(fields, field{name, value})
		case name == "fails" || name == "passes" || name == "port":
			fields = append(fields, field{name, number(value)})
		case name == "keepalive_time":
			c.note(wire.Different, d, "keepalive_time: each check has a connection of its own")
		case name == "match":
			block := c.checks.matches[value]
			if block == nil {
				return nil, fmt.Sprintf("unknown match %q", value)
			}
			expect, why := matchFields(block)
			if why != "" {
				return nil, why
			}
			fields = append(fields, field{"expect", expect})
		case name == "type":
			return nil, "checks of gRPC are not possible"
		default:
			return nil, fmt.Sprintf("invalid parameter %q", arg)
		}
	}
	return fields, ""
}

// matchFields converts a block match.
func matchFields(d *directive) (fields table, why string) {
	var headers []any
	status := false
	for _, inner := range d.block {
		args := strings.Join(inner.args, " ")
		switch inner.name {
		case "status":
			fields, status = append(fields, field{"status", args}), true
		case "header":
			headers = append(headers, args)
		case "body":
			fields = append(fields, field{"body", args})
		default:
			return nil, fmt.Sprintf("%q in match is not possible", inner.name)
		}
	}
	if !status { // as in nginx, any status will do then
		fields = append(fields, field{"status", "100-599"})
	}
	if len(headers) > 0 {
		fields = append(fields, field{"header", headers})
	}
	return fields, ""
}
