// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package stats

import "weir/internal/shm"

// MaxPools is how many pools of blocks of one worker have a place in its page; further ones are not shown.
const MaxPools = 29

// PoolUser is a set of users of a pool.
type PoolUser uint64

// The users of a worker's pools.
const (
	UserBuffers        PoolUser = 1 << iota // what connections read into and write from
	UserRequestPool                         // requests' own memory: request_pool_size
	UserConnectionPool                      // connections' own memory: connection_pool_size
)

// Names are the users, as people know them.
func (u PoolUser) Names() (names []string) {
	for i, name := range [...]string{"buffers", "request_pool_size", "connection_pool_size"} {
		if u>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// PoolPage is the numbers of one pool of blocks: of 8 bytes each, 128 in all. They are what they were when the worker last ended a turn of its
// loop; Retire sets them to 0.
type PoolPage struct {
	SizeBytes Counter // 0: of a block; 0 in a place that no pool has
	Users     Counter // 8: a PoolUser
	Used      Counter // 16: blocks with users
	Allocated Counter // 24: blocks with memory
	Limit     Counter // 32: blocks at most
	Reserve   Counter // 40: blocks kept for steps that bring work to its end
	Peak      Counter // 48: most used at one time
	Waiting   Counter // 56: who waits for a block now
	Waits     Counter // 64: how often a block was waited for
	Refusals  Counter // 72: how often there was none below what the class of the asker may use
	Failures  Counter // 80: how often the kernel had no memory
	Pressed   Counter // 88: 1 while less than a quarter of the limit is free
	_         [4]Counter
}

// LargePage is the numbers of a worker's pieces of memory that are larger than a block of their pool, in bytes.
type LargePage struct {
	Used     Counter // 0: in use
	Cached   Counter // 8: kept for the next use
	Limit    Counter // 16: both together at most
	Refusals Counter // 24: how often that was reached
	Failures Counter // 32: how often the kernel had no memory
	_        [11]Counter
}

// MemoryPage is the numbers of a worker's memory, and of what went through it.
type MemoryPage struct {
	Pools  [MaxPools]PoolPage // 0
	Bodies BodiesPage         // 3712
	Large  LargePage          // 3968
}

// memoryOffset is where a MemoryPage begins in the bytes of a slot. Written as Page is.
const memoryOffset shm.Offset = 4096

// Memory is the page of a slot's memory. Only the worker that holds the slot writes to it.
func (s *Segment) Memory(slot int) *MemoryPage {
	return shm.At[MemoryPage](s.zone, s.offset(slot)+memoryOffset)
}

// memoryWords is a MemoryPage as an array.
type memoryWords [(pageBytes - memoryOffset) / 8]Counter

// forgetMemory sets the numbers of a slot's memory to 0: the worker whose memory it was is dead.
func (s *Segment) forgetMemory(slot int) {
	words := shm.At[memoryWords](s.zone, s.offset(slot)+memoryOffset)
	for i := range words {
		words[i].store(0)
	}
}
