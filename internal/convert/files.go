// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strings"
)

// Directives about files.

// types converts the block of types: of two types for an extension the last counts, and blocks of one level are one.
func (c *converter) types(l *level, d *directive) {
	if l.types == nil {
		l.types = map[string]*item{}
		l.table.replace("types", item{by: d, text: "{}"})
	}
	for _, t := range d.block {
		if t.name == "include" {
			continue // what it includes stands behind it
		}
		for _, ext := range t.args {
			c.addType(l, t.name, strings.ToLower(ext))
		}
	}
	var all []string
	for _, t := range l.typeOrder {
		all = append(all, quote(t)+" = ["+l.types[t].text+"]")
	}
	l.table.replace("types", item{by: d, text: braces(all)})
}

// addType gives an extension a type, and takes it from the one that it had.
func (c *converter) addType(l *level, name, ext string) {
	for _, t := range l.types {
		fields := strings.Split(t.text, ", ")
		for i, f := range fields {
			if f == quote(ext) {
				t.text = strings.Join(append(fields[:i:i], fields[i+1:]...), ", ")
				break
			}
		}
	}
	t := l.types[name]
	switch {
	case t == nil:
		l.types[name] = &item{text: quote(ext)}
		l.typeOrder = append(l.typeOrder, name)
	case t.text == "":
		t.text = quote(ext)
	default:
		t.text += ", " + quote(ext)
	}
}

// expires converts expires [modified] TIME.
func (c *converter) expires(l *level, d *directive) {
	c.set(l, d, quote(strings.Join(d.args, " ")))
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
	case mode == "" || len(d.args) == 2 && from == "":
		c.refuse(l, d, "needs a mode, and perhaps from=PART")
	case from == "":
		c.set(l, d, quote(mode))
	default:
		c.set(l, d, braces([]string{"mode = " + quote(mode), "from = " + quote(from)}))
	}
}

// leadFiles writes nginx's defaults for files where weir's differ.
func (c *converter) leadFiles(l *level) {
	if l.table.byKey["types"] == nil {
		text := braces([]string{`"text/html" = ["html"]`, `"image/gif" = ["gif"]`, `"image/jpeg" = ["jpg"]`})
		l.table.lead(&entry{key: "types", items: []item{{text: text}}, comment: "nginx's default"})
	}
	if l.table.byKey["root"] == nil {
		l.table.lead(&entry{key: "root", items: []item{{text: `"html"`}}, comment: "nginx's default"})
	}
}
