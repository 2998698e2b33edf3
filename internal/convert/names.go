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
	var addresses, fields []string
	for _, arg := range d.args {
		name, value, valued := strings.Cut(arg, "=")
		switch {
		case !valued:
			addresses = append(addresses, quote(arg))
		case name == "valid":
			fields = append(fields, "valid = "+quote(value))
		case (name == "ipv4" || name == "ipv6") && (value == "on" || value == "off"):
			if value == "off" {
				fields = append(fields, name+" = false")
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
	c.set(l, d, braces(append([]string{"addresses = [" + strings.Join(addresses, ", ") + "]"}, fields...)))
}
