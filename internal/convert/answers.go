// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// Directives about what weir answers, and about what it changes in the answers of origins.

// returns converts return: a code, a code with a text or an address, or an address.
func (c *converter) returns(l *level, d *directive) {
	if l.table.byKey["return"] != nil {
		c.without(d, "the return before it answers")
		return
	}
	code, rest := d.args[0], d.args[1:]
	if !isDigits(code) && len(rest) == 0 {
		c.setKey(l, d, "return", braces([]string{"code = 302", "url = " + quote(code)}))
		return
	}
	fields := []string{"code = " + number(code)}
	if len(rest) > 0 {
		key := "text"
		if slices.Contains([]string{"301", "302", "303", "307", "308"}, code) {
			key = "url"
		}
		fields = append(fields, key+" = "+quote(rest[0]))
	}
	c.setKey(l, d, "return", braces(fields))
}

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

func (c *converter) addHeader(l *level, d *directive) {
	it := item{by: d, name: d.args[0], text: quote(d.args[1])}
	if len(d.args) == 3 {
		if d.args[2] != "always" {
			c.refuse(l, d, "invalid parameter %s: only \"always\" is possible", quote(d.args[2]))
			return
		}
		it.fields = []string{"value = " + it.text, "always = true"}
	}
	c.add(l, d, "add_header", names, it)
}
