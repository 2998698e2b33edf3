// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import "weir/internal/shm"

const (
	kind       = "peers"
	kindLayout = 1

	// Max is how many origins there may be, of all groups and living generations together.
	Max = 1 << 16
)

// header stands at shm.UserArea. slots never changes; the rest under the zone's lock and through the transaction, but for the counters.
type header struct {
	slots   uint64 // 0: cells of a block
	count   uint64 // 8: blocks that are backed by memory: none behind them is in use
	changes uint64 // 16: how often blocks have come or gone: who has an index looks whether it is still good
	marked  uint64 // 24: 1: a fault was met, Rebuild is wanted
	checked uint64 // 32: the lock's recoveries when the zone was last found sound

	faults   uint64 // 40: operations that met a fault
	rebuilds uint64 // 48
}

// state is the first part of a block: what is known of an origin. doc.go says what changes how.
type state struct {
	debt      int64  // 0: smooth weighted round robin's current weight, in units of 1/One. Under the lock, not logged
	penalty   uint64 // 8: by how much failures have lowered the weight; a turn gives one back
	fails     uint64 // 16: failed attempts that no success has ended
	failedMs  uint64 // 24: when it failed last
	checkedMs uint64 // 32: when it was last given a chance after that
	startMs   uint64 // 40: when slow_start began; 0: it has not
	busy      uint64 // 48: requests in progress of those workers that choose by it: the sum of the upper halves of cell.work
	_         uint64 // 56

	admin    uint64 // 64: Admin
	health   uint64 // 72: 0: not known, 1: healthy, 2: unhealthy
	healthMs uint64 // 80: when that was last said
	seenMs   uint64 // 88: when a worker last had the origin, if a host's name has led to it. Stored without the lock
	host     uint64 // 96: which host's name leads to it, see Peer.SetFound; 0: none. Stored without the lock
	record   uint64 // 104: what the host's record says besides. Stored without the lock
	_        [2]uint64
}

// entry is the second part: whose block it is. Written under the lock, when nobody uses the block.
type entry struct {
	used   uint32 // 128: 1: the block is somebody's
	length uint32 // 132: of the key
	hash   uint32 // 136: of the key
	group  uint32 // 140: hash of the group's name
	key    [entryBytes - 16]byte
}

// cell is what the worker of one slot has of an origin.
type cell struct {
	work  uint64 // 0: requests in progress: the lower half those that are not counted in busy, the upper half those that are
	picks uint64 // 8: requests given to the origin, by all holders of the slot so far
}

const (
	stateBytes = 128
	entryBytes = 384
	cellBytes  = 16

	countedWork = 1 << 32 // one request in the upper half of cell.work
)

// The offsets within the area of blocks.

func (z *Zone) blockBytes() int64 { return blockBytes(z.slots) }

func blockBytes(slots int) int64 { return stateBytes + entryBytes + int64(slots)*cellBytes }

func (z *Zone) at(block int) shm.Offset {
	return shm.DataArea + shm.Offset(int64(block)*z.blockBytes())
}

func (z *Zone) state(block int) *state { return shm.At[state](z.shm, z.at(block)) }

func (z *Zone) entry(block int) *entry { return shm.At[entry](z.shm, z.at(block)+stateBytes) }

func (z *Zone) cell(block, slot int) *cell {
	return shm.At[cell](z.shm, z.at(block)+stateBytes+entryBytes+shm.Offset(slot*cellBytes))
}
