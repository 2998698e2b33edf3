// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

// parseTarget reads the request target at buf[i:] (RFC 9112 section 3.2) and gives the index of what follows it: a space, or
// the end of buf.
func (h *RequestHead) parseTarget(buf []byte, i int) (end int, why Refusal) {
	start := i
	h.HasQuery = false
	switch {
	case i == len(buf):
		return i, RefusedRequestLine
	case h.MethodID == MethodConnect:
		end = targetEnd(buf, i)
	case buf[i] == '/':
		end = h.parsePath(buf, i)
	case buf[i] == '*':
		if h.MethodID != MethodOptions {
			return i, RefusedTarget
		}
		h.Form, h.PlainPath, h.WholeServer = AsteriskForm, true, true
		h.Path = span(i, i+1)
		end = i + 1
	default:
		if end, why = h.parseAbsolute(buf, i); why != RefusedNone {
			return end, why
		}
	}
	h.Target = span(start, end)
	if end == start || end < len(buf) && buf[end] != ' ' {
		return end, RefusedTarget
	}
	return end, RefusedNone
}

// targetEnd is the index of the first byte at or after i that cannot be in a target, or len(buf).
func targetEnd(buf []byte, i int) int {
	for i < len(buf) && chars[buf[i]]&charQueryStop == 0 {
		i++
	}
	return i
}

// parsePath reads a path that begins with a slash, and its query. It stops at a space, or at what cannot be in a target
// (a control character, and '#': RFC 9112 has no fragment in a target, and whoever cuts it off routes another path than the origin sees).
func (h *RequestHead) parsePath(buf []byte, i int) (end int) {
	start := i
	plain := true
	segment := i + 1
	for i++; ; i++ {
		for i < len(buf) && chars[buf[i]]&charPathStop == 0 {
			i++
		}
		if i < len(buf) && buf[i] == '%' {
			plain = false
			continue
		}
		slash := i < len(buf) && buf[i] == '/'
		switch n := i - segment; {
		case n == 0:
			plain = plain && !slash
		case n == 1:
			plain = plain && buf[segment] != '.'
		case n == 2:
			plain = plain && (buf[segment] != '.' || buf[segment+1] != '.')
		}
		if !slash {
			break
		}
		segment = i + 1
	}
	h.Path, h.PlainPath = span(start, i), plain
	if i < len(buf) && buf[i] == '?' {
		end = targetEnd(buf, i+1)
		h.Query, h.HasQuery = span(i+1, end), true
		return end
	}
	return i
}

// parseAbsolute reads http://authority[/path][?query] (RFC 9112 section 3.2.2). User information is refused: RFC 9110
// section 4.2.4 has it treated as an error.
func (h *RequestHead) parseAbsolute(buf []byte, i int) (end int, why Refusal) {
	switch {
	case len(buf)-i > 7 && equalLower(buf[i:i+7], "http://"):
		i += 7
	case len(buf)-i > 8 && equalLower(buf[i:i+8], "https://"):
		i += 8
	default:
		return i, RefusedTarget
	}
	h.Form = AbsoluteForm
	start := i
	for i < len(buf) && buf[i] != '/' && buf[i] != '?' && chars[buf[i]]&charQueryStop == 0 {
		i++
	}
	n, ok := checkAuthority(buf[start:i])
	if !ok {
		return i, RefusedHost
	}
	h.Authority, h.Host = span(start, i), span(start, start+n)
	if i < len(buf) && buf[i] == '/' {
		return h.parsePath(buf, i), RefusedNone
	}
	// An empty path is "/" (RFC 9110 section 4.2.3), and there is one to point at: the second slash of "//".
	h.Path, h.PlainPath = span(start-1, start), true
	h.WholeServer = h.MethodID == MethodOptions
	if i < len(buf) && buf[i] == '?' {
		h.WholeServer = false
		end = targetEnd(buf, i+1)
		h.Query, h.HasQuery = span(i+1, end), true
		return end, RefusedNone
	}
	return i, RefusedNone
}

// checkAuthority checks uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 section 3.2) and gives the length of the host
// without one trailing dot. The host must not be empty nor have two dots in a row (both as nginx); a percent sign must begin
// an escape; the port is digits up to 65535, or nothing.
func checkAuthority(b []byte) (hostLen int, ok bool) {
	if len(b) > 0 && b[0] == '[' {
		return checkLiteral(b)
	}
	i := 0
	var before byte
	for ; i < len(b); i++ {
		c := b[i]
		if chars[c]&charHost != 0 {
			if c == '.' && before == '.' {
				return 0, false
			}
			before = c
			continue
		}
		if c == '%' && i+2 < len(b) && chars[b[i+1]]&chars[b[i+2]]&charHex != 0 {
			continue
		}
		break
	}
	hostLen = i
	if hostLen > 0 && b[hostLen-1] == '.' {
		hostLen--
	}
	return hostLen, hostLen > 0 && checkPort(b[i:])
}

// checkLiteral checks an address in brackets, by its characters, and its port: IPv6 without a zone, or "v" and digits of a version to come.
func checkLiteral(b []byte) (hostLen int, ok bool) {
	if len(b) > 1 && b[1]|0x20 == 'v' {
		return checkFuture(b)
	}
	i, colons := 1, 0
	for ; i < len(b) && b[i] != ']'; i++ {
		switch c := b[i]; {
		case c == ':':
			colons++
		case c == '.' && b[i-1] == '.', c != '.' && chars[c]&charHex == 0:
			return 0, false
		}
	}
	if i == len(b) || colons < 2 {
		return 0, false
	}
	return i + 1, checkPort(b[i+1:])
}

// checkFuture checks "[v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) "]" (IPvFuture of RFC 3986 section 3.2.2), and its port.
func checkFuture(b []byte) (hostLen int, ok bool) {
	i := 2
	for i < len(b) && chars[b[i]]&charHex != 0 {
		i++
	}
	if i == 2 || i == len(b) || b[i] != '.' {
		return 0, false
	}
	i++
	start := i
	for i < len(b) && (chars[b[i]]&charHost != 0 || b[i] == ':') {
		i++
	}
	if i == start || i == len(b) || b[i] != ']' {
		return 0, false
	}
	return i + 1, checkPort(b[i+1:])
}

// checkPort checks nothing, or a colon and a port.
func checkPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > len(":65535") {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}
