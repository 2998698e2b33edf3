// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"weir/internal/rbtree"
	"weir/internal/shm"
)

const (
	kind       = "limit_conn"
	kindLayout = 1

	// KeyMax is the longest key that is stored as it is. A longer one is stored as its first 223 bytes and the SHA-256 of the whole.
	KeyMax = 255
	// SlotsMax is how many worker slots a zone can tell apart, of all generations together.
	SlotsMax = 1024
)

// header stands at shm.UserArea. Under the zone's lock. Through the transaction, but for the counters: a dead owner's last
// operation may be missing in those.
type header struct {
	root    shm.Offset // 0: of the tree of nodes
	keys    uint32     // 4: nodes in the tree
	orphans uint32     // 8: nodes out of the tree, deleted while connections still counted in them
	slots   shm.Offset // 12: slotLists; never changes
	state   uint32     // 16: stateSound, ...
	epoch   uint32     // 20: how often the zone was rebuilt
	checked uint64     // 24: the lock's recoveries when the zone was last found sound
	_       [32]byte   // 32

	counters counters // 64
}

// The states of a zone.
const (
	stateSound      = 0
	stateDamaged    = 1 // an operation met a fault: Rebuild is wanted
	stateRebuilding = 2 // Rebuild has begun: nothing but Rebuild may be done
)

// counters are plain, but for bypassed, which is added to atomically without the lock.
type counters struct {
	passed, rejected, dryRun, full, stale, faults uint64
	bypassed                                      uint64
}

// slotLists stands at header.slots, one page: for each slot, the list of its shares. Through the transaction.
type slotLists [SlotsMax]shm.Offset

// node is one key. It is at least 52 bytes with its key, 64 in the slab, for IPv4 and IPv6 addresses alike. Through the transaction, but while it is new.
type node struct {
	tree  rbtree.Node // 0: key is the hash; not in the tree when flagOrphan is set
	total uint32      // 16: connections: the sum of the shares. 0 only in the transaction that frees the node
	info  uint32      // 20: bits 0 to 7: length of the key; flagOrphan
	own   share       // 24: the first share; count 0: not used at present
	// 48: the key
}

const (
	nodeBytes  = 48
	ownOffset  = 24
	keyLenMask = 0xff
	flagOrphan = 0x100
)

// share is how many of a node's connections one worker slot has. Shares that are not a node's own are allocated alone. Through
// the transaction, but while it is new.
type share struct {
	node     shm.Offset // 0: never changes
	next     shm.Offset // 4: the node's next share
	slotNext shm.Offset // 8: the slot's next share; list through all shares with a count
	slotPrev shm.Offset // 12: the one before, nil: slotLists points here
	count    uint32     // 16: 0 only in a node's own share
	slot     uint32     // 20
}

const shareBytes = 24

func (n *node) keyLen() int { return int(n.info & keyLenMask) }

func (n *node) orphan() bool { return n.info&flagOrphan != 0 }
