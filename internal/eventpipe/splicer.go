// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "weir/internal/sys"

const (
	// SplicePipes is how many kernel pipes a worker has at most, unless it is told otherwise.
	SplicePipes = 64
	// SplicePipeBytes is how much one of them holds.
	SplicePipeBytes = 256 << 10
	// spliceLeast is the size below which a kernel pipe is not worth its calls: the kernel makes small ones for a user who has many.
	spliceLeast = 64 << 10
)

// kernelPipe is a pipe of the kernel's.
type kernelPipe struct {
	r, w int // descriptors
	size int // bytes that it may hold, if they come in whole pages
	held int // bytes in it
	next *kernelPipe
}

// Splicer is a worker's kernel pipes. Idle ones are kept: an empty one costs a descriptor and next to no memory.
type Splicer struct {
	max   int
	open  int
	idle  *kernelPipe
	bytes int   // of a kernel pipe
	least int64 // spliceMin; the simulation has smaller bodies
}

// NewSplicer makes room for up to max kernel pipes; 0: SplicePipes. None is opened before it is needed.
func NewSplicer(max int) *Splicer {
	if max == 0 {
		max = SplicePipes
	}
	return &Splicer{max: max, bytes: SplicePipeBytes, least: spliceMin}
}

// Open is the number of kernel pipes that there are.
func (s *Splicer) Open() int { return s.open }

// Max is the number of kernel pipes that there may be.
func (s *Splicer) Max() int { return s.max }

// Close closes the idle kernel pipes: all of them, when every pipe has been closed.
func (s *Splicer) Close() {
	for s.idle != nil {
		k := s.idle
		s.idle = k.next
		s.discard(k)
	}
}

// acquire takes an empty kernel pipe; nil: there is none.
func (s *Splicer) acquire() *kernelPipe {
	if k := s.idle; k != nil {
		s.idle = k.next
		k.next = nil
		return k
	}
	if s.open == s.max {
		return nil
	}
	r, w, errno := sys.KernelPipe()
	if errno != 0 {
		return nil
	}
	s.open++
	k := &kernelPipe{r: r, w: w}
	for _, n := range [...]int{s.bytes, min(s.bytes, spliceLeast)} {
		if k.size, errno = sys.SetPipeSize(w, n); errno == 0 && k.size >= n {
			return k
		}
	}
	s.discard(k)
	return nil
}

// release takes a kernel pipe back; one with bytes in it is closed, since they must not get to anybody else.
func (s *Splicer) release(k *kernelPipe) {
	if k.held > 0 {
		s.discard(k)
		return
	}
	k.next = s.idle
	s.idle = k
}

func (s *Splicer) discard(k *kernelPipe) {
	sys.Close(k.r)
	sys.Close(k.w)
	s.open--
}
