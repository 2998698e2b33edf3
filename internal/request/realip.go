// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"

	"weir/internal/access"
	"weir/internal/http1"
	"weir/internal/vars"
)

// RealIP says from which peers' words a request's client address is taken: nginx's realip module.
type RealIP struct {
	From      access.Networks
	Recursive bool
	// ProxyProtocol takes the address from the PROXY protocol's header; otherwise it is in the field with the name Header, in lower case.
	ProxyProtocol bool
	Header        string
}

// findClient changes the address of the request's client to the one that a trusted peer speaks for. Everything that asks for the client's address
// from then on gets that one; the connection has its own again when the request is over (returnPeer).
func (r *Request) findClient(ip *RealIP) {
	if r.hasOriginal {
		return // as in nginx, once for each request
	}
	c := r.client
	if !ip.From.Has(c.Peer.Addr()) {
		return
	}
	found, ok := netip.AddrPort{}, false
	if ip.ProxyProtocol {
		if p := r.proxied(); p != nil {
			found, ok = p.Source, p.Source.IsValid()
		}
	} else {
		found, ok = r.forwarded(ip, c.Peer)
	}
	if !ok {
		return
	}
	r.original, r.hasOriginal = c.Peer, true
	c.SetPeer(found)
}

// forwarded takes the address from the fields of the request, the last one first.
func (r *Request) forwarded(ip *RealIP, peer netip.AddrPort) (found netip.AddrPort, ok bool) {
	text, name := r.buf[r.base:], ip.Header
	id := http1.FieldByName([]byte(name))
	list := id == http1.FieldXForwardedFor // of any other field, the first one counts
	i := r.head.Find(text, []byte(name))
	if i < 0 {
		return found, false
	}
	if !list {
		found, ok, _ = ip.From.Forwarded(peer, r.head.Fields[i].Value.Of(text), ip.Recursive)
		return found, ok
	}
	for j := len(r.head.Fields) - 1; j >= i; j-- {
		f := &r.head.Fields[j]
		if f.ID != id {
			continue
		}
		next, good, more := ip.From.Forwarded(peer, f.Value.Of(text), ip.Recursive)
		if good {
			found, peer, ok = next, next, true
		}
		if !more || !ip.Recursive {
			break
		}
	}
	return found, ok
}

// returnPeer gives the connection its own address again.
func (r *Request) returnPeer() {
	if r.hasOriginal {
		r.client.SetPeer(r.original)
		r.hasOriginal = false
	}
}

// addRealIP adds the variables of the peer itself.
func (t *variables) addRealIP() {
	t[vars.RealIPRemoteAddr] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if peer := r.ownPeer(); peer.IsValid() {
			return peer.Addr().AppendTo(dst), true
		}
		return append(dst, "unix:"...), true
	}
	t[vars.RealIPRemotePort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendPort(dst, r.ownPeer().Port())
	}
}

// ownPeer is the connection's own address.
func (r *Request) ownPeer() netip.AddrPort {
	if r.hasOriginal {
		return r.original
	}
	return r.client.Peer
}
