// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/stats"
	"weir/internal/zonekey"
)

const (
	kind       = "limit_conn"
	kindLayout = 4

	// KeyMax is the longest key that is stored as it is: see package zonekey.
	KeyMax = zonekey.Max
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
	lines   shm.Offset // 32: of the tree of lines
	calls   shm.Offset // 36: callLists; nil until somebody waits for the first time
	waiting uint32     // 40: waiters in lines
	called  uint32     // 44: waiters that have been called and have not come yet
	size    uint64     // 48: Zone.SizeBytes; only Grow changes it
	_       [8]byte    // 56

	counters counters        // 64
	waits    waitCounters    // 120
	took     stats.Histogram // 160: how long those waited that were given a place
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

// waitCounters are plain too.
type waitCounters struct {
	queued     uint64 // began to wait
	given      uint64 // of those: had a place after waiting
	late       uint64 // waited as long as they might
	left       uint64 // gave up before
	overflowed uint64 // did not wait, since the line was full
}

// slotLists stands at header.slots, one page: for each slot, the list of its shares. Through the transaction.
type slotLists [SlotsMax]shm.Offset

// node is one key. It is at least 49 bytes with its key, 64 in the slab, for IPv4 and IPv6 addresses alike. Through the transaction, but while it is new.
type node struct {
	tree rbtree.Node // 0: key is the hash; not in the tree when flagOrphan is set
	own  share       // 16: the first share; no connections: not used at present
	// 48: the key
}

const (
	nodeBytes  = 48
	ownOffset  = 16
	keyLenMask = 0xff
	flagOrphan = 0x100
)

// share is how many of a node's connections one worker slot has. Shares that are not a node's own are allocated alone. Through
// the transaction, but while it is new.
type share struct {
	counts   counts     // 0: the share's, and in a node's own share the node's
	slot     uint32     // 8
	node     shm.Offset // 12: never changes
	next     shm.Offset // 16: the node's next share
	slotNext shm.Offset // 20: the slot's next share; list through all shares with a count
	slotPrev shm.Offset // 24: the one before, nil: slotLists points here
	info     uint32     // 28: in a node's own share, of the node. Bits 0 to 7: length of the key; flagOrphan
}

const shareBytes = 32

// counts are two numbers in one word, so that a connection more or less in a node's own share is one store. The low half is the node's
// connections, the sum of its shares, and 0 in a share that is not a node's own; a node's is 0 only in the transaction that frees it. The high half
// is the share's connections; it is 0 only in a node's own share.
type counts uint64

const (
	ofNode  counts = 1       // one connection of the node
	ofShare counts = 1 << 32 // one connection of the share
)

func (c counts) node() uint32 { return uint32(c) }

func (c counts) share() uint32 { return uint32(c >> 32) }

func (s *share) count() uint32 { return s.counts.share() }

func (n *node) total() uint32 { return n.own.counts.node() }

func (n *node) keyLen() int { return int(n.own.info & keyLenMask) }

func (n *node) orphan() bool { return n.own.info&flagOrphan != 0 }

// callLists stands at header.calls: for each slot, its waiters. Those that have been called stand in the second list, the last one first. Through the
// transaction.
type callLists struct{ waiting, called [SlotsMax]shm.Offset }

const callListsBytes = 2 * SlotsMax * 4

// line is the waiters, in order, for places of the keys that have its name: see Zone.lineOf. It is there while somebody waits in it. Through the
// transaction, but while it is new. What stands at 28 is where a node has its own offset, and never looks like one: see Rebuild.
type line struct {
	tree   rbtree.Node // 0: key is the hash of the name
	head   shm.Offset  // 16: who waits longest
	tail   shm.Offset  // 20
	length uint32      // 24
	info   uint32      // 28: length of the name
	// 32: the name
}

const lineBytes = 32

// waiter is a request that waits in a line, or has been called from it. Through the transaction, but while it is new.
type waiter struct {
	next, prev         shm.Offset // 0: in the line
	slotNext, slotPrev shm.Offset // 8: in the slot's list; prev nil: callLists points here
	line               shm.Offset // 16: nil: it has been called
	share              shm.Offset // 20: where its place is counted, once it has been called; nil: it is to ask anew
	hash               uint32     // 24: of the key that the place is under
	slot               uint32     // 28: whose waiter it is
	id                 uint32     // 32: what the worker knows it by
	wants              uint32     // 36: how many wants follow
	since              int64      // 40: when it began to wait, in nanoseconds of the clock that all share
	// 48: the wants
}

// want is a place that a waiter would take.
type want struct{ hash, most uint32 }

const (
	waiterBytes = 48
	wantBytes   = 8
	// WantsMax is how many keys one may wait for at the same time.
	WantsMax = 128
)
