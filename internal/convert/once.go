// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"

	"weir/internal/convert/wire"
)

// What nginx refuses because of what stands beside it.

// repeatable are the directives without effect that nginx takes more than once at a level.
var repeatable = []string{"env", "load_module", "debug_connection", "thread_pool"} // read-only

// methodsOfNginx are those that limit_except knows.
var methodsOfNginx = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "OPTIONS", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH"} // read-only

// duplicate refuses a directive that stands twice at a level.
func (c *converter) duplicate(l *level, d *directive) {
	c.refuse(l, d, "%q directive is duplicate", d.name)
}

// stands says whether a directive of this name was asked about at this level before.
func (l *level) stands(name string) bool {
	before := l.once[name]
	if l.once == nil {
		l.once = map[string]bool{}
	}
	l.once[name] = true
	return before
}

// repeats says whether a directive without effect stands for the second time where nginx takes it once: those of modules that weir has nothing for are not looked at.
func (l *level) repeats(d *directive) bool {
	return inert[d.name] != "" && !slices.Contains(repeatable, d.name) && l.stands(d.name)
}

// passes says whether a proxy_pass came before.
func (l *level) passes() bool { return l.table.byKey["proxy_pass"] != nil }

// balancing are the directives of which an upstream has one.
var balancing = []string{"least_conn", "ip_hash", "hash", "random", "least_time"} // read-only

// rebalance has a method of choice take the place of one that came before it, as nginx does.
func (c *converter) rebalance(l *level, d *directive) {
	if !slices.Contains(balancing, d.name) {
		return
	}
	for _, other := range balancing {
		if other != d.name && l.table.drop(other) {
			c.note(wire.Different, d, "load balancing method redefined: %q does not hold", other)
		}
	}
}
