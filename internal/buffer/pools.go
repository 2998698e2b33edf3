// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import "fmt"

// Pools are all pools of one worker. Users that ask for the same block size share a pool: reserves and limits add up, so
// what one user leaves unused another can have, and freed memory is used again while it is in the processor's caches.
// The zero value has no pool.
type Pools struct {
	// OnReady is every pool's Options.OnReady; what it posts is Pools.Wake. Set before the first Open.
	OnReady func()

	pools []*Pool
}

// Open makes user a user of the pool of o's block size; the pool is made if there is none. o.Reserve and o.Limit are
// what this user adds; o.OnReady is not looked at. The error is that of bad options, and has changed nothing, or that
// of mmap, and the pools are good for Close only.
func (s *Pools) Open(user string, o Options) (*Pool, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", user, err)
	}
	for _, p := range s.pools {
		if p.blockSize != o.BlockSize {
			continue
		}
		if p.limit+o.Limit > MaxBlocks {
			return nil, fmt.Errorf("%s: buffer pool: limit %d of %d users is above %d",
				user, p.limit+o.Limit, len(p.users)+1, MaxBlocks)
		}
		if err := p.raise(o.Reserve, o.Limit); err != nil {
			return nil, fmt.Errorf("%s: %w", user, err)
		}
		p.users = append(p.users, user)
		p.changes++
		return p, nil
	}
	o.OnReady = s.OnReady
	p, err := NewPool(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", user, err)
	}
	p.users = []string{user}
	s.pools = append(s.pools, p)
	return p, nil
}

// Wake is Pool.Wake of every pool.
func (s *Pools) Wake() {
	for _, p := range s.pools {
		p.Wake()
	}
}

// Trim is Pool.Trim of every pool; it returns the number of blocks given back.
func (s *Pools) Trim() (blocks int) {
	for _, p := range s.pools {
		blocks += p.Trim()
	}
	return blocks
}

// All are the pools, in the order in which they were made; not to be changed.
func (s *Pools) All() []*Pool { return s.pools }

// Check is Pool.Check of every pool.
func (s *Pools) Check() (faults []error) {
	for _, p := range s.pools {
		faults = append(faults, p.Check()...)
	}
	return faults
}

// Close is Pool.Close of every pool. It stops at the first error.
func (s *Pools) Close() error {
	for len(s.pools) > 0 {
		last := len(s.pools) - 1
		if err := s.pools[last].Close(); err != nil {
			return err
		}
		s.pools = s.pools[:last]
	}
	return nil
}
