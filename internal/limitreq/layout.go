// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"weir/internal/rbtree"
	"weir/internal/shm"
)

const (
	kind       = "limit_req"
	kindLayout = 1
)

// header stands at shm.UserArea. Under the zone's lock. Through the transaction, but for the counters: a dead owner's last
// operation may be missing in those.
type header struct {
	root    shm.Offset // 0: of the tree of nodes
	keys    uint32     // 4: nodes
	newest  shm.Offset // 8: the node used last; list through all nodes
	oldest  shm.Offset // 12: the node used longest ago
	state   uint32     // 16: stateSound, ...
	epoch   uint32     // 20: how often the zone was emptied because it was damaged
	checked uint64     // 24: the lock's recoveries when the zone was last found sound
	_       [32]byte   // 32

	counters counters // 64
}

// The states of a zone.
const (
	stateSound   = 0
	stateDamaged = 1 // an operation met a fault: Empty is wanted
)

// counters are plain, but for bypassed, which is added to atomically without the lock.
type counters struct {
	passed, delayed, rejected, dryRun, evicted, full, faults uint64
	bypassed                                                 uint64
}

// node is one key. It is 44 bytes with an IPv4 address, 56 with an IPv6 one: 64 in the slab. Through the transaction, but while
// it is new.
type node struct {
	tree   rbtree.Node // 0: key is the hash
	newer  shm.Offset  // 16: the node used next, nil: header.newest is this one
	older  shm.Offset  // 20: the node used before, nil: header.oldest is this one
	freeNs uint64      // 24: when all requests let through so far are worked off at the zone's rate, on CLOCK_MONOTONIC
	info   uint32      // 32: length of the key
	_      uint32      // 36
	// 40: the key
}

const nodeBytes = 40

func (n *node) keyLen() int { return int(n.info & 0xff) }
