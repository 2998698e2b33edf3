// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// BodyKind is how the end of a response's body is found (RFC 9112 section 6.3).
type BodyKind uint8

// The kinds.
const (
	BodyNone       BodyKind = iota // no body, whatever the fields say
	BodyLength                     // ContentLength bytes
	BodyChunked                    // chunk framing
	BodyUntilClose                 // everything until the origin closes
)

// ResponseHead is the head of an origin's response. The zero value is ready for Parse.
type ResponseHead struct {
	Head

	Reason    Span // may be empty
	Status    int  // 100 to 999
	PlainLine bool // the status line is as weir writes it: HTTP/1.1, single spaces, CR LF
}

// Reset makes the head ready for the next response and keeps the capacity of Fields. The response after an interim one
// (1xx) needs it too.
func (h *ResponseHead) Reset() {
	if !h.mayRepeat() {
		h.clear()
	}
}

func (h *ResponseHead) clear() {
	h.reset()
	h.Reason, h.Status, h.PlainLine = Span{}, 0, false
}

// StatusLine is the status line, its end included. text begins with the head.
func (h *ResponseHead) StatusLine(text []byte) []byte { return text[:h.Reason.End()+len("\r\n")] }

// Interim says that another response to the same request follows: 1xx, but not 101, after which the connection speaks
// another protocol (RFC 9110 section 15.2).
func (h *ResponseHead) Interim() bool { return h.Status < 200 && h.Status != 101 }

// Body is how the end of the body is found, given the method of the request. A connection whose body was BodyUntilClose
// cannot be used again, whatever KeepAlive says.
func (h *ResponseHead) Body(method Method) BodyKind {
	switch {
	case method == MethodHead || !mayHaveBody(h.Status):
		return BodyNone
	case h.Chunked:
		return BodyChunked
	case h.ContentLength >= 0:
		return BodyLength
	default:
		return BodyUntilClose
	}
}

// mayHaveBody is false for 1xx, 204 and 304 (RFC 9112 section 6.3).
func mayHaveBody(status int) bool { return status >= 200 && status != 204 && status != 304 }

// Parse reads the head that begins at buf[0]; it works as RequestHead.Parse does. IgnoreInvalid has no effect here: a field
// name that is not a token makes the response Bad.
func (h *ResponseHead) Parse(buf []byte, lim *Limits) Verdict {
	if h.stage == stageRepeat {
		if h.repeats(buf, lim) {
			return Done
		}
		h.clear()
	}
	switch h.stage {
	case stageFirst:
		end, v := h.nextLine(buf, lim)
		if v != Done {
			return v
		}
		if !h.parseStatusLine(buf[:end]) {
			return h.refuse(RefusedStatusLine)
		}
		h.PlainLine = buf[len("HTTP/1.")] == '1' && h.Reason.Len > 0 && h.scan == end+len("\r\n")
		h.line, h.stage = h.scan, stageFields
	case stageDone:
		return Done
	case stageBad:
		return Bad
	}
	if v := h.parseFields(buf, lim, responseSingles, false); v != Done {
		return v
	}
	if why := h.finish(buf); why != RefusedNone {
		return h.refuse(why)
	}
	h.stage = stageDone
	h.noteExceptions()
	h.remember(buf, lim)
	return Done
}

// parseStatusLine reads HTTP/1.x SP 3DIGIT [ SP [ reason ] ] (RFC 9112 section 4). The SP before an empty reason may be
// missing, as many origins have it. A response without a status line (HTTP/0.9) is refused.
func (h *ResponseHead) parseStatusLine(line []byte) bool {
	const prefix = len("HTTP/1.1 200")
	if len(line) < prefix || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return false
	}
	minor, d2, d1, d0 := line[7]-'0', line[9]-'0', line[10]-'0', line[11]-'0'
	if minor > 9 || d2 > 9 || d1 > 9 || d0 > 9 || d2 == 0 {
		return false
	}
	h.Minor = min(minor, 1)
	h.Status = int(d2)*100 + int(d1)*10 + int(d0)
	if len(line) > prefix {
		if line[prefix] != ' ' {
			return false
		}
		h.Reason = span(prefix+1, len(line))
	}
	return true
}

// finish checks what can only be said of the whole head: framing, connection.
func (h *ResponseHead) finish(buf []byte) Refusal {
	if why := h.parseFraming(buf); why != RefusedNone {
		return why
	}
	if h.seen.has(FieldConnection) {
		if why := h.parseConnection(buf); why != RefusedNone {
			return why
		}
		h.Upgrade = h.upgrade && h.Status == 101 && h.seen.has(FieldUpgrade)
	}
	h.KeepAlive = h.persistence()
	if (h.Status < 200 || h.Status == 204) && (h.Chunked || h.ContentLength > 0) {
		// RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid these fields here. An origin that sends them may well send the
		// body too, which the next response on this connection would begin with.
		h.KeepAlive = false
	}
	return RefusedNone
}
