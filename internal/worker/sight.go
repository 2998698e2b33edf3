// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"weir/conf"
	"weir/internal/event"
	"weir/internal/limitconn"
	"weir/internal/request"
	"weir/internal/sight"
	"weir/internal/stats"
)

// row is where requests of a series are counted; nil where nobody wants to see that.
func (b *builder) row(x stats.Series) *stats.Row {
	if !b.sightWanted {
		return nil
	}
	return b.segment.Row(x, b.manifest.Slot)
}

// page makes the page that a location answers with; nil: it has none.
func (b *builder) page(c *conf.Location, server *conf.Server) *request.Page {
	src := &sight.Source{
		Version: b.build, Segment: b.segment, Table: b.slots, Rates: b.zones.rates, Places: b.zones.places, Quota: b.quota,
		Config: b.config, Peers: b.origins,
		Conns: map[string]*limitconn.Zone{},
	}
	for name, z := range b.zones.byName {
		src.Conns[name] = z.Zone
	}
	switch {
	case c.Metrics:
		return &request.Page{ContentType: sight.ContentType, Append: func(dst []byte) []byte { return src.Read().AppendMetrics(dst) }}
	case c.StatusAPI:
		return &request.Page{ContentType: "application/json", Append: func(dst []byte) []byte { return src.ReadWithKeys().AppendJSON(dst) }}
	case c.Dashboard:
		text := sight.Dashboard(server.StatusPath())
		return &request.Page{ContentType: "text/html; charset=utf-8", Append: func(dst []byte) []byte { return append(dst, text...) }}
	}
	return nil
}

// turns counts the turns of the loop.
type turns struct {
	told event.Stats // what has been counted
	busy bool        // time is measured
}

// countTurn counts the turn that has just ended. How long it took is measured where somebody wants to see it: that is a look at the clock.
func (w *worker) countTurn() {
	now, page := &w.loop.Stats, w.stats
	page.Turns.Add(now.Turns - w.turns.told.Turns)
	page.Sleeps.Add(now.Sleeps - w.turns.told.Sleeps)
	w.turns.told = *now
	if w.turns.busy {
		took := uint64(max(w.clock.SinceUpdate(), 0))
		page.Busy.Add(took)
		if took > page.LongestTurn.Load() {
			page.LongestTurn.Set(took)
		}
	}
}
