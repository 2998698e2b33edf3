// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"weir/internal/buffer"
	"weir/internal/offload"
)

const (
	// roomBytes is the most that an encoder is given at a time.
	roomBytes = 32 << 10
	// pieceBytes is the size from which on a piece is sent before more is made. A piece may be larger by what becomes of the bytes that a stage looks at together.
	pieceBytes = 16 << 10
	// loopBytes is the most that is compressed on the loop.
	loopBytes = 4 << 10
	// Bytes is the memory of an encoder, without what its stages have of their own.
	Bytes = 144 << 10
)

// Client is told what has been made.
type Client interface {
	// OnEncoded is called on the loop when a Run that was not done at once is done.
	OnEncoded()
}

// Stage changes a body piece by piece.
type Stage interface {
	// Filter appends to dst what becomes of src. n is how many bytes of src it is done with; the others come again, with more behind them. more: it has
	// stopped because dst is long enough (pieceBytes), and is to be asked again. flush: what can be made of src is wanted now. last: src is all that is left of the body;
	// it is done with all of it in the end.
	Filter(dst, src []byte, flush, last bool) (out []byte, n int, more bool)
}

// step is a stage at work.
type step struct {
	stage Stage
	in    []byte // what it has not taken yet
	more  bool   // it has more of what it has taken
	done  bool   // the body has passed
}

// Encoder has stages change one body at a time.
type Encoder struct {
	pool   *Pool
	client Client // nil: it has been released
	job    offload.Job

	steps [stagesMax]step
	n     int // of steps
	added int // bytes since the last Run
	flush bool
	end   bool
	more  bool // Run has to be called again before there is room

	running bool
	out     []byte
	block   buffer.Block // out, as pipes have it

	sub    replacing
	recode recoding
	gzip   *gzipper   // may be nil
	gunzip *gunzipper // may be nil

	next *Encoder
}

// stagesMax is the most stages of a body: one of each kind.
const stagesMax = 4

// add puts a stage behind the others.
func (e *Encoder) add(s Stage) {
	e.steps[e.n].stage = s
	e.n++
}

// Idle says whether no stage has been added.
func (e *Encoder) Idle() bool { return e.n == 0 }

// Room is where the next bytes of the body go; none: Run comes first.
func (e *Encoder) Room() []byte {
	if e.more {
		return nil
	}
	in := e.steps[0].in
	return in[len(in):cap(in)]
}

// Added says that n bytes have been put to the start of Room.
func (e *Encoder) Added(n int) {
	s := &e.steps[0]
	s.in = s.in[:len(s.in)+n]
	e.added += n
}

// Has says how many bytes wait for Run, which are those that have been added, or at least one that it has not finished with.
func (e *Encoder) Has() int {
	if e.more {
		return e.added + 1
	}
	return e.added
}

// Run has the stages change what was added. flush: so that what has been added so far can be read from what is made of it; end: the body ends. True: it is done,
// and Output has it. False: the client is told.
func (e *Encoder) Run(flush, end bool) bool {
	e.flush, e.end = flush, end
	e.out = e.out[:0]
	if e.gunzip == nil && (e.gzip == nil || e.added <= loopBytes && !e.more) {
		e.Work()
		e.ready()
		return true
	}
	e.running = true
	e.pool.thread.Do(&e.job)
	return false
}

// Output is what the last Run made, perhaps nothing. The block is the encoder's, and stays as it is until the next Run.
func (e *Encoder) Output() *buffer.Block { return &e.block }

// Err says why the body cannot be changed any further; nil: it can.
func (e *Encoder) Err() error {
	if e.gunzip == nil {
		return nil
	}
	return e.gunzip.err
}

func (e *Encoder) ready() {
	e.added = 0
	e.block.Data, e.block.R, e.block.W = e.out, 0, len(e.out)
}

// Work runs the stages until they have made a piece, or nothing more is to be made. See offload.Worker.
func (e *Encoder) Work() {
	for e.pass() && len(e.out) < pieceBytes {
	}
	e.more = len(e.out) >= pieceBytes || e.end && !e.steps[e.n-1].done && e.Err() == nil
}

// pass has each stage do something. It says whether anything has moved.
func (e *Encoder) pass() (moved bool) {
	flush, last := e.flush, e.end
	for i := range e.n {
		s, dst := &e.steps[i], &e.out
		if i+1 < e.n {
			dst = &e.steps[i+1].in
		}
		if before := len(*dst); !s.done && before < pieceBytes {
			var n int
			*dst, n, s.more = s.stage.Filter(*dst, s.in, flush, last)
			s.in = s.in[:copy(s.in, s.in[n:])]
			s.done = last && !s.more && len(s.in) == 0
			moved = moved || n > 0 || len(*dst) > before
		}
		flush, last = flush && !s.more && len(*dst) < pieceBytes, s.done
	}
	return moved
}

// OnWorked tells the client. See offload.Worker.
func (e *Encoder) OnWorked() {
	e.running = false
	e.ready()
	if e.client == nil {
		e.pool.put(e)
		return
	}
	e.client.OnEncoded()
}

// Release gives the encoder back. What is being made is dropped.
func (e *Encoder) Release() {
	e.client = nil
	if !e.running {
		e.pool.put(e)
	}
}
