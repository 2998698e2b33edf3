// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"time"

	"weir/conf"
	"weir/internal/limitconn"
	"weir/internal/limitreq"
	"weir/internal/peers"
	"weir/internal/quota"
	"weir/internal/shm"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// Source is the shared memory that a snapshot is read from.
type Source struct {
	Version string
	Segment *stats.Segment
	Table   *slots.Table
	Conns   map[string]*limitconn.Zone // of limit_conn
	Rates   map[string]*limitreq.Zone
	Places  *limitconn.Zone // of max_conns; nil: there is none
	Quota   *quota.Zone     // nil: there are no temporary files
	Config  *conf.Config    // of the worker; nil: there is none
	Peers   *peers.Zone     // what all know of its origins
}

// Read makes a snapshot of the present moment.
func (src *Source) Read() *Snapshot {
	m, sum := src.Segment.Master(), src.Segment.Sum()
	s := &Snapshot{
		Version: src.Version, TimeMs: time.Now().UnixMilli(), StartedSec: m.StartedSec.Load(), Generation: m.Generation.Load(),
		Reloads:  Reloads{OK: m.Reloads.Load(), Failed: m.ReloadsFailed.Load(), LastMs: m.ReloadedMs.Load(), LastOK: m.ReloadOK.Load() != 0},
		Upgrades: m.Upgrades.Load(), Deaths: m.Deaths.Load(),
		Connections: Connections{
			Active: sum[stats.Active], Reading: sum[stats.Reading], Writing: sum[stats.Writing], Waiting: sum[stats.Waiting],
			Accepted: sum[stats.Accepted], Handled: sum[stats.Handled], Requests: sum[stats.Requests], Origins: sum[stats.UpstreamConnects],
		},
		Buffers: Buffers{
			Waits: sum[stats.BlockWaits], Refusals: sum[stats.BlockRefusals] + sum[stats.LargeRefusals], Failures: sum[stats.BlockFailures],
		},
		Bodies:  bodies(&sum),
		Loop:    Loop{Turns: sum[stats.Turns], Sleeps: sum[stats.Sleeps], BusySec: seconds(sum[stats.Busy])},
		Workers: []Worker{}, Servers: []Server{}, Origins: []Origin{}, Upstreams: []Upstream{}, Zones: []Zone{},
	}
	for _, ns := range stats.Bounds() {
		s.BoundsSec = append(s.BoundsSec, seconds(uint64(ns)))
	}
	src.readWorkers(s)
	src.readSeries(s)
	src.readZones(s)
	if src.Config != nil {
		s.Upstreams = Upstreams(src.Config, src.Peers, sys.MonotonicNs()/1e6)
	}
	if src.Quota != nil {
		if q, ok := src.Quota.TryStatus(); ok {
			s.Temp = &Temp{LimitBytes: q.Limit, UsedBytes: q.Used, Refused: q.Refused}
		}
	}
	return s
}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

func bodies(sum *stats.Values) Bodies {
	b := Bodies{
		Spliced: sum[stats.Spliced], SplicedBytes: sum[stats.SplicedBytes], NotSpliced: map[string]uint64{}, SpilledBytes: sum[stats.SpilledBytes],
		SpillRefused: sum[stats.SpillRefused], SpillBounded: sum[stats.SpillBounded], SpillFailed: sum[stats.SpillFailed], PeekedBytes: sum[stats.PeekedBytes],
	}
	for i, why := range stats.NoSpliceReasons() {
		b.NotSpliced[why] = sum[stats.NotSplicedOff+stats.Field(i)]
	}
	return b
}

// readWorkers lists who has a slot.
func (src *Source) readWorkers(s *Snapshot) {
	for _, slot := range src.Table.All() {
		switch slot.State {
		case slots.Starting, slots.Ready, slots.Draining:
		default:
			continue
		}
		v := src.Segment.Worker(slot.Index)
		w := Worker{
			PID: slot.PID, Slot: slot.Index, Generation: slot.Generation, State: slot.State.String(), Active: v[stats.Active], Requests: v[stats.Requests],
			LongestSec: seconds(v[stats.LongestTurn]), Pools: []Pool{},
		}
		memory := src.Segment.Memory(slot.Index)
		for i := range memory.Pools {
			p := &memory.Pools[i]
			if p.SizeBytes.Load() == 0 {
				break
			}
			w.Pools = append(w.Pools, Pool{
				SizeBytes: p.SizeBytes.Load(), Users: stats.PoolUser(p.Users.Load()).Names(), Used: p.Used.Load(), Limit: p.Limit.Load(),
				Waiting: p.Waiting.Load(), Pressed: p.Pressed.Load() != 0,
			})
		}
		s.Loop.LongestSec = max(s.Loop.LongestSec, w.LongestSec)
		s.Workers = append(s.Workers, w)
	}
}

// readSeries lists servers and origins.
func (src *Source) readSeries(s *Snapshot) {
	totals := src.Segment.Totals()
	for i := range totals {
		r, name := totals[i].Row(), totals[i].Name
		c := &r.Classes
		classes := Classes{Informational: c[1].Load(), Success: c[2].Load(), Redirection: c[3].Load(), ClientError: c[4].Load(), ServerError: c[5].Load(), Other: c[0].Load()}
		switch totals[i].Kind {
		case stats.KindServer:
			s.Servers = append(s.Servers, Server{
				Name: name[0], Listen: name[1], Requests: r.Requests.Load(), Statuses: classes, Received: r.Received.Load(), Sent: r.Sent.Load(), Time: latency(&r.Total),
			})
		case stats.KindPeer:
			s.Origins = append(s.Origins, Origin{
				Upstream: name[0], Peer: name[1], Active: r.Active.Load(), Attempts: r.Requests.Load(), Statuses: classes, Failures: r.Failures.Load(),
				Unavailable: r.Unavailable.Load(), Stale: r.Stale.Load(), Queue: latency(&r.Queue), Received: r.Received.Load(), Sent: r.Sent.Load(),
				Connect: latency(&r.Connect), FirstByte: latency(&r.FirstByte), Total: latency(&r.Total),
			})
		}
	}
}

func latency(h *stats.Histogram) Latency {
	l := Latency{SumSec: seconds(h.SumNs.Load())}
	for i := range h.Buckets {
		n := h.Buckets[i].Load()
		l.Buckets = append(l.Buckets, n)
		l.Count += n
	}
	return l
}

// lockTries bounds how often a zone's lock is tried: it is held for microseconds, unless its owner has been stopped.
const lockTries = 1000

// try calls status until it has the lock, some times. A zone that is damaged is none to be waited for.
func try(status func() bool) (ok bool) {
	defer func() {
		if fault := recover(); fault != nil {
			if _, damaged := fault.(*shm.Fault); !damaged {
				panic(fault)
			}
			ok = false
		}
	}()
	for range lockTries {
		if status() {
			return true
		}
	}
	return false
}
