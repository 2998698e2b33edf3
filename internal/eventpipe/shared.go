// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"syscall"

	"weir/internal/buffer"
	"weir/internal/sys"
	"weir/internal/tempfile"
)

// Clock tells the loop's time in milliseconds: clock.Clock.
type Clock interface{ Ms() int64 }

// SharedOptions are what the pipes of a worker work with.
type SharedOptions struct {
	Pool    *buffer.Pool
	Clock   Clock           // the loop's
	Splicer *Splicer        // nil: bodies are not spliced (buffers.splice)
	Spill   *tempfile.Store // nil: there are no temporary files
}

// Shared is what the pipes of one worker have in common: the blocks, the empty descriptors (the chain `free`), kernel pipes, temporary files,
// and the counters. It belongs to the worker's loop.
type Shared struct {
	pool    *buffer.Pool
	clock   Clock
	splicer *Splicer
	files   files // nil: none

	free    *Buf // empty descriptors
	used    int  // descriptors on a pipe's chains
	made    int
	resting int          // blocks that pipes hold which wait: see rest.go
	writers *spillWriter // not in use
	scratch []byte       // for peek mode; made when it is first needed

	// Stats are the counters; only the pipes write them.
	Stats Stats
}

// Stats count what pipes did, since the start.
type Stats struct {
	SpilledBytes  uint64              // written to temporary files
	SpillRefused  uint64              // times that the instance's quota was reached
	SpillBounded  uint64              // times that a file's bound was reached
	SpillFailed   uint64              // writes that failed
	PeekedBytes   uint64              // relayed without a block, because memory was short
	SplicedBytes  uint64              // that went from socket to socket in the kernel
	SplicedBodies uint64              // that did so, in part at least
	NotSpliced    [NumNoSplice]uint64 // bodies that did not, by reason
}

// files makes temporary files; tempfile.Store does. An interface for the sake of the simulation, whose files fail and wait when it wants.
type files interface{ create() file }

// file is what a pipe needs of tempfile.File; see there.
type file interface {
	Reserve(n int) bool
	Rescue(n int) bool
	Append(pieces []sys.Iovec, n int, w tempfile.Writer) tempfile.Status
	Size() int64
	FD() int
	Errno() syscall.Errno
	SetNamed()
	Name(keep bool) string
	Share()
	Close()
}

type storeFiles struct{ *tempfile.Store }

func (s storeFiles) create() file { return s.Store.Create() }

// NewShared readies what the pipes of a worker share.
func NewShared(o SharedOptions) *Shared {
	s := &Shared{pool: o.Pool, clock: o.Clock, splicer: o.Splicer}
	if o.Spill != nil {
		s.files = storeFiles{o.Spill}
	}
	return s
}

// bufsAtOnce is how many descriptors are made when there is none.
const bufsAtOnce = 64

// alloc takes an empty descriptor.
func (s *Shared) alloc() *Buf {
	if s.free == nil {
		bufs := make([]Buf, bufsAtOnce)
		for i := range bufs {
			bufs[i].next = s.free
			s.free = &bufs[i]
		}
		s.made += bufsAtOnce
	}
	b := s.free
	s.free = b.next
	s.used++
	b.next = nil
	return b
}

// give takes a descriptor back.
func (s *Shared) give(b *Buf) {
	b.raw = nil
	b.next = s.free
	s.free = b
	s.used--
}

// bufBytes is the size of a Buf: a cache line.
const bufBytes = 64

// BufBytes is the memory that the descriptors of a worker take at most, when its pool has that many blocks of blockSize bytes: chunks smaller
// than copyMax are put together, so a block has one descriptor for each copyMax bytes and one more, and each may have two of framing.
func BufBytes(blocks, blockSize int) int {
	return blocks * 3 * (blockSize/copyMax + 2) * bufBytes
}
