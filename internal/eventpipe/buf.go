// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/sys"
)

// flags say what a descriptor stands for; the first eight are nginx's (ngx_buf_t).
type flags uint16

const (
	recycled    flags = 1 << iota // the raw block is the pipe's, not the caller's: it goes back when its last shadow is done with
	inFile                        // the bytes are in a file: pos and last are offsets in it, and sendfile(2) sends them
	tempFile                      // that file is the pipe's temporary one, and is closed when all of it has been sent; else it is that of PushFile
	flush                         // not to be held back: no "more follows" to the kernel, never into the file
	sync                          // a mark without payload: the end of a body that the sink gets in chunks
	lastBuf                       // the body ends with it: the output filter makes the last chunk of it
	lastInChain                   // nothing follows it for now: a write that ends before it says "more follows" to the kernel
	lastShadow                    // no later descriptor points into its raw block
	framed                        // bytes as the sink gets them: a message head, or the framing of a chunk
	writing                       // the thread of the temporary file is reading the bytes: they stay where they are
)

// smallBytes is the room in a descriptor: the end of a chunk and the head of the next need 2+16+2.
const smallBytes = 22

// Buf is a descriptor: a run of bytes on its way, in a raw block (of which it is a shadow), in a file, or in itself. One cache line.
// It is on one chain of one pipe, or free.
type Buf struct {
	next      *Buf
	raw       *buffer.Block // the block that it is a shadow of; nil: the bytes are in a file, or in small
	pos, last int64         // the bytes, in raw.Data, in the file or in small
	filePos   int64         // with writing: where they will be in the file
	flags     flags
	small     [smallBytes]byte
}

// len is the number of bytes.
func (b *Buf) len() int64 { return b.last - b.pos }

// bytes is the run, which must not be in a file.
func (b *Buf) bytes() []byte {
	if b.raw != nil {
		return b.raw.Data[b.pos:b.last]
	}
	return b.small[b.pos:b.last]
}

// inline says whether the bytes, if there are any, are in the descriptor itself.
func (b *Buf) inline() bool { return b.raw == nil && b.flags&inFile == 0 }

// has says whether all of f are set.
func (b *Buf) has(f flags) bool { return b.flags&f == f }

// chain is a list of descriptors in the order of their bytes.
type chain struct{ first, last *Buf }

func (c *chain) push(b *Buf) {
	b.next = nil
	if c.last == nil {
		c.first = b
	} else {
		c.last.next = b
	}
	c.last = b
}

// pop takes the first descriptor off; there must be one.
func (c *chain) pop() *Buf {
	b := c.first
	if c.first = b.next; c.first == nil {
		c.last = nil
	}
	b.next = nil
	return b
}

// pushAll moves all of d behind what is there.
func (c *chain) pushAll(d *chain) {
	if d.first == nil {
		return
	}
	if c.last == nil {
		c.first = d.first
	} else {
		c.last.next = d.first
	}
	c.last = d.last
	*d = chain{}
}

// vector is what one system call moves, on the caller's stack.
type vector struct {
	iov   [vectorMax]sys.Iovec
	n     int
	total int
}

func (v *vector) add(b []byte) {
	v.iov[v.n].Set(b)
	v.n++
	v.total += len(b)
}

func (v *vector) full() bool { return v.n == len(v.iov) }
