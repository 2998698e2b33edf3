// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"bufio"
	"bytes"
	"io"
	"net/http/httputil"

	"weir/internal/sys"
)

// check holds what came out against what went in.
func (s *sim) check() {
	if s.noted != "" {
		s.fail("%s", s.noted)
	}
	s.checkOutcome()
	if s.sink.far >= 0 {
		for n := -1; n != len(s.got); {
			n = len(s.got)
			s.receive(1 << 20)
		}
	}
	p := &s.plan
	body, ok := bytes.CutPrefix(s.got, p.head)
	if !ok {
		if !bytes.HasPrefix(p.head, s.got) || s.outcome == Done && !s.aborted {
			s.fail("the head came out as %q", s.got[:min(len(s.got), len(p.head))])
		}
		body = nil
	}
	complete := false
	if p.chunk {
		body, complete = s.unchunk(body)
	}
	if p.encode {
		whole := false
		if body, whole = unmix(body); whole && p.damage != intact || complete && !whole || s.outcome == Done && !s.aborted && !whole {
			s.fail("the encoder's mark of the end is there: %v, the body is complete: %v", whole, complete)
		}
		if whole {
			s.w.encoded++
		}
	}
	if !bytes.HasPrefix(p.payload, body) {
		s.fail("%d bytes of payload came out, which are not those that went in", len(body))
	}
	switch {
	case s.outcome == Done && !s.aborted && (len(body) != len(p.payload) || p.chunk && !complete):
		s.fail("done with %d of %d bytes, last chunk %v", len(body), len(p.payload), complete)
	case s.outcome != Done && complete:
		s.fail("the body looks complete")
	case s.outcome != Done && p.framing == Length && !p.chunk && !p.encode && len(p.payload) > 0 && len(body) == len(p.payload):
		s.fail("all of the body came out")
	}
	if s.outcome == Done {
		s.checkCounts()
		s.checkExtra()
	}
}

// checkOutcome holds the outcome against what was planned to go wrong.
func (s *sim) checkOutcome() {
	p, o := &s.plan, s.outcome
	if o == SinkFailed {
		if !s.aborted {
			s.fail("the sink did not fail")
		}
		return
	}
	if o == Garbled && s.mixer.err != nil {
		return
	}
	want := Done
	switch p.damage {
	case truncated:
		want = SourceClosed
	case reset:
		want = SourceFailed
	case malformed:
		want = SourceBad
	}
	if o != want {
		s.fail("outcome %v, %v expected", o, want)
	}
}

// unchunk takes the chunk framing off what the sink's peer got, with the standard library's decoder.
func (s *sim) unchunk(wire []byte) (payload []byte, complete bool) {
	r := bufio.NewReader(bytes.NewReader(wire))
	payload, err := io.ReadAll(httputil.NewChunkedReader(r))
	if err == nil {
		rest, _ := io.ReadAll(r)
		if complete = string(rest) == "\r\n"; !complete && !bytes.HasPrefix([]byte("\r\n"), rest) {
			s.fail("%d bytes behind the last chunk: %.40q", len(rest), rest)
		}
	} else if err != io.ErrUnexpectedEOF && err != io.EOF {
		s.fail("the sink's chunks: %v", err)
	}
	return payload, complete
}

// checkCounts holds the pipe's counters against the bytes.
func (s *sim) checkCounts() {
	p := &s.plan
	if s.pipe.Received != int64(len(p.payload)) || !p.encode && s.pipe.Announced() != int64(len(p.payload)) {
		s.fail("received %d, announced %d", s.pipe.Received, s.pipe.Announced())
	}
	if !p.keep && !s.aborted && s.pipe.Wire != int64(len(s.got)) {
		s.fail("%d bytes written, on record are %d", len(s.got), s.pipe.Wire)
	}
}

// checkExtra looks for the bytes that came behind the body: they are all still there, or it is known that there were some.
func (s *sim) checkExtra() {
	p := &s.plan
	if s.pipe.HasExtra() && len(p.extra) == 0 {
		s.fail("extra bytes that nobody sent")
	}
	if !p.exact {
		sent := len(p.extra) - len(s.unsent)
		if sent > 0 && !s.pipe.HasExtra() && s.source.conn.Quiet() {
			s.fail("%d extra bytes have gone unnoticed", sent)
		}
		return
	}
	if p.framing == Length && s.pipe.HasExtra() {
		s.fail("it has read past a known end")
	}
	var extra []byte
	if b := s.pipe.TakeExtra(); b != nil {
		extra = bytes.Clone(b.Bytes())
		s.pool.Release(b)
	} else if s.pipe.HasExtra() {
		return // there was no block for them
	}
	buf := make([]byte, 1024)
	for {
		n, errno := sys.Read(s.source.conn.FD(), buf)
		if n <= 0 || errno != 0 {
			break
		}
		extra = append(extra, buf[:n]...)
	}
	extra = append(extra, s.unsent...)
	if !bytes.Equal(extra, p.extra) {
		s.fail("%d extra bytes are left of %d", len(extra), len(p.extra))
	}
}
