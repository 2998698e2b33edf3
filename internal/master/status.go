// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"os"
	"time"

	"weir/internal/stats"
)

// Status is the answer to GET /status.
type Status struct {
	Version     string         `json:"version"`
	PID         int            `json:"pid"`
	State       string         `json:"state"`      // starting, serving, draining, quitting, stopping
	Generation  int            `json:"generation"` // that serves, or served last; 0: none yet
	Config      string         `json:"config"`
	UptimeMs    int64          `json:"uptime_ms"`
	Workers     []WorkerStatus `json:"workers"` // of all generations, the oldest first
	Connections Connections    `json:"connections"`
	Zones       []ZoneStatus   `json:"zones"`                // those of the serving generation first
	ZonesBusy   bool           `json:"zones_busy,omitempty"` // there are zones, but the lock of one was not to be had: its owner may be stopped
}

// WorkerStatus is one worker process.
type WorkerStatus struct {
	PID        int    `json:"pid"`
	Slot       int    `json:"slot"`
	Generation int    `json:"generation"`
	State      string `json:"state"` // starting, ready, draining, stopping
	AgeMs      int64  `json:"age_ms"`
	Restarts   int    `json:"restarts"` // processes before this one in its place
	Active     uint64 `json:"active"`   // its client connections
	Requests   uint64 `json:"requests"` // that it has served
}

// Connections are sums over all workers: the first four of those alive, the others since the start of weir.
type Connections struct {
	Active   uint64 `json:"active"`
	Reading  uint64 `json:"reading"`
	Writing  uint64 `json:"writing"`
	Waiting  uint64 `json:"waiting"`
	Accepted uint64 `json:"accepted"`
	Handled  uint64 `json:"handled"`
	Requests uint64 `json:"requests"`
}

// status describes the present moment.
func (m *master) status() Status {
	now := time.Now()
	s := Status{
		Version: m.opts.Build, PID: os.Getpid(), State: m.state(),
		UptimeMs: now.Sub(m.started).Milliseconds(), Workers: []WorkerStatus{},
	}
	if m.current != nil {
		s.Generation, s.Config = m.current.number, m.current.source.Name
	}
	for _, g := range m.live {
		for _, w := range g.workers {
			var counted stats.Values
			if w.exit == nil { // or the slot may be another's by now
				counted = m.stats.Worker(w.slot)
			}
			s.Workers = append(s.Workers, WorkerStatus{
				PID: w.pid, Slot: w.slot, Generation: g.number, State: w.state.String(),
				AgeMs: now.Sub(w.started).Milliseconds(), Restarts: w.restarts,
				Active: counted[stats.Active], Requests: counted[stats.Requests],
			})
		}
	}
	sum := m.stats.Sum()
	s.Connections = Connections{
		Active: sum[stats.Active], Reading: sum[stats.Reading], Writing: sum[stats.Writing], Waiting: sum[stats.Waiting],
		Accepted: sum[stats.Accepted], Handled: sum[stats.Handled], Requests: sum[stats.Requests],
	}
	return s
}

func (m *master) state() string {
	switch {
	case m.ending == stopping:
		return "stopping"
	case m.ending == quitting:
		return "quitting"
	case m.current == nil:
		return "starting"
	}
	return m.current.state.String()
}
