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
