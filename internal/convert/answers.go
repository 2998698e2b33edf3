// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"

	"weir/internal/convert/wire"
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
		} else if !c.textIsPlain(l, d) {
			return
		}
		fields = append(fields, key+" = "+quote(rest[0]))
	}
	c.setKey(l, d, "return", braces(fields))
}

// octets is the type of everything unknown: nginx's usual default_type.
const octets = "application/octet-stream"

// textIsPlain says whether a text may be answered although weir says that it is text/plain.
func (c *converter) textIsPlain(l *level, d *directive) bool {
	by := l.contentType
	switch {
	case by == nil || by.args[0] == "text/plain":
		return true
	case by.args[0] == octets:
		c.note(wire.Different, d, "the Content-Type of the text is text/plain, not %s (%s:%d)", octets, by.file, by.line)
		return true
	}
	c.refuse(l, d, "weir answers a text as text/plain only, and default_type says %s (%s:%d)", quote(by.args[0]), by.file, by.line)
	return false
}

func (c *converter) defaultType(l *level, d *directive) {
	l.contentType = d
	if _, ok := l.keys["default_type"]; ok {
		c.set(l, d, quote(d.args[0]))
	}
}

func (c *converter) types(l *level, d *directive) { c.without(d, noFiles) }

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

func (c *converter) proxyRedirect(l *level, d *directive) {
	switch {
	case len(d.args) == 2:
		c.add(l, d, "proxy_redirect", list, item{text: braces([]string{"from = " + quote(d.args[0]), "to = " + quote(d.args[1])})})
	case d.args[0] == "default":
		c.add(l, d, "proxy_redirect", list, item{text: `"default"`})
	case d.args[0] == "off":
		l.table.replace("proxy_redirect", item{by: d, text: `"off"`})
	default:
		c.refuse(l, d, "must be \"default\", \"off\", or two arguments")
	}
}
