// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strings"

	"weir/conf"
)

// listen converts an address with its parameters: those that are keys of weir's listen table go by the schema.
func (c *converter) listen(l *level, d *directive) {
	l.listens++
	var fields []string
	for _, arg := range d.args[1:] {
		name, value, valued := strings.Cut(arg, "=")
		switch name {
		case "default": // nginx's older name
			name = "default_server"
		case "bind": // weir binds what it has to
			continue
		case "deferred", "fastopen", "setfib", "accept_filter", "multipath":
			c.without(&directive{name: "listen " + name, file: d.file, line: d.line}, insides)
			continue
		}
		k, ok := c.listens[name]
		if !ok || name == "address" || name == "limit_conn_bypass" {
			c.refuse(l, d, "%s", whyParameter(name, "a listen address"))
			return
		}
		if name == "so_keepalive" && valued {
			fields = append(fields, name+" = "+quote(value))
			continue
		}
		field, why := c.field(d, k, value, valued)
		if why != "" {
			c.refuse(l, d, "%s", why)
			return
		}
		fields = append(fields, field)
	}
	text := quote(d.args[0])
	if len(fields) > 0 {
		text = braces(append([]string{"address = " + text}, fields...))
	}
	c.add(l, d, "listen", list, item{text: text})
}

// field is a parameter name[=value] as a key of a TOML table.
func (c *converter) field(d *directive, k conf.Key, value string, valued bool) (text, why string) {
	if !valued {
		if k.Form != conf.FormFlag {
			return "", "the parameter " + quote(k.Name) + " needs a value"
		}
		return k.Name + " = true", ""
	}
	if k.Form == conf.FormOther || k.Form == conf.FormTexts {
		return "", whyParameter(k.Name, "it")
	}
	return k.Name + " = " + c.scalar(&directive{name: d.name, args: []string{value}}, k), ""
}

// whyParameter says why a parameter is refused.
func whyParameter(name, of string) string {
	switch name {
	case "ssl":
		return "there is no TLS in this version"
	case "http2", "spdy":
		return "there is no HTTP/2 in this version"
	case "quic", "http3":
		return "there is no HTTP/3 in this version"
	}
	return "the parameter " + quote(name) + " of " + of + " is not possible in this version"
}
