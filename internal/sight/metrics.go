// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
)

// AppendMetrics appends the snapshot in the Prometheus text format.
func (s *Snapshot) AppendMetrics(dst []byte) []byte {
	t := &text{dst: dst}
	s.instance(t)
	s.connections(t)
	s.servers(t)
	s.origins(t)
	s.upstreams(t)
	s.zones(t)
	s.memory(t)
	s.movement(t)
	return t.dst
}

const (
	counter = "counter"
	gauge   = "gauge"
)

func (s *Snapshot) instance(t *text) {
	t.metric("weir_build_info", gauge, "The build; the value is always 1.")
	t.sample(1, "version", s.Version, "goversion", runtime.Version())
	t.only("weir_start_time_seconds", gauge, "When weir was started, in seconds since the epoch. An upgrade does not change it.", float64(s.StartedSec))
	t.only("weir_generation", gauge, "The generation that serves: the number of the accepted config.", float64(s.Generation))
	t.metric("weir_workers", gauge, "Worker processes, by generation and state.")
	type group struct {
		generation int
		state      string
	}
	groups := map[group]uint64{}
	for _, w := range s.Workers {
		groups[group{w.Generation, w.State}]++
	}
	order := func(a, b group) int {
		if a.generation != b.generation {
			return a.generation - b.generation
		}
		return len(a.state) - len(b.state) // ready, starting and draining differ in that, or do not matter
	}
	for _, g := range slices.SortedFunc(maps.Keys(groups), order) {
		t.count(groups[g], "generation", strconv.Itoa(g.generation), "state", g.state)
	}
	t.only("weir_worker_deaths_total", counter, "Workers that ended unasked.", float64(s.Deaths))
	t.metric("weir_reloads_total", counter, "Reloads of the config, by result.")
	t.count(s.Reloads.OK, "result", "ok")
	t.count(s.Reloads.Failed, "result", "failed")
	t.only("weir_last_reload_timestamp_seconds", gauge, "When the last reload ended, in seconds since the epoch; 0: there was none.", float64(s.Reloads.LastMs)/1e3)
	t.only("weir_last_reload_successful", gauge, "Whether the last reload succeeded.", truth(s.Reloads.LastOK))
	t.only("weir_upgrades_total", counter, "Upgrades to another binary that succeeded.", float64(s.Upgrades))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (s *Snapshot) connections(t *text) {
	c := &s.Connections
	t.metric("weir_connections", gauge, "Client connections, by what they do.")
	t.count(c.Reading, "state", "reading")
	t.count(c.Writing, "state", "writing")
	t.count(c.Waiting, "state", "waiting")
	t.only("weir_connections_active", gauge, "Client connections.", float64(c.Active))
	t.only("weir_connections_accepted_total", counter, "Client connections accepted.", float64(c.Accepted))
	t.only("weir_connections_handled_total", counter, "Client connections that were given a place; the others met a limit.", float64(c.Handled))
	t.only("weir_requests_total", counter, "Requests, of all servers.", float64(c.Requests))
	t.only("weir_upstream_connects_total", counter, "Connections opened to origins.", float64(c.Origins))
}

func (t *text) classes(c *Classes, labels ...string) {
	for _, x := range [...]struct {
		class string
		n     uint64
	}{{"1xx", c.Informational}, {"2xx", c.Success}, {"3xx", c.Redirection}, {"4xx", c.ClientError}, {"5xx", c.ServerError}, {"other", c.Other}} {
		t.count(x.n, append(labels[:len(labels):len(labels)], "class", x.class)...)
	}
}

func (s *Snapshot) servers(t *text) {
	each := func(name, kind, help string, one func(x *Server, labels []string)) {
		t.metric(name, kind, help)
		for i := range s.Servers {
			one(&s.Servers[i], []string{"server", s.Servers[i].Name, "listen", s.Servers[i].Listen})
		}
	}
	if len(s.Servers) == 0 {
		return
	}
	each("weir_server_responses_total", counter, "Requests that have ended, by server and class of the status.", func(x *Server, l []string) { t.classes(&x.Statuses, l...) })
	each("weir_server_received_bytes_total", counter, "Bytes of requests that have ended.", func(x *Server, l []string) { t.count(x.Received, l...) })
	each("weir_server_sent_bytes_total", counter, "Bytes sent to clients in requests that have ended.", func(x *Server, l []string) { t.count(x.Sent, l...) })
	each("weir_server_request_duration_seconds", "histogram", "From the first byte of a request to the end of its response.",
		func(x *Server, l []string) { t.histogram(&x.Time, s.BoundsSec, l...) })
}

func (s *Snapshot) origins(t *text) {
	each := func(name, kind, help string, one func(x *Origin, labels []string)) {
		t.metric(name, kind, help)
		for i := range s.Origins {
			one(&s.Origins[i], []string{"upstream", s.Origins[i].Upstream, "peer", s.Origins[i].Peer})
		}
	}
	if len(s.Origins) == 0 {
		return
	}
	each("weir_upstream_active", gauge, "Attempts in progress.", func(x *Origin, l []string) { t.count(x.Active, l...) })
	each("weir_upstream_attempts_total", counter, "Attempts to have a request answered by the origin.", func(x *Origin, l []string) { t.count(x.Attempts, l...) })
	each("weir_upstream_responses_total", counter, "Responses of the origin, by class of the status.", func(x *Origin, l []string) { t.classes(&x.Statuses, l...) })
	each("weir_upstream_failures_total", counter, "Attempts that count as failures of the origin (max_fails).", func(x *Origin, l []string) { t.count(x.Failures, l...) })
	each("weir_upstream_unavailable_total", counter, "How often a worker took the origin for unavailable.", func(x *Origin, l []string) { t.count(x.Unavailable, l...) })
	each("weir_upstream_stale_reuse_total", counter, "Attempts that met a kept connection which the origin had closed, and went on over a new one.",
		func(x *Origin, l []string) { t.count(x.Stale, l...) })
	each("weir_upstream_received_bytes_total", counter, "Bytes received from the origin.", func(x *Origin, l []string) { t.count(x.Received, l...) })
	each("weir_upstream_sent_bytes_total", counter, "Bytes sent to the origin.", func(x *Origin, l []string) { t.count(x.Sent, l...) })
	each("weir_upstream_queue_duration_seconds", "histogram", "Time in the queue of the group, of requests that waited in it.",
		func(x *Origin, l []string) { t.histogram(&x.Queue, s.BoundsSec, l...) })
	each("weir_upstream_connect_duration_seconds", "histogram", "Time to connect, of new connections.",
		func(x *Origin, l []string) { t.histogram(&x.Connect, s.BoundsSec, l...) })
	each("weir_upstream_first_byte_duration_seconds", "histogram", "From the start of an attempt to the head of the response.",
		func(x *Origin, l []string) { t.histogram(&x.FirstByte, s.BoundsSec, l...) })
	each("weir_upstream_duration_seconds", "histogram", "From the start of an attempt to its end.",
		func(x *Origin, l []string) { t.histogram(&x.Total, s.BoundsSec, l...) })
}

// upstreams is in which state the origins are.
func (s *Snapshot) upstreams(t *text) {
	each := func(name, kind, help string, one func(p *Peer, labels []string)) {
		t.metric(name, kind, help)
		for i := range s.Upstreams {
			u := &s.Upstreams[i]
			seen := map[string]bool{} // of an address that a group has several times, the first
			for j := range u.Peers {
				if p := &u.Peers[j]; !seen[p.Address] {
					seen[p.Address] = true
					one(p, []string{"upstream", u.Name, "peer", p.Address})
				}
			}
		}
	}
	if len(s.Upstreams) == 0 {
		return
	}
	each("weir_upstream_peer_state", gauge, "Whether the origin is in the state.", func(p *Peer, l []string) {
		for _, state := range PeerStates() {
			t.sample(truth(p.State == state), append(l[:len(l):len(l)], "state", state)...)
		}
	})
	each("weir_upstream_peer_fails", gauge, "Failed attempts that no success has ended, of all workers.", func(p *Peer, l []string) { t.count(uint64(p.Fails), l...) })
	each("weir_upstream_peer_in_work", gauge, "Requests in progress at the origin, of all workers.", func(p *Peer, l []string) { t.count(uint64(p.Active), l...) })
}

func (s *Snapshot) zones(t *text) {
	if len(s.Zones) == 0 {
		return
	}
	each := func(name, kind, help string, one func(z *Zone, labels []string)) {
		t.metric(name, kind, help)
		for i := range s.Zones {
			if z := &s.Zones[i]; z.Up || name == "weir_limit_zone_up" {
				one(z, []string{"zone", z.Name, "kind", z.Kind})
			}
		}
	}
	each("weir_limit_zone_up", gauge, "Whether the zone could be read; without, its other metrics are missing.", func(z *Zone, l []string) { t.sample(truth(z.Up), l...) })
	each("weir_limit_zone_requests_total", counter, "What the zone was asked for (connections, requests or attempts), by result.", func(z *Zone, l []string) {
		with := func(result string, n uint64) { t.count(n, append(l[:len(l):len(l)], "result", result)...) }
		with("passed", z.Passed)
		with("rejected", z.Rejected)
		if z.Kind == "limit_req" {
			with("delayed", z.Delayed)
		}
		with("dry_run", z.DryRun)
		with("bypassed", z.Bypassed)
		with("full", z.Full)
	})
	s.waits(t, each)
	each("weir_limit_zone_evicted_keys_total", counter, "Keys that had to leave a full zone before they were idle.", func(z *Zone, l []string) { t.count(z.Evicted, l...) })
	each("weir_limit_zone_keys", gauge, "Keys in the zone.", func(z *Zone, l []string) { t.count(uint64(z.Keys), l...) })
	each("weir_limit_zone_pages", gauge, "Pages of 4096 bytes that the zone has for keys.", func(z *Zone, l []string) { t.count(uint64(z.Pages), l...) })
	each("weir_limit_zone_used_pages", gauge, "Of those, the ones in use.", func(z *Zone, l []string) { t.count(uint64(z.UsedPages), l...) })
}

// waits is about the requests that wait in line for a place.
func (s *Snapshot) waits(t *text, each func(name, kind, help string, one func(z *Zone, labels []string))) {
	conns := func(one func(z *Zone, l []string)) func(z *Zone, l []string) {
		return func(z *Zone, l []string) {
			if z.Kind != "limit_req" {
				one(z, l)
			}
		}
	}
	each("weir_limit_zone_waiting", gauge, "Requests that wait in line for a place.", conns(func(z *Zone, l []string) { t.count(uint64(z.Waiting), l...) }))
	each("weir_limit_zone_waits_total", counter, "Requests that had to wait in line, by what became of it.", conns(func(z *Zone, l []string) {
		with := func(result string, n uint64) { t.count(n, append(l[:len(l):len(l)], "result", result)...) }
		with("given", z.Waits.Given)
		with("late", z.Waits.Late)
		with("left", z.Waits.Left)
		with("overflowed", z.Waits.Overflowed)
	}))
	each("weir_limit_zone_wait_duration_seconds", "histogram", "How long those waited that were given a place.",
		conns(func(z *Zone, l []string) { t.histogram(&z.Waits.Time, s.BoundsSec, l...) }))
}

func (s *Snapshot) memory(t *text) {
	each := func(name, help string, value func(p *Pool) float64) {
		t.metric(name, gauge, help)
		for i := range s.Workers {
			w := &s.Workers[i]
			for j := range w.Pools {
				t.sample(value(&w.Pools[j]), "slot", strconv.Itoa(w.Slot), "size", fmt.Sprint(w.Pools[j].SizeBytes))
			}
		}
	}
	each("weir_buffer_used_bytes", "Blocks in use, by worker slot and block size.", func(p *Pool) float64 { return float64(p.Used * p.SizeBytes) })
	each("weir_buffer_limit_bytes", "Blocks at most.", func(p *Pool) float64 { return float64(p.Limit * p.SizeBytes) })
	each("weir_buffer_waiting", "Who waits for a block.", func(p *Pool) float64 { return float64(p.Waiting) })
	each("weir_buffer_pressed", "Whether less than a quarter of the limit is free.", func(p *Pool) float64 { return truth(p.Pressed) })
	t.only("weir_buffer_waits_total", counter, "How often a block was waited for.", float64(s.Buffers.Waits))
	t.only("weir_buffer_refusals_total", counter, "How often there was no memory for the purpose asked for.", float64(s.Buffers.Refusals))
	t.only("weir_buffer_failures_total", counter, "How often the kernel had no memory.", float64(s.Buffers.Failures))
	if s.Temp != nil {
		t.only("weir_temp_quota_bytes", gauge, "buffers.temp_quota.", float64(s.Temp.LimitBytes))
		t.only("weir_temp_used_bytes", gauge, "What all temporary files hold of it.", float64(s.Temp.UsedBytes))
		t.only("weir_temp_refused_total", counter, "How often there was no room for ordinary use.", float64(s.Temp.Refused))
	}
}

// movement is how bodies went, and the loops that moved them.
func (s *Snapshot) movement(t *text) {
	b := &s.Bodies
	t.only("weir_bodies_spliced_total", counter, "Bodies that went through kernel pipes, in part at least.", float64(b.Spliced))
	t.only("weir_spliced_bytes_total", counter, "Bytes that did so.", float64(b.SplicedBytes))
	t.metric("weir_bodies_not_spliced_total", counter, "Bodies that did not go through kernel pipes, by reason.")
	for _, why := range slices.Sorted(maps.Keys(b.NotSpliced)) {
		t.count(b.NotSpliced[why], "reason", why)
	}
	t.only("weir_spilled_bytes_total", counter, "Bytes of bodies written to temporary files.", float64(b.SpilledBytes))
	t.metric("weir_spill_failures_total", counter, "How often a body could not be written to a temporary file, by reason.")
	t.count(b.SpillRefused, "reason", "quota")
	t.count(b.SpillBounded, "reason", "file_size")
	t.count(b.SpillFailed, "reason", "error")
	t.only("weir_peeked_bytes_total", counter, "Bytes relayed without a block, because memory was short.", float64(b.PeekedBytes))
	t.only("weir_loop_turns_total", counter, "Turns of the workers' loops.", float64(s.Loop.Turns))
	t.only("weir_loop_sleeps_total", counter, "Turns that waited in the kernel.", float64(s.Loop.Sleeps))
	t.only("weir_loop_busy_seconds_total", counter, "Time in turns, their waits not counted.", s.Loop.BusySec)
	t.metric("weir_loop_longest_turn_seconds", gauge, "The longest turn of a worker, by slot.")
	for _, w := range s.Workers {
		t.sample(w.LongestSec, "slot", strconv.Itoa(w.Slot))
	}
}
