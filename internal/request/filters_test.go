// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/vars"
)

// TestReplacementsOutliveTheRequest: the thread may still be at work with them when the client has gone, and the request's memory is others'.
func TestReplacementsOutliveTheRequest(t *testing.T) {
	h := newHarness(t, harnessOptions{})
	r := h.engine.take()
	r.open(h.served())
	text, err := vars.Compile("look for $remote_addr")
	require.NoError(t, err)
	with, err := vars.Compile("put $remote_addr there")
	require.NoError(t, err)
	got := r.replacing(&Sub{Texts: []*vars.Template{text}, With: []*vars.Template{with}})
	r.closeArena()
	for b := h.small.Acquire(buffer.ClassResponse); b != nil; b = h.small.Acquire(buffer.ClassResponse) {
		clear(b.Data)
	}
	r.renderScratch(text)
	require.Equal(t, "put 192.0.2.1 there", string(got.With[0]))
}
