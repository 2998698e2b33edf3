// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strconv"
	"strings"
)

// Directives about what weir answers, and about what it changes in the answers of origins.

// errorPage converts error_page CODE... [=[CODE]] URI.
func (c *converter) errorPage(l *level, d *directive) {
	last := len(d.args) - 1
	codes := d.args[:last]
	fields := table{{"codes", nil}, {"uri", d.args[last]}}
	if response, ok := strings.CutPrefix(codes[len(codes)-1], "="); ok {
		codes = codes[:len(codes)-1]
		if response == "" {
			response = "0"
		}
		fields = append(fields, field{"response", number(response)})
	}
	numbers := make([]any, len(codes))
	for i, code := range codes {
		switch n, err := strconv.Atoi(code); {
		case err != nil || n < 0 || n == 499:
			c.refuse(l, d, "invalid value \"%s\"", code)
			return
		case n < 300 || n > 599:
			c.refuse(l, d, "value \"%s\" must be between 300 and 599", code)
			return
		}
		numbers[i] = number(code)
	}
	fields[0].value = numbers
	c.add(l, d, "error_page", list, item{value: fields})
}

// addHeader converts add_header and add_trailer NAME VALUE [always].
func (c *converter) addHeader(l *level, d *directive) {
	it := item{by: d, name: d.args[0], value: d.args[1]}
	if len(d.args) == 3 {
		if d.args[2] != "always" {
			c.refuse(l, d, "invalid parameter \"%s\"", d.args[2])
			return
		}
		it.fields = table{{"value", it.value}, {"always", true}}
	}
	c.add(l, d, d.name, names, it)
}

// modernBrowser converts modern_browser BROWSER VERSION, or unlisted.
func (c *converter) modernBrowser(l *level, d *directive) {
	c.add(l, d, d.name, list, item{value: strings.Join(d.args, " ")})
}
