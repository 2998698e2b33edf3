// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"math"

	"weir/internal/conn"
	"weir/internal/http1"
	"weir/internal/sys"
)

// sendfileMax bounds the bytes of one sendfile(2), which may have to wait for the disk.
const sendfileMax = 512 << 10

// progress is what a write came to.
type progress uint8

const (
	moved   progress = iota // bytes, or marks
	blocked                 // nothing for now
	failed
	short   // a file has ended too early
	garbled // the encoder can make nothing of the body
)

// output is the output filter: it moves to busy what waits, framed for the sink, as far as Busy allows.
func (p *Pipe) output() {
	if last := p.busy.last; last != nil {
		last.flags &^= lastInChain
	}
	switch {
	case p.Chunk:
		p.outputChunks()
	case p.Busy == 0 && p.Encoder == nil:
		p.busy.pushAll(&p.out)
		p.busy.pushAll(&p.in)
	default:
		for c := p.next(); c != nil; c = p.next() {
			p.hand(c.pop())
		}
	}
	if last := p.busy.last; last != nil {
		last.flags |= lastInChain
	}
}

// next is the chain from which the output filter takes, `out` before `in`; nil: there is nothing, or busy has all that it may.
func (p *Pipe) next() *chain {
	switch {
	case p.Busy > 0 && p.handed >= int64(p.Busy):
		return nil
	case p.Encoder != nil:
		if p.enc.coded.first != nil {
			return &p.enc.coded
		}
		return nil
	case p.out.first != nil:
		return &p.out
	case p.in.first != nil:
		return &p.in
	}
	return nil
}

func (p *Pipe) hand(d *Buf) {
	p.handed += d.len()
	p.busy.push(d)
}

// outputChunks makes one chunk of the payload that is there, as nginx does.
func (p *Pipe) outputChunks() {
	var head *Buf
	size := int64(0)
	for c := p.next(); c != nil; c = p.next() {
		d := c.pop()
		switch {
		case d.has(sync):
			text := lastChunk
			if head != nil {
				head.setChunkHead(size)
				p.handed += head.len()
				head = nil
				text = endAndLastChunk
			}
			if p.tailed {
				text = text[:len(text)-len("\r\n")]
			}
			d.setSmall(text)
		case d.has(framed):
			if head != nil {
				p.endChunk(head, size)
				head = nil
			}
		case head == nil:
			head, size = p.frame(), d.len()
		default:
			size += d.len()
		}
		p.hand(d)
	}
	if head != nil {
		p.endChunk(head, size)
	}
}

const (
	lastChunk       = "0\r\n\r\n"
	endAndLastChunk = "\r\n" + lastChunk
)

// frame puts an empty descriptor for framing on busy.
func (p *Pipe) frame() *Buf {
	d := p.shared.alloc()
	d.pos, d.last, d.flags = 0, 0, framed
	p.busy.push(d)
	return d
}

// endChunk frames what has been put on busy behind head as a chunk.
func (p *Pipe) endChunk(head *Buf, size int64) {
	head.setChunkHead(size)
	end := p.frame()
	end.setSmall("\r\n")
	p.handed += head.len() + end.len()
}

func (b *Buf) setChunkHead(size int64) {
	b.last = int64(len(http1.AppendChunkHead(b.small[:0], int(size))))
}

func (b *Buf) setSmall(text string) {
	b.pos, b.last = 0, int64(copy(b.small[:], text))
}

// write makes one system call with as much as fits in it.
func (p *Pipe) write() progress {
	if p.kernel != nil && p.kernel.held > 0 {
		return p.spliceOut()
	}
	if d := p.in.first; d != nil && d.next == nil && p.plain(d) {
		return p.writeOne(d)
	}
	allowed := int64(math.MaxInt64)
	if p.sinkMeter.on() {
		if allowed = p.sinkAllows(); allowed == 0 {
			return blocked
		}
	}
	switch {
	case p.Encoder != nil:
		if pr := p.encode(); pr == short || pr == garbled || p.busy.first == nil && p.enc.coded.first == nil {
			return pr
		}
		p.output()
	case p.in.first != nil || p.out.first != nil:
		p.output()
	}
	var n int
	var st conn.Status
	switch d := p.busy.first; {
	case d.has(writing):
		return blocked
	case d.has(inFile):
		n, st = p.Sink.Sendfile(p.fdOf(d), d.pos+p.sent, int(min(d.len()-p.sent, allowed, sendfileMax)))
	case d.next == nil && d.len()-p.sent <= allowed && d.len() > p.sent:
		n, st = p.Sink.Write(d.bytes()[p.sent:])
	default:
		n, st = p.writev(allowed)
	}
	switch st {
	case conn.Failed:
		if d := p.busy.first; d.has(inFile) && !d.has(tempFile) && p.Sink.Errno() == sys.EIO {
			return short
		}
		return failed
	case conn.Again:
		return blocked
	}
	p.Wire += int64(n)
	p.updateChains(int64(n))
	return moved
}

// plain says whether d, the only descriptor of `in`, can be written as it stands.
func (p *Pipe) plain(d *Buf) bool {
	return p.busy.first == nil && p.out.first == nil && !p.Chunk && !p.Keep && !p.sinkMeter.on() && p.Encoder == nil && d.raw != nil && d.flags&writing == 0 && d.len() > 0
}

// writeOne is write for a short answer: what it does not take stands on busy afterwards.
func (p *Pipe) writeOne(d *Buf) progress {
	n, st := p.Sink.Write(d.bytes())
	switch st {
	case conn.Failed:
		return failed
	case conn.Again:
		return blocked
	}
	p.Wire += int64(n)
	p.busy, p.in = p.in, chain{}
	if int64(n) == d.len() {
		p.busy = chain{}
		p.letGo(d)
	} else {
		p.sent, p.handed = int64(n), d.len()-int64(n)
		d.flags |= lastInChain
	}
	return moved
}

// writev writes the bytes in memory that busy begins with, allowed bytes at most.
func (p *Pipe) writev(allowed int64) (int, conn.Status) {
	var v vector
	skip := p.sent
	d, last := p.busy.first, p.busy.first
	for ; d != nil && allowed > 0 && !v.full() && d.flags&(inFile|writing) == 0; d = d.next {
		b := d.bytes()[skip:]
		skip = 0
		if int64(len(b)) > allowed {
			b = b[:allowed]
		}
		if len(b) > 0 {
			v.add(b)
			allowed -= int64(len(b))
		}
		last = d
	}
	if v.n == 0 {
		return 0, conn.OK // only marks
	}
	if allowed > 0 && d != nil && d.flags&writing == 0 && last.flags&(lastInChain|flush) == 0 {
		return p.Sink.WritevMore(v.iov[:v.n], v.total)
	}
	return p.Sink.Writev(v.iov[:v.n], v.total)
}

// updateChains lets go of what n more bytes have completed.
func (p *Pipe) updateChains(n int64) {
	p.handed -= n
	for d := p.busy.first; d != nil; d = p.busy.first {
		left := d.len() - p.sent
		if n < left {
			p.sent += n
			return
		}
		n -= left
		p.sent = 0
		p.busy.pop()
		if p.Keep && (!d.inline() || d.has(sync)) {
			p.kept.push(d)
		} else {
			p.letGo(d)
		}
	}
	p.handed = 0
}

// letGo is the end of a descriptor, and of its raw block when it was the last shadow.
func (p *Pipe) letGo(d *Buf) {
	if d == p.tail {
		p.tail = nil
	}
	if d.has(writing) {
		p.writer.held.push(d)
		return
	}
	if d.has(recycled | lastShadow) {
		p.shared.pool.Release(d.raw)
		p.blocks--
	}
	fromFile := d.has(tempFile)
	p.shared.give(d)
	if fromFile {
		if p.fileBufs--; p.fileBufs == 0 && p.writer == nil {
			p.closeFile()
		}
	}
}

func (p *Pipe) letAllGo(c *chain) {
	for c.first != nil {
		p.letGo(c.pop())
	}
}
