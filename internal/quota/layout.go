// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package quota

import "weir/internal/shm"

const (
	kind       = "temp_quota"
	kindLayout = 1

	// SlotsMax is how many worker slots a zone can tell apart, of all generations together.
	SlotsMax = 1024
)

// header stands at shm.UserArea. Under the zone's lock; limit, used and state through the transaction. A dead owner's last operation may be
// missing in the counters, which nothing depends on.
type header struct {
	limit   uint64 // 0: bytes
	used    uint64 // 8: the sum of the shares
	state   uint64 // 16: stateSound, stateDamaged
	checked uint64 // 24: the lock's recoveries when the zone was last found sound

	peak     uint64 // 32: the most that was in use
	taken    uint64 // 40: times that bytes were taken
	refused  uint64 // 48: times that Acquire had to refuse
	denied   uint64 // 56: times that Rescue had to refuse
	faults   uint64 // 64: operations that met a damaged zone
	rebuilds uint64 // 72
}

// The states of a zone.
const (
	stateSound   = 0
	stateDamaged = 1 // Rebuild is wanted; nothing is given out
)

// shares stand at shm.DataArea: bytes taken, by slot. Through the transaction. Only the slot's worker changes its own, and the master
// when that worker is dead.
type shares [SlotsMax]uint64

// zoneBytes is the size of a zone: the smallest there is has room for the shares.
const zoneBytes = shm.MinBytes
