// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"path/filepath"
	"strings"
)

// Directives about access.

// accessRule converts allow and deny, whose order counts: weir has one list for both.
func (c *converter) accessRule(l *level, d *directive) {
	c.add(l, d, "access", list, item{value: d.name + " " + d.args[0]})
}

// passwordFile converts auth_basic_user_file: a relative one is beside the configuration.
func (c *converter) passwordFile(l *level, d *directive) {
	c.set(l, d, c.besideConf(d.args[0]))
}

// besideConf is the path of a file that nginx looks for beside its configuration.
func (c *converter) besideConf(path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "$") {
		return path
	}
	return filepath.Join(filepath.Dir(c.name), path)
}

func (c *converter) trustedPeer(l *level, d *directive) {
	c.add(l, d, "set_real_ip_from", list, item{value: d.args[0]})
}

// authRequestSet converts auth_request_set $NAME VALUE.
func (c *converter) authRequestSet(l *level, d *directive) {
	name, ok := strings.CutPrefix(d.args[0], "$")
	if !ok {
		c.refuse(l, d, "invalid variable name \"%s\"", d.args[0])
		return
	}
	c.add(l, d, "auth_request_set", names, item{name: name, value: d.args[1]})
}

func (c *converter) mirror(l *level, d *directive) {
	if e := l.table.byKey["mirror"]; e != nil && (d.args[0] == "off" || e.shape == scalar) {
		c.duplicate(l, d)
		return
	}
	if d.args[0] == "off" {
		l.table.replace("mirror", item{by: d, value: false})
		return
	}
	c.add(l, d, "mirror", list, item{value: d.args[0]})
}
