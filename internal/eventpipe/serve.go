// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "weir/internal/buffer"

// A file of somebody's own can be a body, or several parts of it with texts in between. Its bytes go from the page cache to the sink with
// sendfile(2).

// PushFile puts n bytes of a file, from offset on and more than 0, at the end of what waits. fd stays the caller's, and open until the pipe
// is closed or has said Done. A pipe sends of one such file only.
func (p *Pipe) PushFile(fd int, offset, n int64) {
	d := p.shared.alloc()
	d.pos, d.last, d.flags = offset, offset+n, inFile
	p.served = fd
	p.in.push(d)
	p.Received += n
}

// PushPiece puts b.Data[from:to], not empty, at the end of what waits. The pipe owns the block from its last piece on, which says last;
// the pieces before it are put in the order of their bytes, and nothing is written in between.
func (p *Pipe) PushPiece(b *buffer.Block, from, to int, last bool) {
	d := p.shared.alloc()
	d.raw, d.pos, d.last = b, int64(from), int64(to)
	d.flags = recycled
	if last {
		d.flags |= lastShadow
		p.blocks++
	}
	p.in.push(d)
}

// fdOf is the file that the bytes of d are in.
func (p *Pipe) fdOf(d *Buf) int {
	if d.has(tempFile) {
		return p.file.FD()
	}
	return p.served
}

// PushBody puts a block with payload at the end of what waits, for a body that is not read from a connection. The pipe owns it then.
func (p *Pipe) PushBody(b *buffer.Block) {
	p.shadow(b, b.R, b.W)
	p.tail = nil // nothing is read into it
	p.blocks++
}
