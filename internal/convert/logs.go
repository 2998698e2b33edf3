// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strings"
)

// errorLog converts error_log FILE [LEVEL]. Further ones in the main block get the same lines as the first.
func (c *converter) errorLog(l *level, d *directive) {
	path, ok := c.logTarget(l, d, d.args[0])
	if !ok {
		return
	}
	fields := errorLogFields(d, path)
	switch {
	case strings.HasPrefix(d.args[0], "memory:"):
		c.refuse(l, d, "not possible to memory: weir logs errors to files, to stderr and to syslog")
	case len(d.args) > 2:
		c.refuse(l, d, "%s", invalidNumber(d))
	case l.in != inMain:
		c.add(l, d, "error_log", list, item{value: fields})
	case c.errorLogs != nil:
		c.errorLogs.add("also", list, item{by: d, value: fields})
	case !c.root.set("error_log", item{by: d, value: append(fields, field{"format", "nginx"})}):
		c.alsoErrorLog(d, fields[:2])
	}
}

// errorLogFields are the file of an error_log and its level.
func errorLogFields(d *directive, path string) table {
	severity := "error"
	if len(d.args) == 2 {
		severity = d.args[1]
	}
	return table{{"path", path}, {"level", severity}}
}

// alsoErrorLog makes a table of its own of the main error log, because there is a second one.
func (c *converter) alsoErrorLog(d *directive, fields table) {
	first := c.root.moveOut("error_log").items[0]
	c.errorLogs = newBlock("error_log", first.by)
	for _, f := range first.value.(table) {
		c.errorLogs.set(f.key, item{by: first.by, value: f.value})
	}
	c.errorLogs.add("also", list, item{by: d, value: fields})
	c.root.blocks = append([]*block{c.errorLogs}, c.root.blocks...)
}

// accessLog converts access_log PATH [FORMAT [NAME=VALUE...]].
func (c *converter) accessLog(l *level, d *directive) {
	path, rest := d.args[0], d.args[1:]
	if path == "off" {
		if len(rest) > 0 {
			c.refuse(l, d, "invalid parameter \"%s\"", rest[0])
			return
		}
		l.table.replace("access_log", item{by: d, value: false})
		return
	}
	path, ok := c.logTarget(l, d, path)
	if !ok {
		return
	}
	fields := table{{"path", path}}
	for i, arg := range rest {
		name, value, valued := strings.Cut(arg, "=")
		switch {
		case i == 0 && !valued && name != "gzip":
			fields = append(fields, field{"format", arg})
		case valued && name == "buffer":
			if size, ok := parseSize(value, false); !ok || size == 0 {
				c.refuse(l, d, "invalid buffer size \"%s\"", value)
				return
			}
			fields = append(fields, field{"buffer", number(value)})
		case valued && name == "flush":
			if t, ok := parseTime(value, false); !ok || t == 0 {
				c.refuse(l, d, "invalid flush time \"%s\"", value)
				return
			}
			fields = append(fields, field{"flush", seconds(value)})
		case valued && name == "if":
			fields = append(fields, field{"if", value})
		case name == "gzip":
			c.refuse(l, d, "the parameter \"gzip\" is not possible: weir does not compress logs")
			return
		default:
			c.refuse(l, d, "invalid parameter \"%s\"", arg)
			return
		}
	}
	if e := l.table.byKey["access_log"]; e != nil && e.shape == scalar { // off, which nginx lets win
		c.without(d, "access_log off stands beside it")
		return
	}
	c.add(l, d, "access_log", list, item{value: fields})
}

// openLogFileCache converts open_log_file_cache off | max=N [inactive=TIME] [min_uses=N] [valid=TIME].
func (c *converter) openLogFileCache(l *level, d *directive) {
	if len(d.args) == 1 && d.args[0] == "off" {
		c.set(l, d, int64(0))
		return
	}
	fields, given := table(nil), false
	for _, arg := range d.args {
		switch name, value, _ := strings.Cut(arg, "="); name {
		case "max", "min_uses":
			if value == "0" {
				c.refuse(l, d, "invalid \"open_log_file_cache\" parameter \"%s\"", arg)
				return
			}
			fields = append(fields, field{name, number(value)})
			given = given || name == "max"
		case "inactive", "valid":
			fields = append(fields, field{name, seconds(value)})
		default:
			c.refuse(l, d, "invalid \"open_log_file_cache\" parameter \"%s\"", arg)
			return
		}
	}
	if !given {
		c.refuse(l, d, "\"open_log_file_cache\" must have \"max\" parameter")
		return
	}
	c.set(l, d, fields)
}

// logFormat converts log_format NAME [escape=HOW] TEXT...
func (c *converter) logFormat(l *level, d *directive) {
	name, texts := d.args[0], d.args[1:]
	it := item{by: d, name: name}
	escape, given := strings.CutPrefix(texts[0], "escape=")
	if given {
		texts = texts[1:]
	}
	it.value = strings.Join(texts, "")
	if given {
		it.fields = table{{"format", it.value}, {"escape", escape}}
	}
	c.named(l, d, "log_format", it)
}

// named adds a named entry; a name that is there already is a fault, as in nginx.
func (c *converter) named(l *level, d *directive, key string, it item) {
	if e := l.table.byKey[key]; e != nil {
		for _, other := range e.items {
			if other.name == it.name {
				c.refuse(l, d, "duplicate \"%s\" name \"%s\"", d.name, it.name)
				return
			}
		}
	}
	c.add(l, d, key, names, it)
}
