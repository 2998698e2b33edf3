// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"weir/internal/http1"
	"weir/internal/stats"
	"weir/internal/vars"
)

// AppendVariable appends the value of a variable. See vars.Source, and the catalogue of package vars for their meaning.
func (r *Request) AppendVariable(dst []byte, id vars.ID, arg string) ([]byte, bool) {
	switch id {
	case vars.RemoteAddr:
		return append(dst, r.client.PeerText()...), true
	case vars.RemotePort:
		return appendPort(dst, r.client.Peer.Port())
	case vars.BinaryRemoteAddr:
		return appendBinary(dst, r.client.Peer.Addr()), true
	case vars.BinaryRemoteAddrPrefix:
		return vars.AppendPrefix(dst, r.client.Peer.Addr(), arg), true
	case vars.LimitConnStatus:
		return append(dst, r.limitStatus...), r.limitStatus != ""
	case vars.LimitReqStatus:
		return append(dst, r.rateStatus...), r.rateStatus != ""
	case vars.RemoteUser:
		return r.appendRemoteUser(dst)
	case vars.ServerAddr:
		if r.bind.Unix {
			return append(append(dst, "unix:"...), r.bind.Path...), true
		}
		return r.localAddr().Addr().AppendTo(dst), true
	case vars.ServerPort:
		return appendPort(dst, r.localAddr().Port())
	case vars.ServerName:
		return append(dst, r.server.Name...), true
	case vars.ServerProtocol:
		return append(dst, 'H', 'T', 'T', 'P', '/', '1', '.', '0'+r.head.Minor), r.head.Len > 0
	case vars.Scheme:
		return append(dst, "http"...), true
	case vars.HTTPS:
		return dst, true
	case vars.Host:
		return r.appendHost(dst), true
	case vars.Hostname:
		return append(dst, r.engine.Hostname...), true
	case vars.Request:
		return r.appendRequestLine(dst)
	case vars.RequestMethod:
		if r.head.Method.Len == 0 {
			return dst, false
		}
		return append(dst, r.methodText()...), true
	case vars.RequestURI:
		return r.appendHeadSpan(dst, r.head.Target)
	case vars.URI:
		return append(dst, r.path...), r.path != nil
	case vars.Args:
		return append(dst, r.args...), r.args != nil
	case vars.IsArgs:
		if len(r.args) > 0 {
			dst = append(dst, '?')
		}
		return dst, true
	case vars.RequestLength:
		return strconv.AppendInt(dst, r.length+r.bodyRaw(), 10), true
	case vars.RequestTime:
		return appendSeconds(dst, r.nowMs()-r.startMs), true
	case vars.RequestCompletion:
		if r.complete {
			dst = append(dst, "OK"...)
		}
		return dst, true
	case vars.RequestID:
		return r.id.append(dst), true
	case vars.TraceParent:
		return r.appendTraceParent(dst), true
	case vars.TraceState:
		return r.appendTraceState(dst)
	case vars.ContentLength:
		return r.appendField(dst, http1.FieldContentLength)
	case vars.ContentType:
		return r.appendField(dst, http1.FieldContentType)
	case vars.Status:
		if r.status == 0 { // the answer is not known yet; on the way to an error page there is a code all the same
			return appendStatus(dst, r.errorStatus), true
		}
		return appendStatus(dst, r.status), true
	case vars.BodyBytesSent:
		return strconv.AppendInt(dst, max(r.relayPipe.Wire-r.headBytes, 0), 10), true
	case vars.BytesSent:
		return strconv.AppendInt(dst, r.relayPipe.Wire, 10), true
	case vars.Connection:
		return strconv.AppendUint(dst, r.client.Serial, 10), true
	case vars.ConnectionRequests:
		return strconv.AppendUint(dst, uint64(r.client.Requests), 10), true
	case vars.ConnectionTime:
		return appendSeconds(dst, r.nowMs()-r.client.OpenedMs), true
	case vars.Pipe:
		if r.pipelined {
			return append(dst, 'p'), true
		}
		return append(dst, '.'), true
	case vars.Msec:
		return append(dst, r.engine.Clock.MsecText()...), true
	case vars.TimeLocal:
		return append(dst, r.engine.Clock.LogTime()...), true
	case vars.TimeISO8601:
		return append(dst, r.engine.Clock.ISO8601()...), true
	case vars.PID:
		return strconv.AppendInt(dst, int64(r.engine.PID), 10), true
	case vars.WeirVersion:
		return append(dst, r.engine.Version...), true
	case vars.ProxyHost, vars.ProxyPort:
		return r.appendProxy(dst, id)
	case vars.ProxyAddXForwardedFor:
		return r.appendForwardedFor(dst), true
	case vars.HTTPField:
		return r.appendNamedField(dst, arg)
	case vars.SentHTTPField:
		return r.appendSentField(dst, arg)
	case vars.UpstreamHTTPField:
		return r.appendOriginVariable(dst, arg)
	case vars.ArgNamed:
		return appendArg(dst, r.args, arg)
	case vars.CookieNamed:
		return r.appendCookie(dst, arg)
	case vars.UpstreamCookieNamed:
		return r.appendOriginCookie(dst, arg)
	case vars.NamedCapture:
		if text, ok := r.captures.location.named(arg); ok {
			return append(dst, text...), true
		}
		text, ok := r.captures.server.named(arg)
		return append(dst, text...), ok
	}
	if id >= vars.Capture1 && id <= vars.Capture9 {
		return r.appendCapture(dst, int(id-vars.Capture1)+1)
	}
	if id >= vars.ConnectionsActive && id <= vars.ConnectionsWaiting {
		return r.appendConnections(dst, id), true
	}
	return r.appendTrials(dst, id)
}

// appendProxy appends what proxy_pass names.
func (r *Request) appendProxy(dst []byte, id vars.ID) ([]byte, bool) {
	switch {
	case r.loc.Proxy == nil:
		return dst, false
	case id == vars.ProxyHost:
		return append(dst, r.loc.Proxy.Authority...), true
	}
	return append(dst, r.loc.Proxy.Port...), true
}

// appendConnections appends a gauge of clients' connections, over all workers.
func (r *Request) appendConnections(dst []byte, id vars.ID) []byte {
	field := [...]stats.Field{stats.Active, stats.Reading, stats.Writing, stats.Waiting}[id-vars.ConnectionsActive]
	return strconv.AppendUint(dst, r.engine.Segment.Sum()[field], 10)
}

func appendPort(dst []byte, port uint16) ([]byte, bool) {
	if port == 0 {
		return dst, true
	}
	return strconv.AppendUint(dst, uint64(port), 10), true
}

// appendSeconds appends milliseconds as seconds with three decimals.
func appendSeconds(dst []byte, ms int64) []byte {
	ms = max(ms, 0)
	dst = strconv.AppendInt(dst, ms/1000, 10)
	ms %= 1000
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

func appendStatus(dst []byte, status int) []byte {
	return append(dst, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// bodyRaw is the number of bytes of the request's body that have been read, framing included.
func (r *Request) bodyRaw() int64 {
	if !r.bodyOpen || r.status == 101 {
		return 0
	}
	return r.body.Raw
}

// appendHost appends $host: the host of the request, else the server's name.
func (r *Request) appendHost(dst []byte) []byte {
	if len(r.host) > 0 && r.head.Len > 0 {
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

// appendOriginVariable appends $upstream_http_NAME.
func (r *Request) appendOriginVariable(dst []byte, name string) ([]byte, bool) {
	if r.up.text == nil {
		return dst, false
	}
	return appendFields(dst, &r.up.head.Head, r.up.text, name)
}

func appendFields(dst []byte, h *http1.Head, text []byte, name string) ([]byte, bool) {
	if len(h.Fields) == 0 {
		return dst, false
	}
	id := http1.FieldByName([]byte(name))
	i := h.Lookup(id)
	if id == http1.FieldOther {
		i = h.FindNext(text, []byte(name), 0)
	}
	if i < 0 {
		return dst, false
	}
	dst = append(dst, h.Fields[i].Value.Of(text)...)
	for i++; i < len(h.Fields); i++ {
		f := &h.Fields[i]
		if f.ID != id || id == http1.FieldOther && !equalLower(f.Name.Of(text), name) {
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

// appendSentField appends $sent_http_NAME: what the client was sent.
func (r *Request) appendSentField(dst []byte, name string) ([]byte, bool) {
	if !r.headSent {
		return dst, false
	}
	// Configured values are worked out again, as they were before the head was sent: one that asks for a sent field, which may be
	// itself, finds none.
	r.headSent = false
	dst, found := r.appendHeadField(dst, name)
	r.headSent = true
	return dst, found
}

// appendHeadField appends a field of the response's head.
func (r *Request) appendHeadField(dst []byte, name string) ([]byte, bool) {
	passed := r.up.text != nil && r.loc.Proxy != nil
	switch {
	case name == "server" && !(passed && r.loc.Proxy.PassServer):
		return append(dst, r.loc.ServerField...), true
	case name == "date" && !(passed && r.loc.Proxy.PassDate):
		return append(dst, r.engine.Clock.HTTPDate()...), true
	case name == "connection":
		if r.closeClient {
			return append(dst, "close"...), true
		}
		return append(dst, "keep-alive"...), true
	case name == "transfer-encoding":
		return append(dst, "chunked"...), r.relayPipe.Chunk
	}
	for i := range r.loc.AddHeaders {
		h := &r.loc.AddHeaders[i]
		if equalLower([]byte(h.Name), name) && (h.Always || addHeaderStatus(r.status)) {
			n := len(dst)
			if dst = h.Value.Append(dst, r); len(dst) > n {
				return dst, true
			}
		}
	}
	if r.up.text != nil {
		return r.appendPassedField(dst, name)
	}
	a := &r.answerPage
	switch name {
	case "content-type":
		return append(dst, a.contentType...), a.contentType != ""
	case "content-length":
		return strconv.AppendInt(dst, int64(len(a.body)), 10), true
	case "location":
		return append(dst, a.location...), a.hasLocation
	}
	return dst, false
}

// appendPassedField appends a field of the origin's as it was passed on.
func (r *Request) appendPassedField(dst []byte, name string) ([]byte, bool) {
	switch id := http1.FieldByName([]byte(name)); {
	case r.loc.Proxy.Hidden.Has(id), id == http1.FieldOther && r.hiddenOther([]byte(name)):
		return dst, false
	case id == http1.FieldLocation, id == http1.FieldRefresh:
		h := &r.up.head
		if i := h.Lookup(id); i >= 0 {
			return r.appendRewritten(dst, id, h.Fields[i].Value.Of(r.up.text)), true
		}
		return dst, false
	}
	return r.appendOriginVariable(dst, name)
}

// appendForwardedFor appends $proxy_add_x_forwarded_for.
func (r *Request) appendForwardedFor(dst []byte) []byte {
	if r.head.Lookup(http1.FieldXForwardedFor) >= 0 {
		dst, _ = r.appendNamedField(dst, "x-forwarded-for")
		dst = append(dst, ", "...)
	}
	return append(dst, r.client.PeerText()...)
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
			var pair []byte
			pair, list, _ = bytes.Cut(list, semicolon)
			pair = bytes.TrimLeft(pair, " ")
			if eq := bytes.IndexByte(pair, '='); eq == len(name) && equalFold(pair[:eq], name) {
				return append(dst, pair[eq+1:]...), true
			}
		}
	}
	return dst, false
}

var semicolon = []byte(";") // read-only

// appendOriginCookie appends the value of a cookie that the origin sets.
func (r *Request) appendOriginCookie(dst []byte, name string) ([]byte, bool) {
	if r.up.text == nil {
		return dst, false
	}
	for i := range r.up.head.Fields {
		f := &r.up.head.Fields[i]
		if f.ID != http1.FieldSetCookie {
			continue
		}
		pair, _, _ := bytes.Cut(f.Value.Of(r.up.text), semicolon)
		if eq := bytes.IndexByte(pair, '='); eq == len(name) && equalFold(pair[:eq], name) {
			return append(dst, pair[eq+1:]...), true
		}
	}
	return dst, false
}

func equalFold(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}

func (r *Request) appendCapture(dst []byte, n int) ([]byte, bool) {
	if text, ok := r.captures.location.group(n); ok {
		return append(dst, text...), true
	}
	text, ok := r.captures.server.group(n)
	return append(dst, text...), ok
}
