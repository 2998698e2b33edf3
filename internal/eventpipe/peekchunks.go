// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"math"

	"weir/internal/conn"
	"weir/internal/http1"
)

// Peek mode for bodies with chunks on either side, or both. The source's framing is looked through where it waits, in the socket, and what of the payload the sink has taken is dropped there,
// with the framing before it. The sink's framing is a chunk for what is there at a time. When the sink takes a part of it, what is left of its payload still waits in the source's
// socket, and only what is left of a line of framing is remembered here: so a sink that stalls, at whichever byte, holds no block. A chunk that has begun is ended in this mode.

var lineEnd = []byte("\r\n") // read-only

// announced is the sink's chunk that has begun in peek mode.
type announced struct {
	payload int64    // of it that is to be written
	line    [24]byte // framing that is to be written before anything else
	n       uint8    // how much of line
}

// begun says whether the sink waits for the rest of something that only peek mode can go on with.
func (a *announced) begun() bool { return a.payload > 0 || a.n > 0 }

func (a *announced) text() []byte { return a.line[:a.n] }

// add puts a line of framing behind what is left of the one before.
func (a *announced) add(text []byte) { a.n += uint8(copy(a.line[a.n:], text)) }

// wrote drops what has been written.
func (a *announced) wrote(n int) { a.n = uint8(copy(a.line[:], a.line[n:a.n])) }

// mayPeekChunks is mayPeek for these bodies. Trailer fields that are passed on need a block.
func (p *Pipe) mayPeekChunks() bool {
	return (p.Framing == Chunked || p.Framing == UntilClose && p.Chunk) && p.Tail == nil && !p.Exact && !p.Keep && p.Encoder == nil && p.Watch == nil && !p.filling && p.freeRaw == nil &&
		p.Empty()
}

// seen is what stands at the front of the source's socket.
type seen struct {
	runs    [vectorMax - 2]struct{ from, to int } // of payload
	n       int
	payload int
	end     int  // behind the last run, and the framing that follows
	done    bool // there the body ends
	bad     bool // there it makes no sense
}

// look finds the payload in b. The decoder stays where it is.
func (p *Pipe) look(b []byte) (s seen) {
	if p.Framing == UntilClose {
		s.runs[0].to = len(b)
		s.n, s.payload, s.end = 1, len(b), len(b)
		return s
	}
	for decoder := p.decoder; s.end < len(b) && s.n < len(s.runs) && !s.done; {
		n, from, to, v := decoder.Run(b[s.end:])
		if v == http1.Bad {
			s.bad = true
			return s
		}
		if from < to {
			s.runs[s.n].from, s.runs[s.n].to = s.end+from, s.end+to
			s.n++
			s.payload += to - from
		}
		s.end += n
		s.done = v == http1.Done
	}
	return s
}

// behind is the index behind n bytes of the payload.
func (s *seen) behind(n int) (at int) {
	for _, r := range s.runs[:s.n] {
		if n == 0 {
			break
		}
		take := min(n, r.to-r.from)
		n -= take
		at = r.from + take
	}
	return at
}

// peekChunks is peek for these bodies.
func (p *Pipe) peekChunks(most int64) Outcome {
	a := &p.announced
	if !p.Sink.Writable() {
		return Wait
	}
	allowed := int64(math.MaxInt64) // to be written
	if p.sinkMeter.on() {
		if allowed = p.sinkAllows(); allowed == 0 {
			return Wait
		}
	}
	if a.n > 0 && a.payload == 0 { // what ends a chunk: behind it, the source may say anything
		return p.writeAnnounced(allowed)
	}
	b := p.shared.scratchBytes()
	b = b[:min(most, int64(len(b)))]
	got, st := p.Source.Peek(b)
	if st != conn.OK {
		return p.sourceEnd(st)
	}
	s := p.look(b[:got])
	switch {
	case s.payload > 0:
		return p.passSeen(b[:got], &s, allowed)
	case s.bad:
		return SourceBad
	}
	return p.dropSeen(b[:got], &s, s.end)
}

// writeAnnounced writes of the framing that is due, allowed bytes at most.
func (p *Pipe) writeAnnounced(allowed int64) Outcome {
	text := p.announced.text()
	n, st := p.Sink.Write(text[:min(allowed, int64(len(text)))])
	if st != conn.OK {
		return sinkOutcome(st)
	}
	p.Wire += int64(n)
	p.announced.wrote(n)
	return Yield
}

// passSeen writes payload that waits in the source's socket, allowed bytes with its framing at most, and drops what the sink has taken.
func (p *Pipe) passSeen(b []byte, s *seen, allowed int64) Outcome {
	a, most := &p.announced, s.payload
	if p.Chunk {
		if a.payload == 0 {
			var head [24]byte
			a.add(http1.AppendChunkHead(head[:0], s.payload))
			a.payload = int64(s.payload)
		}
		most = int(min(int64(most), a.payload))
	}
	if allowed -= int64(a.n); allowed <= 0 {
		return p.writeAnnounced(allowed + int64(a.n))
	}
	most = int(min(int64(most), allowed))
	var v vector
	if a.n > 0 {
		v.add(a.text())
	}
	left := most
	for _, r := range s.runs[:s.n] {
		if n := min(left, r.to-r.from); n > 0 {
			v.add(b[r.from : r.from+n])
			left -= n
		}
	}
	if p.Chunk && int64(most) == a.payload && allowed-int64(most) >= int64(len(lineEnd)) {
		v.add(lineEnd)
	}
	n, st := p.Sink.Writev(v.iov[:v.n], v.total)
	if st != conn.OK {
		return sinkOutcome(st)
	}
	p.Wire += int64(n)
	p.shared.Stats.PeekedBytes += uint64(n)
	line := min(n, int(a.n))
	a.wrote(line)
	payload := min(n-line, most)
	if p.Chunk {
		if a.payload -= int64(payload); a.payload == 0 {
			a.add(lineEnd[n-line-payload:])
		}
	}
	p.Received += int64(payload)
	return p.dropSeen(b, s, s.behind(payload))
}

// dropSeen drops what stands before an index of b from the source's socket. The body's end is dropped when nothing is to be written before it.
func (p *Pipe) dropSeen(b []byte, s *seen, to int) Outcome {
	for at := 0; at < to && p.Framing == Chunked; {
		n, _, _, _ := p.decoder.Run(b[at:to])
		at += n
	}
	for left := to; left > 0; {
		n, st := p.Source.Discard(b[:left])
		if st != conn.OK {
			return SourceFailed
		}
		left -= n
	}
	p.Raw += int64(to)
	if s.done && to == s.end {
		p.extraLen += len(b) - to
		p.readDone = true
		p.markEnd()
	}
	return Yield
}

func sinkOutcome(st conn.Status) Outcome {
	if st == conn.Failed {
		return SinkFailed
	}
	return Wait
}
