// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/http1"
)

// copyMax is the size up to which payload is moved to what stands before it in its block, instead of getting a descriptor of its own: a body
// of tiny chunks must not take more memory for descriptors than for bytes.
const copyMax = 512

// take is the input filter: it takes the source's framing off b.Data[from:to], bytes that have just come, and puts shadows of the payload
// at the end of `in`. It owns b, unless b is pinned or has shadows before from. False: the framing is malformed.
func (p *Pipe) take(b *buffer.Block, from, to int) bool {
	fresh := p.tail == nil || p.tail.raw != b
	if fresh {
		p.tail = nil // no more goes into the block before
	}
	ok := true
	switch p.Framing {
	case Length:
		if extra := int64(to-from) - p.left; extra > 0 {
			p.keepExtra(b.Data[to-int(extra) : to])
			to -= int(extra)
		}
		p.left -= int64(to - from)
		p.readDone = p.left == 0
		if p.skip > 0 {
			n := min(p.skip, int64(to-from))
			p.skip -= n
			from += int(n)
		}
		p.shadow(b, from, to)
	case Chunked:
		ok = p.dechunk(b, from, to)
	case UntilClose:
		if p.Watch != nil {
			if n := p.Watch.Pass(b.Data[from:to]); n < to-from {
				to = from + n
				p.readDone = true
			}
		}
		p.shadow(b, from, to)
	case NoBody:
		p.keepExtra(b.Data[from:to])
	}
	if fresh && b != p.pinned {
		if p.tail == nil { // nothing of it was payload
			b.Next = p.freeRaw
			p.freeRaw = b
		} else {
			p.blocks++
		}
	}
	if p.readDone {
		p.markEnd()
	}
	return ok
}

// dechunk makes shadows of the runs of payload.
func (p *Pipe) dechunk(b *buffer.Block, from, to int) bool {
	for from < to {
		inTrailer := p.Tail != nil && p.decoder.InTrailer()
		n, start, end, v := p.decoder.Run(b.Data[from:to])
		if v == http1.Bad {
			return false
		}
		p.shadow(b, from+start, from+end)
		if inTrailer {
			p.Tail.TakeTrailer(b.Data[from : from+n])
		}
		from += n
		if v == http1.Done {
			p.keepExtra(b.Data[from:to])
			p.readDone = true
			return true
		}
	}
	return true
}

// shadow queues b.Data[from:to]. The last shadow grows if it stands right before, or if the bytes are few: what lies between is framing that
// has been read, which they may be moved over.
func (p *Pipe) shadow(b *buffer.Block, from, to int) {
	n := to - from
	if n == 0 {
		return
	}
	p.Received += int64(n)
	d := p.tail
	if d != nil {
		if d == p.in.last && !d.has(writing) && (d.last == int64(from) || n <= copyMax) {
			if d.last != int64(from) {
				copy(b.Data[d.last:], b.Data[from:to])
			}
			d.last += int64(n)
			return
		}
		d.flags &^= lastShadow
	}
	d = p.shared.alloc()
	d.raw, d.pos, d.last = b, int64(from), int64(to)
	d.flags = lastShadow
	if b != p.pinned {
		d.flags |= recycled
	}
	if p.Unbuffered {
		d.flags |= flush
	}
	p.in.push(d)
	p.tail = d
}

// tailRoom is the room behind the last shadow's bytes, when it is worth a read. What of the block has been read there was framing.
func (p *Pipe) tailRoom() int {
	if p.tail == nil || !p.tail.has(recycled) {
		return 0
	}
	if room := len(p.tail.raw.Data) - int(p.tail.last); room >= len(p.tail.raw.Data)/4 {
		return room
	}
	return 0
}

// keepExtra notes bytes behind the body. With Exact they belong to somebody, and move to a block of their own.
func (p *Pipe) keepExtra(bytes []byte) {
	p.extraLen += len(bytes)
	if !p.Exact || len(bytes) == 0 {
		return
	}
	if p.extraLen == len(bytes) {
		p.extra = p.shared.pool.Acquire(p.Class)
	}
	if p.extra != nil && p.extra.Append(bytes) < len(bytes) {
		p.shared.pool.Release(p.extra)
		p.extra = nil
	}
}

// markEnd queues the mark from which the output filter makes the last chunk, once the whole body has been read.
func (p *Pipe) markEnd() {
	if !p.Chunk || p.marked || p.More {
		return
	}
	p.marked = true
	d := p.shared.alloc()
	d.pos, d.last = 0, 0
	d.flags = sync | lastBuf
	p.in.push(d)
	if p.Tail != nil {
		p.pushTail()
	}
}

// pushTail queues the trailer section behind the mark of the body's end. Fields for which there is no block, or that do not fit into one, are left out.
func (p *Pipe) pushTail() {
	b := p.shared.pool.Acquire(p.Class)
	if b == nil {
		return
	}
	text := p.Tail.AppendTrailer(b.Data[:0:len(b.Data)])
	if len(text) == 0 || len(text)+len("\r\n") > len(b.Data) || cap(text) != len(b.Data) { // the last: it has outgrown the block for a moment, and is elsewhere
		p.shared.pool.Release(b)
		return
	}
	b.W = len(append(text, "\r\n"...))
	p.tailed = true
	p.PushHead(b)
}
