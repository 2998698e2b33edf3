// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import "weir/internal/sight"

// made is the zones that were made for a change, or why one of them could not be.
type made struct {
	change *change
	zones  []*zone // in the order of wantedZones
	err    error
}

// makeZones makes the zones that a change asks for and that the present generation does not have, in another goroutine: meanwhile the loop does what it has to do
// for those who serve. When they are there, onMade goes on.
func (m *master) makeZones(c *change) {
	var wanted []zoneOptions
	for _, o := range wantedZones(c.gen.config) {
		if present := m.presentGeneration().zone(o.name); present == nil || !present.matches(&o) {
			wanted = append(wanted, o)
		}
	}
	c.making = true
	origins := sight.PeerNames(c.gen.config)
	restore := m.freshPeers
	if m.freshPeers = false; len(wanted) == 0 && len(origins) == 0 && !restore {
		m.onMade(made{change: c})
		return
	}
	go func() {
		result := made{change: c, err: m.keeper.registerPeers(origins)}
		if restore && result.err == nil {
			m.keeper.restoreOrders(c.gen.config)
		}
		for _, o := range wanted {
			if result.err != nil {
				break
			}
			z, err := m.zones.create(o)
			if err != nil {
				result.err = err
				break
			}
			result.zones = append(result.zones, z)
		}
		select {
		case m.made <- result:
		case <-m.left: // the process ends, and what it has with it
		}
	}()
}

// onMade goes on with a change when its zones are there.
func (m *master) onMade(result made) {
	c := result.change
	c.making = false
	awaited := m.change == c && c.failed == nil
	if !awaited || result.err != nil {
		m.zones.close(result.zones...)
		if awaited {
			m.abort(result.err)
		}
		return
	}
	m.openZones(c.gen, result.zones)
	m.startWorkers(c)
}
