// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/http1"
	"weir/internal/vars"
)

// addOrigin adds the variables of the origin, of the attempts to have it answer, and of its response.
func (t *variables) addOrigin() {
	t[vars.ProxyHost] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Proxy == nil {
			return dst, false
		}
		if r.loc.Proxy.Target != nil {
			return append(dst, r.target.shown...), r.target.shown != nil
		}
		return append(dst, r.loc.Proxy.Authority...), true
	}
	t[vars.ProxyPort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Proxy == nil {
			return dst, false
		}
		if r.loc.Proxy.Target != nil {
			return append(dst, r.target.portText...), r.target.shown != nil
		}
		return append(dst, r.loc.Proxy.Port...), true
	}
	t[vars.ProxyAddXForwardedFor] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return r.appendForwardedFor(dst), true
	}
	t[vars.UpstreamHTTPField] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return r.appendOriginVariable(dst, arg)
	}
	t[vars.UpstreamTrailerField] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return appendTrailerField(dst, r.trailer, arg)
	}
	t[vars.UpstreamCookieNamed] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return r.appendOriginCookie(dst, arg)
	}
	t[vars.UpstreamLastAddr] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if peer := r.lastPeer(); peer != nil {
			return append(dst, peer.Name...), true
		}
		return dst, false
	}
	t[vars.UpstreamLastServerName] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		switch peer := r.lastPeer(); {
		case peer == nil:
			return dst, false
		case peer.Server == "" && r.group != nil: // of proxy_pass itself
			return append(dst, r.group.Name...), true
		default:
			return append(dst, peer.Server...), true
		}
	}
	for _, id := range []vars.ID{vars.UpstreamAddr, vars.UpstreamStatus, vars.UpstreamQueueTime, vars.UpstreamConnectTime, vars.UpstreamHeaderTime, vars.UpstreamResponseTime,
		vars.UpstreamResponseLength, vars.UpstreamBytesReceived, vars.UpstreamBytesSent} {
		t[id] = func(r *Request, dst []byte, _ string) ([]byte, bool) { return r.appendTrials(dst, id) }
	}
}

// appendOriginVariable appends $upstream_http_NAME.
func (r *Request) appendOriginVariable(dst []byte, name string) ([]byte, bool) {
	text := r.originText()
	if text == nil {
		return dst, false
	}
	return appendFields(dst, &r.up.head.Head, text, name)
}

// originText is the text of the head of the origin's response, also of one that the request has gone on from, to an error page or by X-Accel-Redirect; nil: none has come.
func (r *Request) originText() []byte {
	if r.up.text != nil {
		return r.up.text
	}
	return r.up.former
}

// appendForwardedFor appends $proxy_add_x_forwarded_for.
func (r *Request) appendForwardedFor(dst []byte) []byte {
	if r.head.Lookup(http1.FieldXForwardedFor) >= 0 {
		dst, _ = r.appendNamedField(dst, "x-forwarded-for")
		dst = append(dst, ", "...)
	}
	return append(dst, r.client.PeerText()...)
}

// appendOriginCookie appends the value of a cookie that the origin sets.
func (r *Request) appendOriginCookie(dst []byte, name string) ([]byte, bool) {
	text := r.originText()
	if text == nil {
		return dst, false
	}
	for i := range r.up.head.Fields {
		f := &r.up.head.Fields[i]
		if f.ID != http1.FieldSetCookie {
			continue
		}
		pair, _, _ := bytes.Cut(f.Value.Of(text), semicolon)
		if key, value, ok := bytes.Cut(pair, equals); ok && equalFold(bytes.Trim(key, " "), name) {
			return append(dst, bytes.TrimLeft(value, " ")...), true
		}
	}
	return dst, false
}
