// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/sys"
)

// Pump writes to the sink and reads from the source until neither makes progress.
func (p *Pipe) Pump() Outcome {
	for range turnSteps {
		wrote := false
		if !p.Empty() && p.Sink.Writable() {
			switch p.write() {
			case conn.Failed:
				return SinkFailed
			case conn.OK:
				wrote = true
			}
		}
		if p.readDone {
			if p.Empty() {
				return Done
			}
			if !wrote || !p.Sink.Writable() {
				return Wait
			}
			continue
		}
		o := p.read()
		switch {
		case o == Yield: // it has read something
		case o == NoBlock && !p.Empty():
			if !wrote {
				return Wait // a block comes back when the sink takes more
			}
		case o == Wait && wrote && p.Sink.Writable() && !p.Empty():
		default:
			return o
		}
	}
	return Yield
}

// Fill only reads, until the body is complete (Done), the queue is full (Yield), or there is nothing to read (Wait).
func (p *Pipe) Fill() Outcome {
	for {
		if p.readDone {
			return Done
		}
		if p.blocks >= p.Blocks {
			return Yield
		}
		if o := p.read(); o != Yield {
			return o
		}
	}
}

// read makes one system call and filters what it got: Yield. Wait when there is nothing to read or no room on the queue.
func (p *Pipe) read() Outcome {
	if p.blocks >= p.Blocks || !p.Source.Readable() {
		return Wait
	}
	chain, room, n := p.vector()
	if chain == nil {
		return NoBlock
	}
	var got int
	var st conn.Status
	if n == 1 {
		got, st = p.Source.Read(chain.Data[HeadRoom : HeadRoom+room])
	} else {
		got, st = p.readv(chain, room, n)
	}
	if st != conn.OK {
		p.pool.ReleaseChain(chain)
		return p.sourceEnd(st)
	}
	p.Raw += int64(got)
	return p.takeChain(chain, got)
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
	p.finish()
	return Yield
}

// vector acquires the blocks for one read: as many as the rest of the body can fill and the queue has room for. It
// gives the chain, the bytes that fit and the number of blocks; nil when the pool has none.
func (p *Pipe) vector() (chain *buffer.Block, room, n int) {
	each := p.pool.BlockSize() - HeadRoom - TailRoom
	wanted := each * min(p.Blocks-p.blocks, vectorMax)
	if p.Framing == Length && p.left < int64(wanted) {
		wanted = int(p.left)
		if !p.Exact {
			wanted++ // one byte more, so that a short read shows that the source has no more
		}
	} else if p.Framing != Length {
		wanted = each
	}
	var last *buffer.Block
	for room < wanted {
		b := p.spare
		if p.spare = nil; b == nil {
			b = p.pool.Acquire(p.Class)
		}
		if b == nil {
			break
		}
		b.R, b.W = HeadRoom, HeadRoom
		if last == nil {
			chain = b
		} else {
			last.Next = b
		}
		last = b
		room += each
		n++
	}
	if p.Exact {
		room = min(room, wanted)
	}
	return chain, room, n
}

func (p *Pipe) readv(chain *buffer.Block, room, n int) (int, conn.Status) {
	var iov [vectorMax]sys.Iovec
	each := p.pool.BlockSize() - HeadRoom - TailRoom
	left := room
	for i, b := 0, chain; b != nil; i, b = i+1, b.Next {
		size := min(each, left)
		iov[i].Set(b.Data[HeadRoom : HeadRoom+size])
		left -= size
	}
	return p.Source.Readv(iov[:n], room)
}

// takeChain filters the blocks that got bytes and gives the others back.
func (p *Pipe) takeChain(chain *buffer.Block, got int) Outcome {
	each := p.pool.BlockSize() - HeadRoom - TailRoom
	for b := chain; b != nil; {
		next := b.Next
		if got == 0 {
			p.pool.ReleaseChain(b)
			break
		}
		n := min(got, each)
		got -= n
		b.W = HeadRoom + n
		if !p.filter(b) {
			p.pool.ReleaseChain(next)
			return SourceBad
		}
		b = next
	}
	return Yield
}

// write makes one system call with as much of the queue as fits in it.
func (p *Pipe) write() conn.Status {
	var n int
	var st conn.Status
	if p.cur != nil && p.cur.Next == nil && p.end == 0 {
		n, st = p.Sink.Write(p.cur.Data[p.off:p.cur.W])
	} else {
		n, st = p.writev()
	}
	if st != conn.OK {
		return st
	}
	p.Wire += int64(n)
	p.advance(n)
	return conn.OK
}

func (p *Pipe) writev() (int, conn.Status) {
	var iov [vectorMax + 1]sys.Iovec
	n, total, off := 0, 0, p.off
	b := p.cur
	for ; b != nil && n < vectorMax; b = b.Next {
		if b.W > off {
			iov[n].Set(b.Data[off:b.W])
			total += b.W - off
			n++
		}
		if b.Next != nil {
			off = b.Next.R
		}
	}
	if b == nil && p.end > 0 {
		iov[n].Set(lastChunk[len(lastChunk)-p.end:])
		total += p.end
		n++
	}
	return p.Sink.Writev(iov[:n], total)
}

// advance moves the writing position by n bytes and lets go of blocks that are written.
func (p *Pipe) advance(n int) {
	for p.cur != nil {
		b := p.cur
		if left := b.W - p.off; n < left {
			p.off += n
			return
		} else {
			n -= left
		}
		p.cur = b.Next
		if p.cur != nil {
			p.off = p.cur.R
		}
		if !p.Keep {
			p.pop()
		}
	}
	p.end -= n
}
