// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"fmt"

	"weir/internal/sys"
)

// A slab is what a pool grows by: one mapping, cut into blocks. The kernel gives a page when it is first touched, so a
// new slab costs addresses and descriptors, not memory.
type slab struct {
	mem    []byte
	blocks []Block
}

const (
	slabBytes  = 1 << 20 // about how much is mapped at once
	maxPerSlab = 256     // bounds the time that growing takes

	// trimBatch is the number of blocks given back by one Trim: each takes a system call.
	trimBatch = 64
)

// grow maps one more slab; its blocks are cold. There is room below the limit.
func (p *Pool) grow() error {
	n := min(p.perSlab, p.limit-p.mapped)
	mem, err := p.mmap(n * p.blockSize)
	if err != nil {
		return fmt.Errorf("buffer pool: grow by %d blocks of %d bytes: %w", n, p.blockSize, err)
	}
	blocks := make([]Block, n)
	for i := n - 1; i >= 0; i-- { // the list starts with the lowest address
		b := &blocks[i]
		*b = Block{
			Data:  mem[i*p.blockSize : (i+1)*p.blockSize : (i+1)*p.blockSize],
			Next:  p.cold,
			pool:  p,
			slab:  uint32(len(p.slabs)),
			index: uint16(i),
			state: stateCold,
		}
		p.cold = b
	}
	p.slabs = append(p.slabs, slab{mem: mem, blocks: blocks})
	p.mapped += n
	return nil
}

// heat moves a block from the cold list, which is not empty, to the warm one. Its pages are touched now.
func (p *Pool) heat() {
	b := p.cold
	p.cold = b.Next
	p.warmUp(b)
	b.state = stateWarm
	b.Next = p.warm
	p.warm = b
	p.allocated++
}

// Trim gives memory of free blocks back to the kernel if far more is allocated than was needed since the last call:
// more than the highest use in that time, the reserve, and a batch. One call gives back at most a batch (64 blocks);
// it returns how many. Blocks that are no whole pages are kept. Call it every few seconds, also because it tries
// again for those who wait as the kernel had no memory.
func (p *Pool) Trim() int {
	if p.waiting != 0 {
		p.grant()
	}
	p.changes++
	keep := max(p.recentPeak, p.reserve)
	p.peak = max(p.peak, p.recentPeak)
	p.recentPeak = p.used
	if p.allocated-keep < trimBatch || p.blockSize%sys.PageSize() != 0 {
		return 0
	}
	// The blocks used last, which may still be in the processor's caches, stay.
	link := &p.warm
	for range keep - p.used {
		link = &(*link).Next
	}
	for n := range trimBatch {
		b := *link
		if err := sys.AdviseDontNeed(p.memory(b)); err != nil {
			p.failures++
			p.failure = err
			return n
		}
		*link = b.Next
		b.state = stateCold
		b.Next = p.cold
		p.cold = b
		p.allocated--
		p.trimmed++
	}
	return trimBatch
}

// memory is the memory of a block, in whatever state it is.
func (p *Pool) memory(b *Block) []byte {
	start := int(b.index) * p.blockSize
	end := start + p.blockSize
	return p.slabs[b.slab].mem[start:end:end]
}

// Close unmaps the pool, which must not be used any more. An error means that blocks are still in use or waited for:
// the pool is left as it is.
func (p *Pool) Close() error {
	if p.used != 0 || p.waiting != 0 {
		return fmt.Errorf("buffer pool: close(%d bytes %v): %d blocks in use, %d waiters", p.blockSize, p.users, p.used, p.waiting)
	}
	return p.unmap()
}

// unmap gives all memory back.
func (p *Pool) unmap() error {
	p.warm, p.cold, p.mapped, p.allocated = nil, nil, 0, 0
	p.setLimits(0, 0)
	for len(p.slabs) > 0 {
		last := len(p.slabs) - 1
		if err := sys.Unmap(p.slabs[last].mem); err != nil {
			return err
		}
		p.slabs = p.slabs[:last]
	}
	return nil
}
