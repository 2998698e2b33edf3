// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMaxConnsBytes: what origins with max_conns and those who wait for them take grows with them; more than there is room for is a fault.
func TestMaxConnsBytes(t *testing.T) {
	config := func(groups, queue int) Source {
		var b strings.Builder
		for i := range groups {
			fmt.Fprintf(&b, "[http.upstream.g%d]\nserver = [{ address = \"127.0.0.1:1\", max_conns = 1 }]\nqueue = { size = %d, timeout = \"1s\" }\n", i, queue)
		}
		return Source{Name: "weir.toml", Text: []byte(b.String() + "[[http.server]]\nlisten = [\"127.0.0.1:1\"]\n")}
	}
	for _, c := range []struct {
		groups, queue int
		want          Size
	}{{1, 10, 1 << 20}, {1, 100_000, 8 << 20}, {100, 10_000, 128 << 20}} {
		loaded, _, err := Load(config(c.groups, c.queue))
		require.NoError(t, err)
		require.Equal(t, c.want, loaded.MaxConnsBytes())
	}
	_, _, err := Load(config(200, 100_000))
	require.ErrorContains(t, err, "make the queues smaller")
}
