// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import "weir/internal/shm"

// Field names one counter of a page. The order is the order of the counters in Page.
type Field int

// Gauges go up and down; Retire sets them to 0. Totals only grow.
const (
	Active  Field = iota // gauge: client connections, those waiting included (nginx: Active connections)
	Reading              // gauge: the request head is being read
	Writing              // gauge: a response is being made or sent
	Waiting              // gauge: idle keep-alive connections

	Accepted         // total: client connections accepted
	Handled          // total: of those, given a place; the others met a limit
	Requests         // total: requests
	StaleEvents      // total: events dropped because their connection was closed in the same turn
	UpstreamConnects // total: connections opened to origins

	NumFields
	firstTotal = Accepted
)

// pageBytes keeps the counters of different writers far apart: on other cache lines, and on other pages of the machine.
const pageBytes = 8192

// Page is the counters of one worker slot: 8 bytes each, in the order of Field. They are written by the worker that holds the slot, and by the
// master's Retire when no worker holds it. No lock: readers see each counter as of some moment, not all as of the same one.
// A writer that dies leaves its totals as they stand, and its gauges until Retire.
type Page struct {
	Active, Reading, Writing, Waiting                          Counter // 0
	Accepted, Handled, Requests, StaleEvents, UpstreamConnects Counter // 32
}

// retiredOffset is where, in the slot's bytes, the values stand that the totals had when the slot was last
// retired. Written by Retire only.
const retiredOffset shm.Offset = 2048

// counters is a Page, or the retired values, as an array.
type counters [NumFields]Counter

func (f Field) gauge() bool { return f < firstTotal }

// String is the field's name, as in a metric: "upstream_connects".
func (f Field) String() string {
	names := [NumFields]string{"active", "reading", "writing", "waiting", "accepted", "handled", "requests", "stale_events", "upstream_connects"}
	if f < 0 || f >= NumFields {
		return "unknown"
	}
	return names[f]
}
