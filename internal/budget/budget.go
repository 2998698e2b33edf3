// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package budget

import (
	"math/bits"
	"slices"

	"weir/conf"
)

// Pool is a pool of blocks of one size.
type Pool struct {
	BlockBytes int
	Reserve    int // blocks
	Limit      int // blocks
}

// Bytes is what the pool can use at most.
func (p Pool) Bytes() int64 { return int64(p.BlockBytes) * int64(p.Limit) }

// Budget is the limits of one worker's memory.
type Budget struct {
	Buffers         Pool   // what connections read into and write from
	RequestPools    []Pool // one for each request_pool_size in use
	ConnectionPools []Pool // one for each connection_pool_size in use
	LargeBytes      int64  // pieces of request's and connection's memory that are larger than a block of their pool

	config *conf.Config
}

const (
	// blocksPerConnection is how many blocks there are for each connection where buffers.limit does not say. A request to an origin has two
	// connections, and at most times up to four blocks: one with its head, one with that of the response, and what is on its way each way.
	blocksPerConnection = 2
	// readAheads is how many responses may read ahead as far as proxy_buffers lets them, whatever the number of connections is.
	readAheads = 4
	// headMax is the longest head that can be configured, in bytes.
	headMax = 1 << 30
	// fewestLarge and largeShare bound the requests that may have large heads, or very many header fields, at one time: a sixteenth of the
	// connections, and not fewer than 64.
	fewestLarge = 64
	largeShare  = 16
)

// Of works out the limits for a checked config.
func Of(c *conf.Config) Budget {
	b := Budget{config: c}
	b.Buffers = Pool{BlockBytes: int(c.Buffers.Size), Reserve: c.Buffers.Reserve, Limit: c.Buffers.Limit}
	if b.Buffers.Limit == 0 {
		b.Buffers.Limit = blockLimit(c)
	}
	// A server's settings count where it is the default of an address; as others may become that by a reload only, all count.
	largest := headBytes(&c.HTTP.ServerSettings)
	for i := range c.HTTP.Servers {
		s := &c.HTTP.Servers[i].ServerSettings
		largest = max(largest, headBytes(s))
		b.RequestPools = addPool(b.RequestPools, s.RequestPoolSize, c.WorkerConnections)
		b.ConnectionPools = addPool(b.ConnectionPools, s.ConnectionPoolSize, c.WorkerConnections)
	}
	// Large pieces come in powers of two; a head that outgrows one has the next one too for a moment.
	size := int64(1) << bits.Len64(uint64(largest-1))
	b.LargeBytes = (size + size/2) * int64(LargeMax(c.WorkerConnections))
	return b
}

// LargeMax is how many requests may have large heads, or more header fields than are usual, at one time in a worker with so many connections.
func LargeMax(connections int) int { return max(fewestLarge, connections/largeShare) }

// blockLimit is buffers.limit where the config says 0.
func blockLimit(c *conf.Config) int {
	ahead := 0
	each := func(s *conf.Settings) { ahead = max(ahead, blocks(s.Buffering().BytesInMemory, c.Buffers.Size)) }
	each(&c.HTTP.Settings)
	for i := range c.HTTP.Servers {
		for l := range c.HTTP.Servers[i].Blocks() {
			each(&l.Settings)
		}
	}
	return max(c.WorkerConnections*blocksPerConnection, readAheads*ahead) + c.Buffers.Reserve
}

// blocks is how many blocks hold so many bytes.
func blocks(bytes, size conf.Size) int { return int((bytes + size - 1) / size) }

// headBytes is the longest request head that a server takes.
func headBytes(s *conf.ServerSettings) int64 {
	return min(int64(s.ClientHeaderBufferSize)+int64(s.LargeClientHeaderBuffers.Size)*int64(s.LargeClientHeaderBuffers.Number), headMax)
}

// HeadBytes is the longest request head that a server takes, in bytes.
func HeadBytes(s *conf.ServerSettings) int { return int(headBytes(s)) }

// addPool adds a pool of a size, unless there is one.
func addPool(pools []Pool, size conf.Size, limit int) []Pool {
	if slices.ContainsFunc(pools, func(p Pool) bool { return p.BlockBytes == int(size) }) {
		return pools
	}
	return append(pools, Pool{BlockBytes: int(size), Limit: limit})
}
