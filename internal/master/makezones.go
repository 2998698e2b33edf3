// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"fmt"

	"go.uber.org/zap"

	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/sight"
)

// made is the zones that were made for a change, or why one of them could not be.
type made struct {
	change *change
	zones  []*zone // in the order of wantedZones
	err    error
}

// makeZones makes the zones that a change asks for and that the present generation does not have, in another goroutine: meanwhile the loop does what it has to do
// for those who serve. When they are there, onMade goes on.
func (m *master) makeZones(c *change) {
	var wanted, kept []zoneOptions
	var present []*zone // of those that are kept
	for _, o := range wantedZones(c.gen.config) {
		if z := m.presentZone(&o); z != nil && z.matches(&o) {
			kept, present = append(kept, o), append(present, z)
		} else {
			wanted = append(wanted, o)
		}
	}
	c.making = true
	origins := sight.PeerNames(c.gen.config)
	restore := m.freshPeers
	m.freshPeers = false
	used := m.zones.use() // while they grow
	go func() {
		defer m.zones.done(used)
		result := made{change: c, err: m.keeper.registerPeers(origins)}
		if restore && result.err == nil {
			m.keeper.restoreOrders(c.gen.config)
		}
		for i := range present {
			if result.err == nil {
				result.err = m.keeper.grow(present[i], &kept[i])
			}
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

// presentZone is the zone that a new generation goes on with, if it matches; nil: there is none. That of max_conns stays when a config has no use for it: older generations may.
func (m *master) presentZone(o *zoneOptions) *zone {
	if o.kind == ipc.KindMaxConns {
		return m.zones.ofKind(o.kind)
	}
	return m.presentGeneration().zone(o.name)
}

// grow makes a zone as large as a config wants it, if it can grow.
func (k *keeper) grow(z *zone, o *zoneOptions) error {
	before := z.SizeBytes()
	grown, err := z.grow(o)
	if grown && err == nil {
		k.log(logfile.LevelNotice, fmt.Sprintf("zone %q has grown", o.name), zap.Int64("size", z.SizeBytes()), zap.Int64("size_before", before))
	}
	return err
}
