// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"errors"
	"fmt"
	"sync/atomic"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zone"
)

// NoSlot is the slot of a process that looks and reaps but holds no connections: the master.
const NoSlot = -1

// Zone is this process's handle on a zone of connection counts.
type Zone struct {
	zone.Handle
	shm   *shm.Zone
	mutex *shmtx.Mutex
	pool  *slab.Pool
	tree  rbtree.Tree
	lines rbtree.Tree
	h     *header
	slot  int // NoSlot: Acquire is not allowed

	// OnCall, where it is set, is told the slot of a worker that has somebody to fetch with Calls; after the lock has been given back.
	OnCall func(slot int)
	epoch  uint32 // of the zone when Calls looked last

	grouped bool // Key is GroupKey
}

// GroupKey is the text of a key (Options.Key) for zones whose keys are a group's name, a zero byte, and a name in the group: a waiter waits for any
// key of the group. In other zones, each key has a line of its own.
const GroupKey = "group, origin"

// Options say what Create makes; see nginx's limit_conn_zone.
type Options = zone.Options

// Create makes an empty zone, in the master. The errors are zone.Create's.
func Create(o Options, owner *shmtx.Owner) (*Zone, error) {
	segment, mutex, err := zone.Create(kind, kindLayout, o, owner)
	if err != nil {
		return nil, err
	}
	z, err := format(segment, mutex, o)
	if err != nil {
		return nil, errors.Join(err, z.Close())
	}
	tx := z.mutex.Lock()
	lists, ok := z.pool.Alloc(tx, shm.PageBytes)
	if ok {
		clear(shm.At[slotLists](segment, lists)[:])
		tx.PutOffset(&z.h.slots, lists)
	}
	z.mutex.Unlock()
	if !ok {
		return nil, errors.Join(fmt.Errorf("zone %q: no page for the slot lists", o.Name), z.Close())
	}
	return z, nil
}

// format makes the allocator of a new zone. With an error the zone is only good for closing.
func format(segment *shm.Zone, mutex *shmtx.Mutex, o Options) (*Zone, error) {
	if o.MostBytes == 0 {
		slab.Format(segment)
	} else if _, err := slab.FormatPart(segment, o.SizeBytes); err != nil {
		return over(segment, mutex, NoSlot), err
	}
	z := over(segment, mutex, NoSlot)
	z.h.size = uint64(o.SizeBytes &^ (shm.PageBytes - 1))
	return z, nil
}

// SizeBytes is the size of the zone. Of one that can grow it is what it has grown to.
func (z *Zone) SizeBytes() int64 {
	most := z.Handle.SizeBytes()
	if !z.shm.Part() {
		return most
	}
	return int64(min(atomic.LoadUint64(&z.h.size), uint64(most)))
}

// Grow makes a zone that was made with MostBytes as large as one of sizeBytes, while all processes that have it go on; a zone that is as large already stays as it is. It is for the
// master. The error says that there is no memory for it, or that the zone is damaged.
func (z *Zone) Grow(sizeBytes int64) error {
	if most := z.Handle.SizeBytes(); sizeBytes > most {
		return fmt.Errorf("zone %q: size %d is too large: at most %d", z.Name(), sizeBytes, most)
	}
	if err := z.pool.Reserve(sizeBytes); err != nil {
		return err
	}
	if z.grow(sizeBytes) == Damaged {
		return fmt.Errorf("zone %q: growing: %w", z.Name(), ErrDamaged)
	}
	return nil
}

func (z *Zone) grow(sizeBytes int64) (verdict Verdict) {
	var tx *shmtx.Tx
	defer z.guard(&tx, &verdict)
	tx = z.mutex.Lock()
	if z.h.state == stateRebuilding {
		z.mutex.Unlock()
		return Damaged
	}
	if z.pool.Grow(tx, sizeBytes) {
		tx.Put64(&z.h.size, uint64(sizeBytes&^(shm.PageBytes-1)))
	}
	z.mutex.Unlock()
	return Passed
}

// Attach maps a zone made by another process. A worker gives its slot; a process that takes no connections, NoSlot. The zone then owns fd;
// when an error is returned, fd is still the caller's.
func Attach(fd int, owner *shmtx.Owner, slot int) (*Zone, error) {
	if slot < NoSlot || slot >= SlotsMax {
		return nil, fmt.Errorf("zone at descriptor %d: slot %d, at most %d possible", fd, slot, SlotsMax-1)
	}
	segment, mutex, err := zone.Attach(fd, kind, kindLayout, owner)
	if err != nil {
		return nil, err
	}
	return over(segment, mutex, slot), nil
}

func over(segment *shm.Zone, mutex *shmtx.Mutex, slot int) *Zone {
	h := shm.At[header](segment, shm.UserArea)
	return &Zone{Handle: zone.Of(segment, mutex), shm: segment, mutex: mutex, pool: slab.Open(segment), tree: rbtree.New(segment, &h.root),
		lines: rbtree.New(segment, &h.lines), h: h, slot: slot, epoch: h.epoch, grouped: segment.Key() == GroupKey}
}

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
