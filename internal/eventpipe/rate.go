// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import "math"

// Rate bounds the bytes of a side (limit_rate, limit_rate_after; proxy_limit_rate). The zero Rate is no bound.
type Rate struct {
	BytesPerSecond int64 // 0: no bound; at most RateMax
	After          int64 // bytes that are free of it at first
}

// RateMax is the highest rate: what is above is taken for it. What a rate leaves free is no more than afterMax, to which what it allows in a month can be added.
const (
	RateMax  = 1 << 40
	afterMax = 1 << 62
)

// burstsPerSecond is in how many pieces the bytes of a second go: nginx has one, which a client sees as stops of a second.
const burstsPerSecond = 10

// meter says how much may be moved. It has no state but the rate and when it began, so a moment without traffic is made up for, as with nginx.
type meter struct {
	rate    Rate
	startMs int64
	base    int64 // what had been moved then
}

func (m *meter) set(r Rate, nowMs, moved int64) {
	r.BytesPerSecond = min(r.BytesPerSecond, RateMax)
	r.After = min(max(0, r.After-moved), afterMax)
	*m = meter{rate: r, startMs: nowMs, base: moved}
}

func (m *meter) on() bool { return m.rate.BytesPerSecond > 0 }

// allowed is how many bytes may be moved now, when moved have been; 0 or less: none.
func (m *meter) allowed(nowMs, moved int64) int64 {
	if !m.on() {
		return math.MaxInt64
	}
	perSecond, elapsed := m.rate.BytesPerSecond, nowMs-m.startMs
	earned := elapsed/1000*perSecond + elapsed%1000*perSecond/1000
	return m.rate.After + earned + max(1, perSecond/burstsPerSecond) - (moved - m.base)
}

// resumeMs is when a burst may be moved again.
func (m *meter) resumeMs(moved int64) int64 {
	over, perSecond := moved-m.base-m.rate.After, m.rate.BytesPerSecond
	return m.startMs + over/perSecond*1000 + (over%perSecond*1000+perSecond-1)/perSecond
}

// SetSinkRate changes the bound of the sink from now on; After counts from the first byte on the wire, heads included.
func (p *Pipe) SetSinkRate(r Rate) {
	p.SinkRate = r
	p.sinkMeter.set(r, p.shared.clock.Ms(), p.Wire)
}

// sinkAllows is how many bytes may be written now; 0: none before SinkResumeMs.
func (p *Pipe) sinkAllows() int64 {
	n := p.sinkMeter.allowed(p.shared.clock.Ms(), p.Wire)
	if n <= 0 {
		p.sinkResumeMs = p.sinkMeter.resumeMs(p.Wire)
		return 0
	}
	return n
}

// sourceAllows is how many bytes may be read now; 0: none before SourceResumeMs.
func (p *Pipe) sourceAllows() int64 {
	n := p.sourceMeter.allowed(p.shared.clock.Ms(), p.Raw)
	if n <= 0 {
		p.sourceResumeMs = p.sourceMeter.resumeMs(p.Raw)
		return 0
	}
	return n
}

// SinkResumeMs is the loop's time from which on the sink may get bytes again, after the outcome Pause; 0: it does not pause.
func (p *Pipe) SinkResumeMs() int64 { return p.sinkResumeMs }

// SourceResumeMs is the loop's time from which on the pipe reads again, after the outcome Pause; 0: it does not pause. It pauses for the
// rate, or to give a sink that takes nothing a moment before bytes go to the temporary file.
func (p *Pipe) SourceResumeMs() int64 { return p.sourceResumeMs }

// ResumeMs is the earlier of the two: the loop's time at which to call Pump again.
func (p *Pipe) ResumeMs() int64 {
	if p.sinkResumeMs == 0 || p.sourceResumeMs != 0 && p.sourceResumeMs < p.sinkResumeMs {
		return p.sourceResumeMs
	}
	return p.sinkResumeMs
}

// resumed forgets the pauses.
func (p *Pipe) resumed() { p.sinkResumeMs, p.sourceResumeMs = 0, 0 }

// orPause is Wait, or Pause where time is waited for as well.
func (p *Pipe) orPause(o Outcome) Outcome {
	if o == Wait && p.sinkResumeMs|p.sourceResumeMs != 0 {
		return Pause
	}
	return o
}
