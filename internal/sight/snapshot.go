// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sight

import "encoding/json"

// Snapshot is the numbers at one moment. Its JSON is the answer of status_api. Names with "total" in the metrics grow only; units are
// bytes and seconds.
type Snapshot struct {
	Version     string      `json:"version"`
	TimeMs      int64       `json:"time_ms"`    // since the epoch
	StartedSec  uint64      `json:"started"`    // of the first master, in seconds since the epoch
	Generation  uint64      `json:"generation"` // that serves
	Reloads     Reloads     `json:"reloads"`
	Upgrades    uint64      `json:"upgrades"`
	Deaths      uint64      `json:"worker_deaths"` // workers that ended unasked
	Workers     []Worker    `json:"workers"`       // of all generations
	Connections Connections `json:"connections"`
	Servers     []Server    `json:"servers"`
	Origins     []Origin    `json:"origins"`
	Upstreams   []Upstream  `json:"upstreams"` // of the generation that answers
	Zones       []Zone      `json:"zones"`
	Buffers     Buffers     `json:"buffers"`
	Temp        *Temp       `json:"temp_files,omitempty"` // missing: there are none, or their lock was not to be had
	Bodies      Bodies      `json:"bodies"`
	Loop        Loop        `json:"loop"`
	BoundsSec   []float64   `json:"bounds"` // upper bounds of the buckets of all histograms; the last bucket has none
}

// Reloads is how reloads went.
type Reloads struct {
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"`
	LastMs uint64 `json:"last_ms"` // when the last one ended, since the epoch; 0: there was none
	LastOK bool   `json:"last_ok"`
}

// Worker is one worker process.
type Worker struct {
	PID        int     `json:"pid"`
	Slot       int     `json:"slot"`
	Generation int     `json:"generation"` // modulo 4096
	State      string  `json:"state"`      // starting, ready, draining
	Active     uint64  `json:"active"`     // client connections
	Requests   uint64  `json:"requests"`
	LongestSec float64 `json:"longest_turn"`
	Pools      []Pool  `json:"pools"`
}

// Pool is one of a worker's pools of blocks.
type Pool struct {
	SizeBytes uint64   `json:"size"`
	Users     []string `json:"users"`
	Used      uint64   `json:"used"`
	Limit     uint64   `json:"limit"`
	Waiting   uint64   `json:"waiting"`
	Pressed   bool     `json:"pressed"`
}

// Connections are those of clients, and requests.
type Connections struct {
	Active   uint64 `json:"active"`
	Reading  uint64 `json:"reading"`
	Writing  uint64 `json:"writing"`
	Waiting  uint64 `json:"waiting"`
	Accepted uint64 `json:"accepted"`
	Handled  uint64 `json:"handled"`
	Requests uint64 `json:"requests"`
	Origins  uint64 `json:"upstream_connects"`
}

// Classes are counts by class of the status.
type Classes struct {
	Informational uint64 `json:"1xx"`
	Success       uint64 `json:"2xx"`
	Redirection   uint64 `json:"3xx"`
	ClientError   uint64 `json:"4xx"`
	ServerError   uint64 `json:"5xx"`
	Other         uint64 `json:"other"`
}

// Latency is a histogram of durations.
type Latency struct {
	Buckets []uint64 `json:"buckets"` // not cumulative; see Snapshot.BoundsSec
	Count   uint64   `json:"count"`
	SumSec  float64  `json:"sum"`
}

// Server is one server of the config.
type Server struct {
	Name     string  `json:"server"`
	Listen   string  `json:"listen"`
	Requests uint64  `json:"requests"`
	Statuses Classes `json:"statuses"`
	Received uint64  `json:"received"` // bytes from clients
	Sent     uint64  `json:"sent"`     // bytes to clients
	Time     Latency `json:"time"`
}

// Origin is one origin of a group.
type Origin struct {
	Upstream    string  `json:"upstream"`
	Peer        string  `json:"peer"`
	Active      uint64  `json:"active"`
	Attempts    uint64  `json:"attempts"`
	Statuses    Classes `json:"statuses"`
	Failures    uint64  `json:"failures"`
	Unavailable uint64  `json:"unavailable"` // times that it was taken for unavailable
	Received    uint64  `json:"received"`
	Sent        uint64  `json:"sent"`
	Stale       uint64  `json:"stale"` // attempts that met a kept connection which the origin had closed
	Queue       Latency `json:"queue"` // of requests that waited in the group's queue
	Connect     Latency `json:"connect"`
	FirstByte   Latency `json:"first_byte"`
	Total       Latency `json:"total"`
}

// Zone is one limit zone.
type Zone struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"` // limit_conn, limit_req, max_conns
	Up        bool   `json:"up"`   // false: its lock was not to be had, or it is damaged; the rest is 0
	SizeBytes int64  `json:"size"`
	Keys      int    `json:"keys"`
	UsedPages int    `json:"used_pages"`
	Pages     int    `json:"pages"`
	Passed    uint64 `json:"passed"`
	Delayed   uint64 `json:"delayed"`
	Rejected  uint64 `json:"rejected"`
	DryRun    uint64 `json:"dry_run"`
	Bypassed  uint64 `json:"bypassed"`
	Full      uint64 `json:"full"`
	Evicted   uint64 `json:"evicted"`
	Waiting   int    `json:"waiting"` // requests in line at present
	Waits     Waits  `json:"waits"`
	Top       []Key  `json:"top,omitempty"` // see ReadWithKeys
}

// Key is a key of a limit zone, as `weir zone show` writes it.
type Key struct {
	Key         string `json:"key"`
	Connections int    `json:"connections,omitempty"` // requests or connections that it has; not of limit_req
}

// Waits is what has become of the requests that had to wait in line for a place.
type Waits struct {
	Given      uint64  `json:"given"`      // had one
	Late       uint64  `json:"late"`       // waited as long as they might
	Left       uint64  `json:"left"`       // their clients went away
	Overflowed uint64  `json:"overflowed"` // found the line full
	Time       Latency `json:"time"`       // of those that had one
}

// Buffers are totals over the pools of all workers.
type Buffers struct {
	Waits    uint64 `json:"waits"`
	Refusals uint64 `json:"refusals"`
	Failures uint64 `json:"failures"`
}

// Temp is the quota of temporary files.
type Temp struct {
	LimitBytes int64  `json:"limit"`
	UsedBytes  int64  `json:"used"`
	Refused    uint64 `json:"refused"`
}

// Bodies is how bodies went.
type Bodies struct {
	Spliced      uint64            `json:"spliced"`
	SplicedBytes uint64            `json:"spliced_bytes"`
	NotSpliced   map[string]uint64 `json:"not_spliced"` // by reason
	SpilledBytes uint64            `json:"spilled_bytes"`
	SpillRefused uint64            `json:"spill_refused"`
	SpillBounded uint64            `json:"spill_bounded"`
	SpillFailed  uint64            `json:"spill_failed"`
	PeekedBytes  uint64            `json:"peeked_bytes"`
}

// Loop is the turns of all workers' loops.
type Loop struct {
	Turns      uint64  `json:"turns"`
	Sleeps     uint64  `json:"sleeps"`
	BusySec    float64 `json:"busy"`
	LongestSec float64 `json:"longest_turn"` // of the workers that live
}

// AppendJSON appends the snapshot as JSON.
func (s *Snapshot) AppendJSON(dst []byte) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // its types cannot fail
	}
	return append(append(dst, text...), '\n')
}
