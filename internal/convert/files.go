// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// Directives about files.

// types converts the block of types: of two types for an extension the last counts, and blocks of one level are one.
func (c *converter) types(l *level, d *directive) {
	if l.types == nil {
		l.types, l.typeOf = map[string][]string{}, map[string]string{}
		l.table.replace("types", item{by: d, value: table{}})
	}
	for _, t := range d.block {
		if t.name == "include" {
			continue // what it includes stands behind it
		}
		if t.isBlock {
			c.refuse(l, t, "unexpected \"{\"")
			continue
		}
		for _, ext := range t.args {
			c.addType(l, t.name, strings.ToLower(ext))
		}
	}
	var all table
	for _, t := range l.typeOrder {
		all = append(all, field{t, texts(l.types[t])})
	}
	l.table.replace("types", item{by: d, value: all})
}

// addType gives an extension a type, and takes it from the one that it had.
func (c *converter) addType(l *level, name, ext string) {
	if before, ok := l.typeOf[ext]; ok {
		l.types[before] = slices.DeleteFunc(l.types[before], func(e string) bool { return e == ext })
	}
	l.typeOf[ext] = name
	if _, ok := l.types[name]; !ok {
		l.typeOrder = append(l.typeOrder, name)
	}
	l.types[name] = append(l.types[name], ext)
}

// expires converts expires [modified] TIME.
func (c *converter) expires(l *level, d *directive) {
	c.set(l, d, strings.Join(d.args, " "))
}

// disableSymlinks converts disable_symlinks on|off|if_not_owner [from=PART].
func (c *converter) disableSymlinks(l *level, d *directive) {
	mode, from := "", ""
	for _, arg := range d.args {
		if part, ok := strings.CutPrefix(arg, "from="); ok {
			from = part
		} else {
			mode = arg
		}
	}
	switch {
	case mode == "":
		c.refuse(l, d, "\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter")
	case mode == "off" && len(d.args) == 2:
		c.refuse(l, d, "\"from=\" cannot be used with \"off\" parameter")
	case from == "":
		c.set(l, d, mode)
	default:
		c.set(l, d, table{{"mode", mode}, {"from", from}})
	}
}

// leadFiles writes nginx's defaults for files where weir's differ.
func (c *converter) leadFiles(l *level) {
	if l.table.byKey["types"] == nil {
		types := table{{"text/html", []any{"html"}}, {"image/gif", []any{"gif"}}, {"image/jpeg", []any{"jpg"}}}
		l.table.lead(&entry{key: "types", items: []item{{value: types}}, comment: "nginx's default"})
	}
	if l.table.byKey["root"] == nil {
		l.table.lead(&entry{key: "root", items: []item{{value: "html"}}, comment: "nginx's default"})
	}
}
