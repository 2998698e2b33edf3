// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strings"

	"weir/internal/convert/wire"
)

// map, geo and split_clients.

// lookupTable begins the table of a variable, in the place of one that came before; nil when what is named is no variable.
func (c *converter) lookupTable(l *level, d *directive, kind, variable string) *level {
	name, ok := strings.CutPrefix(variable, "$")
	if !ok {
		c.refuse(l, d, "invalid variable name \"%s\"", variable)
		return nil
	}
	if c.http.dropNamed(kind, name) {
		c.note(wire.Different, d, "it takes the place of the %s of \"%s\" before it", kind, variable)
	}
	table := c.http.addNamed(kind, name, d)
	return &level{in: l.in, table: table, by: d}
}

// pair is the value of an entry; false, and the entry is refused, when it has not one.
func (c *converter) pair(t *level, e *directive) (string, bool) {
	if len(e.args) != 1 || e.isBlock {
		c.refuse(t, e, "invalid number of the %s parameters", t.by.name)
		return "", false
	}
	return e.args[0], true
}

func (c *converter) mapBlock(l *level, d *directive) {
	t := c.lookupTable(l, d, "map", d.args[1])
	if t == nil {
		return
	}
	t.table.set("source", item{by: d, value: d.args[0]})
	for _, e := range d.block {
		if (e.name == "hostnames" || e.name == "volatile") && len(e.args) == 0 {
			c.setKey(t, e, e.name, true)
			continue
		}
		value, ok := c.pair(t, e)
		switch {
		case !ok:
		case e.name == "default":
			c.setKey(t, e, "default", value)
		default:
			name := e.name
			if rest, ok := strings.CutPrefix(name, `\`); ok && (rest == "default" || rest == "hostnames" || rest == "include" || rest == "volatile") {
				name = rest
			}
			c.add(t, e, "value", names, item{name: name, value: value})
		}
	}
}

func (c *converter) geoBlock(l *level, d *directive) {
	t := c.lookupTable(l, d, "geo", d.args[len(d.args)-1])
	if t == nil {
		return
	}
	if len(d.args) == 2 {
		t.table.set("source", item{by: d, value: d.args[0]})
	}
	last := map[string]*directive{}
	for _, e := range d.block {
		last[e.name] = e
	}
	for _, e := range d.block {
		if (e.name == "ranges" || e.name == "proxy_recursive") && len(e.args) == 0 {
			c.setKey(t, e, e.name, true)
			continue
		}
		value, ok := c.pair(t, e)
		switch {
		case !ok:
		case e.name == "default":
			c.setKey(t, e, "default", value)
		case e.name == "delete", e.name == "proxy":
			c.add(t, e, e.name, list, item{value: value})
		case last[e.name] != e:
			c.note(wire.Different, e, "the later value of \"%s\" counts", e.name)
		default:
			c.add(t, e, "value", names, item{name: e.name, value: value})
		}
	}
}

func (c *converter) splitBlock(l *level, d *directive) {
	t := c.lookupTable(l, d, "split_clients", d.args[1])
	if t == nil {
		return
	}
	t.table.set("source", item{by: d, value: d.args[0]})
	for _, e := range d.block {
		if value, ok := c.pair(t, e); ok {
			c.add(t, e, "value", names, item{name: e.name, value: value})
		}
	}
}
