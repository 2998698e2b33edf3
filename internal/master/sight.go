// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"time"

	"go.uber.org/zap"

	"weir/internal/sight"
	"weir/internal/stats"
)

// registerSeries makes room for the counters of a generation's servers and origins. Those without are not counted one by one, and that is all.
func (m *master) registerSeries(g *generation) {
	used := map[stats.Series]bool{}
	for _, other := range m.live {
		for _, x := range sight.Series(other.config) {
			used[x] = true
		}
	}
	foreign := m.predecessor.lives() // its generations' configs are not known here
	err := m.stats.Register(sight.Series(g.config), func(x stats.Series) bool { return foreign || used[x] })
	if err != nil {
		m.log.Warn("not all servers and origins are counted", zap.Error(err))
	}
}

// countChange notes for those who look how a change ended.
func (m *master) countChange(c *change, ok bool) {
	page := m.stats.Master()
	if ok {
		page.Generation.Set(uint64(c.gen.number))
	}
	switch {
	case c.first && ok && m.predecessor != nil:
		page.Upgrades.Inc()
	case c.first:
	case ok:
		page.Reloads.Inc()
		page.ReloadOK.Set(1)
		page.ReloadedMs.Set(uint64(time.Now().UnixMilli()))
	default:
		page.ReloadsFailed.Inc()
		page.ReloadOK.Set(0)
		page.ReloadedMs.Set(uint64(time.Now().UnixMilli()))
	}
}
