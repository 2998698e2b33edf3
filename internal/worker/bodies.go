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
}

// publish writes the numbers that have changed. It is called after each turn of the loop, and mostly costs a comparison.
func (b *bodies) publish() {
	now := &b.pipes.Stats
	if *now == b.told {
		return
	}
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
