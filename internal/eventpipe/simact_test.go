// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/sys"
)

// drive acts until the pipe has come to an end.
func (s *sim) drive() {
	still := 0
	for step := 0; !s.over; step++ {
		before := s.moved
		if step < s.plan.calm {
			s.act()
		} else {
			s.doBest()
		}
		s.w.turn()
		s.pool.Wake()
		if s.due && !s.over {
			s.pump()
		}
		s.checkBlocks()
		if still++; s.moved != before || step < s.plan.calm {
			still = 0
		}
		if still > 20 {
			s.fail("it hangs: readable %v writable %v, %d blocks on the queue, %d unsent", s.source.conn.Readable(), s.pipe.Sink != nil && s.pipe.Sink.Writable(), s.pipe.blocks, len(s.unsent))
		}
	}
}

// act does one thing at random.
func (s *sim) act() {
	switch s.rng.IntN(10) {
	case 0, 1:
		s.send(1 + s.someSize(5000))
	case 2, 3:
		s.receive(1 + s.someSize(5000))
	case 4:
		if b := s.pool.Acquire(buffer.ClassResponse); b != nil {
			s.hoard = append(s.hoard, b)
		}
	case 5:
		if !s.plan.tight {
			s.giveBack(s.rng.IntN(1 + len(s.hoard)))
		}
		if s.odds(20) {
			s.due = true // an event that has nothing to do with it
		}
	case 6:
		if s.plan.abort && s.odds(15) {
			s.note("the sink goes away")
			s.aborted = true
			s.sink.closeFar()
		}
	case 7:
		s.pass(int64(s.rng.IntN(80)))
	case 8:
		s.w.disk.work(s.rng.IntN(3))
		s.mixer.work()
	case 9:
		if s.odds(20) && !s.filling {
			s.note("relieved")
			s.pipe.Relieve()
		}
	}
}

// tighten takes blocks until memory is short.
func (s *sim) tighten() {
	for s.plan.tight && !s.pool.Pressed() {
		s.hoard = append(s.hoard, s.pool.Acquire(buffer.ClassResponse))
	}
}

// pass lets time pass; a pipe that pauses is pumped at its time.
func (s *sim) pass(ms int64) {
	s.w.ms += ms
	if s.outcome == Pause && s.w.ms >= s.pipe.ResumeMs() {
		s.due = true
		s.moved++
	}
}

// doBest lets both sides do all they can.
func (s *sim) doBest() {
	s.giveBack(len(s.hoard))
	if s.plan.abort && !s.aborted && s.odds(50) {
		s.aborted = true
		s.sink.closeFar()
	}
	s.send(1 << 20)
	s.receive(1 << 20)
	s.moved += s.w.disk.work(1 << 20)
	s.mixer.work()
	s.pass(1000)
}

func (s *sim) giveBack(n int) {
	for range n {
		last := len(s.hoard) - 1
		s.pool.Release(s.hoard[last])
		s.hoard = s.hoard[:last]
		s.moved++
	}
}

// send has the source's peer send up to n bytes, and close when all is sent and that is its part.
func (s *sim) send(n int) {
	if s.source.far < 0 {
		return
	}
	if len(s.unsent) > 0 {
		sent, _ := sys.Write(s.source.far, s.unsent[:min(n, len(s.unsent))])
		s.unsent = s.unsent[sent:]
		s.moved += sent
		s.note("sent %d", sent)
	}
	if len(s.unsent) > 0 {
		return
	}
	switch p := &s.plan; {
	case p.damage == reset:
		sys.Write(s.source.conn.FD(), []byte("x")) // closing with this unread is a reset
		s.source.closeFar()
		s.moved++
	case p.damage == truncated || p.framing == UntilClose || p.damage == intact && len(p.extra) == 0 && s.odds(5):
		s.note("the source closes")
		s.source.closeFar()
		s.moved++
	}
}

// receive has the sink's peer take up to n bytes.
func (s *sim) receive(n int) {
	if s.sink.far < 0 {
		return
	}
	buf := make([]byte, min(n, 64<<10))
	if got, errno := sys.Read(s.sink.far, buf); errno == 0 && got > 0 {
		s.got = append(s.got, buf[:got]...)
		s.moved += got
		s.note("received %d", got)
	}
}
