// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import "strings"

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
func (c *converter) zone(l *level, d *directive, value string) (name, size string, ok bool) {
	name, size, ok = strings.Cut(value, ":")
	if !ok || name == "" || size == "" {
		c.refuse(l, d, "invalid zone \"%s\": want zone=NAME:SIZE", value)
		return "", "", false
	}
	return name, size, true
}

func (c *converter) limitConnZone(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args[1:], "zone")
	if !ok {
		return
	}
	name, size, ok := c.zone(l, d, p["zone"])
	if !ok {
		return
	}
	c.named(l, d, d.name, item{by: d, name: name, fields: table{{"key", d.args[0]}, {"size", number(size)}}})
}

func (c *converter) limitReqZone(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args[1:], "zone", "rate", "sync")
	if !ok {
		return
	}
	name, size, ok := c.zone(l, d, p["zone"])
	if !ok {
		return
	}
	if _, ok := p["sync"]; ok {
		c.refuse(l, d, "the parameter \"sync\" is of nginx Plus")
		return
	}
	fields := table{{"key", d.args[0]}, {"size", number(size)}}
	if rate, ok := p["rate"]; ok {
		fields = append(fields, field{"rate", rate})
	} else {
		fields = append(fields, field{"rate", "1r/s"}) // nginx's default
	}
	c.named(l, d, d.name, item{by: d, name: name, fields: fields})
}

func (c *converter) limitConn(l *level, d *directive) {
	c.add(l, d, d.name, list, item{value: table{{"zone", d.args[0]}, {"max", number(d.args[1])}}})
}

func (c *converter) limitReq(l *level, d *directive) {
	p, ok := c.parameters(l, d, d.args, "zone", "burst", "delay", "nodelay")
	if !ok {
		return
	}
	fields := table{{"zone", p["zone"]}}
	for _, name := range []string{"burst", "delay"} {
		if value, ok := p[name]; ok {
			fields = append(fields, field{name, number(value)})
		}
	}
	if _, ok := p["nodelay"]; ok {
		fields = append(fields, field{"nodelay", true})
	}
	c.add(l, d, d.name, list, item{value: fields})
}
