// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"strings"

	"weir/internal/convert/wire"
)

// The directives about names that are looked up.

// resolver converts resolver ADDRESS... [valid=TIME] [ipv4=on|off] [ipv6=on|off] [status_zone=ZONE].
func (c *converter) resolver(l *level, d *directive) {
	var addresses []any
	var fields table
	for _, arg := range d.args {
		name, value, valued := strings.Cut(arg, "=")
		switch {
		case !valued:
			addresses = append(addresses, arg)
		case name == "valid":
			if _, ok := parseTime(value, true); !ok {
				c.refuse(l, d, "invalid parameter: %s", arg)
				return
			}
			fields = append(fields, field{"valid", seconds(value)})
		case (name == "ipv4" || name == "ipv6") && (value == "on" || value == "off"):
			if value == "off" {
				fields = append(fields, field{name, false})
			}
		case name == "status_zone":
			c.note(wire.Different, d, "status_zone: the names that are looked up are not counted")
		default:
			c.refuse(l, d, "invalid parameter: %s", arg)
			return
		}
	}
	if len(addresses) == 0 {
		c.refuse(l, d, "no name servers defined")
		return
	}
	c.set(l, d, append(table{{"addresses", addresses}}, fields...))
}
