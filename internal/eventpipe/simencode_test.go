// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"bytes"
	"errors"

	"weir/internal/buffer"
)

// What a mixer adds to a body. No payload has these bytes.
const (
	junk    = 'A' // anywhere
	endMark = 'Z' // once, at the end
)

// mixer is the encoder of the simulation: it puts junk between the bytes of a body and a mark behind it, makes pieces of any size, keeps bytes back until it is told to flush, and is
// done at once or later, as a schedule says.
type mixer struct {
	s     *sim
	in    []byte // added
	kept  []byte // taken, and not yet put out
	new   int    // of in, since the last Run
	more  bool
	ended bool
	out   []byte
	block buffer.Block
	err   error

	pending  bool // it is at work
	released bool
}

func newMixer(s *sim) *mixer {
	return &mixer{s: s, in: make([]byte, 0, 1+s.someSize(5000))}
}

func (m *mixer) Room() []byte {
	m.use()
	if m.more {
		return nil
	}
	return m.in[len(m.in):cap(m.in)]
}

func (m *mixer) Added(n int) {
	m.use()
	m.in = m.in[:len(m.in)+n]
	m.new += n
}

func (m *mixer) Has() int {
	if m.more {
		return m.new + 1
	}
	return m.new
}

func (m *mixer) Run(flush, end bool) bool {
	m.use()
	if m.ended {
		m.s.noted = "the encoder is asked for more behind the end"
	}
	s := m.s
	m.kept, m.in, m.new = append(m.kept, m.in...), m.in[:0], 0
	m.out = m.out[:0]
	most := 1 + s.someSize(3000)
	back := 0 // kept back
	if !flush && !end {
		back = s.someSize(len(m.kept))
	}
	for len(m.kept) > back && len(m.out) < most {
		if s.odds(10) {
			m.out = append(m.out, junk)
		}
		m.out = append(m.out, m.kept[0])
		m.kept = m.kept[1:]
	}
	m.more = len(m.kept) > back
	if end && !m.more {
		m.out = append(m.out, endMark)
		m.ended = true
	}
	if s.plan.garbled && s.odds(5) {
		m.err = errors.New("garbled")
	}
	m.pending = s.odds(30)
	if !m.pending {
		m.ready()
	}
	return !m.pending
}

func (m *mixer) ready() { m.block.Data, m.block.R, m.block.W = m.out, 0, len(m.out) }

func (m *mixer) Output() *buffer.Block { return &m.block }

func (m *mixer) Err() error { return m.err }

func (m *mixer) Release() { m.released = true }

// work ends what is pending, as the loop tells of it.
func (m *mixer) work() {
	if m == nil || !m.pending {
		return
	}
	m.pending = false
	m.ready()
	if !m.released {
		m.s.note("encoded %d bytes", len(m.out))
		m.s.moved++
		m.s.pipe.OnEncoded()
	}
}

// use is called where the pipe may not call while the encoder is at work.
func (m *mixer) use() {
	if m.pending || m.released {
		m.s.noted = "the encoder is used while it is at work, or after its release"
	}
}

// unmix takes off what a mixer has put to a body. whole: the mark of its end is there.
func unmix(b []byte) (body []byte, whole bool) {
	body, whole = bytes.CutSuffix(bytes.ReplaceAll(b, []byte{junk}, nil), []byte{endMark})
	return body, whole
}
