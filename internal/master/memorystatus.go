// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import "weir/internal/stats"

// PoolStatus is one pool of blocks of a worker, as it was at the end of the last turn of the worker's loop.
type PoolStatus struct {
	Size      uint64   `json:"size"`      // bytes of a block
	Users     []string `json:"users"`     // config keys: buffers, request_pool_size, connection_pool_size
	Used      uint64   `json:"used"`      // blocks in use
	Allocated uint64   `json:"allocated"` // blocks with memory: used and free ones
	Limit     uint64   `json:"limit"`     // blocks at most
	Reserve   uint64   `json:"reserve"`   // blocks kept for responses
	Peak      uint64   `json:"peak"`      // most in use at one time; may lag by some seconds
	Waiting   uint64   `json:"waiting"`   // who waits for a block
	Waits     uint64   `json:"waits"`     // how often somebody had to
	Refusals  uint64   `json:"refusals"`  // how often there was none for the purpose asked for
	Failures  uint64   `json:"failures"`  // how often the kernel had no memory
	Pressed   bool     `json:"pressed"`   // less than a quarter of the limit is free
}

// LargeStatus is a worker's memory for what is larger than a block of its pool, in bytes.
type LargeStatus struct {
	Used     uint64 `json:"used"`
	Cached   uint64 `json:"cached"` // kept for the next use
	Limit    uint64 `json:"limit"`
	Refusals uint64 `json:"refusals"` // how often the limit was reached
	Failures uint64 `json:"failures"` // how often the kernel had no memory
}

// poolStatus reads the numbers of a worker's pools.
func poolStatus(m *stats.MemoryPage) ([]PoolStatus, LargeStatus) {
	pools := []PoolStatus{}
	for i := range m.Pools {
		p := &m.Pools[i]
		if p.SizeBytes.Load() == 0 {
			break
		}
		pools = append(pools, PoolStatus{
			Size: p.SizeBytes.Load(), Users: stats.PoolUser(p.Users.Load()).Names(), Used: p.Used.Load(), Allocated: p.Allocated.Load(),
			Limit: p.Limit.Load(), Reserve: p.Reserve.Load(), Peak: p.Peak.Load(), Waiting: p.Waiting.Load(), Waits: p.Waits.Load(),
			Refusals: p.Refusals.Load(), Failures: p.Failures.Load(), Pressed: p.Pressed.Load() != 0,
		})
	}
	l := &m.Large
	return pools, LargeStatus{Used: l.Used.Load(), Cached: l.Cached.Load(), Limit: l.Limit.Load(), Refusals: l.Refusals.Load(), Failures: l.Failures.Load()}
}

// BodiesStatus is how a worker's bodies went, since it started.
type BodiesStatus struct {
	Spliced      uint64            `json:"spliced"`       // that went through kernel pipes, in part at least
	SplicedBytes uint64            `json:"spliced_bytes"` // that did so
	NotSpliced   map[string]uint64 `json:"not_spliced"`   // bodies, by why not: off, chunked, unbuffered, rate, short, talk, kept, pipes, refused
	SpilledBytes uint64            `json:"spilled_bytes"` // written to temporary files
	SpillRefused uint64            `json:"spill_refused"` // how often buffers.temp_quota was reached
	SpillBounded uint64            `json:"spill_bounded"` // how often proxy_max_temp_file_size was
	SpillFailed  uint64            `json:"spill_failed"`  // how often writing failed
	PeekedBytes  uint64            `json:"peeked_bytes"`  // relayed without a block, because memory was short
}

// bodiesStatus reads how a worker's bodies went.
func bodiesStatus(p *stats.BodiesPage) BodiesStatus {
	s := BodiesStatus{
		Spliced: p.Spliced.Load(), SplicedBytes: p.SplicedBytes.Load(), NotSpliced: map[string]uint64{}, SpilledBytes: p.SpilledBytes.Load(),
		SpillRefused: p.SpillRefused.Load(), SpillBounded: p.SpillBounded.Load(), SpillFailed: p.SpillFailed.Load(), PeekedBytes: p.PeekedBytes.Load(),
	}
	for i, why := range stats.NoSpliceReasons() {
		s.NotSpliced[why] = p.NotSpliced[i].Load()
	}
	return s
}
