// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"cmp"
	"os"
	"slices"
	"time"

	"weir/internal/ipc"
	"weir/internal/sight"
	"weir/internal/slots"
	"weir/internal/stats"
	"weir/internal/sys"
)

// Status is the answer to GET /status.
type Status struct {
	Version     string             `json:"version"`
	PID         int                `json:"pid"`
	State       string             `json:"state"`      // starting, serving, draining, leaving, quitting, stopping
	Generation  int                `json:"generation"` // that serves, or served last; 0: none yet
	Config      string             `json:"config"`
	UptimeMs    int64              `json:"uptime_ms"`
	MemoryBytes int64              `json:"memory_bytes"`         // resident, of this process
	OldMaster   int                `json:"old_master,omitempty"` // the process of the old master of an upgrade, while it lives
	NewMaster   int                `json:"new_master,omitempty"` // the process of the new one, in the answer of the old one
	Generations []GenerationStatus `json:"generations"`          // that live, the oldest first; those of older masters too
	Workers     []WorkerStatus     `json:"workers"`              // of all generations, the oldest first
	Connections Connections        `json:"connections"`
	Zones       []ZoneStatus       `json:"zones"`                // those of the serving generation first
	Upstreams   []sight.Upstream   `json:"upstreams"`            // of the config that serves
	Temp        *TempStatus        `json:"temp_files,omitempty"` // missing with zones_busy
	ZonesBusy   bool               `json:"zones_busy,omitempty"` // there are zones, but the lock of one was not to be had: its owner may be stopped
}

// GenerationStatus is one accepted config and the workers that run it.
type GenerationStatus struct {
	Number      int          `json:"number"`
	State       string       `json:"state"`  // starting, serving, draining, stopping
	Master      int          `json:"master"` // the process that the workers belong to
	Workers     int          `json:"workers"`
	AgeMs       int64        `json:"age_ms"`         // of its oldest worker
	MemoryBytes int64        `json:"memory_bytes"`   // resident, of its workers; shared memory counts in each
	Active      uint64       `json:"active"`         // client connections
	Held        []ipc.Holder `json:"held,omitempty"` // what keeps it from leaving, the most numerous first
}

// WorkerStatus is one worker process.
type WorkerStatus struct {
	PID         int          `json:"pid"`
	Slot        int          `json:"slot"`
	Generation  int          `json:"generation"`
	State       string       `json:"state"` // starting, ready, draining, stopping
	AgeMs       int64        `json:"age_ms"`
	MemoryBytes int64        `json:"memory_bytes"` // resident
	Restarts    int          `json:"restarts"`     // processes before this one in its place
	Active      uint64       `json:"active"`       // its client connections
	Requests    uint64       `json:"requests"`     // that it has served
	Held        []ipc.Holder `json:"held,omitempty"`

	Buffers []PoolStatus `json:"buffers"` // its pools of blocks
	Large   LargeStatus  `json:"large"`   // its memory for larger pieces
	Bodies  BodiesStatus `json:"bodies"`  // how bodies went

	master int
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
		Version: m.opts.Build, PID: os.Getpid(), State: m.state(), MemoryBytes: sys.ResidentBytes(os.Getpid()),
		UptimeMs: now.Sub(m.started).Milliseconds(), Workers: []WorkerStatus{}, Generations: []GenerationStatus{},
	}
	if m.current != nil {
		s.Generation, s.Config = m.current.number, m.current.source.Name
	}
	if m.predecessor.lives() {
		s.OldMaster = m.predecessor.pid
	}
	if m.beside() {
		s.NewMaster = m.successor.pid
	}
	s.Workers = append(m.strangerStatus(now), m.workerStatus(now)...)
	states := make(map[int]string)
	for _, g := range m.live {
		states[g.number] = g.state.String()
	}
	s.Generations = generationsOf(s.Workers, states)
	sum := m.stats.Sum()
	s.Connections = Connections{
		Active: sum[stats.Active], Reading: sum[stats.Reading], Writing: sum[stats.Writing], Waiting: sum[stats.Waiting],
		Accepted: sum[stats.Accepted], Handled: sum[stats.Handled], Requests: sum[stats.Requests],
	}
	return s
}

// workerStatus lists this master's workers.
func (m *master) workerStatus(now time.Time) []WorkerStatus {
	list := []WorkerStatus{}
	for _, g := range m.live {
		for _, w := range g.workers {
			status := WorkerStatus{
				PID: w.pid, Slot: w.slot, Generation: g.number, State: w.state.String(), master: os.Getpid(),
				AgeMs: now.Sub(w.started).Milliseconds(), Restarts: w.restarts, MemoryBytes: sys.ResidentBytes(w.pid),
			}
			if w.state >= workerDraining {
				status.Held = aged(w.holders, now.Sub(w.heldAt))
			}
			if w.exit == nil { // or the slot may be another's by now
				m.count(&status)
			}
			list = append(list, status)
		}
	}
	return list
}

// count adds what a worker has counted.
func (m *master) count(w *WorkerStatus) {
	counted := m.stats.Worker(w.Slot)
	w.Active, w.Requests = counted[stats.Active], counted[stats.Requests]
	memory := m.stats.Memory(w.Slot)
	w.Buffers, w.Large = poolStatus(memory)
	w.Bodies = bodiesStatus(&memory.Bodies)
}

// aged is what held a worker some time ago, as it has grown older since; what holds it may have become less.
func aged(holders []ipc.Holder, since time.Duration) []ipc.Holder {
	list := slices.Clone(holders)
	for i := range list {
		list[i].OldestMs += since.Milliseconds()
	}
	return list
}

// strangers are the workers of other masters, from the slot table.
func (m *master) strangers() []slots.Slot {
	return slices.DeleteFunc(m.table.All(), func(s slots.Slot) bool {
		return s.Owner == os.Getpid() || s.State == slots.Claimed || !m.table.Alive(s.Index)
	})
}

// strangerStatus lists the workers of other masters, as far as they can be seen from here.
func (m *master) strangerStatus(now time.Time) []WorkerStatus {
	list := []WorkerStatus{}
	for _, s := range m.strangers() {
		status := WorkerStatus{
			PID: s.PID, Slot: s.Index, Generation: s.Generation, State: s.State.String(), master: s.Owner, MemoryBytes: sys.ResidentBytes(s.PID),
		}
		age, ok := sys.ProcessAge(s.PID)
		if !ok || status.MemoryBytes == 0 {
			continue // it has ended, and its slot has not been looked at yet
		}
		status.AgeMs = age.Milliseconds()
		if p := m.predecessor; p != nil {
			status.Held = aged(p.holders[s.PID], now.Sub(p.heldAt))
		}
		m.count(&status)
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b WorkerStatus) int { return cmp.Or(a.Generation-b.Generation, a.Slot-b.Slot) })
	return list
}

// generationsOf adds workers up. states are those of this master's own generations.
func generationsOf(workers []WorkerStatus, states map[int]string) []GenerationStatus {
	list := []GenerationStatus{}
	for i := range workers {
		w := &workers[i]
		at := slices.IndexFunc(list, func(g GenerationStatus) bool { return g.Number == w.Generation && g.Master == w.master })
		if at < 0 {
			at = len(list)
			state := w.State
			if own, ok := states[w.Generation]; ok && w.master == os.Getpid() {
				state = own
			} else if state == slots.Ready.String() {
				state = genServing.String()
			}
			list = append(list, GenerationStatus{Number: w.Generation, State: state, Master: w.master})
		}
		g := &list[at]
		g.Workers++
		g.AgeMs = max(g.AgeMs, w.AgeMs)
		g.MemoryBytes += w.MemoryBytes
		g.Active += w.Active
		g.Held = addHolders(g.Held, w.Held)
	}
	return list
}

// addHolders adds what holds one worker to what holds others.
func addHolders(sum, more []ipc.Holder) []ipc.Holder {
	for _, h := range more {
		at := slices.IndexFunc(sum, func(o ipc.Holder) bool { return o.What == h.What && o.Server == h.Server && o.Location == h.Location })
		if at < 0 {
			sum = append(sum, h)
			continue
		}
		sum[at].Count += h.Count
		sum[at].OldestMs = max(sum[at].OldestMs, h.OldestMs)
	}
	slices.SortStableFunc(sum, func(a, b ipc.Holder) int { return b.Count - a.Count })
	return sum
}

func (m *master) state() string {
	switch {
	case m.ending == stopping:
		return "stopping"
	case m.ending == quitting:
		return "quitting"
	case m.ending == leaving:
		return "leaving"
	case m.current == nil:
		return "starting"
	}
	return m.current.state.String()
}
