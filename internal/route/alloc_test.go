// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build !race

package route

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// With the race detector, package regexp's pools forget at random and allocate anew.
func TestLookupsDoNotAllocate(t *testing.T) {
	n, err := NewServerNames([]Server{{Names: []string{"a.com", "*.b.com", "c.*", `~^(?<n>d+)\.`}}, {Names: []string{"x"}}})
	require.NoError(t, err)
	l := locationsOf(t, "/", "= /x", "/api/", `~ \.(php|html)$`)
	for _, s := range []string{"a.com", "www.b.com", "c.org", "ddd.net", "nobody"} {
		host, path := []byte(s), []byte("/api/"+s+".html")
		require.Zero(t, testing.AllocsPerRun(100, func() {
			n.Lookup(host)
			l.Match(path)
		}), s)
	}
}
