// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"go.uber.org/zap"

	"weir/internal/conn"
	"weir/internal/logfile"
	"weir/internal/proxyproto"
	"weir/internal/vars"
)

// The header of the PROXY protocol, with which connections to an address with proxy_protocol begin.

// awaitsProxied says whether the header of the PROXY protocol has still to come.
func (r *Request) awaitsProxied() bool { return r.bind.ProxyProtocol && r.client.Announced == nil }

// takeProxied takes the header off the front of what has been read. proxyproto.Done: it is there.
func (r *Request) takeProxied() proxyproto.Verdict {
	h, n, v := proxyproto.Parse(r.buf[r.base:r.w])
	switch v {
	case proxyproto.Done:
		r.client.Announced = &h
		r.base += n
		if r.base == r.w {
			r.base, r.w = 0, 0
		}
	case proxyproto.Bad:
		r.logProxied("broken header: \"" + printable(r.buf[r.base:r.w]) + "\" while reading PROXY protocol")
	case proxyproto.TooLarge:
		r.logProxied("header is too large while reading PROXY protocol")
	}
	return v
}

// logProxied says why a connection is not taken for one of a proxy.
func (r *Request) logProxied(message string) {
	if r.errorLog().Enabled(logfile.LevelError) {
		r.errorLog().Error(message, zap.Uint64("connection", r.client.Serial), zap.ByteString("client", r.client.PeerText()), zap.String("server", r.bind.Address))
	}
}

// printableMax bounds how much of a broken header, or of a name, is logged.
const printableMax = 107

// printable is the text with a dot for each byte that is no ASCII character, or a quotation mark: who reads the log must not be told more by it.
func printable(text []byte) string {
	b := append([]byte(nil), text[:min(len(text), printableMax)]...)
	for i, c := range b {
		if c < ' ' || c > '~' || c == '"' {
			b[i] = '.'
		}
	}
	return string(b)
}

// proxied is what a proxy in front has said of the client; nil: nothing.
func (r *Request) proxied() *proxyproto.Header {
	h, _ := r.client.Announced.(*proxyproto.Header)
	return h
}

// Announced is the header of the PROXY protocol that a connection began with, as it was read; nil: none has come.
func Announced(c *conn.Conn) []byte {
	if h, ok := c.Announced.(*proxyproto.Header); ok {
		return h.Bytes()
	}
	return nil
}

// adoptProxied notes what a connection from another process began with. A connection that has had requests will not send a header any more.
func (e *Engine) adoptProxied(c *conn.Conn, header []byte) {
	if h, _, v := proxyproto.Parse(header); v == proxyproto.Done {
		c.Announced = &h
	} else if c.Requests > 0 && e.Binds[c.Listener.ID].ProxyProtocol {
		c.Announced = &proxyproto.Header{}
	}
}

// addProxied adds the variables of the PROXY protocol.
func (t *variables) addProxied() {
	source := func(h *proxyproto.Header) netip.AddrPort { return h.Source }
	destination := func(h *proxyproto.Header) netip.AddrPort { return h.Destination }
	t[vars.ProxyProtocolAddr], t[vars.ProxyProtocolPort] = proxiedAddr(source), proxiedPort(source)
	t[vars.ProxyProtocolServerAddr], t[vars.ProxyProtocolServerPort] = proxiedAddr(destination), proxiedPort(destination)
	t[vars.ProxyProtocolTLV] = func(r *Request, dst []byte, name string) ([]byte, bool) {
		if h := r.proxied(); h != nil {
			return h.AppendTLV(dst, name)
		}
		return dst, false
	}
}

func proxiedAddr(of func(*proxyproto.Header) netip.AddrPort) variable {
	return func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if h := r.proxied(); h != nil && of(h).IsValid() {
			return of(h).Addr().AppendTo(dst), true
		}
		return dst, false
	}
}

func proxiedPort(of func(*proxyproto.Header) netip.AddrPort) variable {
	return func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if h := r.proxied(); h != nil && of(h).IsValid() {
			return appendPort(dst, of(h).Port())
		}
		return dst, false
	}
}
