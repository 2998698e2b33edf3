// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"fmt"
	"strings"

	"weir/internal/buffer"
)

// damage is what is wrong with a body.
type damage int

const (
	intact    damage = iota
	truncated        // the source closes before the end
	reset            // it resets the connection before the end
	malformed        // its chunk framing is broken
)

// plan is what a schedule is going to do.
type plan struct {
	framing   Framing
	damage    damage
	payload   []byte
	wire      []byte // the body as the source sends it
	extra     []byte // and what it sends behind
	chunk     bool   // the sink gets chunks
	exact     bool
	keep      bool // a request's body: kept, perhaps written twice
	buffered  bool // with keep: read before anything is written
	blocks    int
	blockSize int
	limit     int
	tight     bool   // memory is short until the end is near
	prefix    int    // bytes of the wire that come along with the head
	pinned    bool   // and stay in the head's block
	small     bool   // or are copied behind the head if they are all
	head      []byte // a message head before the body
	abort     bool   // the sink goes away at some point
	calm      int    // the step from which both sides do their best

	busy       int
	unbuffered bool
	spillMax   int64
	spillWrite int
	quota      int // bytes of all files
	pending    int // percent of writes that the thread does
	failing    int // percent of writes that fail
	sinkRate   Rate
	sourceRate Rate
	splice     bool
	encode     bool // the body is changed on its way
	garbled    bool // which may fail
}

func (p *plan) String() string {
	return fmt.Sprintf("framing %d damage %d payload %d wire %d extra %d chunk %v exact %v keep %v buffered %v blocks %d of %d (limit %d) prefix %d pinned %v small %v head %d abort %v calm %d "+
		"busy %d unbuffered %v spill %d/%d quota %d pending %d%% failing %d%% rates %v %v splice %v encode %v/%v",
		p.framing, p.damage, len(p.payload), len(p.wire), len(p.extra), p.chunk, p.exact, p.keep, p.buffered, p.blocks, p.blockSize, p.limit, p.prefix,
		p.pinned, p.small, len(p.head), p.abort, p.calm,
		p.busy, p.unbuffered, p.spillMax, p.spillWrite, p.quota, p.pending, p.failing, p.sinkRate, p.sourceRate, p.splice, p.encode, p.garbled)
}

// someBytes is n bytes that look like framing now and then.
func (s *sim) someBytes(n int) []byte {
	const letters = "0123456789abcdef\r\n;="
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.rng.IntN(len(letters))]
	}
	return b
}

func (s *sim) pick(values ...int) int { return values[s.rng.IntN(len(values))] }

func (s *sim) odds(percent int) bool { return s.rng.IntN(100) < percent }

// someSize is a size from nothing to limit, small ones more often.
func (s *sim) someSize(limit int) int {
	return min(limit, s.rng.IntN(1+s.pick(1, 40, 300, 3000, limit)))
}

func (s *sim) makePlan() {
	p := &s.plan
	p.framing = Framing(s.rng.IntN(4))
	p.blockSize = s.pick(buffer.MinBlockSize, 128, 512, 4096)
	p.limit = s.pick(5, 8, 40, 100)
	p.blocks = s.pick(2, 2, 3, 8, 50)
	p.payload = s.someBytes(s.someSize(s.pick(2000, 60_000)))
	if p.framing == NoBody {
		p.payload = nil
	}
	p.keep = s.odds(35)
	p.buffered = s.odds(60)
	p.exact = p.keep
	p.chunk = p.framing != NoBody && (!p.keep && s.odds(50) || p.keep && s.odds(20))
	p.abort = s.odds(15)
	p.calm = s.rng.IntN(1 + s.pick(10, 100, 400))
	if !p.keep {
		p.head = s.someBytes(s.rng.IntN(p.blockSize))
	}
	s.retries = s.pick(0, 0, 1, 2)
	s.makeWire()
	p.prefix = s.someSize(min(len(p.wire)+len(p.extra), p.blockSize))
	if p.keep && p.framing == Length {
		p.prefix = min(p.prefix, len(p.wire)) // the request knows where its body ends
	}
	p.pinned, p.small = s.odds(50), s.odds(50)
	s.planBuffering()
}

// planBuffering decides what else the pipe may use, and what is wrong with it.
func (s *sim) planBuffering() {
	p := &s.plan
	if s.odds(30) {
		p.busy = 1 + s.someSize(8*p.blockSize)
	}
	p.unbuffered = !p.keep && s.odds(15)
	if s.odds(60) {
		p.spillMax = int64(s.pick(1, p.blockSize, 20_000, 1<<20))
		p.spillWrite = s.pick(0, 1, p.blockSize, 3*p.blockSize)
		p.quota = s.pick(0, p.blockSize, 10_000, 1<<20, 1<<20)
		p.pending = s.pick(0, 0, 50, 100)
		p.failing = s.pick(0, 0, 0, 10, 100)
	}
	if s.odds(20) {
		p.sinkRate = Rate{BytesPerSecond: int64(1000 + s.someSize(100_000)), After: int64(s.someSize(3000))}
	}
	if s.odds(15) {
		p.sourceRate = Rate{BytesPerSecond: int64(1000 + s.someSize(100_000))}
	}
	p.splice = s.odds(50)
	if p.encode = !p.keep && p.framing != NoBody && s.odds(30); p.encode {
		p.small, p.garbled = false, s.odds(10)
	}
	if p.tight = s.odds(15); p.tight {
		p.calm += 300
	}
}

// makeWire makes what the source sends from the payload.
func (s *sim) makeWire() {
	p := &s.plan
	p.wire = p.payload
	if p.framing == Chunked {
		p.wire = s.chunks(p.payload)
	}
	if s.odds(30) {
		p.extra = s.someBytes(1 + s.someSize(500))
	}
	if s.odds(70) {
		if p.framing == UntilClose {
			p.extra = nil
		}
		return
	}
	p.damage = damage(1 + s.rng.IntN(3))
	switch {
	case p.damage == malformed && p.framing == Chunked:
		p.extra = nil
		cut := s.rng.IntN(1 + len(p.payload))
		good := strings.TrimSuffix(string(s.plainChunks(p.payload[:cut])), "0\r\n\r\n")
		bad := []struct{ text, payload string }{
			{"x\r\n", ""}, {"\r\n", ""}, {"5\nhello\r\n", ""}, {"-1\r\na\r\n", ""}, {"3\r\nabcd\r\n", "abc"}, {"3\r\nab\r\n\r\n", "ab\r"},
			{"0\r\nbad trailer\r\n\r\n", ""}, {"0\n\r\n", ""}, {"0\r\n\n", ""}, {"1 1\r\na\r\n", ""}, {"11111111111111111\r\n", ""}, {"0x1\r\na\r\n", ""},
			{"1;\"\r\na\r\n", ""}, {"0\r\n: x\r\n\r\n", ""},
		}[s.rng.IntN(14)]
		p.wire = append([]byte(good), bad.text...)
		p.payload = append(p.payload[:cut:cut], bad.payload...)
	case p.damage == malformed || len(p.wire) == 0:
		p.damage = intact
		if p.framing == UntilClose {
			p.extra = nil
		}
	default:
		p.extra = nil
		p.wire = p.wire[:s.rng.IntN(len(p.wire))]
		if p.framing == UntilClose && p.damage == truncated {
			p.payload, p.damage = p.wire, intact // nobody can tell
		}
	}
}

// plainChunks cuts a payload into chunks, with nothing special in their framing.
func (s *sim) plainChunks(payload []byte) []byte {
	var out []byte
	for len(payload) > 0 {
		n := min(len(payload), 1+s.rng.IntN(s.pick(4, 100, 5000)))
		out = fmt.Appendf(out, "%x\r\n%s\r\n", n, payload[:n])
		payload = payload[n:]
	}
	return append(out, "0\r\n\r\n"...)
}

// chunks is plainChunks with extensions, leading zeros and trailer fields.
func (s *sim) chunks(payload []byte) []byte {
	var out []byte
	extension := func() string {
		if s.odds(90) {
			return ""
		}
		return []string{";a", ";a=b", " ; q=\"x \\\" y\"", ";a=b;c"}[s.rng.IntN(4)]
	}
	for len(payload) > 0 {
		n := min(len(payload), 1+s.rng.IntN(s.pick(4, 100, 5000)))
		format := []string{"%x%s\r\n", "%X%s\r\n", "%04x%s\r\n"}[s.rng.IntN(3)]
		out = fmt.Appendf(out, format, n, extension())
		out = append(append(out, payload[:n]...), "\r\n"...)
		payload = payload[n:]
	}
	out = append(out, []string{"0", "00", "0"}[s.rng.IntN(3)]+extension()+"\r\n"...)
	if s.odds(20) {
		out = append(out, "Trailer: of some length\r\nAnother:\r\n"...)
	}
	return append(out, "\r\n"...)
}
