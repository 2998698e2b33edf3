// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

// stall is how long the sink has kept the pipe from reading.
type stall struct {
	sinceMs   int64 // when it began; 0: it does not
	totalMs   int64 // before that
	firstMs   int64 // when it began for the first time; 0: it never did
	firstWire int64 // what had been written then
}

const (
	// patienceMs is how long a sink may keep a pipe from reading, in all, before what comes is moved to the temporary file, and past a kernel
	// pipe that is full. A client that is a little slower than its origin for a moment costs no copy to a file.
	patienceMs = 100
	// spillWorthMs is how long the rest of a body has to take, as fast as the sink has been since it first stalled, to be worth the file: the
	// origin of a fast client is free before the bytes would be on their way back from the file.
	spillWorthMs = 1000
)

// stalled says whether the sink takes nothing at present.
func (p *Pipe) stalled() bool {
	return p.filling || p.Sink == nil || !p.Sink.Writable() ||
		p.sinkMeter.on() && p.sinkMeter.allowed(p.shared.clock.Ms(), p.Wire) <= 0
}

// sinkIsSlow says whether it is time to read on without the stalled sink; if not, the pipe pauses until it is to be asked again.
func (p *Pipe) sinkIsSlow() bool {
	if p.filling || p.sinkMeter.on() {
		return true
	}
	s, now := &p.stall, p.shared.clock.Ms()
	if s.sinceMs == 0 {
		s.sinceMs = now
	}
	if s.firstMs == 0 {
		s.firstMs, s.firstWire = now, p.Wire
	}
	if wait := patienceMs - s.totalMs - (now - s.sinceMs); wait > 0 {
		p.sourceResumeMs = now + wait
		return false
	}
	rest, past, written := float64(p.left), float64(now-s.firstMs), float64(p.Wire-s.firstWire)
	if p.Framing == Length && rest*past < spillWorthMs*written {
		p.sourceResumeMs = now + patienceMs
		return false
	}
	return true
}

// onProgress ends a stall.
func (p *Pipe) onProgress() {
	if p.stall.sinceMs != 0 {
		p.stall.totalMs += p.shared.clock.Ms() - p.stall.sinceMs
		p.stall.sinceMs = 0
	}
}
