// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

// CopyBody feeds p, which is open for a body of as many bytes as other has received, with that body. other has read it completely and keeps it. What is in
// memory is copied; a temporary file is shared. False: one part is in memory and one in the file (see SpillAll), or there are no blocks for the copy; p is
// then to be closed.
func (p *Pipe) CopyBody(other *Pipe) bool {
	switch {
	case !other.readDone || other.writer != nil:
		return false
	case other.fileBufs > 0:
		return p.shareFile(other)
	}
	for _, c := range [...]*chain{&other.kept, &other.in} {
		for d := c.first; d != nil; d = d.next {
			for text := d.bytes(); len(text) > 0 && !d.has(framed); {
				b := p.shared.pool.Acquire(p.Class)
				if b == nil {
					return false
				}
				n := b.Append(text)
				text = text[n:]
				p.Blocks++
				if !p.Feed(b) {
					return false
				}
			}
		}
	}
	return p.readDone
}

// shareFile makes the body of other, all of which is in its temporary file, this one's, too. Whichever pipe is done with the file last closes it.
func (p *Pipe) shareFile(other *Pipe) bool {
	for _, c := range [...]*chain{&other.kept, &other.out, &other.in} {
		for d := c.first; d != nil; d = d.next {
			if !d.has(inFile) && d.len() > 0 {
				return false
			}
		}
	}
	p.file = other.file
	p.file.Share()
	for _, c := range [...]*chain{&other.kept, &other.out, &other.in} {
		for d := c.first; d != nil; d = d.next {
			if d.has(inFile) {
				own := p.shared.alloc()
				own.pos, own.last, own.flags = d.pos, d.last, inFile|tempFile
				p.out.push(own)
				p.fileBufs++
			}
		}
	}
	p.Received, p.Spilled, p.left, p.readDone = other.Received, other.Received, 0, true
	return true
}
