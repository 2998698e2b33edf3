// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"runtime/debug"

	"weir/internal/budget"
	"weir/internal/buffer"
	"weir/internal/stats"
)

// memory is the worker's pools of blocks, with the limits of package budget. Users whose blocks are of one size share a pool.
type memory struct {
	pools       buffer.Pools
	buffers     *buffer.Pool
	requests    map[int]*buffer.Pool // by request_pool_size
	connections map[int]*buffer.Pool // by connection_pool_size
	depot       *buffer.Depot

	users []stats.PoolUser  // of each pool
	page  *stats.MemoryPage // where the numbers are published
	told  []uint64          // buffer.Pool.Changes of each pool when its numbers were published
	large uint64            // and buffer.Depot.Changes

	totals *stats.Page // where what happened is added up, over all holders of the slot
}

// open makes the pools. onReady is called when a user that waited for a block has to be told.
func (m *memory) open(b budget.Budget, onReady func()) error {
	debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), b.GoBytes())) // the present one is GOMEMLIMIT, where the master has set it
	m.pools.OnReady = onReady
	m.requests, m.connections = map[int]*buffer.Pool{}, map[int]*buffer.Pool{}
	var err error
	if m.buffers, err = m.use(stats.UserBuffers, b.Buffers); err != nil {
		return err
	}
	for _, p := range b.RequestPools {
		if m.requests[p.BlockBytes], err = m.use(stats.UserRequestPool, p); err != nil {
			return err
		}
	}
	for _, p := range b.ConnectionPools {
		if m.connections[p.BlockBytes], err = m.use(stats.UserConnectionPool, p); err != nil {
			return err
		}
	}
	m.depot = buffer.NewDepot(int(b.LargeBytes))
	m.told = make([]uint64, len(m.users))
	return nil
}

// use makes user one of the users of the pool of p's block size.
func (m *memory) use(user stats.PoolUser, p budget.Pool) (*buffer.Pool, error) {
	pool, err := m.pools.Open(user.Names()[0], buffer.Options{BlockSize: p.BlockBytes, Reserve: p.Reserve, Limit: p.Limit})
	if err != nil {
		return nil, err
	}
	all := m.pools.All()
	for i := range all {
		if i == len(m.users) {
			m.users = append(m.users, 0)
		}
		if all[i] == pool {
			m.users[i] |= user
		}
	}
	return pool, nil
}

// trim gives memory that is not needed any more back to the kernel.
func (m *memory) trim() {
	m.pools.Trim()
	m.depot.Trim()
}

// publish writes the numbers that have changed to the page that everybody reads. It is called after each turn of the loop, and mostly costs
// a comparison and a store for each pool.
func (m *memory) publish() {
	for i, p := range m.pools.All() {
		if i == stats.MaxPools {
			break
		}
		page := &m.page.Pools[i]
		page.Used.Set(uint64(p.Used()))
		if changes := p.Changes(); changes != m.told[i] {
			m.told[i] = changes
			s := p.Stats()
			m.totals.BlockWaits.Add(s.Waits - page.Waits.Load())
			m.totals.BlockRefusals.Add(s.Refusals - page.Refusals.Load())
			m.totals.BlockFailures.Add(s.Failures - page.Failures.Load())
			publishPool(page, m.users[i], s)
		}
		pressed := uint64(0)
		if p.Pressed() {
			pressed = 1
		}
		page.Pressed.Set(pressed)
	}
	if d := m.depot; d.Changes() != m.large {
		m.large = d.Changes()
		s := d.Stats()
		m.totals.LargeRefusals.Add(s.Refusals - m.page.Large.Refusals.Load())
		m.totals.BlockFailures.Add(s.Failures - m.page.Large.Failures.Load())
		publishLarge(&m.page.Large, s)
	}
}

func publishPool(page *stats.PoolPage, users stats.PoolUser, s buffer.Stats) {
	page.SizeBytes.Set(uint64(s.BlockSize))
	page.Users.Set(uint64(users))
	page.Allocated.Set(uint64(s.Allocated))
	page.Limit.Set(uint64(s.Limit))
	page.Reserve.Set(uint64(s.Reserve))
	page.Peak.Set(uint64(s.Peak))
	page.Waiting.Set(uint64(s.Waiting))
	page.Waits.Set(s.Waits)
	page.Refusals.Set(s.Refusals)
	page.Failures.Set(s.Failures)
}

func publishLarge(page *stats.LargePage, s buffer.DepotStats) {
	page.Used.Set(uint64(s.LargeUsed))
	page.Cached.Set(uint64(s.LargeCached))
	page.Limit.Set(uint64(s.LargeLimit))
	page.Refusals.Set(s.Refusals)
	page.Failures.Set(s.Failures)
}
