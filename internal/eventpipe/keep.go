// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/conn"
)

// Rewind starts writing from the first byte again, to another sink. Only with Keep, or while nothing has been written.
func (p *Pipe) Rewind(sink *conn.Conn) {
	p.Sink = sink
	var all chain
	all.pushAll(&p.kept)
	for p.busy.first != nil {
		if d := p.busy.pop(); d.inline() && !d.has(sync) {
			p.letGo(d)
		} else {
			all.push(d)
		}
	}
	all.pushAll(&p.out)
	all.pushAll(&p.in)
	for d := all.first; d != nil; d = d.next {
		d.flags &^= lastInChain
		if d.has(sync) {
			d.pos, d.last = 0, 0
		}
	}
	p.in = all
	p.sent, p.handed = 0, 0
	p.settle()
}

// StopKeeping lets go of what has been written, and of what will be from now on.
func (p *Pipe) StopKeeping() {
	p.Keep = false
	p.letAllGo(&p.kept)
}

// SetChunk decides for chunk framing after all; it is for bodies of which nothing has been written yet, or that are rewound.
func (p *Pipe) SetChunk() {
	if p.Chunk {
		return
	}
	p.Chunk = true
	if p.readDone {
		p.markEnd()
	}
}

// CopyTo copies a body that has been read completely, is kept, and of which nothing has been written since Rewind, behind the data in b, and
// counts it as written. False: there is no room for it, a part of it is in the temporary file, or the sink wants chunks, and nothing was done.
func (p *Pipe) CopyTo(b *buffer.Block) bool {
	if p.Chunk || p.fileBufs > 0 || p.writer != nil || p.Received > int64(len(b.Room())) {
		return false
	}
	for d := p.in.first; d != nil; d = d.next {
		b.Append(d.bytes())
	}
	p.Wire += p.Received
	p.kept.pushAll(&p.in)
	return true
}

// AppendBody appends a body that has been read completely, and is kept or has not been written. False: a part of it is in the temporary file, and nothing
// was appended.
func (p *Pipe) AppendBody(dst []byte) ([]byte, bool) {
	if !p.readDone || p.fileBufs > 0 || p.writer != nil {
		return dst, false
	}
	for _, c := range [...]*chain{&p.kept, &p.in} {
		for d := c.first; d != nil; d = d.next {
			if !d.has(framed) {
				dst = append(dst, d.bytes()...)
			}
		}
	}
	return dst, true
}
