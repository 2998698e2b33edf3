// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// The directives of an upstream.

// origin converts server ADDRESS [NAME=VALUE...]: parameters that are keys of weir's table go by the schema.
func (c *converter) origin(l *level, d *directive) {
	text := quote(d.args[0])
	fields := []string{"address = " + text}
	for _, arg := range d.args[1:] {
		name, value, valued := strings.Cut(arg, "=")
		k, ok := c.origins[name]
		switch {
		case arg == "max_conns=0" && !ok:
			continue
		case !ok || name == "address":
			c.refuse(l, d, "%s", whyParameter(name, "an origin"))
			return
		}
		field, why := c.field(d, k, value, valued)
		if why != "" {
			c.refuse(l, d, "%s", why)
			return
		}
		fields = append(fields, field)
	}
	if len(fields) > 1 {
		text = braces(fields)
	}
	c.add(l, d, "server", list, item{text: text})
}

func (c *converter) hash(l *level, d *directive) {
	text := quote(d.args[0])
	if len(d.args) == 2 {
		if d.args[1] != "consistent" {
			c.refuse(l, d, "invalid parameter %s: only \"consistent\" is possible", quote(d.args[1]))
			return
		}
		text = braces([]string{"key = " + text, "consistent = true"})
	}
	c.set(l, d, text)
}

func (c *converter) random(l *level, d *directive) {
	switch {
	case len(d.args) == 0:
		c.set(l, d, `"one"`)
	case slices.Equal(d.args, []string{"two"}), slices.Equal(d.args, []string{"two", "least_conn"}):
		c.set(l, d, `"two"`)
	default:
		c.refuse(l, d, "only \"two\" and \"two least_conn\" are possible")
	}
}

func (c *converter) keepalive(l *level, d *directive) {
	if len(d.args) != 1 {
		c.refuse(l, d, "invalid parameter %s", quote(d.args[1]))
		return
	}
	c.set(l, d, number(d.args[0]))
}
