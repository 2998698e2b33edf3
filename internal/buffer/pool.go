// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"errors"
	"fmt"

	"weir/internal/invariant"
	"weir/internal/sys"
)

// Class is the urgency with which a block is asked for.
type Class uint8

// The classes, by the part of a pool that they may use.
const (
	ClassAhead    Class = iota // has to leave a quarter of the limit, and the reserve: what is read before anybody takes it
	ClassRequest               // has to leave the reserve: new work
	ClassBody                  // has to leave one block of it: work in hand that will need another block before it ends
	ClassResponse              // may use all up to the limit: the step that brings work to its end and needs nothing more
	numClasses
)

// String names the class.
func (c Class) String() string {
	return [...]string{"ahead", "request", "body", "response"}[c]
}

// pressShare is the part of the limit that reading ahead has to leave, and below which the pool is pressed: one in so many.
const pressShare = 4

// Bounds of Options.
const (
	MinBlockSize = 64
	MaxBlockSize = 64 << 20
	MaxBlocks    = 1 << 28 // of one pool
)

// Options of a pool.
type Options struct {
	BlockSize int // bytes, MinBlockSize to MaxBlockSize (HAProxy's tune.bufsize)
	Reserve   int // blocks allocated ahead and kept for ClassResponse: 0 to Limit-1 (HAProxy's tune.buffers.reserve)
	Limit     int // blocks at most, 1 to MaxBlocks (HAProxy's tune.buffers.limit)

	// OnReady is called when a waiter has got its block and Wake has to be called to tell it: it posts a call of
	// Wake, and must not make that call itself. Nil: Wake is called once per turn of the loop anyway.
	OnReady func()
}

// validate returns what is wrong with o, or nil.
func (o *Options) validate() error {
	switch {
	case o.BlockSize < MinBlockSize || o.BlockSize > MaxBlockSize:
		return fmt.Errorf("buffer pool: block size %d is not within %d and %d", o.BlockSize, MinBlockSize, MaxBlockSize)
	case o.Limit < 1 || o.Limit > MaxBlocks:
		return fmt.Errorf("buffer pool: limit %d is not within 1 and %d", o.Limit, MaxBlocks)
	case o.Reserve < 0 || o.Reserve >= o.Limit:
		return fmt.Errorf("buffer pool: reserve %d is not within 0 and %d, the limit less one", o.Reserve, o.Limit-1)
	}
	return nil
}

// Pool is a set of blocks of one size with a limit. One worker owns it; it is not for several goroutines.
type Pool struct {
	// What Acquire and Release touch, on one cache line.
	warm       *Block          // free blocks with memory, the one released last comes first
	used       int             // blocks with users and granted to waiters
	ceil       [numClasses]int // used stays at or below it when the class acquires
	recentPeak int             // most used at one time since the last Trim
	waiting    int             // waiters in wait, all classes

	wait    [numClasses]list // who waits for a block
	ready   list             // waiters that have a block and were not told yet
	posted  bool             // onReady was called and Wake was not yet
	onReady func()

	blockSize int
	reserve   int
	limit     int
	pressAt   int // used: see Pressed
	users     []string

	mmap      func(lengthBytes int) ([]byte, error) // sys.MapAnonymous; tests have it fail
	cold      *Block                                // free blocks without memory
	slabs     []slab
	perSlab   int // blocks of a slab, unless the limit is nearer
	mapped    int // blocks that there are: used, warm and cold
	allocated int // of these, used and warm ones

	changes  uint64 // see Changes
	peak     int    // recentPeak of all times before the last Trim
	waits    uint64
	refusals uint64
	failures uint64
	failure  error
	trimmed  uint64
}

// NewPool makes a pool and allocates its reserve. The error is that of bad options, or of mmap.
func NewPool(o Options) (*Pool, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	p := &Pool{
		blockSize: o.BlockSize,
		perSlab:   min(max(slabBytes/o.BlockSize, 1), maxPerSlab),
		onReady:   o.OnReady,
		mmap:      sys.MapAnonymous,
	}
	if err := p.raise(o.Reserve, o.Limit); err != nil {
		return nil, errors.Join(err, p.unmap())
	}
	return p, nil
}

// raise adds to the pool's reserve and limit, and allocates the former. After an error the pool is good for unmap only.
func (p *Pool) raise(reserve, limit int) error {
	p.setLimits(p.reserve+reserve, p.limit+limit)
	for p.allocated < p.reserve {
		if p.cold == nil {
			if err := p.grow(); err != nil {
				return err
			}
		}
		p.heat()
	}
	if p.waiting != 0 {
		p.grant()
	}
	return nil
}

// setLimits sets what the classes may use.
func (p *Pool) setLimits(reserve, limit int) {
	p.changes++
	p.reserve, p.limit = reserve, limit
	p.pressAt = limit - limit/pressShare
	p.ceil = [numClasses]int{
		ClassAhead:    limit - max(reserve, limit/pressShare),
		ClassRequest:  limit - reserve,
		ClassBody:     limit - min(reserve, 1),
		ClassResponse: limit,
	}
}

// Pressed reports whether less than a quarter of the limit is free: who holds blocks that it can do without, such as a
// response that its client does not take, gives them back. ClassAhead alone never brings a pool there.
func (p *Pool) Pressed() bool { return p.used > p.pressAt }

// AheadMax is how many blocks may be in use when one is acquired with ClassAhead, less than the limit by a quarter at least.
func (p *Pool) AheadMax() int { return p.ceil[ClassAhead] }

// BlockSize is the size of every block in bytes.
func (p *Pool) BlockSize() int { return p.blockSize }

// Used is the number of blocks with users.
func (p *Pool) Used() int { return p.used }

// Waiting is the number of waiters that have no block yet.
func (p *Pool) Waiting() int { return p.waiting }

// Changes grows whenever something in Stats other than Used and Peak may have changed, so that who publishes the
// numbers need not look at them each time.
func (p *Pool) Changes() uint64 { return p.changes }

// Acquire takes a block, with no data in it and no Next, which the caller then owns. It is nil if the class's share of
// the limit is used up, or the kernel has no memory: the caller may then Wait.
func (p *Pool) Acquire(class Class) *Block {
	b := p.warm
	if b == nil || p.used >= p.ceil[class] {
		return p.acquireSlowly(class)
	}
	p.warm = b.Next
	p.used++
	if p.used > p.recentPeak {
		p.recentPeak = p.used
	}
	if invariant.Enabled {
		p.unpoison(b)
	}
	b.state = stateUsed
	b.R, b.W, b.Next = 0, 0, nil
	return b
}

// acquireSlowly is Acquire when there is no warm block or the limit is reached.
func (p *Pool) acquireSlowly(class Class) *Block {
	p.changes++
	if p.used >= p.ceil[class] || p.wait[class].first != nil { // nobody overtakes those whom the kernel's refusal made wait
		p.refusals++
		return nil
	}
	if !p.refill() {
		return nil
	}
	return p.Acquire(class)
}

// refill puts a block on the empty warm list; there is room below the limit. False: the kernel has no memory.
func (p *Pool) refill() bool {
	if p.cold == nil {
		if err := p.grow(); err != nil {
			p.failures++
			p.failure = err
			return false
		}
	}
	p.heat()
	return true
}

// Release gives a block back; the caller must not use it, or slices of it, any more. A block that is not in use, or
// of another pool, is a bug: it panics.
func (p *Pool) Release(b *Block) {
	if b.pool != p || b.state != stateUsed {
		panic(p.misuse("release", b))
	}
	p.put(b)
}

// ReleaseChain gives back b and all that follow it by Next; nil is an empty chain.
func (p *Pool) ReleaseChain(b *Block) {
	for b != nil {
		next := b.Next
		p.Release(b)
		b = next
	}
}

// put makes b, used or granted, a warm one.
func (p *Pool) put(b *Block) {
	if invariant.Enabled {
		p.poison(b)
	}
	b.state = stateWarm
	b.Next, p.warm = p.warm, b
	if p.used--; p.waiting != 0 {
		p.grant()
	}
}

// misuse is the report about a block that an operation found where it must not be.
func (p *Pool) misuse(op string, b *Block) string {
	if b.pool != nil && b.pool != p {
		return fmt.Sprintf("buffer: %s of %v to the pool of %d bytes %v", op, b, p.blockSize, p.users)
	}
	return fmt.Sprintf("buffer: %s of %v, which is %v", op, b, b.state)
}

// Stats are a pool's numbers.
type Stats struct {
	BlockSize int      // bytes
	Used      int      // blocks with users
	Allocated int      // blocks with memory: used and free ones
	Limit     int      // blocks at most
	Reserve   int      // blocks kept for responses; as many are always allocated
	Peak      int      // most used at one time
	Users     []string // who shares the pool; not to be changed

	Waiting  int    // waiters now, those included whose block is ready
	Waits    uint64 // how often a block had to be waited for
	Refusals uint64 // how often Acquire found the limit reached
	Failures uint64 // how often the kernel refused memory
	Failure  error  // the last such refusal
	Trimmed  uint64 // blocks whose memory was given back to the kernel
}

// Stats returns the pool's numbers.
func (p *Pool) Stats() Stats {
	return Stats{
		BlockSize: p.blockSize,
		Used:      p.used,
		Allocated: p.allocated,
		Limit:     p.limit,
		Reserve:   p.reserve,
		Peak:      max(p.peak, p.recentPeak),
		Users:     p.users,
		Waiting:   p.waiting + p.ready.n,
		Waits:     p.waits,
		Refusals:  p.refusals,
		Failures:  p.failures,
		Failure:   p.failure,
		Trimmed:   p.trimmed,
	}
}
