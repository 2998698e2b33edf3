// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"time"

	"github.com/klauspost/compress/gzip"
)

// GzipBytes is the memory of what compresses at most, whatever its level: a test measures it.
const GzipBytes = 1536 << 10

// gzipper makes gzip.
type gzipper struct {
	writer *gzip.Writer
	level  int
	dirty  bool // something has been written since the last flush
	out    sink
	next   *gzipper
}

// sink collects what a compressor writes.
type sink []byte

// Write takes it all.
func (s *sink) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

// Gzip adds the stage that compresses, with a level of 1 to 9. False: all are in use.
func (e *Encoder) Gzip(level int) bool {
	z := e.pool.takeGzipper(level)
	if z == nil {
		e.pool.Refused++
		return false
	}
	z.writer.Reset(&z.out)
	z.writer.ModTime = time.Unix(0, 0) // none (RFC 1952 2.3.1); the zero Time is written as one in 2042
	z.dirty = false
	e.gzip = z
	e.add(z)
	return true
}

// takeGzipper takes an idle one of a level out of the pool, or makes it; one of another level makes room for it.
func (p *Pool) takeGzipper(level int) *gzipper {
	for at := &p.gzippers; *at != nil; at = &(*at).next {
		if z := *at; z.level == level {
			*at, z.next = z.next, nil
			return z
		}
	}
	switch {
	case p.gzipMade < p.limits.Gzip:
		p.gzipMade++
	case p.gzippers != nil:
		p.gzippers = p.gzippers.next
	default:
		return nil
	}
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic("filter: " + err.Error())
	}
	return &gzipper{level: level, writer: w}
}

// Filter compresses all of src. See Stage.
func (z *gzipper) Filter(dst, src []byte, flush, last bool) (out []byte, n int, more bool) {
	z.out = dst
	var err error
	if len(src) > 0 {
		_, err = z.writer.Write(src)
		z.dirty = true
	}
	switch {
	case err != nil:
	case last:
		err = z.writer.Close()
	case flush && z.dirty:
		err = z.writer.Flush()
		z.dirty = false
	}
	if err != nil {
		panic("filter: a compressor that writes to memory failed: " + err.Error())
	}
	out, z.out = z.out, nil
	return out, len(src), false
}
