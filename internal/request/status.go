// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"
	"strconv"

	"weir/internal/http1"
	"weir/internal/stats"
	"weir/internal/sys"
	"weir/internal/vars"
)

// statusRoom is about the size of the status page.
const statusRoom = 256

// answerStatus ends the request with nginx's status page, over all workers.
func (r *Request) answerStatus() verdict {
	if r.methodID != http1.MethodGet && r.methodID != http1.MethodHead {
		return r.answer(405)
	}
	v := r.engine.Segment.Sum()
	a := &r.answerPage
	a.reset()
	a.body = r.arena.Begin(statusRoom)
	text := func(s string) { a.body = append(a.body, s...) }
	number := func(f stats.Field) { a.body = strconv.AppendUint(a.body, v[f], 10) }
	text("Active connections: ")
	number(stats.Active)
	text(" \nserver accepts handled requests\n ")
	number(stats.Accepted)
	text(" ")
	number(stats.Handled)
	text(" ")
	number(stats.Requests)
	text(" \nReading: ")
	number(stats.Reading)
	text(" Writing: ")
	number(stats.Writing)
	text(" Waiting: ")
	number(stats.Waiting)
	text(" \n")
	if a.body = r.arena.End(a.body); a.body == nil {
		return r.noMemory()
	}
	a.contentType = "text/plain"
	r.status = 200
	return r.sendAnswer()
}

// acceptSource gives the variables that are known when a connection is accepted.
type acceptSource struct {
	peer netip.AddrPort
	fd   int
	bind *Bind
}

// AppendVariable appends the value of an address variable. See vars.Source.
func (s *acceptSource) AppendVariable(dst []byte, id vars.ID, arg string) ([]byte, bool) {
	switch id {
	case vars.RemoteAddr:
		if !s.peer.IsValid() {
			return append(dst, "unix:"...), true
		}
		return s.peer.Addr().AppendTo(dst), true
	case vars.RemotePort:
		return appendPort(dst, s.peer.Port())
	case vars.BinaryRemoteAddr:
		return appendBinary(dst, s.peer.Addr()), true
	case vars.BinaryRemoteAddrPrefix:
		return vars.AppendPrefix(dst, s.peer.Addr(), arg), true
	case vars.ServerAddr:
		if s.bind.Unix {
			return append(append(dst, "unix:"...), s.bind.Path...), true
		}
		return s.local().Addr().AppendTo(dst), true
	case vars.ServerPort:
		return appendPort(dst, s.local().Port())
	}
	return dst, false
}

// appendBinary appends an address in network order.
func appendBinary(dst []byte, addr netip.Addr) []byte {
	switch {
	case addr.Is4():
		a := addr.As4()
		return append(dst, a[:]...)
	case addr.Is6():
		a := addr.As16()
		return append(dst, a[:]...)
	}
	return dst
}

func (s *acceptSource) local() netip.AddrPort {
	if s.bind.Local.IsValid() || s.bind.Unix {
		return s.bind.Local
	}
	var local sys.Sockaddr
	sys.LocalAddr(s.fd, &local)
	return local.AddrPort()
}
