// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "weir/internal/conn"

// ScratchBytes is the memory of peek mode, one piece for each worker.
const ScratchBytes = 64 << 10

// mayPeek says whether the body, of which nothing is held, can be relayed without a block: as it is, from one socket to the other.
func (p *Pipe) mayPeek() bool {
	return (p.Framing == Length || p.Framing == UntilClose) && !p.Chunk && !p.Keep && p.Encoder == nil && p.Watch == nil && p.skip == 0 && !p.filling && p.freeRaw == nil && p.Empty()
}

// peek is how bytes pass while memory is short: they are looked at where they wait, in the source's socket, written to the sink, and only as
// many dropped there as it took, most at most. The memory for that is in use for a moment, and is the worker's.
func (p *Pipe) peek(most int64) Outcome {
	if !p.Sink.Writable() {
		return Wait
	}
	if p.sinkMeter.on() {
		if most = min(most, p.sinkAllows()); most == 0 {
			return Wait
		}
	}
	if p.Framing == Length {
		most = min(most, p.left)
	}
	b := p.shared.scratchBytes()
	b = b[:min(most, int64(len(b)))]
	got, st := p.Source.Peek(b)
	if st != conn.OK {
		return p.sourceEnd(st)
	}
	n, st := p.Sink.Write(b[:got])
	switch st {
	case conn.Failed:
		return SinkFailed
	case conn.Again:
		return Wait
	}
	p.Wire += int64(n)
	for left := n; left > 0; {
		dropped, st := p.Source.Discard(b[:left])
		if st != conn.OK {
			return SourceFailed
		}
		left -= dropped
	}
	p.passed(n)
	p.shared.Stats.PeekedBytes += uint64(n)
	return Yield
}

// scratchBytes is the worker's memory for peek mode.
func (s *Shared) scratchBytes() []byte {
	if s.scratch == nil {
		s.scratch = make([]byte, ScratchBytes)
	}
	return s.scratch
}

// passed counts n bytes of the body that no filter has seen.
func (p *Pipe) passed(n int) {
	p.Raw += int64(n)
	p.Received += int64(n)
	if p.Framing == Length {
		p.left -= int64(n)
		p.readDone = p.left == 0
	}
}
