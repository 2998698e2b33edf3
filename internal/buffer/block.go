// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import "fmt"

// blockState says which list a block is on. The numbers do not start at 0, so that a Block that no pool has made is
// in none.
type blockState uint8

const (
	stateUsed    blockState = iota + 1 // with the user that acquired it
	stateGranted                       // with a waiter that has not been told yet
	stateWarm                          // free, with memory
	stateCold                          // free, without: its pages are with the kernel
)

// String names the state as reports have it.
func (s blockState) String() string {
	switch s {
	case stateUsed:
		return "used"
	case stateGranted:
		return "granted"
	case stateWarm, stateCold:
		return "free"
	default:
		return "in no state"
	}
}

// Block describes one block of a pool: 64 bytes on the Go heap for BlockSize bytes outside of it. See the picture in the
// package's documentation. Who acquired it owns it, all fields included, until it is released.
type Block struct {
	Data []byte // the whole block; its length is the pool's block size
	R    int    // where the data starts: the next byte to take
	W    int    // where the data ends: the next byte to put. 0 <= R <= W <= len(Data)
	Next *Block // for chains of the owner's

	pool  *Pool
	slab  uint32 // which of the pool's
	index uint16 // in the slab
	state blockState
}

// String names the block as reports have it.
func (b *Block) String() string {
	if b.pool == nil {
		return "a block that no pool has made"
	}
	return fmt.Sprintf("block %d:%d of the pool of %d bytes %v", b.slab, b.index, b.pool.blockSize, b.pool.users)
}

// Len is the number of data bytes.
func (b *Block) Len() int { return b.W - b.R }

// Bytes is the data. It is valid until the block is written to, compacted or released.
func (b *Block) Bytes() []byte { return b.Data[b.R:b.W] }

// Room is the free space after the data: what a read goes into. What was put there is made data by Produce.
func (b *Block) Room() []byte { return b.Data[b.W:] }

// HeadRoom is Room less maxRewrite bytes at the end of the block, which stay free so that fields can be added to the
// head that is being read (HAProxy's tune.maxrewrite). It is empty once the data has come that far.
func (b *Block) HeadRoom(maxRewrite int) []byte {
	end := max(b.W, len(b.Data)-maxRewrite)
	return b.Data[b.W:end:end]
}

// Produce makes the first n bytes of the room data. n is at most the length of Room.
func (b *Block) Produce(n int) {
	if n < 0 || n > len(b.Data)-b.W {
		panic(fmt.Sprintf("buffer: produce of %d bytes with room for %d", n, len(b.Data)-b.W))
	}
	b.W += n
}

// Consume drops the first n bytes of the data. n is at most Len. The room does not grow by it: see Compact.
func (b *Block) Consume(n int) {
	if n < 0 || n > b.W-b.R {
		panic(fmt.Sprintf("buffer: consume of %d bytes with %d there", n, b.W-b.R))
	}
	b.R += n
}

// Append copies as much of p as there is room for behind the data, and returns how much.
func (b *Block) Append(p []byte) int {
	n := copy(b.Data[b.W:], p)
	b.W += n
	return n
}

// Compact moves the data to the start of the block, so that all free space is room. Without data it costs nothing.
func (b *Block) Compact() {
	if b.R == 0 {
		return
	}
	if b.R < b.W {
		copy(b.Data, b.Data[b.R:b.W])
	}
	b.R, b.W = 0, b.W-b.R
}

// Reset drops the data.
func (b *Block) Reset() { b.R, b.W = 0, 0 }
