// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"weir/conf"
	"weir/internal/convert/wire"
)

// The main block, and the blocks of nginx's that are tables of weir's.

func (c *converter) masterProcess(l *level, d *directive) {
	if strings.EqualFold(d.args[0], "off") {
		c.note(wire.Different, d, "weir always has a master; it runs one worker")
		c.oneWorker = d
	}
}

// pid is the pid file, and the control socket beside it: several nginx.conf that are told apart by their pid files may run side by side.
func (c *converter) pid(l *level, d *directive) {
	c.set(l, d, d.args[0])
	if name, ok := strings.CutSuffix(d.args[0], ".pid"); ok && len(name) <= controlMax {
		c.setKey(l, d, "control", name+".sock")
	}
}

// workerPriority is a number with a sign.
func (c *converter) workerPriority(l *level, d *directive) {
	nice, err := strconv.ParseInt(d.args[0], 10, 32)
	switch {
	case err != nil:
		c.refuse(l, d, badValue)
	case nice < -20 || nice > 20:
		c.refuse(l, d, "value must be between -20 and 20")
	default:
		c.set(l, d, nice)
	}
}

// controlMax keeps the path of a control socket below what the kernel takes (107 bytes).
const controlMax = 100

func (c *converter) user(l *level, d *directive) {
	if len(d.args) == 2 {
		c.set(l, d, table{{"name", d.args[0]}, {"group", d.args[1]}})
		return
	}
	c.set(l, d, d.args[0])
}

// tempPath is the folder of temporary files, if weir has one.
func (c *converter) tempPath(l *level, d *directive) {
	for _, digits := range d.args[1:] {
		if n, err := strconv.ParseUint(digits, 10, 31); err != nil || n == 0 {
			c.refuseValue(l, d, badValue)
			return
		}
	}
	if _, ok := conf.Keys[conf.Buffers]()["temp_path"]; !ok {
		c.without(d, "weir writes no temporary files in this version")
		return
	}
	if !c.inBuffers(d).set("temp_path", item{by: d, value: d.args[0]}) {
		c.without(d, "weir has one folder for temporary files, and another directive names it")
	}
}

func (c *converter) events(l *level, d *directive) {
	if l.stands(d.name) {
		c.duplicate(l, d)
		return
	}
	c.walk(&level{in: inEvents, table: c.root, keys: c.keys[inEvents], by: d}, d.block)
}

func (c *converter) httpBlock(l *level, d *directive) {
	if c.http != nil {
		c.duplicate(l, d)
		return
	}
	c.http = newBlock("http", d)
	c.root.blocks = append(c.root.blocks, c.http)
	l = &level{in: inHTTP, table: c.http, keys: c.keys[inHTTP], by: d}
	c.walk(l, d.block)
	c.leadFiles(l)
}

func (c *converter) upstream(l *level, d *directive) {
	group := c.http.addNamed("upstream", d.args[0], d)
	if group == nil {
		c.refuse(l, d, "duplicate upstream %q", d.args[0])
		return
	}
	c.walk(&level{in: inUpstream, table: group, keys: c.keys[inUpstream], by: d}, d.block)
}

func (c *converter) server(l *level, d *directive) {
	server := newBlock("server", d)
	server.kind = listed
	s := &level{in: inServer, table: server, keys: c.keys[inServer], by: d}
	c.walk(s, d.block)
	c.answerOthers(s)
	if s.listens > 0 && server.byKey["listen"] == nil {
		if c.options.Lenient { // without an address the server would take *:80
			c.note(wire.LeftOut, d, "all its listen directives are left out")
		}
		return
	}
	c.http.blocks = append(c.http.blocks, server)
}

func (c *converter) location(l *level, d *directive) {
	if len(d.args) == 2 && !slices.Contains([]string{"=", "^~", "~", "~*"}, d.args[0]) {
		c.refuse(l, d, "invalid location modifier \"%s\"", d.args[0])
		return
	}
	location := newBlock("location", d)
	location.kind = listed
	location.set("path", item{by: d, value: strings.Join(d.args, " ")})
	l.table.blocks = append(l.table.blocks, location)
	inner := &level{in: inLocation, table: location, keys: c.keys[inLocation], by: d}
	c.walk(inner, d.block)
}

func (c *converter) serverName(l *level, d *directive) {
	for _, name := range d.args {
		if name == "$hostname" {
			host, err := os.Hostname()
			if err != nil {
				c.refuse(l, d, "$hostname: %v", err)
				return
			}
			name = strings.ToLower(host)
			c.note(wire.Different, d, "$hostname is the name of the machine that converts, \"%s\"", name)
		}
		c.add(l, d, "server_name", list, item{value: name})
	}
}

func (c *converter) stubStatus(l *level, d *directive) {
	if l.in == inLocation {
		c.set(l, d, true)
		return
	}
	if l.stands(d.name) {
		c.refuse(l, d, "is duplicate")
		return
	}
	l.otherwise = d
}

// answerOthers gives a server with a stub_status of its own the location for it: requests that no location matches.
func (c *converter) answerOthers(s *level) {
	if s.otherwise == nil || slices.ContainsFunc(s.table.blocks, func(l *block) bool { return l.byKey["path"].items[0].value == "/" }) {
		return
	}
	location := newBlock("location", s.otherwise)
	location.kind = listed
	location.set("path", item{by: s.otherwise, value: "/"})
	location.set("stub_status", item{by: s.otherwise, value: true})
	s.table.blocks = append(s.table.blocks, location)
}

// keepaliveTimeout converts keepalive_timeout TIME [TIME].
func (c *converter) keepaliveTimeout(l *level, d *directive) {
	for i, name := range []string{"keepalive_timeout", "keepalive_header_timeout"}[:len(d.args)] {
		value, why := c.value(d, l.keys[name], d.args[i])
		if why != "" {
			c.refuseValue(l, d, why)
			return
		}
		c.setKey(l, d, name, value)
	}
}

func (c *converter) serverTokens(l *level, d *directive) {
	if d.args[0] == "build" {
		c.note(wire.Different, d, "the name of a build is not shown")
	}
	c.set(l, d, d.args[0])
}
