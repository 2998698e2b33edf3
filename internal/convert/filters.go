// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

// Directives about what is changed in answers on their way to the client.

// earlyHints converts early_hints TEXT... .
func (c *converter) earlyHints(l *level, d *directive) {
	for _, arg := range d.args {
		c.add(l, d, "early_hints", list, item{value: arg})
	}
}

// subFilter converts sub_filter STRING REPLACEMENT.
func (c *converter) subFilter(l *level, d *directive) {
	c.add(l, d, "sub_filter", list, item{value: table{{"string", d.args[0]}, {"replacement", d.args[1]}}})
}

// charsetMap converts charset_map FROM TO { BYTE BYTES; ... }. Of a byte that is there twice the last line counts.
func (c *converter) charsetMap(l *level, d *directive) {
	var values table
	at := map[string]int{} // in values
	for _, e := range d.block {
		if len(e.args) != 1 || e.isBlock {
			c.refuse(l, e, "invalid parameters number")
			return
		}
		if i, ok := at[e.name]; ok {
			values[i].value = e.args[0]
			continue
		}
		at[e.name] = len(values)
		values = append(values, field{e.name, e.args[0]})
	}
	c.add(l, d, "charset_map", list, item{value: table{{"from", d.args[0]}, {"to", d.args[1]}, {"value", values}}})
}
