// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"path/filepath"
	"strings"
)

// Directives of who may come in.

// accessRule converts allow and deny, whose order counts: weir has one list for both.
func (c *converter) accessRule(l *level, d *directive) {
	c.add(l, d, "access", list, item{text: quote(d.name + " " + d.args[0])})
}

// passwordFile converts auth_basic_user_file: a relative one is beside the configuration.
func (c *converter) passwordFile(l *level, d *directive) {
	c.set(l, d, quote(c.besideConf(d.args[0])))
}

// besideConf is the path of a file that nginx looks for beside its configuration.
func (c *converter) besideConf(path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "$") {
		return path
	}
	return filepath.Join(filepath.Dir(c.name), path)
}

func (c *converter) trustedPeer(l *level, d *directive) {
	c.add(l, d, "set_real_ip_from", list, item{text: quote(d.args[0])})
}
