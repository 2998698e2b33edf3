// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/sys"
)

// A body can be changed on its way: what waits in `out` and `in` is given to an encoder, and what that makes goes to busy. The encoder has memory
// of its own for both, so that blocks are free as soon as their bytes have been given to it; and it is asked again only when the sink has all that it made
// before, which is the bound of that memory.

// Encoder changes a body. filter.Encoder is one.
type Encoder interface {
	// Room is where the next bytes of the body go; none: Run comes first.
	Room() []byte
	// Added says that n bytes have been put to the start of Room.
	Added(n int)
	// Has is how many bytes wait for Run: those that have been added since the last one, and what that has not come to.
	Has() int
	// Run encodes what was added, until it has made a piece. flush: the sink is to be able to read all of it; end: it was the end of the body. True: it is done; else the
	// pipe's OnEncoded is called when it is. Until then nothing is added.
	Run(flush, end bool) bool
	// Output is what the last Run made, in memory that stays the encoder's and as it is until the next Run.
	Output() *buffer.Block
	// Err says why the body cannot be encoded any further; nil: it can.
	Err() error
	// Release ends the use of the encoder, also while it is at work.
	Release()
}

// After an error nothing comes out any more, and the body does not end: the next write finds it.

// encoding is how far an encoded body is.
type encoding struct {
	coded   chain // what has been made, and heads, for busy
	mark    *Buf  // the mark of the body's end, while the end is being encoded
	ending  bool  // the encoder has been told of the end
	running bool  // the encoder is at work
	held    bool  // what there is waits for what the source has ready
	forced  bool  // and does not wait any more
}

// OnEncoded goes on when the encoder is done. See filter.Client.
func (p *Pipe) OnEncoded() {
	p.enc.running = false
	p.encoded()
	p.Owner.OnPipe()
}

// encode has the encoder make something of what waits. It says whether anything has gone on.
func (p *Pipe) encode() progress {
	e := &p.enc
	switch {
	case e.running || p.busy.first != nil || e.coded.first != nil:
		return blocked
	case p.Encoder.Err() != nil:
		return garbled
	}
	more, ok := p.feed()
	if !ok {
		return short
	}
	n := p.Encoder.Has()
	if n == 0 && !p.encodesEnd() {
		if e.coded.first == nil {
			return blocked
		}
		return moved // heads only
	}
	if more == 0 && e.mark == nil && !p.readDone && !p.Unbuffered && !e.forced && p.Source.Readable() && !p.Full() {
		e.held = true // more is there: it makes one piece with this
		return blocked
	}
	e.held, e.forced = false, false
	e.ending = e.ending || more == 0 && p.encodesEnd()
	if !p.Encoder.Run(more == 0 && !e.ending, e.ending) {
		e.running = true
		return blocked
	}
	p.encoded()
	return moved
}

// encodesEnd says whether all of the body has been given to the encoder, but not that it was all.
func (p *Pipe) encodesEnd() bool { return p.readDone && !p.More && !p.enc.ending }

// feed gives the encoder what it has room for, and puts heads before it on coded. more is what is left. False: a file was too short.
func (p *Pipe) feed() (more int64, ok bool) {
	for _, c := range [...]*chain{&p.out, &p.in} {
		for c.first != nil {
			d := c.first
			switch {
			case p.enc.mark != nil: // what stands behind it, trailer fields, stays there
				return 0, true
			case d.has(writing):
				return 1, true
			case d.has(framed):
				p.enc.coded.push(c.pop())
				continue
			case d.has(sync):
				p.enc.mark = c.pop()
				continue
			}
			room := p.Encoder.Room()
			if len(room) == 0 {
				return d.len(), true
			}
			n := p.giveTo(room, d)
			if n <= 0 {
				return 0, false
			}
			p.Encoder.Added(n)
			p.Encoded += int64(n)
			if d.pos += int64(n); d.pos == d.last {
				p.letGo(c.pop())
			}
		}
	}
	return 0, true
}

// giveTo copies the first bytes of d.
func (p *Pipe) giveTo(room []byte, d *Buf) int {
	if !d.has(inFile) {
		return copy(room, d.bytes())
	}
	n, errno := sys.Pread(p.fdOf(d), room[:min(int64(len(room)), d.len())], d.pos)
	if errno != 0 {
		return -1
	}
	return n
}

// encoded takes what has been made.
func (p *Pipe) encoded() {
	e := &p.enc
	if b := p.Encoder.Output(); b.Len() > 0 {
		p.Coded += int64(b.Len())
		d := p.shared.alloc()
		d.raw, d.pos, d.last = b, int64(b.R), int64(b.W)
		d.flags = lastShadow
		e.coded.push(d)
	}
	if e.ending && e.mark != nil && p.Encoder.Has() == 0 && p.Encoder.Err() == nil {
		e.coded.push(e.mark)
		e.mark = nil
	}
}

// closeEncoder gives back what belongs to the encoding.
func (p *Pipe) closeEncoder() {
	p.letAllGo(&p.enc.coded)
	if p.enc.mark != nil {
		p.shared.give(p.enc.mark)
		p.enc.mark = nil
	}
	p.Encoder.Release()
	p.Encoder = nil
}

// codes says whether something is on its way through the encoder.
func (p *Pipe) codes() bool {
	e := &p.enc
	return e.running || e.coded.first != nil || e.mark != nil || p.Encoder.Has() > 0 || p.encodesEnd() || p.Encoder.Err() != nil
}

// unhold has what is held encoded after all, when nothing more could be read.
func (p *Pipe) unhold() bool {
	if !p.enc.held {
		return false
	}
	p.enc.held, p.enc.forced = false, true
	return true
}
