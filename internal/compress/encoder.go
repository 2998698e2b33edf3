// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package compress

import (
	"github.com/klauspost/compress/gzip"

	"weir/internal/buffer"
	"weir/internal/offload"
)

const (
	// roomBytes is the most that an encoder is given at a time.
	roomBytes = 32 << 10
	// loopBytes is the most that is compressed on the loop.
	loopBytes = 4 << 10
	// EncoderBytes is the memory of an encoder at most, whatever its level: a test measures it.
	EncoderBytes = 1664 << 10
)

// Client is told what has been made.
type Client interface {
	// OnEncoded is called on the loop when a Run that was not done at once is done.
	OnEncoded()
}

// Encoder makes gzip of one body at a time.
type Encoder struct {
	pool   *Pool
	level  int
	client Client // nil: it has been released
	job    offload.Job

	writer  *gzip.Writer
	in      []byte
	n       int // bytes of in
	flush   bool
	end     bool
	running bool
	out     sink
	block   buffer.Block // what was made, as pipes have it

	next *Encoder
}

// sink collects what a compressor writes.
type sink []byte

// Write takes it all.
func (s *sink) Write(b []byte) (int, error) {
	*s = append(*s, b...)
	return len(b), nil
}

// Room is where the next bytes of the body go; none: Run comes first.
func (e *Encoder) Room() []byte { return e.in[e.n:] }

// Added says that n bytes have been put to the start of Room.
func (e *Encoder) Added(n int) { e.n += n }

// Has says how many bytes wait for Run.
func (e *Encoder) Has() int { return e.n }

// Run compresses what was added. flush: so that what has been added so far can be read from what is made of it; end: the body ends. True: it is done,
// and Output has it. False: the client is told.
func (e *Encoder) Run(flush, end bool) bool {
	e.flush, e.end = flush, end
	e.out = e.out[:0]
	if e.n <= loopBytes {
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

func (e *Encoder) ready() {
	e.n = 0
	e.block.Data, e.block.R, e.block.W = e.out, 0, len(e.out)
}

// Work compresses. See offload.Worker.
func (e *Encoder) Work() {
	var err error
	if _, err = e.writer.Write(e.in[:e.n]); err == nil {
		switch {
		case e.end:
			err = e.writer.Close()
		case e.flush:
			err = e.writer.Flush()
		}
	}
	if err != nil {
		panic("compress: a compressor that writes to memory failed: " + err.Error())
	}
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

// Pool has the encoders of a worker. It belongs to the loop.
type Pool struct {
	thread *offload.Thread
	limit  int
	made   int
	idle   *Encoder
	// Refused counts the bodies for which there was no encoder.
	Refused uint64
}

// NewPool makes a pool of at most limit encoders, which have the thread do what takes long.
func NewPool(limit int, t *offload.Thread) *Pool { return &Pool{thread: t, limit: limit} }

// Acquire takes an encoder for a body, with a level of 1 to 9, for the client; nil: all are in use.
func (p *Pool) Acquire(level int, c Client) *Encoder {
	e := p.take(level)
	if e == nil {
		if e = p.make(level); e == nil {
			p.Refused++
			return nil
		}
	}
	e.client, e.n = c, 0
	e.out = e.out[:0]
	e.writer.Reset(&e.out)
	return e
}

// take takes an idle encoder of a level out of the pool, or gives up one of another level to make room.
func (p *Pool) take(level int) *Encoder {
	for at := &p.idle; *at != nil; at = &(*at).next {
		if e := *at; e.level == level {
			*at, e.next = e.next, nil
			return e
		}
	}
	if p.made == p.limit && p.idle != nil {
		p.idle = p.idle.next
		p.made--
	}
	return nil
}

func (p *Pool) make(level int) *Encoder {
	if p.made == p.limit {
		return nil
	}
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic("compress: " + err.Error())
	}
	p.made++
	e := &Encoder{pool: p, level: level, writer: w, in: make([]byte, roomBytes)}
	e.job.Init(e)
	return e
}

// Release gives the encoder back. What is being made is dropped.
func (e *Encoder) Release() {
	e.client = nil
	if !e.running {
		e.pool.put(e)
	}
}

func (p *Pool) put(e *Encoder) {
	e.next = p.idle
	p.idle = e
}

// InUse is how many encoders have a body.
func (p *Pool) InUse() int {
	n := p.made
	for e := p.idle; e != nil; e = e.next {
		n--
	}
	return n
}
