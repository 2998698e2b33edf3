// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

// CopyBody feeds p, which is open for a body of as many bytes as other has received, with a copy of that body. other has read it completely and keeps it.
// False: a part of it is in the temporary file, or there are no blocks for the copy; p is then to be closed.
func (p *Pipe) CopyBody(other *Pipe) bool {
	if !other.readDone || other.fileBufs > 0 || other.writer != nil {
		return false
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
