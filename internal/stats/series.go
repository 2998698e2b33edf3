// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import (
	"fmt"
	"sync/atomic"

	"weir/internal/shm"
)

// SeriesKind is what a series is about.
type SeriesKind uint32

// The kinds of series.
const (
	KindServer SeriesKind = 1 + iota // a server of the config: its name, and the first address that it listens on
	KindPeer                         // an origin: its group, and its address
)

// MaxSeries is how many series there may be at one time, of both kinds together.
const MaxSeries = 1024

// seriesNameMax is how many bytes both parts of a name have at most; what is longer is cut.
const seriesNameMax = 480

// Series names what is counted beside the instance as a whole.
type Series struct {
	Kind SeriesKind
	Name [2]string // see the kinds
}

// A block belongs to one series. It begins with an entry, which is followed by a row for each slot.
const (
	rowBytes   = 640
	entryBytes = 512
)

// entry says whose rows follow. One writer: the master. Version is odd while it is being written; a reader that finds it odd, or another one
// after it has read than before, has read nothing.
type entry struct {
	version uint64 // 0
	kind    uint32 // 8: 0: nobody's
	lengths [2]uint16
	_       [16]byte
	name    [seriesNameMax]byte // 32: both parts, one after the other
}

// buckets is how many buckets a histogram has: one for each bound, and one for what is above all of them.
const buckets = 14

// Bounds are the upper bounds of the buckets of all histograms, in nanoseconds; there is one more bucket, without a bound.
func Bounds() [buckets - 1]int64 { return bounds }

var bounds = [buckets - 1]int64{500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000,
	1_000_000_000, 2_500_000_000, 10_000_000_000} // read-only

// Histogram counts durations, in 120 bytes. One writer, as with a Counter.
type Histogram struct {
	Buckets [buckets]Counter // 0: not cumulative
	SumNs   Counter          // 112
}

// Observe counts a duration in nanoseconds.
func (h *Histogram) Observe(ns int64) {
	i := 0
	for i < len(bounds) && ns > bounds[i] {
		i++
	}
	h.Buckets[i].v++
	h.SumNs.v += uint64(max(ns, 0))
}

// Row is what one worker slot has counted for one series. It is written by the worker that holds the slot; the next holder goes on where it
// stopped. Those fields that the kind has no use for are 0.
type Row struct {
	Active      Counter    // 0: gauge; server: none. peer: attempts in progress
	Requests    Counter    // 8: server: requests. peer: attempts
	Classes     [6]Counter // 16: by class of the status: 0 others, 1 to 5. peer: responses
	Received    Counter    // 64: bytes. server: from clients. peer: from the origin
	Sent        Counter    // 72: bytes. server: to clients. peer: to the origin
	Failures    Counter    // 80: peer: attempts that failed
	Unavailable Counter    // 88: peer: times that it was taken for unavailable
	Stale       Counter    // 96: peer: attempts that met a kept connection which the origin had closed, and went on over another one
	Total       Histogram  // 104: server: requests. peer: attempts, to the end of the response
	Connect     Histogram  // 224: peer: until connected, new connections only
	FirstByte   Histogram  // 344: peer: until the response's head was there
	Queue       Histogram  // 464: peer: in the queue of its group; of requests that waited in it
	_           [7]Counter // 584
}

// Count adds a status to its class.
func (r *Row) Count(status int) {
	class := uint(status) / 100
	if class > 5 {
		class = 0
	}
	r.Classes[class].v++
}

// rowWords is a Row as an array.
type rowWords [rowBytes / 8]Counter

func (s *Segment) blockBytes() int64 { return entryBytes + int64(s.slots)*rowBytes }

func (s *Segment) blockAt(i int) shm.Offset {
	return shm.DataArea + shm.Offset(int64(s.slots)*pageBytes+int64(i)*s.blockBytes())
}

func (s *Segment) entry(i int) *entry { return shm.At[entry](s.zone, s.blockAt(i)) }

func (s *Segment) row(i, slot int) shm.Offset {
	return s.blockAt(i) + entryBytes + shm.Offset(slot*rowBytes)
}

func (e *entry) series() Series {
	first, second := min(int(e.lengths[0]), seriesNameMax), min(int(e.lengths[1]), seriesNameMax)
	second = min(second, seriesNameMax-first)
	return Series{SeriesKind(e.kind), [2]string{string(e.name[:first]), string(e.name[first : first+second])}}
}

func (e *entry) write(x Series) {
	atomic.AddUint64(&e.version, 1)
	e.kind = uint32(x.Kind)
	e.lengths[0] = uint16(copy(e.name[:], x.Name[0]))
	e.lengths[1] = uint16(copy(e.name[e.lengths[0]:], x.Name[1]))
	atomic.AddUint64(&e.version, 1)
}

// stored is the series as an entry gives it back.
func stored(x Series) Series {
	var e entry
	e.write(x)
	return e.series()
}

// count is how many blocks are reserved.
func (s *Segment) count() int { return int(min(s.Master().series.Load(), MaxSeries)) }

// Register makes room for series. Those that are there go on. One that is not takes the place of one that inUse does not know, whose numbers are
// forgotten, or a new place. Only the master may call it, before it starts the workers that count. The error says that there is no room.
func (s *Segment) Register(list []Series, inUse func(Series) bool) error {
	have := map[Series]bool{}
	var free []int
	for i := range s.count() {
		e := s.entry(i)
		sound := e.version%2 == 0 && e.kind != 0
		if sound {
			have[e.series()] = true
		}
		if !sound || !inUse(e.series()) {
			free = append(free, i)
		}
	}
	wanted := map[Series]bool{}
	for _, x := range list {
		wanted[stored(x)] = true
	}
	for _, x := range list {
		x = stored(x)
		if have[x] {
			continue
		}
		for len(free) > 0 && wanted[s.entry(free[0]).series()] { // it is about to be used again
			free = free[1:]
		}
		at := s.count()
		switch {
		case len(free) > 0 && at >= registerAnew:
			at, free = free[0], free[1:]
		case at == MaxSeries:
			return fmt.Errorf("counters: there is no room for more than %d servers and origins", MaxSeries)
		default:
			if err := s.zone.Reserve(s.blockAt(at), s.blockBytes()); err != nil {
				return err
			}
		}
		s.replace(at, x)
		have[x] = true
	}
	return nil
}

// registerAnew is how many series there are before places are used again: until then those of a config that is gone keep their numbers, in case they
// come back.
const registerAnew = 128

// replace gives a block to another series.
func (s *Segment) replace(at int, x Series) {
	e := s.entry(at)
	if e.version%2 == 1 { // whoever wrote it last has died meanwhile
		atomic.AddUint64(&e.version, 1)
	}
	e.write(Series{})
	for slot := range s.slots {
		words := shm.At[rowWords](s.zone, s.row(at, slot))
		for i := range words {
			words[i].store(0)
		}
	}
	e.write(x)
	if at >= s.count() {
		s.Master().series.store(uint64(at + 1))
	}
}

// Row is where the holder of a slot counts for a series; nil when the series has not been registered.
func (s *Segment) Row(x Series, slot int) *Row {
	x = stored(x)
	for i := range s.count() {
		if e := s.entry(i); e.version%2 == 0 && e.kind == uint32(x.Kind) && e.series() == x {
			return shm.At[Row](s.zone, s.row(i, slot))
		}
	}
	return nil
}

// Total is what all slots have counted for a series.
type Total struct {
	Series
	words [rowBytes / 8]uint64
}

// Totals adds the rows of each series up, of those that are registered.
func (s *Segment) Totals() []Total {
	var list []Total
	for i := range s.count() {
		e := s.entry(i)
		version := atomic.LoadUint64(&e.version)
		if e.kind == 0 {
			continue
		}
		t := Total{Series: e.series()}
		for slot := range s.slots {
			for w, c := range shm.At[rowWords](s.zone, s.row(i, slot)) {
				t.words[w] += c.Load()
			}
		}
		if version%2 == 0 && atomic.LoadUint64(&e.version) == version {
			list = append(list, t)
		}
	}
	return list
}

// Row is the sums, in the form that each worker has them.
func (t *Total) Row() (r Row) {
	words := [...]*Counter{&r.Active, &r.Requests, &r.Classes[0], &r.Classes[1], &r.Classes[2], &r.Classes[3], &r.Classes[4], &r.Classes[5],
		&r.Received, &r.Sent, &r.Failures, &r.Unavailable, &r.Stale}
	for i, c := range words {
		c.v = t.words[i]
	}
	for i, h := range [...]*Histogram{&r.Total, &r.Connect, &r.FirstByte, &r.Queue} {
		from := t.words[len(words)+i*(buckets+1):]
		for b := range h.Buckets {
			h.Buckets[b].v = from[b]
		}
		h.SumNs.v = from[buckets]
	}
	return r
}

// forgetRows sets the gauges of a slot's rows to 0: the worker that had them is dead.
func (s *Segment) forgetRows(slot int) {
	for i := range s.count() {
		shm.At[Row](s.zone, s.row(i, slot)).Active.store(0)
	}
}
