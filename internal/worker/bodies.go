// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"weir/internal/eventpipe"
	"weir/internal/stats"
)

// bodies publishes how bodies went.
type bodies struct {
	pipes *eventpipe.Shared
	page  *stats.BodiesPage
	told  eventpipe.Stats // what has been published

	totals *stats.Page // the same over all holders of the slot
}

// publish writes the numbers that have changed. It is called after each turn of the loop, and mostly costs a comparison.
func (b *bodies) publish() {
	now := &b.pipes.Stats
	if *now == b.told {
		return
	}
	b.add(now)
	b.told = *now
	p := b.page
	p.Spliced.Set(now.SplicedBodies)
	p.SplicedBytes.Set(now.SplicedBytes)
	p.SpilledBytes.Set(now.SpilledBytes)
	p.SpillRefused.Set(now.SpillRefused)
	p.SpillBounded.Set(now.SpillBounded)
	p.SpillFailed.Set(now.SpillFailed)
	p.PeekedBytes.Set(now.PeekedBytes)
	for i := range now.NotSpliced {
		p.NotSpliced[i].Set(now.NotSpliced[i])
	}
}

// add adds what is new to the totals.
func (b *bodies) add(now *eventpipe.Stats) {
	t, told := b.totals, &b.told
	t.Spliced.Add(now.SplicedBodies - told.SplicedBodies)
	t.SplicedBytes.Add(now.SplicedBytes - told.SplicedBytes)
	t.SpilledBytes.Add(now.SpilledBytes - told.SpilledBytes)
	t.SpillRefused.Add(now.SpillRefused - told.SpillRefused)
	t.SpillBounded.Add(now.SpillBounded - told.SpillBounded)
	t.SpillFailed.Add(now.SpillFailed - told.SpillFailed)
	t.PeekedBytes.Add(now.PeekedBytes - told.PeekedBytes)
	for i, c := range t.NotSplicedByReason() {
		c.Add(now.NotSpliced[i] - told.NotSpliced[i])
	}
}
