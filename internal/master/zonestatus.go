// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"weir/internal/ipc"
	"weir/internal/limitconn"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zonekey"
)

// ZoneStatus is one zone: in the answers to GET /zones, GET /zones/NAME and GET /status.
type ZoneStatus struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`       // limit_conn, limit_req, max_conns
	State      string `json:"state"`      // of its generation: starting, serving; draining or stopping: an older zone of that name
	Generation int    `json:"generation"` // the latest that has it as its own
	Key        string `json:"key"`
	SizeBytes  int64  `json:"size_bytes"`
	Busy       string `json:"busy,omitempty"` // why there is no more than this: who keeps the zone's lock

	Keys        int     `json:"keys"`         // with connections
	DeletedKeys int     `json:"deleted_keys"` // cleared, with connections that have not ended
	UsedPages   int     `json:"used_pages"`
	FreePages   int     `json:"free_pages"`
	UsedPercent float64 `json:"used_percent"` // of the pages

	Slots []ZoneSlots `json:"slots"` // by size, of those in use

	Passed   uint64 `json:"passed"`           // counted
	Delayed  uint64 `json:"delayed"`          // limit_req: let through after a delay
	Rejected uint64 `json:"rejected"`         // over the limit
	DryRun   uint64 `json:"rejected_dry_run"` // over the limit or without room, and let through
	Waiting  int    `json:"waiting"`          // in line for a place
	Waited   uint64 `json:"waited"`           // had a place after waiting in line
	Late     uint64 `json:"late"`             // waited as long as they might; rejected
	Left     uint64 `json:"left"`             // gave up waiting
	Overflow uint64 `json:"overflowed"`       // found the line full; rejected
	Bypassed uint64 `json:"bypassed"`         // by limit_conn_bypass
	Evicted  uint64 `json:"evicted"`          // limit_req: keys that had to leave a full zone before they were idle
	Failures uint64 `json:"failures"`         // the zone had no room
	Stale    uint64 `json:"stale"`            // connections that ended after a rebuild had lost them
	Faults   uint64 `json:"faults"`           // operations that met a damaged zone
	Rebuilds int    `json:"rebuilds"`
	Sound    bool   `json:"sound"`

	Mutex MutexStatus `json:"shared_mutex"` // the zone's lock
}

// ZoneSlots is what a zone has of one slot size: nginx's slab statistics.
type ZoneSlots struct {
	SizeBytes int    `json:"size_bytes"`
	Pages     int    `json:"pages"`
	Used      int    `json:"used"`
	Free      int    `json:"free"` // in those pages
	Requests  uint64 `json:"requests"`
	Failures  uint64 `json:"failures"`
}

// MutexStatus is what a zone's lock has counted.
type MutexStatus struct {
	Kind          string `json:"kind"`
	Acquisitions  uint64 `json:"acquisitions"`
	Contended     uint64 `json:"contended"`
	Spins         uint64 `json:"spins"`
	Waits         uint64 `json:"waits"`
	Recoveries    uint64 `json:"recoveries"`  // times the owner had died
	RolledBack    uint64 `json:"rolled_back"` // stores of dead owners undone
	LongestHoldNs uint64 `json:"longest_hold_ns"`
}

// ZoneDetails is the answer to GET /zones/NAME.
type ZoneDetails struct {
	ZoneStatus
	Top   []ZoneKey     `json:"top"`             // the keys with the most connections; of limit_req, those used last
	Older []ZoneDetails `json:"older,omitempty"` // zones of that name in which older generations count
}

// ZoneKey is one key of a zone.
type ZoneKey struct {
	Key         string      `json:"key"` // an address, or quoted
	Connections int         `json:"connections"`
	Shares      []ZoneShare `json:"shares"`
}

// ZoneShare is how many of a key's connections one worker has.
type ZoneShare struct {
	Slot        int `json:"slot"`
	PID         int `json:"pid,omitempty"` // of the worker in the slot
	Connections int `json:"connections"`
}

// zoneView is a zone with what the loop knows of it.
type zoneView struct {
	*zone
	state      genState
	generation int // 0: of none that lives
}

// zoneViews describes all zones for somebody outside of the loop, who must give them back: those of the serving generation first.
func (m *master) zoneViews(used []*zone) (own, others []zoneView) {
	for _, z := range used {
		v := zoneView{zone: z, state: genDraining}
		for _, g := range m.live {
			if g.zone(z.options.name) == z && g.number > v.generation {
				v.state, v.generation = g.state, g.number
			}
		}
		if m.current.zone(z.options.name) == z {
			v.state, v.generation = m.current.state, m.current.number
			own = append(own, v)
			continue
		}
		if v.generation == 0 && z.options.kind == ipc.KindMaxConns { // it stays for those that may want it again
			continue
		}
		others = append(others, v)
	}
	return own, others
}

// describe is a zone's status for those who ask.
func (v *zoneView) describe(n *zoneNumbers) ZoneStatus {
	s := n.ZoneStatus
	s.Name, s.Kind, s.State, s.Generation = v.options.name, v.options.kind, v.state.String(), v.generation
	s.Key, s.SizeBytes = v.options.key, v.SizeBytes()
	s.UsedPages, s.FreePages, s.UsedPercent = n.slab.UsedPages(), n.slab.FreePages, 100*n.usedPart
	s.Slots, s.Mutex = slotsOf(&n.slab), mutexStatus(v.options.mutex, n.lock)
	return s
}

func slotsOf(s *slab.Stats) []ZoneSlots {
	list := []ZoneSlots{}
	for _, size := range s.Sizes {
		if size.Pages > 0 || size.Requests > 0 {
			list = append(list, ZoneSlots{
				SizeBytes: size.SlotBytes, Pages: size.Pages, Used: size.Used, Free: size.Total - size.Used,
				Requests: size.Requests, Failures: size.Fails,
			})
		}
	}
	return list
}

func mutexStatus(kind shmtx.Kind, c shmtx.Counters) MutexStatus {
	return MutexStatus{
		Kind: kind.String(), Acquisitions: c.Acquisitions, Contended: c.Contended, Spins: c.Spins, Waits: c.Waits,
		Recoveries: c.Recoveries, RolledBack: c.RolledBack, LongestHoldNs: c.LongestHoldNs,
	}
}

// details is the zone's status with its top keys; pids says who is in which slot.
func (v *zoneView) details(top int, pids map[int]int) (ZoneDetails, error) {
	n, _ := v.numbers(false)
	list, err := v.top(top, v.options.key, pids)
	return ZoneDetails{ZoneStatus: v.describe(&n), Top: list}, err
}

func zoneKey(template string, e *limitconn.Entry, pids map[int]int) ZoneKey {
	key := ZoneKey{Key: zonekey.Text(template, e.Key), Connections: e.Connections, Shares: []ZoneShare{}}
	for _, s := range e.Shares {
		key.Shares = append(key.Shares, ZoneShare{Slot: s.Slot, PID: pids[s.Slot], Connections: s.Connections})
	}
	return key
}
