// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"fmt"

	"weir/internal/buffer"
)

// Check walks the chains and gives every fault that it finds: a block in two places, shadows out of order, a count that is wrong.
func (p *Pipe) Check() []error {
	if p.shared == nil {
		return nil
	}
	c := checker{pipe: p, seen: map[*buffer.Block]*Buf{}}
	for _, named := range p.chains() {
		c.chain(named.name, named.chain)
	}
	if p.writer != nil {
		c.chain("held", &p.writer.held)
	}
	c.blocks()
	c.counts()
	if p.announced.begun() && (!p.Empty() || p.readDone) {
		c.fault("a chunk of %d bytes and %q have begun in peek mode, and something else waits", p.announced.payload, p.announced.text())
	}
	return c.faults
}

// namedChain is a chain as reports have it.
type namedChain struct {
	name  string
	chain *chain
}

// chains are the pipe's, in the order of their bytes.
func (p *Pipe) chains() []namedChain {
	return []namedChain{{"kept", &p.kept}, {"busy", &p.busy}, {"coded", &p.enc.coded}, {"out", &p.out}, {"in", &p.in}}
}

// checker is a walk through one pipe.
type checker struct {
	pipe     *Pipe
	seen     map[*buffer.Block]*Buf // the last shadow so far of each raw block
	last     *buffer.Block          // of the descriptor before
	fileBufs int
	handed   int64
	faults   []error
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("eventpipe: "+format, args...))
}

func (c *checker) chain(name string, ch *chain) {
	var end *Buf
	for d := ch.first; d != nil; d = d.next {
		end = d
		c.buf(name, d)
		if ch == &c.pipe.busy {
			c.handed += d.len()
		}
	}
	if end != ch.last {
		c.fault("chain %s does not end with its last descriptor", name)
	}
}

func (c *checker) buf(name string, d *Buf) {
	p := c.pipe
	if d.pos < 0 || d.last < d.pos {
		c.fault("%s: bytes %d to %d", name, d.pos, d.last)
	}
	if d.has(writing) && p.writer == nil {
		c.fault("%s: a descriptor is being written, and no write is pending", name)
	}
	switch {
	case d.has(inFile) && !d.has(tempFile):
		if d.raw != nil || d.flags&(recycled|lastShadow|writing) != 0 {
			c.fault("%s: a descriptor of a served file has flags %#x, block %v", name, d.flags, d.raw)
		}
	case d.has(inFile):
		c.fileBufs++
		if d.raw != nil || !d.has(tempFile) || d.flags&(recycled|lastShadow|writing) != 0 {
			c.fault("%s: a descriptor of the file has flags %#x, block %v", name, d.flags, d.raw)
		}
		if p.file == nil || d.last > p.file.Size() {
			c.fault("%s: bytes %d to %d are behind the file's end", name, d.pos, d.last)
		}
	case name == "out":
		c.fault("out: a descriptor that is not of the file")
	case d.raw != nil:
		c.shadow(name, d)
	case d.last > smallBytes:
		c.fault("%s: %d bytes in a descriptor", name, d.last)
	case d.flags&(recycled|lastShadow) != 0:
		c.fault("%s: a descriptor without block has flags %#x", name, d.flags)
	}
	c.last = d.raw
}

func (c *checker) shadow(name string, d *Buf) {
	before := c.seen[d.raw]
	switch {
	case d.last > int64(len(d.raw.Data)):
		c.fault("%s: bytes %d to %d of %v", name, d.pos, d.last, d.raw)
	case before == nil:
	case before.has(lastShadow):
		c.fault("%s: a shadow of %v behind its last", name, d.raw)
	case c.last != d.raw && !c.pipe.Chunk && c.pipe.served == 0 && name != "held":
		c.fault("%s: shadows of %v are apart", name, d.raw)
	case before.last > d.pos:
		c.fault("%s: two shadows of %v overlap", name, d.raw)
	}
	c.seen[d.raw] = d
}

// blocks looks at each raw block.
func (c *checker) blocks() {
	p := c.pipe
	own := 0
	for b, d := range c.seen {
		if d.has(recycled) {
			own++
		}
		if !d.has(lastShadow) {
			c.fault("%v has no last shadow", b)
		}
	}
	if own != p.blocks {
		c.fault("%d blocks on the chains, %d on record", own, p.blocks)
	}
	for b := p.freeRaw; b != nil; b = b.Next {
		if c.seen[b] != nil {
			c.fault("%v is free and in use", b)
		}
	}
	if p.extra != nil && c.seen[p.extra] != nil {
		c.fault("%v is extra and in use", p.extra)
	}
	if p.tail != nil && c.seen[p.tail.raw] != p.tail {
		c.fault("the tail is not the last shadow of its block")
	}
}

func (c *checker) counts() {
	p := c.pipe
	if c.fileBufs != p.fileBufs {
		c.fault("%d descriptors of the file, %d on record", c.fileBufs, p.fileBufs)
	}
	if p.busy.first == nil && p.sent != 0 || p.busy.first != nil && p.sent > p.busy.first.len() {
		c.fault("%d bytes of the first descriptor are sent", p.sent)
	}
	if p.Busy > 0 && p.handed != c.handed-p.sent {
		c.fault("%d bytes are handed to the sink, %d on record", c.handed-p.sent, p.handed)
	}
	if p.blocks > 0 && p.shared.pool.Stats().Used < p.blocks {
		c.fault("%d blocks, and the pool has %d in use", p.blocks, p.shared.pool.Stats().Used)
	}
	if k := p.kernel; k != nil && (k.held < 0 || k.held > k.size) {
		c.fault("a kernel pipe of %d bytes holds %d", k.size, k.held)
	}
}
