// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

// Directives about what is changed in answers on their way to the client.

// earlyHints converts early_hints TEXT... .
func (c *converter) earlyHints(l *level, d *directive) {
	for _, arg := range d.args {
		c.add(l, d, "early_hints", list, item{text: quote(arg)})
	}
}

// subFilter converts sub_filter STRING REPLACEMENT.
func (c *converter) subFilter(l *level, d *directive) {
	c.add(l, d, "sub_filter", list, item{text: braces([]string{"string = " + quote(d.args[0]), "replacement = " + quote(d.args[1])})})
}

// charsetMap converts charset_map FROM TO { BYTE BYTES; ... }. Of a byte that is there twice the last line counts.
func (c *converter) charsetMap(l *level, d *directive) {
	var names []string
	values := map[string]string{}
	for _, e := range d.block {
		if len(e.args) != 1 || e.isBlock {
			c.refuse(l, e, "invalid parameters number")
			return
		}
		if _, ok := values[e.name]; !ok {
			names = append(names, e.name)
		}
		values[e.name] = e.args[0]
	}
	for i, name := range names {
		names[i] = quote(name) + " = " + quote(values[name])
	}
	c.add(l, d, "charset_map", list, item{text: braces([]string{"from = " + quote(d.args[0]), "to = " + quote(d.args[1]), "value = " + braces(names)})})
}
