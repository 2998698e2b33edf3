// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"math"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/eventpipe"
	"weir/internal/http1"
)

// How a response flows: whether it is read ahead of the client, and how fast it may go.

// setFlow says how the body of the origin's response gets to the client.
func (r *Request) setFlow(o *eventpipe.Options) {
	p := r.loc.Proxy
	if r.unbuffered() {
		o.Unbuffered, o.Busy, o.Blocks = true, p.FirstPartBytes, firstPartBlocks
		return
	}
	o.Blocks, o.Busy = p.Blocks, p.BusyBytes
	o.SpillMax, o.SpillWrite, o.Owner = p.SpillMax, p.SpillWrite, r
	o.SourceRate.BytesPerSecond = r.size(&p.LimitRate)
}

// OnPipe goes on when a write to a temporary file has ended. See eventpipe.Owner.
func (r *Request) OnPipe() { r.engine.Loop.Post(&r.task) }

// firstPartBlocks are the blocks of a response that is not buffered: one with what proxy_buffer_size is for, and one to read into.
const firstPartBlocks = 2

// unbuffered says whether what arrives of the response is only passed on. The origin has the last word (X-Accel-Buffering); else it is
// what the config says, and what streams by its nature.
func (r *Request) unbuffered() bool {
	p, h := r.loc.Proxy, &r.up.head
	if i := h.Lookup(http1.FieldXAccelBuffering); i >= 0 && !p.IgnoreBuffering {
		switch value := h.Fields[i].Value.Of(r.up.text); {
		case equalLower(value, "no"):
			return true
		case equalLower(value, "yes"):
			return false
		}
	}
	if !p.Buffering {
		return true
	}
	i := h.Lookup(http1.FieldContentType)
	return i >= 0 && isStream(h.Fields[i].Value.Of(r.up.text))
}

// isStream says whether a content type is one of messages that are read while they are made: server-sent events, gRPC in all its forms,
// and lines of JSON.
func isStream(contentType []byte) bool {
	return isType(contentType, "text/event-stream") || isType(contentType, "application/x-ndjson") || beginsLower(contentType, "application/grpc")
}

// isType says whether a content type is the one in lower case, whatever its parameters are.
func isType(contentType []byte, lower string) bool {
	if !beginsLower(contentType, lower) {
		return false
	}
	if rest := contentType[len(lower):]; len(rest) > 0 {
		return rest[0] == ';' || rest[0] == ' ' || rest[0] == '\t'
	}
	return true
}

// beginsLower says whether text, of any case, begins with what is given in lower case.
func beginsLower(text []byte, lower string) bool {
	return len(text) >= len(lower) && equalLower(text[:len(lower)], lower)
}

// clientRate is the rate at which the response goes to the client, decided when its head is made. X-Accel-Limit-Rate takes the place of
// limit_rate, not of limit_rate_after.
func (r *Request) clientRate(fromOrigin bool) eventpipe.Rate {
	h, i := &r.up.head, -1
	if fromOrigin && !r.loc.Proxy.IgnoreLimitRate {
		i = h.Lookup(http1.FieldXAccelLimitRate)
	}
	var rate eventpipe.Rate
	if i < 0 && r.loc.LimitRate == (Size{}) && !r.limitRateSet {
		return rate
	}
	set := false
	if i >= 0 {
		rate.BytesPerSecond, set = parseNumber(h.Fields[i].Value.Of(r.up.text))
	}
	if !set {
		rate.BytesPerSecond = r.limitRate()
	}
	if rate.BytesPerSecond != 0 {
		rate.After = r.size(&r.loc.LimitRateAfter)
	}
	return rate
}

// limitRate is limit_rate, unless a rule has set $limit_rate.
func (r *Request) limitRate() int64 {
	if r.limitRateSet {
		return r.limitRateBytes
	}
	return r.size(&r.loc.LimitRate)
}

// size is a number of bytes for this request. A template that gives none is logged, as nginx does; an empty one is the way to set no limit.
func (r *Request) size(s *Size) int64 {
	if s.Template == nil {
		return s.Bytes
	}
	text := r.render(s.Template)
	n, ok := parseSize(text)
	if !ok && len(text) > 0 {
		r.logError("a template for a size gives something else", zap.ByteString("value", text))
	}
	return n
}

// parseSize reads a size as a config has it: digits, and perhaps one of k, m and g.
func parseSize(text []byte) (int64, bool) {
	factor := int64(1)
	if n := len(text); n > 0 {
		switch text[n-1] | 0x20 {
		case 'k':
			factor, text = 1<<10, text[:n-1]
		case 'm':
			factor, text = 1<<20, text[:n-1]
		case 'g':
			factor, text = 1<<30, text[:n-1]
		}
	}
	n, ok := parseNumber(text)
	if !ok || n > math.MaxInt64/factor {
		return 0, false
	}
	return n * factor, true
}

// parseNumber reads digits; false if there are others, none, or too many.
func parseNumber(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// armRelay sets the deadlines of what is waited for: the client while something waits for it, the origin while there is room for
// more. A side that pauses because of a rate is not waited for: its timer ends the pause.
func (r *Request) armRelay() {
	p := &r.relayPipe
	r.pausing = [2]bool{}
	if at := p.SinkResumeMs(); at != 0 {
		r.armPause(r.client, clientSide, at)
	} else if p.Empty() && (r.client.Writable() || p.Reading()) { // what waits for the client may wait in the origin's socket: see peek mode
		r.client.Disarm()
	} else {
		r.armIfMoved(r.client, clientSide, p.Wire, r.loc.SendTimeoutMs)
	}
	if r.up.conn == nil {
		return
	}
	if at := p.SourceResumeMs(); at != 0 {
		r.armPause(r.up.conn, originSide, at)
	} else if !p.Reading() {
		r.up.conn.Disarm()
	} else {
		r.armIfMoved(r.up.conn, originSide, p.Raw, r.loc.Proxy.ReadTimeoutMs)
	}
}

// The sides of a request: indexes of progress and pausing.
const (
	clientSide = iota
	originSide
)

// armPause has a side go on at a time. The deadline that is set afterwards is a new one.
func (r *Request) armPause(c *conn.Conn, side int, atMs int64) {
	r.pausing[side], r.progress[side] = true, -1
	c.Arm(atMs)
}

// endPause says whether a deadline of a side was the end of a pause, and not that of somebody's patience.
func (r *Request) endPause(side int) bool {
	pausing := r.pausing[side]
	r.pausing[side] = false
	return pausing
}

// armIfMoved sets a deadline for a side that something is waited for, unless one is set and nothing has moved on that side since: what the
// other side does must not push it on. moved counts the bytes.
func (r *Request) armIfMoved(c *conn.Conn, side int, moved, timeoutMs int64) {
	if !c.Armed() || r.progress[side] != moved {
		r.progress[side] = moved
		c.Arm(r.nowMs() + timeoutMs)
	}
}
