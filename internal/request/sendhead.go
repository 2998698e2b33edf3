// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/http1"
)

// appendRequestHead makes the head that the origin gets. It is built anew from what was parsed: whatever two parsers could read
// differently has been refused, and is not passed on in the words of the client.
func (r *Request) appendRequestHead(dst []byte) []byte {
	p := r.loc.Proxy
	if r.passesLine() {
		dst = append(dst, r.buf[r.base+int(r.head.Method.Off):r.base+r.head.Target.End()]...)
		r.up.method = r.methodID
	} else {
		dst = r.appendTarget(r.appendMethod(dst))
	}
	if p.HTTP10 {
		dst = append(dst, " HTTP/1.0\r\n"...)
	} else {
		dst = append(dst, " HTTP/1.1\r\n"...)
	}
	for i := range p.SetHeaders {
		dst = r.appendSetField(dst, &p.SetHeaders[i])
	}
	if !p.SetsConnection {
		dst = r.appendOriginConnection(dst)
	}
	if p.SetBody != nil {
		return r.appendOwnBody(dst)
	}
	dst = r.appendBodyFields(dst)
	if r.passesFields() {
		dst = r.appendClientFields(dst)
	}
	return append(dst, '\r', '\n')
}

// passesFields says whether the origin gets the client's fields: not those of a head that has been refused.
func (r *Request) passesFields() bool { return !r.loc.Proxy.DropFields && r.head.Len > 0 }

// passesLine says whether method and target are the client's. Then they stand in its head as they are written: one space apart.
func (r *Request) passesLine() bool {
	p := r.loc.Proxy
	return !r.redirected && !r.ownArgs && !p.HasURI && p.Target == nil && p.Method == nil && r.method == nil && r.head.Form == http1.OriginForm
}

// appendMethod appends the request's method, or what proxy_method gives where that is one, and a space.
func (r *Request) appendMethod(dst []byte) []byte {
	if r.loc.Proxy.Method == nil {
		r.up.method = r.methodID
		return append(append(dst, r.methodText()...), ' ')
	}
	start := len(dst)
	dst = r.loc.Proxy.Method.Append(dst, r)
	method := dst[start:]
	if !http1.IsToken(method) {
		dst = append(dst[:start], r.methodText()...)
		r.up.method = r.methodID
	} else if r.up.method = http1.MethodOther; string(method) == "HEAD" {
		r.up.method = http1.MethodHead
	}
	return append(dst, ' ')
}

// appendOwnBody ends the head of a request whose body is proxy_set_body's, and appends that.
func (r *Request) appendOwnBody(dst []byte) []byte {
	body := r.up.ownBody
	dst = http1.AppendFieldInt(dst, "Content-Length", int64(len(body)))
	if r.passesFields() {
		dst = r.appendClientFields(dst)
	}
	return append(append(dst, '\r', '\n'), body...)
}

// appendOriginConnection says what is to become of the connection. A WebSocket handshake is passed on as one, which
// nginx does only if told to; other protocols are not, so that none is talked past the limits of this proxy.
func (r *Request) appendOriginConnection(dst []byte) []byte {
	p := r.loc.Proxy
	if r.head.Upgrade && !p.SetsUpgrade && r.isWebSocket() {
		return append(dst, "Upgrade: websocket\r\nConnection: upgrade\r\n"...)
	}
	if p.HTTP10 || r.group.Keepalive == 0 || p.OwnConns {
		return append(dst, "Connection: close\r\n"...)
	}
	return dst
}

// isWebSocket says whether the client asks for a WebSocket (RFC 6455 section 4.1).
func (r *Request) isWebSocket() bool {
	h := &r.head
	if !h.Upgrade || r.methodID != http1.MethodGet || r.hasBody || r.loc.Proxy.HTTP10 {
		return false
	}
	i := h.Lookup(http1.FieldUpgrade)
	return i >= 0 && equalLower(r.headOf(h.Fields[i].Value), "websocket")
}

// askedUpgrade says whether the request as the origin got it allows a 101 in return.
func (r *Request) askedUpgrade() bool {
	return r.head.Upgrade && (r.loc.Proxy.SetsUpgrade || r.isWebSocket())
}

// appendBodyFields frames the body.
func (r *Request) appendBodyFields(dst []byte) []byte {
	switch {
	case r.withoutBody || r.loc.Proxy.DropBody:
		return dst
	case r.hasBody && r.body.Chunk:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.hasBody && r.head.Chunked:
		return http1.AppendFieldInt(dst, "Content-Length", r.body.Received)
	case r.head.ContentLength >= 0:
		return http1.AppendFieldInt(dst, "Content-Length", r.head.ContentLength)
	}
	return dst
}

// notForwarded are the client's fields that the origin gets from weir, or not at all.
const notForwarded = 1<<http1.FieldHost | 1<<http1.FieldContentLength | 1<<http1.FieldExpect

// appendClientFields passes on the client's fields, less hop-by-hop ones and those that the config sets.
func (r *Request) appendClientFields(dst []byte) []byte {
	p, h, text := r.loc.Proxy, &r.head, r.buf[r.base:]
	skip := p.Overridden | notForwarded
	particular := skip
	options := r.methodID == http1.MethodOptions
	if len(p.OverriddenOther) > 0 || options {
		particular.Add(http1.FieldOther)
	}
	exceptions := h.Exceptions(uint64(particular))
	for from := 0; ; from++ {
		i := exceptions.Next(from)
		if i > from {
			dst = append(dst, h.Lines(text, from, i)...)
			from = i
		}
		if i >= len(h.Fields) {
			return dst
		}
		switch f := &h.Fields[i]; {
		case f.Hop || skip.Has(f.ID) || f.ID == http1.FieldOther && r.overriddenOther(f.Name.Of(text)):
		case options:
			dst = r.appendForwards(dst, f, text)
		default:
			dst = appendOriginal(dst, f, text)
		}
	}
}

func (r *Request) overriddenOther(name []byte) bool {
	for _, other := range r.loc.Proxy.OverriddenOther {
		if equalLower(name, other) {
			return true
		}
	}
	return false
}

// appendTarget appends path and arguments: those of the request as they came, unless proxy_pass has a URI, the request was
// redirected on the way, or a rule has set $args.
func (r *Request) appendTarget(dst []byte) []byte {
	p := r.loc.Proxy
	switch {
	case p.Target != nil && r.target.uri != nil:
		return append(dst, r.target.uri...)
	case !p.HasURI && !r.redirected && !r.ownArgs:
		dst = append(dst, r.headOf(r.head.Path)...)
		if !r.head.HasQuery {
			return dst
		}
		return append(append(dst, '?'), r.headOf(r.head.Query)...)
	case r.wholePath:
		dst = http1.AppendEscapedPath(dst, r.path)
	case p.HasURI && r.loc.Prefix && bytes.HasPrefix(r.path, []byte(r.loc.Path)):
		// nginx: the part that the location matched is replaced, the rest is escaped again.
		dst = append(dst, p.URI...)
		dst = r.appendPath(dst, r.path[len(r.loc.Path):])
	case p.HasURI:
		dst = append(dst, p.URI...)
	default:
		dst = r.appendPath(dst, r.path)
	}
	if len(r.args) > 0 {
		dst = append(append(dst, '?'), r.args...)
	}
	return dst
}

// appendPath appends a part of the request's path. What nginx escapes is escaped, unless the path is the client's and had no escapes: what the client
// has not escaped passes as it is.
func (r *Request) appendPath(dst, path []byte) []byte {
	if !r.redirected && (r.head.PlainPath || bytes.IndexByte(r.headOf(r.head.Path), '%') < 0) {
		return append(dst, path...)
	}
	return http1.AppendEscapedPath(dst, path)
}
