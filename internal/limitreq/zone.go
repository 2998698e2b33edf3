// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"bytes"

	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
	"weir/internal/zone"
	"weir/internal/zonekey"
)

// Zone is this process's handle on a zone of request rates.
type Zone struct {
	zone.Handle
	shm   *shm.Zone
	mutex *shmtx.Mutex
	pool  *slab.Pool
	tree  rbtree.Tree
	h     *header
}

// Options say what Create makes; see nginx's limit_req_zone. The rate is not among them: it belongs to the limits that are asked, and what was let
// through so far is counted in time, not in requests.
type Options = zone.Options

// Create makes an empty zone, in the master. The errors are zone.Create's.
func Create(o Options, owner *shmtx.Owner) (*Zone, error) {
	segment, mutex, err := zone.Create(kind, kindLayout, o, owner)
	if err != nil {
		return nil, err
	}
	slab.Format(segment)
	return over(segment, mutex), nil
}

// Attach maps a zone made by another process. The zone then owns fd; when an error is returned, fd is still the caller's.
func Attach(fd int, owner *shmtx.Owner) (*Zone, error) {
	segment, mutex, err := zone.Attach(fd, kind, kindLayout, owner)
	if err != nil {
		return nil, err
	}
	return over(segment, mutex), nil
}

func over(segment *shm.Zone, mutex *shmtx.Mutex) *Zone {
	h := shm.At[header](segment, shm.UserArea)
	return &Zone{Handle: zone.Of(segment, mutex), shm: segment, mutex: mutex, pool: slab.Open(segment), tree: rbtree.New(segment, &h.root), h: h}
}

// Capacity is how many keys of keyBytes, 1 to zonekey.Max, a zone of zoneBytes holds: exact. 0: the size is too small or too large for a zone.
func Capacity(zoneBytes int64, keyBytes int) int {
	if zoneBytes < shm.MinBytes || zoneBytes > shm.MaxBytes {
		return 0
	}
	return slab.Pages(zoneBytes&^(shm.PageBytes-1)) * slab.PerPage(nodeBytes+min(max(keyBytes, 1), zonekey.Max))
}

func (z *Zone) node(off shm.Offset) *node { return shm.At[node](z.shm, off) }

// keyAt are the bytes of a node's key.
func (z *Zone) keyAt(off shm.Offset, n *node) []byte { return z.shm.Bytes(off+nodeBytes, n.keyLen()) }

// seek looks for the node of a key; at is its place when there is none.
func (z *Zone) seek(hash uint32, key []byte) (found shm.Offset, at rbtree.Place) {
	return z.tree.Seek(hash, func(other shm.Offset) int { return bytes.Compare(key, z.keyAt(other, z.node(other))) })
}
