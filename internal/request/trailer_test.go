// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrailerByBytes: a trailer section that comes byte by byte takes no more memory than a few times its size, and one for which there is no memory is not passed on in part.
func TestTrailerByBytes(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	r := h.engine.take()
	r.arena.Init(h.small, h.depot)
	section := strings.Repeat("X-Field: value\r\n", 500)
	for i := range section {
		r.TakeTrailer([]byte(section[i : i+1]))
	}
	require.Equal(t, section, string(r.trailer))
	require.LessOrEqual(t, h.small.Stats().Used, 4)
	require.LessOrEqual(t, h.depot.Stats().LargeUsed, 16<<10)
	r.closeArena()

	h = newHarness(t, harnessOptions{LargeBytes: 4 << 10})
	r = h.engine.take()
	r.arena.Init(h.small, h.depot)
	r.TakeTrailer([]byte("X-A: 1\r\n"))
	r.TakeTrailer([]byte(strings.Repeat("x", 5000)))
	r.TakeTrailer([]byte("X-B: 2\r\n\r\n"))
	require.Empty(t, string(r.trailer))
}
