// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// Chunked decodes a chunked body (RFC 9112 section 7.1). The zero value is at the start of a body.
//
//	         .-----------------------------------------------.
//	         v                                               |
//	size -> (extensions) -> LF -> data ... -> data CR -> data LF
//	                         |
//	                         '- size 0 -> trailer line -> LF -.-> ... -> end LF -> done
//	                                          ^---------------'
//
// Framing lines end with CR LF and nothing else: a lone LF, which a lenient reader takes for a line end, is Bad. Trailer fields are lines of a head:
// one, and the empty line behind them, may end with a lone LF. Without any, the empty line is framing.
type Chunked struct {
	state     chunkState
	sized     bool  // the size line has a digit
	fields    uint8 // trailer fields begun
	remaining int64 // of the size line: the size so far; of the data: bytes to come
	line      int   // bytes of the size line, or of the trailer section, so far
	excess    int64 // bytes of framing that no payload justifies: see MaxChunkExcess
}

type chunkState uint8

const (
	chunkSize      chunkState = iota // digits of the size
	chunkExtBefore                   // white space before a semicolon, or the line's end
	chunkExtNameStart
	chunkExtName
	chunkExtNameEnd // white space after a name
	chunkExtValueStart
	chunkExtValue
	chunkExtQuoted
	chunkExtQuotedPair
	chunkExtQuotedEnd
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailerFirst // start of the trailer section: of a field line, or of the last CR LF
	chunkTrailerStart // start of a further line
	chunkTrailerName
	chunkTrailerValue
	chunkTrailerLF
	chunkEndLF
	chunkDone
	chunkBad
)

// Reset is the start of another body.
func (c *Chunked) Reset() { *c = Chunked{} }

// Remaining is how many bytes of the current chunk are still to come: that many can be moved without looking at them if
// Skip is told. It is 0 outside of a chunk's data.
func (c *Chunked) Remaining() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.remaining
}

// Skip says that n bytes, at most Remaining, of the chunk's data went another way.
func (c *Chunked) Skip(n int64) {
	if n < 0 || n > c.Remaining() {
		panic("http1: Chunked.Skip: more bytes than the chunk has left")
	}
	if c.remaining -= n; c.remaining == 0 && c.state == chunkData {
		c.state = chunkDataCR
	}
}

// InTrailer says that the last chunk has been read, and that what Next consumes from now on is the trailer section, field
// lines and the empty line. Next stops in front of a trailer section that has fields, so that a caller who wants to keep
// them can tell them from the framing before.
func (c *Chunked) InTrailer() bool { return c.state >= chunkTrailerFirst && c.state < chunkDone }

// Next decodes the front of buf: n bytes are consumed, and data, if not nil, is a run of payload in buf. A call consumes at
// most one run, with the framing on both sides of it. After More, call it again with buf[n:]; if nothing is left there, with
// the bytes that follow. Done comes once the trailer section has ended; what follows in buf is not part of the body. With
// Bad, which stays, n and data mean nothing.
func (c *Chunked) Next(buf []byte) (n int, data []byte, v Verdict) {
	n, from, to, v := c.Run(buf)
	if from < to {
		data = buf[from:to:to]
	}
	return n, data, v
}

// Run is Next for callers that want to know where the run is: it is buf[from:to], and there is none when both are the same.
func (c *Chunked) Run(buf []byte) (n, from, to int, v Verdict) {
	for i := 0; ; {
		if c.state == chunkSize || c.state == chunkDataCR {
			i += c.usualFraming(buf[i:])
		}
		switch {
		case c.state == chunkDone:
			return i, from, to, Done
		case c.state == chunkBad:
			return 0, 0, 0, Bad
		case i == len(buf):
			return i, from, to, More
		case c.state == chunkData:
			if from < to {
				return i, from, to, More
			}
			run := int(min(c.remaining, int64(len(buf)-i)))
			from, to = i, i+run
			i += run
			c.Skip(int64(run))
		case c.state == chunkTrailerFirst && buf[i] != '\r' && i > 0:
			return i, from, to, More
		case c.state >= chunkTrailerFirst:
			c.state = c.trailer(buf[i])
			i++
		default:
			c.state = c.framing(buf[i])
			i++
		}
	}
}

// usualFraming takes the CR LF after the data and a size line without extensions, each if it is there in full, and gives the
// bytes that it took. It leaves everything else to framing, byte by byte.
func (c *Chunked) usualFraming(buf []byte) (n int) {
	if c.state == chunkDataCR {
		if len(buf) < 2 || buf[0] != '\r' || buf[1] != '\n' {
			return 0
		}
		c.state, c.sized, c.line = chunkSize, false, 0
		n = 2
	}
	if c.line != 0 {
		return n
	}
	size, i := int64(0), n
	for i < len(buf) && i < n+8 && unhex[buf[i]] < 16 {
		size = size<<4 | int64(unhex[buf[i]])
		i++
	}
	if i == n || i+2 > len(buf) || buf[i] != '\r' || buf[i+1] != '\n' {
		return n
	}
	c.remaining, c.line = size, i+2-n
	c.state = c.afterSize()
	return i + 2
}

// framing takes one byte of a size line, or of the CR LF after the data, and gives the next state.
func (c *Chunked) framing(b byte) chunkState {
	if c.line++; c.line > MaxChunkLine {
		return chunkBad
	}
	switch c.state {
	case chunkSize:
		if d := unhex[b]; d < 16 {
			if c.remaining >= 1<<59 {
				return chunkBad // another digit would pass 63 bits
			}
			c.sized, c.remaining = true, c.remaining<<4|int64(d)
			return chunkSize
		}
		if !c.sized {
			return chunkBad
		}
		return afterExtension(b)
	case chunkSizeLF:
		if b != '\n' {
			return chunkBad
		}
		return c.afterSize()
	case chunkDataCR:
		c.line = 0
		if b == '\r' {
			return chunkDataLF
		}
	case chunkDataLF:
		c.line = 0
		if b == '\n' {
			c.sized = false
			return chunkSize
		}
	default:
		return extension(c.state, b)
	}
	return chunkBad
}

// afterSize closes the size line: the excess grows by what the line took and shrinks by what the chunk justifies.
func (c *Chunked) afterSize() chunkState {
	c.excess += int64(c.line) - 16
	if c.remaining >= c.excess {
		c.excess = 0
	} else {
		c.excess = max(0, c.excess-2*c.remaining)
	}
	if c.excess > MaxChunkExcess {
		return chunkBad
	}
	c.line = 0
	if c.remaining == 0 {
		return chunkTrailerFirst
	}
	return chunkData
}

// extension takes one byte of the chunk extensions (RFC 9112 section 7.1.1), and of the white space that some senders fill the line up with:
//
//	*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) BWS
func extension(state chunkState, b byte) chunkState {
	space := b == ' ' || b == '\t'
	token := chars[b]&charToken != 0
	switch state {
	case chunkExtBefore:
		return afterExtension(b)
	case chunkExtNameStart:
		if space {
			return chunkExtNameStart
		}
		if token {
			return chunkExtName
		}
	case chunkExtName, chunkExtNameEnd:
		switch {
		case token && state == chunkExtName:
			return chunkExtName
		case space:
			return chunkExtNameEnd
		case b == '=':
			return chunkExtValueStart
		case b == ';':
			return chunkExtNameStart
		case b == '\r':
			return chunkSizeLF
		}
	case chunkExtValueStart:
		switch {
		case space:
			return chunkExtValueStart
		case b == '"':
			return chunkExtQuoted
		case token:
			return chunkExtValue
		}
	case chunkExtValue:
		if token {
			return chunkExtValue
		}
		return afterExtension(b)
	case chunkExtQuoted:
		switch {
		case b == '"':
			return chunkExtQuotedEnd
		case b == '\\':
			return chunkExtQuotedPair
		case isText(b):
			return chunkExtQuoted
		}
	case chunkExtQuotedPair:
		if isText(b) {
			return chunkExtQuoted
		}
	case chunkExtQuotedEnd:
		return afterExtension(b)
	}
	return chunkBad
}

// afterExtension takes the byte after the size, or after a value: another extension, or the end of the line.
func afterExtension(b byte) chunkState {
	switch b {
	case '\r':
		return chunkSizeLF
	case ';':
		return chunkExtNameStart
	case ' ', '\t':
		return chunkExtBefore
	}
	return chunkBad
}

// isText is HTAB, SP, VCHAR or obs-text: what a field value may have.
func isText(b byte) bool { return b == '\t' || b >= ' ' && b != 0x7f }

// trailer takes one byte of the trailer section (RFC 9112 section 7.1.2) and gives the next state.
func (c *Chunked) trailer(b byte) chunkState {
	if c.line++; c.line > MaxTrailerBytes {
		return chunkBad
	}
	switch c.state {
	case chunkTrailerFirst, chunkTrailerStart:
		if b == '\r' {
			return chunkEndLF
		}
		if b == '\n' && c.state == chunkTrailerStart {
			return chunkDone
		}
		if c.fields++; chars[b]&charToken != 0 && c.fields <= MaxTrailerFields {
			return chunkTrailerName
		}
	case chunkTrailerName:
		if chars[b]&charToken != 0 {
			return chunkTrailerName
		}
		if b == ':' {
			return chunkTrailerValue
		}
	case chunkTrailerValue:
		if isText(b) {
			return chunkTrailerValue
		}
		if b == '\r' {
			return chunkTrailerLF
		}
		if b == '\n' {
			return chunkTrailerStart
		}
	case chunkTrailerLF:
		if b == '\n' {
			return chunkTrailerStart
		}
	case chunkEndLF:
		if b == '\n' {
			return chunkDone
		}
	}
	return chunkBad
}
