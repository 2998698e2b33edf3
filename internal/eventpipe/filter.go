// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/http1"
)

// filter takes the source's framing off the bytes of b and queues what is left, framed for the sink. It owns b.
func (p *Pipe) filter(b *buffer.Block) bool {
	switch p.Framing {
	case Length:
		if extra := int64(b.Len()) - p.left; extra > 0 {
			p.keepExtra(b, b.W-int(extra))
		}
		p.left -= int64(b.Len())
		p.readDone = p.left == 0
	case Chunked:
		if !p.dechunk(b) {
			p.letGo(b)
			return false
		}
	case NoBody:
		p.keepExtra(b, b.R)
	}
	p.Received += int64(b.Len())
	if b.Len() == 0 {
		p.letGo(b)
	} else {
		if p.Chunk {
			p.frame(b)
		}
		p.push(b)
	}
	if p.readDone {
		p.finish()
	}
	return true
}

// dechunk removes the chunk framing from b: payload moves towards the front over the chunk heads.
func (p *Pipe) dechunk(b *buffer.Block) bool {
	raw := b.Bytes()
	w := b.R
	for len(raw) > 0 {
		n, data, v := p.decoder.Next(raw)
		if len(data) > 0 {
			w += copy(b.Data[w:], data)
		}
		raw = raw[n:]
		switch v {
		case http1.Bad:
			return false
		case http1.Done:
			if len(raw) > 0 {
				p.keepExtra(b, b.W-len(raw))
			}
			b.W = w
			p.readDone = true
			return true
		}
	}
	b.W = w
	return true
}

// keepExtra cuts the data of b at from: the bytes behind are not the body's. With Exact they belong to somebody, and
// move to a block of their own.
func (p *Pipe) keepExtra(b *buffer.Block, from int) {
	bytes := b.Data[from:b.W]
	b.W = from
	if len(bytes) == 0 {
		return
	}
	p.extraLen += len(bytes)
	if !p.Exact {
		return
	}
	if p.extra != nil {
		panic("eventpipe: bytes behind the body twice")
	}
	if p.extra = p.pool.Acquire(p.Class); p.extra != nil {
		p.extra.Append(bytes)
	}
}

// letGo gives back a block that did not get onto the queue.
func (p *Pipe) letGo(b *buffer.Block) {
	if b == p.pinned {
		p.pinned = nil
		return
	}
	p.pool.Release(b)
}

// frame makes the data of b, which is about to be queued or is queued unframed, one chunk.
func (p *Pipe) frame(b *buffer.Block) {
	var head [HeadRoom]byte
	h := http1.AppendChunkHead(head[:0], b.Len())
	if b == p.pinned {
		if p.last.Append(h) < len(h) {
			panic("eventpipe: no room for a chunk head behind the message head")
		}
	} else {
		b.R -= len(h)
		copy(b.Data[b.R:], h)
	}
	b.Append(crlf)
}

var crlf = []byte("\r\n") // read-only

// finish frames the last chunk, once the whole body has been read.
func (p *Pipe) finish() {
	if !p.Chunk || p.chunkDone {
		return
	}
	p.chunkDone = true
	if p.cur != nil && len(p.last.Room()) >= len(lastChunk) {
		p.last.Append(lastChunk)
		return
	}
	p.end, p.endAlone = len(lastChunk), true
}
