// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import "weir/internal/shm"

// Field names one counter of a page. The order is the order of the counters in Page.
type Field int

// Gauges go up and down; Retire sets them to 0. Totals only grow.
const (
	Active      Field = iota // gauge: client connections, those waiting included (nginx: Active connections)
	Reading                  // gauge: the request head is being read
	Writing                  // gauge: a response is being made or sent
	Waiting                  // gauge: idle keep-alive connections
	LongestTurn              // gauge: the longest turn of the loop, in nanoseconds, its sleep not counted

	Accepted         // total: client connections accepted
	Handled          // total: of those, given a place; the others met a limit
	Requests         // total: requests
	StaleEvents      // total: events dropped because their connection was closed in the same turn
	UpstreamConnects // total: connections opened to origins
	Turns            // total: turns of the loop
	Sleeps           // total: of those, that waited in the kernel
	Busy             // total: nanoseconds in turns, their sleeps not counted

	BlockWaits    // total: how often a block was waited for
	BlockRefusals // total: how often there was none below what the class of the asker may use
	BlockFailures // total: how often the kernel had no memory for one
	LargeRefusals // total: how often there was no room for a piece larger than a block

	Spliced      // total: bodies that went through kernel pipes, in part at least
	SplicedBytes // total: that did so
	SpilledBytes // total: written to temporary files
	SpillRefused // total: how often the instance's quota was reached
	SpillBounded // total: how often the bound of one file was
	SpillFailed  // total: how often writing one failed
	PeekedBytes  // total: relayed without a block, because memory was short

	// Bodies that were not spliced, by reason: NotSplicedOff + eventpipe.NoSplice.
	NotSplicedOff
	NotSplicedChunked
	NotSplicedUnbuffered
	NotSplicedRate
	NotSplicedShort
	NotSplicedTalk
	NotSplicedKept
	NotSplicedPipes
	NotSplicedRefused

	NumFields
	firstTotal = Accepted
)

// pageBytes keeps the counters of different writers far apart: on other cache lines, and on other pages of the machine.
const pageBytes = 8192

// Page is the counters of one worker slot: 8 bytes each, in the order of Field. They are written by the worker that holds the slot, and by the
// master's Retire when no worker holds it. No lock: readers see each counter as of some moment, not all as of the same one.
// A writer that dies leaves its totals as they stand, and its gauges until Retire.
type Page struct {
	Active, Reading, Writing, Waiting, LongestTurn                                          Counter // 0
	Accepted, Handled, Requests, StaleEvents, UpstreamConnects, Turns, Sleeps, Busy         Counter // 40
	BlockWaits, BlockRefusals, BlockFailures, LargeRefusals                                 Counter // 104
	Spliced, SplicedBytes, SpilledBytes, SpillRefused, SpillBounded, SpillFailed            Counter // 136
	PeekedBytes                                                                             Counter // 184
	NotSplicedOff, NotSplicedChunked, NotSplicedUnbuffered, NotSplicedRate, NotSplicedShort Counter // 192
	NotSplicedTalk, NotSplicedKept, NotSplicedPipes, NotSplicedRefused                      Counter // 232
}

// NotSplicedByReason are the counters of bodies that were not spliced, in the order of NoSpliceReasons.
func (p *Page) NotSplicedByReason() [9]*Counter {
	return [...]*Counter{&p.NotSplicedOff, &p.NotSplicedChunked, &p.NotSplicedUnbuffered, &p.NotSplicedRate, &p.NotSplicedShort, &p.NotSplicedTalk,
		&p.NotSplicedKept, &p.NotSplicedPipes, &p.NotSplicedRefused}
}

// retiredOffset is where, in the slot's bytes, the values stand that the totals had when the slot was last
// retired. Written by Retire only.
const retiredOffset shm.Offset = 2048

// counters is a Page, or the retired values, as an array.
type counters [NumFields]Counter

func (f Field) gauge() bool { return f < firstTotal }

// String is the field's name, as in a metric: "upstream_connects".
func (f Field) String() string {
	names := [NumFields]string{"active", "reading", "writing", "waiting", "longest_turn", "accepted", "handled", "requests", "stale_events", "upstream_connects",
		"turns", "sleeps", "busy", "block_waits", "block_refusals", "block_failures", "large_refusals", "spliced", "spliced_bytes", "spilled_bytes", "spill_refused",
		"spill_bounded", "spill_failed", "peeked_bytes", "not_spliced_off", "not_spliced_chunked", "not_spliced_unbuffered", "not_spliced_rate",
		"not_spliced_short", "not_spliced_talk", "not_spliced_kept", "not_spliced_pipes", "not_spliced_refused"}
	if f < 0 || f >= NumFields {
		return "unknown"
	}
	return names[f]
}
