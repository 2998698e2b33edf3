// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package zone

import (
	"errors"
	"fmt"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
)

// Options say which zone it is.
type Options struct {
	Name      string     // the zone's name in the config
	Key       string     // the text of the key's template, at most 256 bytes
	SizeBytes int64      // shm.MinBytes to shm.MaxBytes
	Mutex     shmtx.Kind // shared_mutex

	// MostBytes is the size to which the zone can grow, if its kind can; 0: it has its size for life.
	MostBytes int64
}

// Handle is a process's handle on a zone.
type Handle struct {
	segment *shm.Zone
	mutex   *shmtx.Mutex
}

// Of is the handle on a segment and its lock; mutex is nil for a private copy, which nobody locks.
func Of(segment *shm.Zone, mutex *shmtx.Mutex) Handle { return Handle{segment, mutex} }

// Create makes a segment for a kind of zone, and opens its lock. The errors are shm.Create's and shmtx.Open's.
func Create(kind string, kindLayout uint32, o Options, owner *shmtx.Owner) (*shm.Zone, *shmtx.Mutex, error) {
	segment, err := shm.Create(o.segment(kind, kindLayout))
	if err != nil {
		return nil, nil, err
	}
	mutex, err := shmtx.Open(segment, owner)
	if err != nil {
		return nil, nil, closeAfter(err, segment)
	}
	return segment, mutex, nil
}

// segment is what shm.Create makes of them. Of one that can grow the allocator reserves what it hands out.
func (o *Options) segment(kind string, kindLayout uint32) shm.Options {
	s := shm.Options{Name: o.Name, Kind: kind, Key: o.Key, KindLayout: kindLayout, Features: shmtx.Features(o.Mutex), SizeBytes: o.SizeBytes}
	if o.MostBytes > 0 {
		s.SizeBytes, s.ReservedBytes = max(o.MostBytes, o.SizeBytes), shm.MinBytes
	}
	return s
}

// Attach maps a zone made by another process, which then owns fd, and opens its lock. When an error is returned, fd is still the caller's.
func Attach(fd int, kind string, kindLayout uint32, owner *shmtx.Owner) (*shm.Zone, *shmtx.Mutex, error) {
	segment, err := shm.Attach(fd, kind, kindLayout)
	if err != nil {
		return nil, nil, err
	}
	mutex, err := shmtx.Open(segment, owner)
	if err != nil {
		segment.Disown()
		return nil, nil, closeAfter(err, segment)
	}
	return segment, mutex, nil
}

func closeAfter(err error, segment *shm.Zone) error {
	if closeErr := segment.Close(); closeErr != nil {
		return fmt.Errorf("%w; %w", err, closeErr)
	}
	return err
}

// Close unmaps the zone and closes its descriptor. What this process has counted in it stays.
func (h *Handle) Close() error {
	h.mutex.Close()
	return h.segment.Close()
}

// FD is the zone's descriptor, to be inherited by workers. It stays the zone's.
func (h *Handle) FD() int { return h.segment.FD() }

// Name is the zone's name in the config.
func (h *Handle) Name() string { return h.segment.Name() }

// Key is the text of the key's template, as given to Create.
func (h *Handle) Key() string { return h.segment.Key() }

// SizeBytes is the size of the zone.
func (h *Handle) SizeBytes() int64 { return h.segment.SizeBytes() }

// Mutex is the zone's lock; for its counters, and for crash tests.
func (h *Handle) Mutex() *shmtx.Mutex { return h.mutex }

// Matches says whether the zone can go on serving a config that asks for o: name, key, size and kind of lock are the same.
func (h *Handle) Matches(o Options) bool {
	return h.Name() == o.Name && h.Key() == o.Key && h.SizeBytes() == o.SizeBytes&^(shm.PageBytes-1) &&
		h.segment.Features() == shmtx.Features(o.Mutex)
}

// CheckCopy has check walk a private copy of the zone, while the others go on: the lock is held for as long as it takes to copy what is in use, about
// a millisecond for 10 MB. It returns every fault, and the lock's recoveries when the copy was made.
func (h *Handle) CheckCopy(pool *slab.Pool, check func(private *shm.Zone) []error) (faults []error, recoveries uint64) {
	private, err := h.segment.Fork(pool.Ranges()...)
	if err == nil {
		if recoveries, err = h.copyTo(private, pool); err == nil {
			faults = check(private)
		}
		err = errors.Join(err, private.Close())
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("zone %q: copy for the check: %w", h.Name(), err))
	}
	return faults, recoveries
}

func (h *Handle) copyTo(private *shm.Zone, pool *slab.Pool) (recoveries uint64, err error) {
	var tx *shmtx.Tx
	defer func() {
		if fault := shm.FaultOf(recover()); fault != nil {
			err = fault
			h.mutex.Undo(fault, tx)
			h.mutex.Unlock()
		}
	}()
	tx = h.mutex.Lock()
	recoveries = h.mutex.Recoveries()
	pool.CopyTo(private)
	h.mutex.Unlock()
	return recoveries, nil
}
