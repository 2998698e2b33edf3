// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"strconv"
	"strings"

	"weir/conf"
)

// listen converts an address, or one for each port of a range, with its parameters: those that are keys of weir's listen table go by the schema.
func (c *converter) listen(l *level, d *directive) {
	l.listens++
	var fields table
	for _, arg := range d.args[1:] {
		name, value, valued := strings.Cut(arg, "=")
		if name == "default" && !valued { // nginx's older name
			name = "default_server"
		}
		k, ok := c.listens[name]
		flag := k.Form == conf.FormFlag && name != "ipv6only"
		switch {
		case !ok || name == "address" || strings.HasPrefix(name, "limit_conn") || flag && valued:
			c.refuse(l, d, "%s", whyParameter(arg, "a listen address"))
			return
		case name == "ipv6only" && !strings.Contains(d.args[0], "["):
			continue // as nginx: it says nothing of other addresses
		case name == "so_keepalive" && valued:
			fields = fields.with(field{name, value})
			continue
		}
		f, why := c.parameter(d, k, value, valued)
		if why != "" {
			c.refuse(l, d, "%s", why)
			return
		}
		fields = fields.with(f)
	}
	ranged, ok := portRange(d.args[0])
	if !ok {
		c.refuse(l, d, "invalid port range in \"%s\" of the \"listen\" directive", d.args[0])
		return
	}
	var addresses []string
	for _, address := range ranged {
		addresses = append(addresses, c.listenAddresses(l, d, address)...)
	}
	for _, address := range addresses {
		var value any = address
		if len(fields) > 0 {
			value = append(table{{"address", address}}, fields...)
		}
		c.add(l, d, "listen", list, item{value: value})
	}
}

// portRange gives the addresses of "address:first-last"; any other address as it is.
func portRange(address string) (all []string, ok bool) {
	colon := strings.LastIndexByte(address, ':')
	first, last, is := strings.Cut(address[colon+1:], "-")
	if !is || strings.HasPrefix(address, "unix:") || !isDigits(first) || !isDigits(last) {
		return []string{address}, true
	}
	from, err := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err != nil || err2 != nil || from > to || from == 0 {
		return nil, false
	}
	for port := from; port <= to; port++ {
		all = append(all, address[:colon+1]+strconv.FormatUint(port, 10))
	}
	return all, true
}

// parameter is a parameter name[=value] as a key of a table; else why it is none.
func (c *converter) parameter(d *directive, k conf.Key, value string, valued bool) (f field, why string) {
	if !valued {
		if k.Form != conf.FormFlag {
			return f, fmt.Sprintf("invalid parameter %q: it needs a value", k.Name)
		}
		return field{k.Name, true}, ""
	}
	if k.Form == conf.FormOther || k.Form == conf.FormTexts {
		return f, whyParameter(k.Name, "it")
	}
	v, why := c.value(d, k, value)
	switch {
	case why != "" && d.name == "listen" && k.Form != conf.FormFlag:
		return f, fmt.Sprintf("invalid %s \"%[1]s=%s\"", k.Name, value)
	case why != "":
		return f, fmt.Sprintf("invalid parameter \"%s=%s\"", k.Name, value)
	}
	return field{k.Name, v}, ""
}

// whyParameter says why a parameter is refused.
func whyParameter(arg, of string) string {
	name, _, _ := strings.Cut(arg, "=")
	switch name {
	case "ssl":
		return "the parameter \"ssl\" is not possible: there is no TLS in this version"
	case "http2", "spdy":
		return fmt.Sprintf("the parameter %q is not possible: there is no HTTP/2 in this version", name)
	case "quic", "http3":
		return fmt.Sprintf("the parameter %q is not possible: there is no HTTP/3 in this version", name)
	}
	switch name {
	case "setfib", "accept_filter":
		return fmt.Sprintf("the parameter %q is not possible: it is of FreeBSD", name)
	case "default_server", "reuseport", "bind", "deferred", "proxy_protocol":
		return fmt.Sprintf("invalid parameter %q: it takes no value", arg)
	}
	return fmt.Sprintf("invalid parameter %q: the parameter %q of %s is not possible in this version", arg, name, of)
}
