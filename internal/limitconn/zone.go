// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
)

// NoSlot is the slot of a process that looks and reaps but holds no connections: the master.
const NoSlot = -1

// Zone is this process's handle on a zone of connection counts.
type Zone struct {
	shm   *shm.Zone
	mutex *shmtx.Mutex
	pool  *slab.Pool
	tree  rbtree.Tree
	h     *header
	slot  int // NoSlot: Acquire is not allowed
}

// Options say what Create makes; see nginx's limit_conn_zone.
type Options struct {
	Name      string     // the zone's name in the config
	Key       string     // the text of the key's template, at most 256 bytes
	SizeBytes int64      // shm.MinBytes to shm.MaxBytes
	Mutex     shmtx.Kind // shared_mutex
}

// Create makes an empty zone, in the master. The errors are shm.Create's and shmtx.Open's.
func Create(o Options, owner *shmtx.Owner) (*Zone, error) {
	segment, err := shm.Create(shm.Options{
		Name: o.Name, Kind: kind, Key: o.Key, KindLayout: kindLayout, Features: shmtx.Features(o.Mutex),
		SizeBytes: o.SizeBytes,
	})
	if err != nil {
		return nil, err
	}
	pool := slab.Format(segment)
	z, err := open(segment, owner, NoSlot)
	if err != nil {
		return nil, closeAfter(err, segment)
	}
	tx := z.mutex.Lock()
	lists, ok := pool.Alloc(tx, shm.PageBytes)
	if ok {
		clear(shm.At[slotLists](segment, lists)[:])
		tx.PutOffset(&z.h.slots, lists)
	}
	z.mutex.Unlock()
	if !ok {
		return nil, closeAfter(fmt.Errorf("zone %q: no page for the slot lists", o.Name), segment)
	}
	return z, nil
}

// Attach maps a zone made by another process. A worker gives its slot; a process that takes no connections, NoSlot. The zone then owns fd;
// when an error is returned, fd is still the caller's.
func Attach(fd int, owner *shmtx.Owner, slot int) (*Zone, error) {
	if slot < NoSlot || slot >= SlotsMax {
		return nil, fmt.Errorf("zone at descriptor %d: slot %d, at most %d possible", fd, slot, SlotsMax-1)
	}
	segment, err := shm.Attach(fd, kind, kindLayout)
	if err != nil {
		return nil, err
	}
	z, err := open(segment, owner, slot)
	if err != nil {
		segment.Disown()
		return nil, closeAfter(err, segment)
	}
	return z, nil
}

func open(segment *shm.Zone, owner *shmtx.Owner, slot int) (*Zone, error) {
	mutex, err := shmtx.Open(segment, owner)
	if err != nil {
		return nil, err
	}
	return over(segment, mutex, slot), nil
}

func over(segment *shm.Zone, mutex *shmtx.Mutex, slot int) *Zone {
	h := shm.At[header](segment, shm.UserArea)
	return &Zone{shm: segment, mutex: mutex, pool: slab.Open(segment), tree: rbtree.New(segment, &h.root), h: h, slot: slot}
}

func closeAfter(err error, segment *shm.Zone) error {
	if closeErr := segment.Close(); closeErr != nil {
		return fmt.Errorf("%w; %w", err, closeErr)
	}
	return err
}

// Close unmaps the zone and closes its descriptor. What this process holds in it stays counted until the slot is reaped.
func (z *Zone) Close() error {
	z.mutex.Close()
	return z.shm.Close()
}

// FD is the zone's descriptor, to be inherited by workers. It stays the zone's.
func (z *Zone) FD() int { return z.shm.FD() }

// Name is the zone's name in the config.
func (z *Zone) Name() string { return z.shm.Name() }

// Key is the text of the key's template, as given to Create.
func (z *Zone) Key() string { return z.shm.Key() }

// SizeBytes is the size of the zone.
func (z *Zone) SizeBytes() int64 { return z.shm.SizeBytes() }

// Matches says whether the zone can go on serving a config that asks for o: name, key, size and kind of lock are the same.
func (z *Zone) Matches(o Options) bool {
	return z.Name() == o.Name && z.Key() == o.Key && z.SizeBytes() == o.SizeBytes&^(shm.PageBytes-1) &&
		z.shm.Features() == shmtx.Features(o.Mutex)
}

// Mutex is the zone's lock; for its counters, and for crash tests.
func (z *Zone) Mutex() *shmtx.Mutex { return z.mutex }

// Capacity is how many keys of keyBytes, 1 to KeyMax, a zone of zoneBytes holds when each key's connections are in one worker: exact. A key costs
// 32 bytes more for each further worker that has connections of it. 0: the size is too small or too large for a zone.
func Capacity(zoneBytes int64, keyBytes int) int {
	if zoneBytes < shm.MinBytes || zoneBytes > shm.MaxBytes {
		return 0
	}
	const slotPages = 1
	return (slab.Pages(zoneBytes&^(shm.PageBytes-1)) - slotPages) * slab.PerPage(nodeBytes+min(max(keyBytes, 1), KeyMax))
}

func (z *Zone) node(off shm.Offset) *node { return shm.At[node](z.shm, off) }

func (z *Zone) share(off shm.Offset) *share { return shm.At[share](z.shm, off) }

// lists are the heads of the slots' lists of shares.
func (z *Zone) lists() *slotLists { return shm.At[slotLists](z.shm, z.h.slots) }

// keyAt are the bytes of a node's key.
func (z *Zone) keyAt(off shm.Offset, n *node) []byte { return z.shm.Bytes(off+nodeBytes, n.keyLen()) }
