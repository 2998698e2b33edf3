// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strconv"
	"strings"
)

// parameters splits NAME=VALUE arguments. It refuses those whose names are not among the known.
func (c *converter) parameters(l *level, d *directive, args []string, known ...string) (values map[string]string, ok bool) {
	values = map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		is := false
		for _, k := range known {
			is = is || k == name
		}
		if !is {
			c.refuse(l, d, "invalid parameter \"%s\"", arg)
			return nil, false
		}
		values[name] = value
	}
	return values, true
}

// zone splits zone=NAME:SIZE.
func (c *converter) zone(l *level, d *directive, p map[string]string) (name string, size any, ok bool) {
	value, given := p["zone"]
	name, text, ok := strings.Cut(value, ":")
	bytes, valid := parseSize(text, false)
	switch {
	case !given:
		c.refuse(l, d, "%q must have \"zone\" parameter", d.name)
	case !ok || !valid:
		c.refuse(l, d, "invalid zone size \"zone=%s\"", value)
	case name == "":
		c.refuse(l, d, "invalid zone name \"zone=%s\"", value)
	case bytes < leastZone:
		c.refuse(l, d, "zone \"zone=%s\" is too small", value)
	default:
		return name, number(text), true
	}
	return "", nil, false
}

func (c *converter) limitConnZone(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args[1:], "zone")
	if !ok {
		return
	}
	name, size, ok := c.zone(l, d, p)
	if !ok {
		return
	}
	c.named(l, d, d.name, item{by: d, name: name, fields: table{{"key", d.args[0]}, {"size", size}}})
}

func (c *converter) limitReqZone(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args[1:], "zone", "rate", "sync")
	if !ok {
		return
	}
	name, size, ok := c.zone(l, d, p)
	if !ok {
		return
	}
	if _, ok := p["sync"]; ok {
		c.refuse(l, d, "the parameter \"sync\" is of nginx Plus")
		return
	}
	fields := table{{"key", d.args[0]}, {"size", size}}
	if rate, ok := p["rate"]; ok {
		fields = append(fields, field{"rate", rate})
	} else {
		fields = append(fields, field{"rate", "1r/s"}) // nginx's default
	}
	c.named(l, d, d.name, item{by: d, name: name, fields: fields})
}

func (c *converter) limitConn(l *level, d *directive) {
	switch n, err := strconv.ParseInt(d.args[1], 10, 32); {
	case err != nil || n <= 0:
		c.refuse(l, d, "invalid number of connections \"%s\"", d.args[1])
		return
	case n > 65535:
		c.refuse(l, d, "connection limit must be less 65536")
		return
	}
	c.add(l, d, d.name, list, item{value: table{{"zone", d.args[0]}, {"max", number(d.args[1])}}})
}

func (c *converter) limitReq(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args, "zone", "burst", "delay", "nodelay")
	if !ok {
		return
	}
	fields := table{{"zone", p["zone"]}}
	if _, ok := p["zone"]; !ok {
		c.refuse(l, d, "%q must have \"zone\" parameter", d.name)
		return
	}
	for _, name := range []string{"burst", "delay"} {
		if value, ok := p[name]; ok {
			if n, err := strconv.ParseInt(value, 10, 32); err != nil || n <= 0 {
				c.refuse(l, d, "invalid %s value \"%s=%s\"", name, name, value)
				return
			}
			fields = append(fields, field{name, number(value)})
		}
	}
	if _, ok := p["nodelay"]; ok {
		fields = append(fields, field{"nodelay", true})
	}
	c.add(l, d, d.name, list, item{value: fields})
}
