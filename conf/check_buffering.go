// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import "math/bits"

// The sizes around proxy_buffering depend on each other. nginx refuses a configuration in which they do not fit together; here the one that does
// not fit is adjusted, and a warning says so.

// Buffering are the sizes around proxy_buffering as they are used, in bytes.
type Buffering struct {
	Number        int  // proxy_buffers: how many
	Size          Size // and how large
	Busy          Size // proxy_busy_buffers_size
	TempWrite     Size // proxy_temp_file_write_size
	MaxTempFile   Size // proxy_max_temp_file_size; 0: no file
	FirstPart     Size // proxy_buffer_size
	BytesInMemory Size // of one response at most, its first part aside
}

// Buffering works out the sizes for these settings: what is written, or follows from the other sizes where nothing is.
func (s *Settings) Buffering() Buffering {
	b := Buffering{
		Number: max(s.ProxyBuffers.Number, 2), Size: s.ProxyBuffers.Size, FirstPart: s.ProxyBufferSize,
		Busy: s.ProxyBusyBuffersSize, TempWrite: s.ProxyTempFileWriteSize, MaxTempFile: s.ProxyMaxTempFileSize,
	}
	b.BytesInMemory = Size(b.Number) * b.Size
	largest := max(b.FirstPart, b.Size)
	if b.Busy == 0 {
		b.Busy = 2 * largest
	}
	// One buffer is left to read into; where not even the largest one fits into the others, that comes first.
	b.Busy = min(max(b.Busy, largest), b.BytesInMemory-b.Size)
	if b.TempWrite == 0 {
		b.TempWrite = 2 * largest
	}
	b.TempWrite = max(b.TempWrite, largest)
	if b.MaxTempFile != 0 {
		b.MaxTempFile = max(b.MaxTempFile, largest)
	}
	return b
}

// settleBuffering adjusts the sizes of one level that do not fit together, and says so where the level itself names them.
func (k *checker) settleBuffering(p *path, s *Settings) {
	k.settleFirstPart(p, s)
	b := s.Buffering()
	if s.ProxyBuffers.Number != b.Number {
		if at := k.writtenKey(p, "proxy_buffers"); at != nil {
			k.warnAt(at.key("number"), "%d is too few, one is read into while another is sent: %d are used", s.ProxyBuffers.Number, b.Number)
		}
		s.ProxyBuffers.Number = b.Number
	}
	largest := max(b.FirstPart, b.Size)
	for _, size := range []struct {
		key     string
		written *Size
		used    Size
	}{
		{"proxy_busy_buffers_size", &s.ProxyBusyBuffersSize, b.Busy},
		{"proxy_temp_file_write_size", &s.ProxyTempFileWriteSize, b.TempWrite},
		{"proxy_max_temp_file_size", &s.ProxyMaxTempFileSize, b.MaxTempFile},
	} {
		if *size.written == 0 || *size.written == size.used {
			continue
		}
		if at := p.key(size.key); k.writtenKey(p, size.key) != nil || k.writtenBuffers(p) {
			why := "less than the larger of proxy_buffer_size and one of proxy_buffers, which is " + largest.String()
			if *size.written > size.used {
				why = "more than all proxy_buffers but one, which are " + (b.BytesInMemory - b.Size).String()
			}
			k.warnAt(at, "%s is %s: %s is used", *size.written, why, size.used)
		}
		*size.written = size.used
	}
}

// writtenBuffers says whether a level names one of the sizes that the others have to fit.
func (k *checker) writtenBuffers(p *path) bool {
	return k.writtenKey(p, "proxy_buffers") != nil || k.writtenKey(p, "proxy_buffer_size") != nil
}

// settleFirstPart makes the head of a response fit into a block: the blocks grow if nobody has said how large they are; if somebody has,
// the head must do with that.
func (k *checker) settleFirstPart(p *path, s *Settings) {
	b := &k.cfg.Buffers
	if s.ProxyBufferSize <= b.Size {
		return
	}
	at, size := p.key("proxy_buffer_size"), (*path)(nil).key("buffers").key("size")
	if k.written(size) {
		if k.written(at) {
			k.warnAt(at, "%s is more than buffers.size, and a response's head is parsed in one block: %s is used", s.ProxyBufferSize, b.Size)
		}
		s.ProxyBufferSize = b.Size
		return
	}
	b.Size = 1 << bits.Len64(uint64(s.ProxyBufferSize-1))
	k.warnAt(at, "%s is more than buffers.size, and a response's head is parsed in one block: blocks of %s are used", s.ProxyBufferSize, b.Size)
}

// ignorable are the fields that proxy_ignore_headers may name, as nginx has them. weir acts on X-Accel-Buffering and X-Accel-Limit-Rate;
// the others have no effect on it in any case.
var ignorable = []string{"X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset",
	"Expires", "Cache-Control", "Set-Cookie", "Vary"} // read-only
