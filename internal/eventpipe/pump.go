// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"math"

	"weir/internal/buffer"
	"weir/internal/conn"
)

// Pump writes to the sink and reads from the source until neither makes progress.
func (p *Pipe) Pump() Outcome {
	p.resumed()
	if p.resting != 0 {
		p.countResting(0)
	}
	if p.readDone {
		p.markEnd() // a body that has nothing in it
	}
	o := p.pump()
	if p.freeRaw != nil {
		p.dropRaw()
	}
	if p.kernel != nil && p.kernel.held == 0 {
		p.shared.splicer.release(p.kernel)
		p.kernel = nil
	}
	if o == Wait {
		p.countResting(p.holding())
	}
	return p.orPause(o)
}

func (p *Pipe) pump() Outcome {
	for range turnSteps {
		empty := p.Empty()
		more := false // the sink took bytes, and may take more that are there
		if !empty && p.Sink.Writable() {
			switch p.write() {
			case failed:
				return SinkFailed
			case short:
				return FileShort
			case garbled:
				return Garbled
			case moved:
				p.onProgress()
				empty = p.Empty()
				more = !empty && p.Sink.Writable()
			}
		}
		if p.readDone {
			switch {
			case empty:
				return Done
			case more:
				continue
			}
			return p.rest()
		}
		switch o := p.read(); {
		case o == Yield: // it has read something, or made room
		case (o == Wait || o == Full || o == NoBlock) && (more || p.unhold()):
		case o == Wait || o == Full || o == NoBlock && !p.Empty():
			return p.rest() // a block comes back when the sink takes more
		default:
			return o
		}
	}
	return Yield
}

// Fill only reads, until the body is complete (Done), there is no room, not even in the temporary file (Full), there is nothing to read or a
// write to the file is pending (Wait), or a turn's work is done (Yield).
func (p *Pipe) Fill() Outcome {
	p.filling = true
	p.resumed()
	if p.resting != 0 {
		p.countResting(0)
	}
	o := p.fill()
	p.filling = false
	if p.freeRaw != nil {
		p.dropRaw()
	}
	if o == Wait {
		p.countResting(p.holding())
	}
	return p.orPause(o)
}

func (p *Pipe) fill() Outcome {
	for range turnSteps {
		if p.readDone {
			return Done
		}
		if o := p.read(); o != Yield {
			return o
		}
	}
	return Yield
}

// read makes one step of reading. Yield: it has read, or made room. Full: there is no room, and none could be made.
func (p *Pipe) read() Outcome {
	if p.filling && p.Full() {
		return p.makeRoom()
	}
	if !p.Source.Readable() && !p.announced.begun() {
		return Wait
	}
	most := int64(math.MaxInt64)
	if p.sourceMeter.on() {
		if most = p.sourceAllows(); most == 0 {
			return Wait
		}
	}
	switch {
	case p.announced.begun():
		return p.peekChunks(most)
	case p.splice != spliceNever && p.maySplice():
		return p.spliceIn()
	case p.Unbuffered && !p.Empty():
		return Wait
	case !p.mayReadAhead():
		return Wait
	case p.Full():
		return p.makeRoom()
	case p.blocks == 0 && p.shared.short() && p.mayPeek():
		return p.peek(most)
	case p.blocks == 0 && p.shared.short() && p.mayPeekChunks():
		return p.peekChunks(most)
	}
	return p.readBlocks(most)
}

// makeRoom moves what waits for a slow sink to the temporary file, or gives up what is only kept.
func (p *Pipe) makeRoom() Outcome {
	if p.writer != nil {
		return Wait
	}
	if p.maySpill() && p.stalled() {
		if !p.sinkIsSlow() {
			return Wait
		}
		switch p.spill(false) {
		case spillDone:
			return Yield
		case spillPending:
			return Wait
		}
	}
	if p.Keep && !p.filling && p.Empty() {
		p.StopKeeping()
		return Yield
	}
	return Full
}

// readBlocks reads into what is left of the last block and into new ones with one system call, most bytes at most.
func (p *Pipe) readBlocks(most int64) Outcome {
	size := p.shared.pool.BlockSize()
	wanted := p.wanted(size, most)
	first := min(p.tailRoom(), wanted)
	chain, room, n := p.acquire(first, wanted, size)
	if room == 0 {
		return p.noBlock()
	}
	room = min(room, wanted)
	var got int
	var st conn.Status
	switch {
	case n == 0:
		at := int(p.tail.last)
		got, st = p.Source.Read(p.tail.raw.Data[at : at+room])
	case n == 1 && first == 0:
		got, st = p.Source.Read(chain.Data[:room])
	default:
		got, st = p.readv(chain, first, room)
	}
	if st != conn.OK {
		p.keepRaw(chain)
		return p.sourceEnd(st)
	}
	p.Raw += int64(got)
	p.learn(got == room)
	return p.takeAll(chain, first, got)
}

// learn has a pipe that does not know how much comes ask for more blocks while reads fill them.
func (p *Pipe) learn(full bool) {
	if !full {
		p.reach = 1
	} else if p.reach < vectorMax/2 {
		p.reach *= 2
	}
}

// wanted is how many bytes are worth a read.
func (p *Pipe) wanted(size int, most int64) int {
	n := min(int64(size*p.Blocks), most)
	switch {
	case p.Unbuffered && p.Busy > 0:
		n = min(n, int64(p.Busy))
	case p.Unbuffered:
		n = min(n, int64(size))
	case p.Framing != Length && p.Exact:
		n = min(n, int64(size)) // what may come behind the body fits in one block
	case p.Framing != Length:
		n = min(n, int64(size)*int64(p.reach))
	}
	if p.Framing == Length && p.left < n {
		n = p.left
		if !p.Exact {
			n++ // one byte more, so that a short read shows that the source has no more
		}
	}
	return int(n)
}

// acquire takes blocks until there is room for wanted bytes, the first of which are in the last shadow's block.
func (p *Pipe) acquire(first, wanted, size int) (chain *buffer.Block, room, n int) {
	var last *buffer.Block
	room = first
	for room < wanted && p.blocks+n < p.Blocks && n < vectorMax-1 {
		b := p.freeRaw
		if b != nil {
			p.freeRaw = b.Next
			b.Next = nil
		} else {
			p.needs = p.classOf(n)
			b = p.shared.pool.Acquire(p.needs)
		}
		if b == nil {
			break
		}
		if last == nil {
			chain = b
		} else {
			last.Next = b
		}
		last = b
		room += size
		n++
	}
	return chain, room, n
}

// noBlock is what becomes of a read that got no block: others may need the memory more than what waits here.
func (p *Pipe) noBlock() Outcome {
	if p.writer != nil {
		return Wait
	}
	if p.stalled() {
		switch p.spill(false) {
		case spillDone:
			return Yield
		case spillPending:
			return Wait
		}
	}
	if p.kept.first != nil && !p.filling && p.Empty() {
		p.StopKeeping()
		return Yield
	}
	return NoBlock
}

func (p *Pipe) readv(chain *buffer.Block, first, room int) (int, conn.Status) {
	var v vector
	if first > 0 {
		at := int(p.tail.last)
		v.add(p.tail.raw.Data[at : at+first])
	}
	for b := chain; b != nil; b = b.Next {
		v.add(b.Data[:min(len(b.Data), room-v.total)])
	}
	return p.Source.Readv(v.iov[:v.n], room)
}

// takeAll filters the bytes that were read, first of them behind the last shadow.
func (p *Pipe) takeAll(chain *buffer.Block, first, got int) Outcome {
	if n := min(first, got); n > 0 {
		got -= n
		at := int(p.tail.last)
		if !p.take(p.tail.raw, at, at+n) {
			p.keepRaw(chain)
			return SourceBad
		}
	}
	for b := chain; b != nil; {
		if got == 0 {
			p.keepRaw(b)
			break
		}
		next := b.Next
		n := min(got, len(b.Data))
		got -= n
		if !p.take(b, 0, n) {
			p.keepRaw(next)
			return SourceBad
		}
		b = next
	}
	return Yield
}

// keepRaw has the next read use blocks that this one did not fill.
func (p *Pipe) keepRaw(chain *buffer.Block) {
	for chain != nil {
		next := chain.Next
		chain.Next = p.freeRaw
		p.freeRaw = chain
		chain = next
	}
}

// dropRaw gives the blocks back that are not in use: a pipe that waits holds none.
func (p *Pipe) dropRaw() {
	p.shared.pool.ReleaseChain(p.freeRaw)
	p.freeRaw = nil
}

func (p *Pipe) sourceEnd(st conn.Status) Outcome {
	switch st {
	case conn.Again:
		return Wait
	case conn.Failed:
		return SourceFailed
	}
	if p.Framing != UntilClose {
		return SourceClosed
	}
	p.readDone = true
	p.markEnd()
	return Yield
}
