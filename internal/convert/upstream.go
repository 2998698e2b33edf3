// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"

	"weir/conf"
	"weir/internal/convert/wire"
)

// The directives of an upstream.

// origin converts server ADDRESS [NAME=VALUE...]: parameters that are keys of weir's table go by the schema.
func (c *converter) origin(l *level, d *directive) {
	fields := table{{"address", d.args[0]}}
	for _, arg := range d.args[1:] {
		name, value, valued := strings.Cut(arg, "=")
		k, ok := c.origins[name]
		switch {
		case arg == "max_conns=0" && !ok:
			continue
		case !ok || name == "address":
			c.refuse(l, d, "%s", whyParameter(arg, "an origin"))
			return
		}
		f, why := c.parameter(d, k, value, valued)
		if why != "" {
			c.refuse(l, d, "%s", why)
			return
		}
		fields = fields.with(f)
	}
	var value any = fields
	if len(fields) == 1 {
		value = d.args[0]
	}
	c.add(l, d, "server", list, item{value: value})
}

func (c *converter) hash(l *level, d *directive) {
	if len(d.args) == 2 {
		if d.args[1] != "consistent" {
			c.refuse(l, d, "invalid parameter \"%s\": only \"consistent\" is possible", d.args[1])
			return
		}
		c.set(l, d, table{{"key", d.args[0]}, {"consistent", true}})
		return
	}
	c.set(l, d, d.args[0])
}

func (c *converter) random(l *level, d *directive) {
	switch {
	case len(d.args) == 0:
		c.set(l, d, "one")
	case slices.Equal(d.args, []string{"two"}), slices.Equal(d.args, []string{"two", "least_conn"}):
		c.set(l, d, "two")
	default:
		c.refuse(l, d, "invalid parameter \"%s\": only \"two\" and \"two least_conn\" are possible", d.args[len(d.args)-1])
	}
}

func (c *converter) keepalive(l *level, d *directive) {
	if len(d.args) != 1 {
		if d.args[1] != "local" {
			c.refuse(l, d, "invalid parameter \"%s\"", d.args[1])
			return
		}
		c.note(wire.Different, d, "all locations use the connections that are kept")
	}
	value, why := c.value(d, l.keys[d.name], d.args[0])
	if why != "" {
		c.refuse(l, d, "invalid value \"%s\" in %q directive", d.args[0], d.name)
		return
	}
	c.set(l, d, value)
}

// groupZone takes zone NAME [SIZE]: what it asks for is so.
func (c *converter) groupZone(l *level, d *directive) {
	if c.groupZones == nil {
		c.groupZones = map[string]int64{}
	}
	name, size := d.args[0], int64(0)
	if len(d.args) == 2 {
		var ok bool
		if size, ok = parseSize(d.args[1], false); !ok || size == 0 {
			c.refuse(l, d, "invalid zone size \"%s\"", d.args[1])
			return
		}
	}
	switch {
	case name == "":
		c.refuse(l, d, "invalid zone name \"%s\"", name)
	case len(d.args) == 2 && size < leastZone:
		c.refuse(l, d, "zone \"%s\" is too small", name)
	case c.groupZones[name] != 0 && size != 0 && size != c.groupZones[name]:
		c.refuse(l, d, "the size %d of shared memory zone \"%s\" conflicts with already declared size %d", size, name, c.groupZones[name])
	default:
		c.groupZones[name] = max(size, c.groupZones[name])
		c.sizeless = append(c.sizeless, d)
		c.without(d, "all workers share the state of all groups, and it is as large as it needs to be")
	}
}

// leastZone is the size of the smallest zone that nginx takes: eight pages.
const leastZone = 32 << 10

// checkGroupZones refuses zones that have no size anywhere.
func (c *converter) checkGroupZones() {
	for _, d := range c.sizeless {
		if c.groupZones[d.args[0]] == 0 {
			c.refuse(&level{}, d, "zero size shared memory zone \"%s\"", d.args[0])
		}
	}
}

// sticky converts sticky cookie NAME [PARAMETER...] and sticky route VARIABLE...
func (c *converter) sticky(l *level, d *directive) {
	var fields table
	switch method := d.args[0]; {
	case method == "cookie" && len(d.args) > 1:
		fields = append(fields, field{"cookie", d.args[1]})
		for _, arg := range d.args[2:] {
			name, value, valued := strings.Cut(arg, "=")
			k, ok := conf.Keys[conf.Sticky]()[name]
			if !ok || name == "cookie" || name == "route" {
				c.refuse(l, d, "invalid parameter \"%s\"", arg)
				return
			}
			f, why := c.parameter(d, k, value, valued)
			if why != "" {
				c.refuse(l, d, "%s", why)
				return
			}
			fields = append(fields, f)
		}
	case method == "route" && len(d.args) > 1:
		routes := d.args[1:]
		for _, arg := range routes {
			if !strings.HasPrefix(arg, "$") {
				c.refuse(l, d, "invalid variable name \"%s\"", arg)
				return
			}
		}
		fields = append(fields, field{"route", texts(routes)})
	case method == "cookie" || method == "route":
		c.refuse(l, d, "%s", invalidNumber(d))
		return
	default:
		c.refuse(l, d, "only \"cookie\" and \"route\" are possible")
		return
	}
	c.set(l, d, fields)
}

// queue converts queue NUMBER [timeout=TIME].
func (c *converter) queue(l *level, d *directive) {
	fields := table{{"size", number(d.args[0])}}
	for _, arg := range d.args[1:] {
		value, ok := strings.CutPrefix(arg, "timeout=")
		if !ok {
			c.refuse(l, d, "invalid parameter \"%s\"", arg)
			return
		}
		f, why := c.parameter(d, conf.Keys[conf.Queue]()["timeout"], value, true)
		if why != "" {
			c.refuse(l, d, "%s", why)
			return
		}
		fields = append(fields, f)
	}
	c.set(l, d, fields)
}
