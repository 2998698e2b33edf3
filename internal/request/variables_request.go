// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"weir/internal/http1"
	"weir/internal/vars"
)

// addRequest adds the variables of the request's head and body, and of how far it has come.
func (t *variables) addRequest() {
	t[vars.Request] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendRequestLine(dst)
	}
	t[vars.RequestMethod] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.head.Method.Len == 0 {
			return dst, false
		}
		if r.sub != nil { // as with nginx, the client's
			return append(dst, r.headOf(r.head.Method)...), true
		}
		return append(dst, r.methodText()...), true
	}
	t[vars.ServerProtocol] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, 'H', 'T', 'T', 'P', '/', '1', '.', '0'+r.head.Minor), r.head.LineTaken()
	}
	t[vars.RemoteUser] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendRemoteUser(dst)
	}
	t[vars.ContentLength] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.withoutBody && r.loc.Proxy != nil && r.sub == nil { // the origin does not get the body
			return dst, false
		}
		if r.head.Chunked && r.bodyOpen && r.body.ReadDone() {
			return strconv.AppendInt(dst, r.body.Received, 10), true
		}
		return r.appendField(dst, http1.FieldContentLength)
	}
	t[vars.ContentType] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendFieldsOf(dst, http1.FieldContentType)
	}
	t[vars.HTTPField] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return r.appendNamedField(dst, arg)
	}
	t[vars.CookieNamed] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return r.appendCookie(dst, arg)
	}
	t[vars.RequestLength] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendInt(dst, r.length+r.bodyRaw(), 10), true
	}
	t[vars.RequestTime] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendSeconds(dst, r.nowMs()-r.startMs), true
	}
	t[vars.RequestID] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.id.append(dst), true
	}
	t[vars.TraceParent] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendTraceParent(dst), true
	}
	t[vars.TraceState] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendTraceState(dst)
	}
	t[vars.RequestBodyFile] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.bodyFile == "" {
			return dst, false
		}
		return append(append(append(dst, r.engine.SpillPath...), '/'), r.bodyFile...), true
	}
	t[vars.RequestBody] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		empty := r.loc.Proxy != nil && r.head.ContentLength == 0 && r.head.Lookup(http1.FieldContentLength) >= 0
		return append(dst, r.bodyText...), r.bodyText != nil || empty
	}
	t[vars.LimitConnStatus] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.limitStatus...), r.limitStatus != ""
	}
	t[vars.LimitReqStatus] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.rateStatus...), r.rateStatus != ""
	}
}

// appendOriginForm appends the path and the arguments of a target in absolute form: as nginx, what follows the authority.
func appendOriginForm(dst, target []byte) []byte {
	_, rest, _ := bytes.Cut(target, []byte("://"))
	if at := bytes.IndexAny(rest, "/?"); at >= 0 {
		rest = rest[at:]
	} else {
		rest = nil
	}
	if len(rest) == 0 || rest[0] != '/' {
		dst = append(dst, '/')
	}
	return append(dst, rest...)
}

// addTarget adds the variables of what is asked for: host, path and arguments, as they came and as they are now.
func (t *variables) addTarget() {
	t[vars.RequestURI] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.head.Form == http1.AbsoluteForm {
			return appendOriginForm(dst, r.headOf(r.head.Target)), true
		}
		return r.appendHeadSpan(dst, r.head.Target)
	}
	t[vars.URI] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.path...), true
	}
	t[vars.Args] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.args...), r.args != nil
	}
	t[vars.IsArgs] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if len(r.args) > 0 {
			dst = append(dst, '?')
		}
		return dst, true
	}
	t[vars.ArgNamed] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return appendArg(dst, r.args, arg)
	}
	t[vars.Host] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendHost(dst), true
	}
	t[vars.RequestPort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.askedPort()...), true
	}
	t[vars.IsRequestPort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if len(r.askedPort()) > 0 {
			dst = append(dst, ':')
		}
		return dst, true
	}
	t[vars.ServerName] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.server.Name...), true
	}
	for id := vars.Capture1; id <= vars.Capture9; id++ {
		t[id] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
			text, ok := r.captures.group(int(id-vars.Capture1) + 1)
			if r.escapeGroups {
				return appendEscapedGroup(dst, text), ok
			}
			return append(dst, text...), ok
		}
	}
}

// appendSeconds appends milliseconds as seconds with three decimals.
func appendSeconds(dst []byte, ms int64) []byte {
	ms = max(ms, 0)
	dst = strconv.AppendInt(dst, ms/1000, 10)
	ms %= 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

func appendStatus(dst []byte, status int) []byte {
	digits := http1.StatusDigits(status)
	return append(dst, digits[:]...)
}

// bodyRaw is the number of bytes of the request's body that have been read, framing included.
func (r *Request) bodyRaw() int64 {
	if !r.bodyOpen || r.status == 101 {
		return 0
	}
	return r.body.Raw
}

// askedPort is the port in the request line, else in the field Host; empty: there is none.
func (r *Request) askedPort() []byte {
	if r.head.Len == 0 {
		return nil
	}
	authority := r.headOf(r.head.Authority)
	colon := bytes.LastIndexByte(authority, ':')
	if colon < bytes.LastIndexByte(authority, ']')+1 {
		return nil
	}
	return authority[colon+1:]
}

// appendHost appends $host: the host of the request, else the server's name.
func (r *Request) appendHost(dst []byte) []byte {
	if len(r.host) > 0 {
		return append(dst, r.host...)
	}
	return append(dst, r.server.Name...)
}

func (r *Request) appendHeadSpan(dst []byte, s http1.Span) ([]byte, bool) {
	if s.Len == 0 {
		return dst, false
	}
	return append(dst, r.headOf(s)...), true
}

// appendRequestLine appends the first line as the client sent it, also where it was refused.
func (r *Request) appendRequestLine(dst []byte) ([]byte, bool) {
	if h := &r.head; h.Len > 0 {
		return append(dst, r.buf[r.base+int(h.Method.Off):r.base+h.Target.End()+len(" HTTP/1.1")]...), true
	}
	if r.buf == nil {
		return dst, false
	}
	line := bytes.TrimLeft(r.buf[r.base:r.w], "\r\n")
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	line = bytes.TrimSuffix(line, crText)
	return append(dst, line...), len(line) > 0
}

var crText = []byte("\r") // read-only

func (r *Request) appendField(dst []byte, id http1.FieldID) ([]byte, bool) {
	i := r.head.Lookup(id)
	if i < 0 {
		return dst, false
	}
	return append(dst, r.headOf(r.head.Fields[i].Value)...), true
}

// appendNamedField appends $http_NAME: all fields of the name, joined as a list; Cookie with semicolons.
func (r *Request) appendNamedField(dst []byte, name string) ([]byte, bool) {
	return appendFields(dst, &r.head.Head, r.buf[r.base:], name)
}

// appendFieldsOf is appendNamedField for a field that has a number.
func (r *Request) appendFieldsOf(dst []byte, id http1.FieldID) ([]byte, bool) {
	return appendKnownFields(dst, &r.head.Head, r.buf[r.base:], id)
}

func appendFields(dst []byte, h *http1.Head, text []byte, name string) ([]byte, bool) {
	if id := http1.FieldByName([]byte(name)); id != http1.FieldOther {
		return appendKnownFields(dst, h, text, id)
	}
	found := false
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != http1.FieldOther || !isNamed(f.Name.Of(text), name) {
			continue
		}
		if found {
			dst = append(dst, ", "...)
		}
		dst, found = append(dst, f.Value.Of(text)...), true
	}
	return dst, found
}

// isNamed says whether a field has the name of a variable, in which "-" stands for "_" too.
func isNamed(field []byte, lower string) bool {
	if len(field) != len(lower) {
		return false
	}
	for i, c := range field {
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func appendKnownFields(dst []byte, h *http1.Head, text []byte, id http1.FieldID) ([]byte, bool) {
	first := h.Lookup(id)
	if first < 0 {
		return dst, false
	}
	dst = append(dst, h.Fields[first].Value.Of(text)...)
	if !h.Repeats(1 << id) {
		return dst, true
	}
	for i := first + 1; i < len(h.Fields); i++ {
		f := &h.Fields[i]
		if f.ID != id {
			continue
		}
		if id == http1.FieldCookie {
			dst = append(dst, "; "...)
		} else {
			dst = append(dst, ", "...)
		}
		dst = append(dst, f.Value.Of(text)...)
	}
	return dst, true
}

// appendRemoteUser appends the user of Authorization: Basic (RFC 7617).
func (r *Request) appendRemoteUser(dst []byte) ([]byte, bool) {
	i := r.head.Lookup(http1.FieldAuthorization)
	if i < 0 {
		return dst, false
	}
	value := r.headOf(r.head.Fields[i].Value)
	const scheme = "basic "
	if len(value) <= len(scheme) || !equalLower(value[:len(scheme)], scheme) {
		return dst, false
	}
	plain, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(value[len(scheme):]))
	colon := bytes.IndexByte(plain, ':')
	if err != nil || colon <= 0 {
		return dst, false
	}
	return append(dst, plain[:colon]...), true
}

// appendArg appends the value of an argument; names are compared without regard to case, as nginx does.
func appendArg(dst, args []byte, name string) ([]byte, bool) {
	for len(args) > 0 {
		arg := args
		if amp := bytes.IndexByte(args, '&'); amp >= 0 {
			arg, args = args[:amp], args[amp+1:]
		} else {
			args = nil
		}
		if eq := bytes.IndexByte(arg, '='); eq == len(name) && equalFold(arg[:eq], name) {
			return append(dst, arg[eq+1:]...), true
		}
	}
	return dst, false
}

// appendCookie appends the value of a cookie.
func (r *Request) appendCookie(dst []byte, name string) ([]byte, bool) {
	for i := range r.head.Fields {
		f := &r.head.Fields[i]
		if f.ID != http1.FieldCookie {
			continue
		}
		for list := r.headOf(f.Value); len(list) > 0; {
			if value, ok := cookieValue(list, name); ok {
				return append(dst, value...), true
			}
			_, list, _ = bytes.Cut(list, semicolon)
			list = bytes.TrimLeft(list, " ")
		}
	}
	return dst, false
}

// cookieValue is the value of the first cookie of a list, if it has that name. As nginx it takes blanks around "="; a comma ends no cookie (since 1.29.6).
func cookieValue(list []byte, name string) (value []byte, ok bool) {
	if len(list) < len(name) || !equalFold(list[:len(name)], name) {
		return nil, false
	}
	value, ok = bytes.CutPrefix(bytes.TrimLeft(list[len(name):], " "), equals)
	value, _, _ = bytes.Cut(bytes.TrimLeft(value, " "), semicolon)
	return value, ok
}

var semicolon, equals = []byte(";"), []byte("=") // read-only

func equalFold(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}
