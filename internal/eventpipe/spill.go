// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"syscall"

	"weir/internal/buffer"
	"weir/internal/tempfile"
)

// spillWriteDefault is SpillWrite where that is 0.
const spillWriteDefault = 128 << 10

// spilling is what an attempt to spill came to.
type spilling uint8

const (
	spillNone    spilling = iota // nothing to write, or nowhere
	spillDone                    // blocks are free
	spillPending                 // they will be; Owner.OnPipe is called
)

// spillWriter is a write to a temporary file that the thread may have to do. It outlives a pipe that is closed meanwhile.
type spillWriter struct {
	shared *Shared
	pipe   *Pipe // nil: it has been closed
	held   chain // descriptors whose bytes are being written, and that no pipe needs any more
	v      vector
	next   *spillWriter
}

func (s *Shared) newWriter(p *Pipe) *spillWriter {
	w := s.writers
	if w == nil {
		w = &spillWriter{shared: s}
	} else {
		s.writers = w.next
	}
	w.pipe, w.next = p, nil
	w.v.n, w.v.total = 0, 0
	return w
}

func (s *Shared) giveWriter(w *spillWriter) {
	clear(w.v.iov[:])
	w.pipe = nil
	w.next = s.writers
	s.writers = w
}

func (w *spillWriter) holds(b *buffer.Block) bool {
	for d := w.held.first; d != nil; d = d.next {
		if d.raw == b {
			return true
		}
	}
	return false
}

// OnWritten takes the memory back. See tempfile.Writer.
func (w *spillWriter) OnWritten(n int, errno syscall.Errno) {
	s, p := w.shared, w.pipe
	for w.held.first != nil {
		d := w.held.pop()
		if d.has(recycled | lastShadow) {
			s.pool.Release(d.raw)
			if p != nil {
				p.blocks--
			}
		}
		s.give(d)
	}
	s.giveWriter(w)
	if p == nil {
		return
	}
	p.writer = nil
	p.written(n, errno == 0)
	if p.resting != 0 {
		p.countResting(p.holding())
	}
	p.Owner.OnPipe()
}

// written notes the end of a write.
func (p *Pipe) written(n int, ok bool) {
	if !ok {
		p.noSpill = true
		p.shared.Stats.SpillFailed++
		p.unmark()
		return
	}
	p.Spilled += int64(n)
	p.shared.Stats.SpilledBytes += uint64(n)
	p.convert()
	if p.fileBufs == 0 {
		p.closeFile() // nobody needs the bytes any more
	}
}

// maySpill says whether there is, or could be, a temporary file to write to now.
func (p *Pipe) maySpill() bool {
	return p.SpillMax > 0 && !p.noSpill && p.writer == nil && !p.Unbuffered && p.shared.files != nil
}

// spill moves bytes from blocks to the temporary file, from the front: up to SpillWrite. rescue: memory is short, and none are spared.
// It says nothing is possible where the file's bound, the quota or the disk is full: then the source has to wait.
func (p *Pipe) spill(rescue bool) spilling {
	if !p.maySpill() {
		return spillNone
	}
	w := p.shared.newWriter(p)
	p.gather(&w.v, rescue)
	if w.v.n == 0 {
		p.shared.giveWriter(w)
		return spillNone
	}
	n := w.v.total
	if !p.reserve(n, rescue) {
		p.unmark()
		p.shared.giveWriter(w)
		return spillNone
	}
	base := p.file.Size()
	p.eachMarked(func(d *Buf) { d.filePos += base })
	switch p.file.Append(w.v.iov[:w.v.n], n, w) {
	case tempfile.Pending:
		p.writer = w
		return spillPending
	case tempfile.Written:
		p.shared.giveWriter(w)
		p.written(n, true)
		return spillDone
	default:
		p.shared.giveWriter(w)
		p.written(n, false)
		return spillNone
	}
}

// SpillAll moves what is in memory of a body that has been read completely, and is kept, to the temporary file. Done: all of it is there. Wait: it is on its way, and
// Owner.OnPipe is called. Full: that is not possible.
func (p *Pipe) SpillAll() Outcome {
	for p.spill(false) == spillDone {
	}
	if p.writer != nil {
		return Wait
	}
	for _, c := range [...]*chain{&p.kept, &p.busy, &p.in} {
		for d := c.first; d != nil; d = d.next {
			if !d.has(inFile) && d.len() > 0 {
				return Full
			}
		}
	}
	return Done
}

// FileName is the name of the temporary file of a Named pipe, which outlives the pipe if it is to be kept; "": there is no file. See tempfile.File.
func (p *Pipe) FileName(keep bool) string {
	if p.file == nil {
		return ""
	}
	return p.file.Name(keep)
}

// reserve makes sure that there is a file with room for n more bytes.
func (p *Pipe) reserve(n int, rescue bool) bool {
	s := p.shared
	if p.file == nil {
		p.file = s.files.create()
		if p.Named {
			p.file.SetNamed()
		}
	}
	if p.file.Size()+int64(n) > p.SpillMax {
		s.Stats.SpillBounded++
		return false
	}
	if p.file.Reserve(n) {
		return true
	}
	if rescue && p.file.Rescue(n) {
		p.rescued = true
		return true
	}
	s.Stats.SpillRefused++
	return false
}

// gather marks what one write takes. It goes by whole blocks from the front, and but for a rescue leaves a quarter of the blocks that the
// sink gets next: a sink that goes on finds them in memory.
func (p *Pipe) gather(v *vector, rescue bool) {
	most := p.SpillWrite
	if most == 0 {
		most = spillWriteDefault
	}
	spare := 0
	if !rescue && !p.Keep && !p.filling {
		spare = max(1, p.Blocks/4)
	}
	var spared *buffer.Block
	for _, c := range [...]*chain{&p.kept, &p.busy, &p.in} {
		for d := c.first; d != nil; d = d.next {
			switch {
			case d.has(inFile):
				spare = 0
			case d.raw == nil || d.len() == 0 || d.raw == spared || p.Encoder != nil && !d.has(recycled):
			case spare > 0:
				spare--
				spared = d.raw
			case v.full() || v.n > 0 && v.total+int(d.len()) > most:
				return
			default:
				d.flags |= writing
				d.filePos = int64(v.total)
				v.add(d.bytes())
			}
		}
	}
}

// eachMarked calls f for each descriptor that is being written.
func (p *Pipe) eachMarked(f func(d *Buf)) {
	for _, c := range [...]*chain{&p.kept, &p.busy, &p.in} {
		for d := c.first; d != nil; d = d.next {
			if d.has(writing) {
				f(d)
			}
		}
	}
}

// unmark leaves everything in memory.
func (p *Pipe) unmark() {
	p.eachMarked(func(d *Buf) { d.flags &^= writing })
}

// convert has the descriptors that were written stand for the bytes in the file, and lets their blocks go.
func (p *Pipe) convert() {
	p.eachMarked(func(d *Buf) {
		if d.has(recycled | lastShadow) {
			p.shared.pool.Release(d.raw)
			p.blocks--
		}
		if d == p.tail {
			p.tail = nil
		}
		d.raw = nil
		d.pos, d.last = d.filePos, d.filePos+d.len()
		d.flags = d.flags&^(writing|recycled|lastShadow) | inFile | tempFile
		p.fileBufs++
	})
	p.merge(&p.kept)
	p.merge(&p.busy)
	p.settle()
}

// settle moves what `in` begins with to `out`, if it is in the file.
func (p *Pipe) settle() {
	for p.in.first != nil && p.in.first.has(inFile) {
		p.out.push(p.in.pop())
	}
	p.merge(&p.out)
	p.merge(&p.in)
}

// merge makes one descriptor of two whose bytes follow each other in the file.
func (p *Pipe) merge(c *chain) {
	for d := c.first; d != nil; d = d.next {
		for n := d.next; n != nil && d.has(tempFile) && n.has(tempFile) && d.last == n.pos && (d.flags^n.flags)&framed == 0; n = d.next {
			d.last = n.last
			d.flags |= n.flags & (lastBuf | lastInChain)
			if d.next = n.next; d.next == nil {
				c.last = d
			}
			p.shared.give(n)
			p.fileBufs--
		}
	}
}

// closeFile ends the temporary file when nothing of it is needed any more, which gives its part of the quota back. It is not written again
// from its start instead: bytes that sendfile(2) has handed to a socket are still the file's pages.
func (p *Pipe) closeFile() {
	if p.file != nil {
		p.file.Close()
		p.file, p.rescued = nil, false
	}
}
