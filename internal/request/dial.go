// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"weir/internal/proxyproto"
	"weir/internal/sys"
	"weir/internal/vars"
)

// Dial is how connections to the origins of a location are made.
type Dial struct {
	Keepalive   bool               // proxy_socket_keepalive
	Bind        *vars.Template     // proxy_bind; nil: the kernel chooses the address
	Transparent bool               // with transparent
	Protocol    ProxyProtocol      // what they begin with
	options     sys.ConnectOptions // of the connection that is being made
}

// ProxyProtocol is the version of the PROXY protocol; 0: none.
type ProxyProtocol uint8

// connectOptions are what the next connection needs; nil: nothing. from is the address that proxy_bind gives it, if any. False: there is no memory for that.
func (r *Request) connectOptions() (o *sys.ConnectOptions, from netip.AddrPort, ok bool) {
	d := r.loc.Proxy.Dial
	if d == nil {
		return nil, from, true
	}
	d.options = sys.ConnectOptions{Keepalive: d.Keepalive, Transparent: d.Transparent}
	if d.Bind == nil {
		return &d.options, from, true
	}
	text := r.render(d.Bind)
	if text == nil {
		return nil, from, false
	}
	if len(text) == 0 {
		return &d.options, from, true
	}
	from, err := parseBind(string(text))
	if err != nil { // as nginx: the connection is made all the same
		r.logError("invalid local address in proxy_bind", zap.ByteString("value", text))
		return &d.options, netip.AddrPort{}, true
	}
	d.options.From = sys.SockaddrTCP(from)
	return &d.options, from, true
}

// notBound says whether a connection could not be made because of the address that proxy_bind gives it: that is not the origin's fault.
func (r *Request) notBound(errno syscall.Errno) bool {
	d := r.loc.Proxy.Dial
	if d == nil || d.options.From == (sys.Sockaddr{}) {
		return false
	}
	switch errno {
	case syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.EAFNOSUPPORT:
		r.logError("proxy_bind: the connection cannot be made from this address", zap.Stringer("address", d.options.From.AddrPort()), zap.Error(errno))
		r.trial().Status = 500
		return true
	}
	return false
}

// parseBind reads an address, with a port or without.
func parseBind(text string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	return netip.ParseAddrPort(text)
}

// appendProxyProtocol appends what a new connection begins with: for whom it was made.
func (r *Request) appendProxyProtocol(dst []byte, d *Dial) []byte {
	if d.Protocol == 0 || r.up.conn.Requests > 0 {
		return dst
	}
	if d.Protocol == 1 {
		return proxyproto.AppendV1(dst, r.client.Peer, r.localAddr())
	}
	return proxyproto.AppendV2(dst, r.client.Peer, r.localAddr())
}
