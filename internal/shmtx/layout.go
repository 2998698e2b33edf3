// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

// lockArea stands at shm.LockArea. The word has a cache line of its own, since those who wait read it again and again; what only the owner
// of the lock touches stands on the next ones.
type lockArea struct {
	// word is 0 or a thread number, with FutexWaiters and FutexOwnerDied (kind atomic). Written with compare-and-swap by whoever takes the
	// lock or waits for it, by the owner, and by the kernel when the owner dies. Kind flock does not use it.
	word uint32
	_    [60]byte

	// undoLength is how many undo records are valid. The owner writes it; a dead owner's is the next owner's work list.
	undoLength uint32 // 64
	_          uint32
	counters   Counters // 72: written by the owner; a dead owner's may miss its last operation
}

// undoCap is how many stores one transaction may make. The longest one of weir makes fewer than 150: see TestUndoLogSuffices of package limitconn.
const undoCap = 512

// undoRecord is the word that stood at offset before the transaction changed it.
type undoRecord struct {
	offset uint32 // 0: a shm.Offset, a multiple of 8
	_      uint32
	old    uint64 // 8
}

// undoLog stands at shm.UndoArea. The owner of the lock writes a record, then counts it in undoLength, then changes the word.
type undoLog [undoCap]undoRecord

// Counters are what has happened to a lock since the zone was created.
type Counters struct {
	Acquisitions  uint64 // how often the lock was taken
	Contended     uint64 // of those, not at the first try
	Spins         uint64 // further tries before sleeping
	Waits         uint64 // times somebody went to sleep
	Recoveries    uint64 // times the owner before was found dead
	RolledBack    uint64 // stores of dead owners undone
	LongestHoldNs uint64 // longest time between Lock and Unlock of those that were timed: see Mutex.Lock
}
