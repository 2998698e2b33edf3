// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import (
	"fmt"
	"sync/atomic"

	"weir/internal/shm"
)

const (
	kind       = "stats"
	kindLayout = 4
)

// Counter is a number with one writer and any number of readers in any process.
type Counter struct{ v uint64 }

// Inc adds one. Only the page's owner may call it. It is a plain increment of an aligned word, which no reader can see half
// done; the locked instruction that several writers would need costs more than all the rest of counting.
func (c *Counter) Inc() { c.v++ }

// Dec takes one away from a gauge. Only the page's owner may call it.
func (c *Counter) Dec() { c.v-- }

// Add adds n. Only the page's owner may call it.
func (c *Counter) Add(n uint64) { c.v += n }

// Set makes a gauge n. Only the page's owner may call it.
func (c *Counter) Set(n uint64) { c.v = n }

// Load is the present value. Anybody may call it.
func (c *Counter) Load() uint64 { return atomic.LoadUint64(&c.v) }

func (c *Counter) store(v uint64) { atomic.StoreUint64(&c.v, v) }

// Values is one number per Field.
type Values [NumFields]uint64

// Segment is the counters of all slots.
type Segment struct {
	zone  *shm.Zone
	slots int
}

// Create makes the counters of slots worker slots, all zero. The errors are shm.Create's.
func Create(name string, slots int) (*Segment, error) {
	if slots < 1 {
		return nil, fmt.Errorf("stats %q: %d slots: at least 1", name, slots)
	}
	pages := max(int64(shm.DataArea)+int64(slots)*pageBytes, shm.MinBytes)
	size := pages + MaxSeries*(entryBytes+int64(slots)*rowBytes)
	zone, err := shm.Create(shm.Options{Name: name, Kind: kind, KindLayout: kindLayout, SizeBytes: size, ReservedBytes: pages})
	if err != nil {
		return nil, err
	}
	master := shm.At[MasterPage](zone, shm.UserArea)
	master.slots = uint64(slots)
	master.ReloadOK.Set(1)
	return open(zone), nil
}

// Attach maps the counters made by another process. The segment then owns fd; when an error is returned, fd is still the caller's.
func Attach(fd int) (*Segment, error) {
	zone, err := shm.Attach(fd, kind, kindLayout)
	if err != nil {
		return nil, err
	}
	return open(zone), nil
}

func open(zone *shm.Zone) *Segment {
	room := (zone.SizeBytes() - int64(shm.DataArea)) / pageBytes
	return &Segment{zone: zone, slots: int(min(shm.At[MasterPage](zone, shm.UserArea).slots, uint64(room)))}
}

// Close unmaps the counters and closes the descriptor. No Page may be used after it.
func (s *Segment) Close() error { return s.zone.Close() }

// FD is the descriptor, to be inherited by workers. It stays the segment's.
func (s *Segment) FD() int { return s.zone.FD() }

// Slots is how many slots there are.
func (s *Segment) Slots() int { return s.slots }

// Slot is the page of a slot, 0 to Slots()-1. Only the worker that holds the slot writes to it; it keeps what
// it finds: totals of former holders stand there already.
func (s *Segment) Slot(slot int) *Page { return shm.At[Page](s.zone, s.offset(slot)) }

func (s *Segment) offset(slot int) shm.Offset {
	if slot < 0 || slot >= s.slots {
		panic(fmt.Sprintf("stats: slot %d of %d", slot, s.slots))
	}
	return shm.DataArea + shm.Offset(slot*pageBytes)
}

func (s *Segment) live(slot int) *counters { return shm.At[counters](s.zone, s.offset(slot)) }

func (s *Segment) retired(slot int) *counters {
	return shm.At[counters](s.zone, s.offset(slot)+retiredOffset)
}

// Sum adds up all slots: gauges of the living, totals of the living and the dead. No total of a later Sum is smaller.
func (s *Segment) Sum() Values {
	var sum Values
	for slot := range s.slots {
		for f, c := range s.live(slot) {
			sum[f] += c.Load()
		}
	}
	return sum
}

// Worker is what the present holder of a slot has counted.
func (s *Segment) Worker(slot int) Values {
	var values Values
	retired := s.retired(slot)
	for f, c := range s.live(slot) {
		values[f] = c.Load()
		if !Field(f).gauge() {
			values[f] -= retired[f].Load()
		}
	}
	return values
}

// Retired adds up what all former holders of all slots have counted.
func (s *Segment) Retired() Values {
	var sum Values
	for slot := range s.slots {
		for f, c := range s.retired(slot) {
			sum[f] += c.Load()
		}
	}
	return sum
}

// Retire ends the life of a slot's holder: its gauges and the numbers of its memory become 0, its totals count as retired. The caller knows that the holder is
// dead. Every store sets a value that depends on nothing Retire changes, so one that was cut short is simply done again.
func (s *Segment) Retire(slot int) {
	s.forgetMemory(slot)
	s.forgetRows(slot)
	live, retired := s.live(slot), s.retired(slot)
	for f := range live {
		if Field(f).gauge() {
			live[f].store(0)
		} else {
			retired[f].store(live[f].Load())
		}
	}
}

// Check returns every fault: of the segment's header, and totals smaller than what is retired of them.
func (s *Segment) Check() []error {
	faults := s.zone.Check()
	for slot := range s.slots {
		live, retired := s.live(slot), s.retired(slot)
		for f := range live {
			if now, then := live[f].Load(), retired[f].Load(); !Field(f).gauge() && now < then {
				faults = append(faults, fmt.Errorf("slot %d: %s is %d, but was %d when it was retired", slot, Field(f), now, then))
			}
		}
	}
	return faults
}
