// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"errors"
	"fmt"

	"weir/internal/invariant"
)

// Check walks the whole pool and returns every fault that it finds: a block on two lists or on none, numbers that do
// not add up, waiters that could have been served, and, in builds with the tag "invariants", free blocks that were
// written to.
func (p *Pool) Check() (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("buffer pool of %d bytes: "+format, append([]any{p.blockSize}, args...)...))
	}

	count := map[blockState]int{}
	mapped := 0
	for i := range p.slabs {
		for j := range p.slabs[i].blocks {
			b := &p.slabs[i].blocks[j]
			if b.pool != p || int(b.slab) != i || int(b.index) != j {
				fault("block %d:%d says it is %v", i, j, b)
				continue
			}
			count[b.state]++
			mapped++
			p.checkMemory(b, fault)
		}
	}
	p.checkList("warm", p.warm, stateWarm, count[stateWarm], fault)
	p.checkList("cold", p.cold, stateCold, count[stateCold], fault)
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"mapped blocks", p.mapped, mapped},
		{"blocks in use", p.used, count[stateUsed] + count[stateGranted]},
		{"allocated blocks", p.allocated, mapped - count[stateCold]},
		{"granted blocks", p.ready.n, count[stateGranted]},
		{"waiters", p.waiting, p.wait[ClassAhead].n + p.wait[ClassRequest].n + p.wait[ClassBody].n + p.wait[ClassResponse].n},
	} {
		if c.got != c.want {
			fault("%d %s on record, %d found", c.got, c.what, c.want)
		}
	}
	if p.mapped > p.limit {
		fault("%d blocks mapped, the limit is %d", p.mapped, p.limit)
	}
	p.checkWaiters(fault)
	return faults
}

// checkMemory looks at the memory of one block.
func (p *Pool) checkMemory(b *Block, fault func(string, ...any)) {
	if b.state == stateUsed || b.state == stateGranted {
		if mem := p.memory(b); len(b.Data) != len(mem) || &b.Data[0] != &mem[0] {
			fault("%v has another's memory", b)
		}
		if b.R < 0 || b.R > b.W || b.W > len(b.Data) {
			fault("%v has its data at %d to %d", b, b.R, b.W)
		}
		return
	}
	if !invariant.Enabled {
		return
	}
	want := byte(poisonByte)
	if b.state == stateCold {
		want = 0
	}
	if i := firstOther(p.memory(b), want); i >= 0 {
		fault("%s", p.written(b, i))
	}
}

// checkList walks one list of free blocks. n is how many blocks there are in its state.
func (p *Pool) checkList(name string, first *Block, state blockState, n int, fault func(string, ...any)) {
	found := 0
	for b := first; b != nil; b = b.Next {
		if b.pool != p || b.state != state {
			fault("the %s list has %v, which is %v", name, b, b.state)
			return
		}
		if found++; found > n {
			fault("the %s list is a ring, or has a block twice: more than %d blocks", name, n)
			return
		}
	}
	if found != n {
		fault("the %s list has %d blocks, %d are in that state", name, found, n)
	}
}

// checkWaiters walks the queues.
func (p *Pool) checkWaiters(fault func(string, ...any)) {
	p.checkQueue("ready", &p.ready, waiterReady, fault)
	for class := range numClasses {
		queue := &p.wait[class]
		p.checkQueue(class.String(), queue, waiterQueued, fault)
		if queue.n > 0 && p.used < p.ceil[class] && p.failures == 0 {
			fault("%d of class %v wait, but %d blocks are in use and they may have %d", queue.n, class, p.used, p.ceil[class])
		}
	}
}

// checkQueue walks one queue.
func (p *Pool) checkQueue(name string, queue *list, state waiterState, fault func(string, ...any)) {
	found := 0
	var last *Waiter
	for w := queue.first; w != nil; w = w.next {
		if w.prev != last || w.state != state {
			fault("%s queue: waiter %d is linked wrongly, or in state %d", name, found, w.state)
			return
		}
		if (w.block != nil) != (state == waiterReady) || w.block != nil && w.block.state != stateGranted {
			fault("%s queue: waiter %d has the wrong block", name, found)
		}
		if found++; found > queue.n {
			break
		}
		last = w
	}
	if found != queue.n || last != queue.last {
		fault("%s queue has %d waiters, %d on record", name, found, queue.n)
	}
}

// Check walks the arena and returns every fault that it finds.
func (a *Arena) Check() (faults []error) {
	if a.Empty() && (a.chunks != nil || a.large != nil || a.cleanups != nil) {
		faults = append(faults, errors.New("buffer arena: it is empty, and holds something"))
	}
	if a.chunks == nil && len(a.free) != 0 {
		faults = append(faults, fmt.Errorf("buffer arena: %d bytes free in no chunk", len(a.free)))
	}
	for b := a.chunks; b != nil; b = b.Next {
		if b.pool != a.pool || b.state != stateUsed {
			faults = append(faults, fmt.Errorf("buffer arena: its chunk is a block that is %v", b.state))
			break
		}
	}
	var prev *large
	for l := a.large; l != nil; prev, l = l, l.next {
		if l.prev != prev || l.mem == nil {
			faults = append(faults, fmt.Errorf("buffer arena: a large piece of %d bytes is linked wrongly", len(l.mem)))
			break
		}
	}
	return faults
}
