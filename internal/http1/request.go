// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// Method is a known request method.
type Method uint8

// The methods of RFC 9110 section 9.3 and RFC 5789. CONNECT is refused by Parse; TRACE is the caller's to refuse.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch
)

// TargetForm is the form of a request target (RFC 9112 section 3.2). Authority-form belongs to CONNECT, which is refused.
type TargetForm uint8

// The forms that Parse accepts.
const (
	OriginForm TargetForm = iota
	AbsoluteForm
	AsteriskForm
)

// RequestHead is a request head. The zero value is ready for Parse.
type RequestHead struct {
	Head

	Method    Span // as it came
	Target    Span // as it came
	Path      Span // the path of the target, not decoded; "/" when the absolute form has none; "*" in asterisk form
	Query     Span // what follows the first '?'; only meaningful with HasQuery
	Authority Span // host [":" port] of the absolute form, otherwise the value of Host; empty if there is neither
	Host      Span // Authority without the port and without one trailing dot; not in lower case; an IPv6 address keeps its brackets
	MethodID  Method
	Form      TargetForm
	HasQuery  bool // there is a '?', maybe with nothing behind it
	PlainPath bool // NormalizePath(Path) is Path: nothing escaped, no empty segment, no dot segment

	// WholeServer marks an OPTIONS request about the server as a whole: "*", or an absolute form with neither path nor query, which is the
	// same (RFC 9112 section 3.2.4).
	WholeServer bool
	Expect100   bool // "Expect: 100-continue" in HTTP/1.1; other expectations are ignored, as RFC 9110 section 10.1.1 allows
}

// Reset makes the head ready for the next request and keeps the capacity of Fields.
func (h *RequestHead) Reset() {
	if !h.mayRepeat() {
		h.clear()
	}
}

func (h *RequestHead) clear() {
	h.reset()
	h.Method, h.Target, h.Path, h.Query, h.Authority, h.Host = Span{}, Span{}, Span{}, Span{}, Span{}, Span{}
	h.MethodID, h.Form, h.HasQuery, h.PlainPath, h.WholeServer, h.Expect100 = MethodOther, OriginForm, false, false, false, false
}

// LineTaken says whether the request line has been read and was good, whatever became of the fields.
func (h *RequestHead) LineTaken() bool { return h.Target.Len > 0 && h.line > h.Target.End() }

// HasBody says that the request has a body (RFC 9112 section 6.3), which may still turn out to be of no bytes if chunked.
func (h *RequestHead) HasBody() bool { return h.Chunked || h.ContentLength > 0 }

// Parse reads the head that begins at buf[0]. It may be called again, with the same start and more bytes, after More. Done
// and Bad stay until Reset. After Done the body, or the next request, begins at buf[h.Len].
//
// After Bad, Method and Target are set if the request line could be split that far, for the log; they may be empty.
func (h *RequestHead) Parse(buf []byte, lim *Limits) Verdict {
	if h.stage == stageRepeat {
		if h.repeats(buf, lim) {
			return Done
		}
		h.clear()
	}
	if h.stage == stageFirst && h.scan == 0 && h.usualRequestLine(buf, lim) {
		h.stage = stageFields
	}
	for h.stage == stageFirst {
		end, v := h.nextLine(buf, lim)
		if v != Done {
			if v == Bad {
				h.parseMethod(buf) // it says whether the answer has a body
			}
			return v
		}
		if end > h.line {
			if why := h.parseRequestLine(buf[:end]); why != RefusedNone {
				return h.refuse(why)
			}
			h.stage = stageFields
		}
		h.line = h.scan
	}
	switch h.stage {
	case stageDone:
		return Done
	case stageBad:
		return Bad
	}
	if v := h.parseFields(buf, lim, requestSingles, lim.IgnoreInvalid); v != Done {
		if v == Bad {
			h.parseHost(buf) // it says whose error page is to be shown, if it has come
		}
		return v
	}
	if why := h.finish(buf); why != RefusedNone {
		h.noteExceptions() // an origin may be asked for the error page
		return h.refuse(why)
	}
	h.stage = stageDone
	h.noteExceptions()
	h.remember(buf, lim)
	return Done
}

// parseRequestLine reads the line from h.line to the end of buf: method SP target SP version (RFC 9112 section 3). One SP
// each: the RFC lets a server take other white space, but then two parsers may not see the same target.
func (h *RequestHead) parseRequestLine(buf []byte) Refusal {
	i, why := h.parseMethod(buf)
	if why != RefusedNone {
		return why
	}
	end, why := h.parseTarget(buf, i+1)
	if why != RefusedNone {
		return why
	}
	if why := h.parseVersion(buf[end:]); why != RefusedNone {
		return why
	}
	if h.MethodID == MethodConnect {
		return RefusedNotAllowed
	}
	return RefusedNone
}

// parseMethod reads the method at h.line, and gives the index of the space behind it. It is of capital letters, hyphen and underscore, as with nginx: a
// token of RFC 9110 section 9.1 may have others, but what has is as good as always the rest of a body that somebody has taken for shorter.
func (h *RequestHead) parseMethod(buf []byte) (end int, why Refusal) {
	i := h.line
	for i < len(buf) && chars[buf[i]]&charMethod != 0 {
		i++
	}
	h.Method, h.MethodID = span(h.line, i), MethodOther
	switch {
	case i == h.line:
		return i, RefusedMethod
	case i == len(buf):
		return i, RefusedRequestLine
	case buf[i] != ' ':
		return i, RefusedMethod
	}
	h.MethodID = methodByName(buf[h.line:i])
	return i, RefusedNone
}

func methodByName(name []byte) Method {
	switch string(name) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "CONNECT":
		return MethodConnect
	case "OPTIONS":
		return MethodOptions
	case "TRACE":
		return MethodTrace
	case "PATCH":
		return MethodPatch
	}
	return MethodOther
}

// parseVersion reads what follows the target: SP HTTP/1.x and nothing more. HTTP/1.2 to 1.9 are read as 1.1, the highest
// minor version known (RFC 9110 section 2.5); a major version above 1 is RefusedVersion.
func (h *RequestHead) parseVersion(rest []byte) Refusal {
	if len(rest) != len(" HTTP/1.1") || string(rest[:6]) != " HTTP/" || rest[7] != '.' {
		return RefusedRequestLine
	}
	major, minor := rest[6]-'0', rest[8]-'0'
	switch {
	case major > 9 || minor > 9 || major == 0:
		return RefusedRequestLine
	case major > 1:
		return RefusedVersion
	}
	h.Minor = min(minor, 1)
	return RefusedNone
}

// finish checks what can only be said of the whole head: host, framing, connection.
func (h *RequestHead) finish(buf []byte) Refusal {
	if why := h.parseHost(buf); why != RefusedNone {
		return why
	}
	const framed = 1<<FieldContentLength | 1<<FieldTransferEncoding
	h.ContentLength = -1
	if h.seen&framed != 0 {
		if why := h.parseFraming(buf); why != RefusedNone {
			return why
		}
	}
	if h.seen.has(FieldConnection) {
		if why := h.parseConnection(buf); why != RefusedNone {
			return why
		}
		h.Upgrade = h.upgrade && h.Minor == 1 && h.seen.has(FieldUpgrade)
	}
	h.KeepAlive = h.persistence()
	if h.seen.has(FieldExpect) {
		h.Expect100 = h.Minor == 1 && equalLower(h.Fields[h.first[FieldExpect]].Value.Of(buf), "100-continue")
	}
	return RefusedNone
}

// parseHost checks Host and sets Authority and Host. The authority of an absolute-form target wins over Host, which must be
// valid all the same (RFC 9112 section 3.2.2).
func (h *RequestHead) parseHost(buf []byte) Refusal {
	i := h.Lookup(FieldHost)
	if i < 0 {
		if h.Minor == 1 {
			return RefusedNoHost
		}
		return RefusedNone
	}
	value := h.Fields[i].Value
	n, ok := checkAuthority(value.Of(buf))
	if !ok {
		return RefusedHost
	}
	if h.Form != AbsoluteForm {
		h.Authority, h.Host = value, Span{value.Off, uint32(n)}
	}
	return RefusedNone
}
