// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"strconv"

	"weir/internal/sys"
	"weir/internal/vars"
)

// addConnection adds the variables of the client's connection, and of the address that accepted it.
func (t *variables) addConnection() {
	t[vars.RemoteAddr] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, r.client.PeerText()...), true
	}
	t[vars.RemotePort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendPort(dst, r.client.Peer.Port())
	}
	t[vars.BinaryRemoteAddr] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendBinary(dst, r.client.Peer.Addr()), true
	}
	t[vars.BinaryRemoteAddrPrefix] = func(r *Request, dst []byte, arg string) ([]byte, bool) {
		return vars.AppendPrefix(dst, r.client.Peer.Addr(), arg), true
	}
	t[vars.ServerAddr] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.bind.Unix {
			return append(append(dst, "unix:"...), r.bind.Path...), true
		}
		return r.localAddr().Addr().AppendTo(dst), true
	}
	t[vars.ServerPort] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendPort(dst, r.localAddr().Port())
	}
	t[vars.Scheme] = func(_ *Request, dst []byte, _ string) ([]byte, bool) {
		return append(dst, "http"...), true
	}
	t[vars.HTTPS] = func(_ *Request, dst []byte, _ string) ([]byte, bool) {
		return dst, true
	}
	for _, id := range []vars.ID{vars.HTTP2, vars.SSL, vars.UpstreamCacheStatus} {
		t[id] = func(_ *Request, dst []byte, _ string) ([]byte, bool) { return dst, id == vars.HTTP2 }
	}
	for _, id := range []vars.ID{vars.TCPInfoRTT, vars.TCPInfoRTTVar, vars.TCPInfoSndCwnd, vars.TCPInfoRcvSpace} {
		t[id] = func(r *Request, dst []byte, _ string) ([]byte, bool) { return appendTCPInfo(dst, r.client.FD(), id) }
	}
	t[vars.Connection] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendUint(dst, r.client.Serial, 10), true
	}
	t[vars.ConnectionRequests] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return strconv.AppendUint(dst, uint64(r.client.Requests), 10), true
	}
	t[vars.ConnectionTime] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		return appendSeconds(dst, r.nowMs()-r.client.OpenedMs), true
	}
	t[vars.Pipe] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.pipelined {
			return append(dst, 'p'), true
		}
		return append(dst, '.'), true
	}
}

func appendPort(dst []byte, port uint16) ([]byte, bool) {
	if port == 0 {
		return dst, true
	}
	return strconv.AppendUint(dst, uint64(port), 10), true
}

// appendTCPInfo appends one of $tcpinfo_*; no value where the connection is none of TCP.
func appendTCPInfo(dst []byte, fd int, id vars.ID) ([]byte, bool) {
	var info sys.TCPInfo
	if !sys.GetTCPInfo(fd, &info) {
		return dst, false
	}
	value := info.RTTMicros
	switch id {
	case vars.TCPInfoRTTVar:
		value = info.RTTVarMicros
	case vars.TCPInfoSndCwnd:
		value = info.SndCwnd
	case vars.TCPInfoRcvSpace:
		value = info.RcvSpace
	}
	return strconv.AppendUint(dst, uint64(value), 10), true
}
