// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/eventpipe"
	"weir/internal/stats"
)

// TestBodies: what is published is what the pipes count, and the reasons have the names that the pipes give them.
func TestBodies(t *testing.T) {
	var names []string
	for why := range eventpipe.NumNoSplice {
		names = append(names, why.String())
	}
	require.Equal(t, names, stats.NoSpliceReasons())

	var page stats.BodiesPage
	var totals stats.Page
	b := bodies{pipes: new(eventpipe.Shared), page: &page, totals: &totals}
	b.publish()
	require.Equal(t, stats.BodiesPage{}, page)
	b.pipes.Stats = eventpipe.Stats{SplicedBodies: 1, SplicedBytes: 2, SpilledBytes: 3, SpillRefused: 4, SpillBounded: 5, SpillFailed: 6, PeekedBytes: 7}
	b.pipes.Stats.NotSpliced[eventpipe.NoSpliceRefused] = 8
	b.publish()
	got := []uint64{page.Spliced.Load(), page.SplicedBytes.Load(), page.SpilledBytes.Load(), page.SpillRefused.Load(), page.SpillBounded.Load(),
		page.SpillFailed.Load(), page.PeekedBytes.Load(), page.NotSpliced[len(names)-1].Load()}
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8}, got)
	b.publish()
	b.pipes.Stats.SplicedBodies = 5
	b.publish()
	got = []uint64{totals.Spliced.Load(), totals.SplicedBytes.Load(), totals.SpilledBytes.Load(), totals.SpillRefused.Load(), totals.SpillBounded.Load(),
		totals.SpillFailed.Load(), totals.PeekedBytes.Load(), totals.NotSplicedRefused.Load()}
	require.Equal(t, []uint64{5, 2, 3, 4, 5, 6, 7, 8}, got, "each body is in the totals once")
	require.Len(t, totals.NotSplicedByReason(), len(names))
}
