// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// Directives about what weir answers, and about what it changes in the answers of origins.

// errorPage converts error_page CODE... [=[CODE]] URI.
func (c *converter) errorPage(l *level, d *directive) {
	last := len(d.args) - 1
	codes := slices.Clone(d.args[:last])
	fields := []string{"", "uri = " + quote(d.args[last])}
	if response, ok := strings.CutPrefix(codes[len(codes)-1], "="); ok {
		codes = codes[:len(codes)-1]
		if response == "" {
			response = "0"
		}
		fields = append(fields, "response = "+number(response))
	}
	for i := range codes {
		codes[i] = number(codes[i])
	}
	fields[0] = "codes = [" + strings.Join(codes, ", ") + "]"
	c.add(l, d, "error_page", list, item{text: braces(fields)})
}

// addHeader converts add_header and add_trailer NAME VALUE [always].
func (c *converter) addHeader(l *level, d *directive) {
	it := item{by: d, name: d.args[0], text: quote(d.args[1])}
	if len(d.args) == 3 {
		if d.args[2] != "always" {
			c.refuse(l, d, "invalid parameter %s: only \"always\" is possible", quote(d.args[2]))
			return
		}
		it.fields = []string{"value = " + it.text, "always = true"}
	}
	c.add(l, d, d.name, names, it)
}

// modernBrowser converts modern_browser BROWSER VERSION, or unlisted.
func (c *converter) modernBrowser(l *level, d *directive) {
	c.add(l, d, d.name, list, item{text: quote(strings.Join(d.args, " "))})
}
