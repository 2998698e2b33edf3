// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"maps"
	"slices"

	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/zonekey"
)

// readZones lists the limit zones.
func (src *Source) readZones(s *Snapshot) {
	for _, name := range slices.Sorted(maps.Keys(src.Conns)) {
		s.Zones = append(s.Zones, connZone(name, "limit_conn", src.Conns[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(src.Rates)) {
		s.Zones = append(s.Zones, rateZone(name, src.Rates[name]))
	}
	if src.Places != nil {
		s.Zones = append(s.Zones, connZone("max_conns", "max_conns", src.Places))
	}
}

// Top keys: so many of a zone are shown, and of a zone of limit_conn only while it has no more than topOf, since all have to be looked at: about a millisecond
// of the loop's time.
const (
	topKeys = 10
	topOf   = 10_000
)

// ReadWithKeys is Read, with the keys of limit_conn's zones that have the most connections and those of limit_req's that were used last.
func (src *Source) ReadWithKeys() *Snapshot {
	s := src.Read()
	for i := range s.Zones {
		z := &s.Zones[i]
		if !z.Up {
			continue
		}
		switch z.Kind {
		case "limit_conn":
			if z.Keys > topOf {
				continue
			}
			zone := src.Conns[z.Name]
			top, _ := zone.Top(topKeys) // a zone that is damaged has none to show; who looks after it says so
			for _, e := range top {
				z.Top = append(z.Top, Key{Key: zonekey.Text(zone.Key(), e.Key), Connections: e.Connections})
			}
		case "limit_req":
			zone := src.Rates[z.Name]
			newest, _ := zone.Newest(topKeys)
			for _, e := range newest {
				z.Top = append(z.Top, Key{Key: zonekey.Text(zone.Key(), e.Key)})
			}
		}
	}
	return s
}

func connZone(name, kind string, z *limitconn.Zone) Zone {
	var s limitconn.Status
	if !try(func() (ok bool) { s, ok = z.TryStatus(); return ok }) {
		return Zone{Name: name, Kind: kind}
	}
	return Zone{
		Name: name, Kind: kind, Up: s.Sound, SizeBytes: s.SizeBytes, Keys: s.Keys, UsedPages: s.Slab.UsedPages(), Pages: s.Slab.Pages,
		Passed: s.Passed, Rejected: s.Rejected, DryRun: s.DryRun, Bypassed: s.Bypassed, Full: s.Full, Waiting: s.Waiting,
		Waits: Waits{Given: s.Waits.Given, Late: s.Waits.Late, Left: s.Waits.Left, Overflowed: s.Waits.Overflowed, Time: latency(&s.Waits.Time)},
	}
}

func rateZone(name string, z *limitreq.Zone) Zone {
	var s limitreq.Status
	if !try(func() (ok bool) { s, ok = z.TryStatus(); return ok }) {
		return Zone{Name: name, Kind: "limit_req"}
	}
	return Zone{
		Name: name, Kind: "limit_req", Up: s.Sound, SizeBytes: s.SizeBytes, Keys: s.Keys, UsedPages: s.Slab.UsedPages(), Pages: s.Slab.Pages,
		Passed: s.Passed, Delayed: s.Delayed, Rejected: s.Rejected, DryRun: s.DryRun, Bypassed: s.Bypassed, Full: s.Full, Evicted: s.Evicted,
	}
}
