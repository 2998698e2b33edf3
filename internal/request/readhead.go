// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"net/netip"

	"go.uber.org/zap"

	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/proxyproto"
	"weir/internal/route"
	"weir/internal/sys"
)

// readHead reads until the head is complete.
func (r *Request) readHead() verdict {
	if r.buf == nil {
		if r.block = r.acquire(buffer.ClassRequest); r.block == nil {
			return wait
		}
		r.buf = r.headRoom(r.block)
	}
	for {
		if r.w > r.base && r.awaitsProxied() && r.takeProxied() >= proxyproto.Bad {
			r.engine.Stats.Reading.Dec()
			return r.closeAll()
		}
		if r.w > r.base && !r.awaitsProxied() {
			r.onFirstByte() // of a pipelined request, it has been here before
			switch r.head.Parse(r.buf[r.base:r.w], &r.server.Limits) {
			case http1.Done:
				return r.onHead()
			case http1.Bad:
				return r.refuseHead()
			}
		}
		if r.w == len(r.buf) {
			switch r.growHead() {
			case wait:
				return wait
			case done:
				return r.refuseHead()
			}
		}
		n, st := r.client.Read(r.buf[r.w:])
		switch st {
		case conn.OK:
			r.w += n
		case conn.Again:
			return r.waitHead()
		default:
			return r.headEnded(st)
		}
	}
}

// onFirstByte notes when a request began.
func (r *Request) onFirstByte() {
	if r.startMs == 0 {
		r.startMs, r.startNs = r.nowMs(), r.engine.Clock.Ns()
	}
}

// waitHead waits for the rest of a head. When not a byte of it is there, the connection goes back to waiting and holds nothing.
func (r *Request) waitHead() verdict {
	if r.w == r.base {
		r.engine.Stats.Reading.Dec()
		r.engine.park(r.client, max(r.client.DeadlineMs()-r.nowMs(), 0))
		return r.release()
	}
	if !r.fewFields(&r.head.Head) {
		r.takeAll()
		return r.answer(503)
	}
	if r.awaitsProxied() {
		r.startMs = r.client.OpenedMs // the whole header has as long as a head has
	}
	r.client.Arm(r.startMs + r.server.HeaderTimeoutMs)
	return wait
}

// headEnded closes a connection whose client has gone before its head was complete.
func (r *Request) headEnded(st conn.Status) verdict {
	if r.w > r.base {
		r.logInfo("client closed the connection within a request head")
	} else if st == conn.Failed && r.errorLog().Enabled(logfile.LevelDebug) {
		r.errorLog().Debug("idle client connection failed", zap.Error(r.client.Errno()))
	}
	r.engine.Stats.Reading.Dec()
	return r.closeAll()
}

// headTimeout ends a request whose head did not arrive in time.
func (r *Request) headTimeout() {
	if r.w == r.base || r.awaitsProxied() {
		r.engine.Stats.Reading.Dec()
		r.stopWaiting()
		r.closeAll()
		return
	}
	r.logInfo("client sent its request head too slowly")
	r.takeAll()
	r.answer(408)
}

// takeAll makes a request of everything read so far, although its head is not complete: the connection cannot go on after it. An error page may be made of what there is:
// its path, if the request line was good, but it has no body, because how long that is, is not known.
func (r *Request) takeAll() {
	r.withoutBody, r.redirected = true, true // nothing is passed on as it came
	r.host, r.path, r.args = nil, nil, nil
	if r.head.Host.Len > 0 {
		r.pickServer()
	}
	if r.head.LineTaken() && !r.takeTarget() {
		r.path, r.args = nil, nil
	}
	r.next = r.w
	r.methodID = r.head.MethodID
	r.length = int64(r.w - r.base)
	r.countRequest()
	r.client.Disarm()
	r.closeClient = true
}

// headRoom is the part of a block that a request's head is read into: the rest is kept for what is added to it.
func (r *Request) headRoom(b *buffer.Block) []byte { return b.Data[:len(b.Data)-r.engine.MaxRewrite] }

// growHead makes room behind the bytes read: by moving a pipelined request to the front of its memory, or to a block if it is not in
// one, or else by leaving the block for memory as large as the limit. again: there is room; wait: there will be a block; done: the limit is reached.
func (r *Request) growHead() verdict {
	if r.base > 0 {
		r.w = copy(r.buf, r.buf[r.base:r.w])
		r.base = 0
		return again
	}
	if size := r.engine.Pool.BlockSize() - r.engine.MaxRewrite; r.block == nil && r.w < size {
		b := r.acquire(buffer.ClassRequest)
		if b == nil {
			return wait
		}
		copy(b.Data, r.buf[:r.w])
		r.useArena.Reset()
		r.block, r.buf = b, r.headRoom(b)
		return again
	}
	limit := r.server.Limits.HeadBytes
	if r.w >= limit {
		return done
	}
	big := r.useArena.Alloc(min(2*len(r.buf), limit))
	if big == nil {
		r.engine.Log.Limited("large heads", logfile.LevelCrit, "no memory for a large request head: too many at once")
		return done
	}
	copy(big, r.buf[:r.w])
	old := r.buf
	r.dropBlock()
	r.useArena.Free(old)
	r.buf = big
	return again
}

// dropBlock lets go of the memory with the head.
func (r *Request) dropBlock() {
	if r.block != nil {
		r.engine.Pool.Release(r.block)
		r.block = nil
	}
	r.buf = nil
}

// refuseHead answers a head that is malformed or too large.
func (r *Request) refuseHead() verdict {
	why := r.head.Refusal
	if why == http1.RefusedNone {
		why = http1.RefusedHeadTooLarge
	}
	r.takeAll()
	if r.errorLog().Enabled(logfile.LevelInfo) {
		r.errorLog().Info("client sent an invalid request", append(r.logFields(), zap.String("why", why.String()))...)
	}
	status := why.Status()
	if why.TooLarge() {
		status = 494
	}
	return r.answer(status)
}

// onHead takes a complete head.
func (r *Request) onHead() verdict {
	r.methodID = r.head.MethodID
	r.next = r.base + r.head.Len
	r.length = int64(r.head.Len)
	r.countRequest()
	r.client.Disarm()
	r.hasBody = r.head.HasBody()
	switch {
	case !r.pickServer():
		return r.noMemory()
	case !r.fewFields(&r.head.Head):
		r.closeClient = true
		return r.answer(503)
	}
	return r.become(StateRoute)
}

func (r *Request) countRequest() {
	r.client.Requests++
	st := r.engine.Stats
	st.Requests.Inc()
	st.Reading.Dec()
	st.Writing.Inc()
}

// pickServer finds the virtual server by the address that accepted the connection and the host asked for. False: there is no memory
// for the host.
func (r *Request) pickServer() bool {
	bind := r.bind
	if bind.ByLocal != nil {
		var local sys.Sockaddr
		if sys.LocalAddr(r.client.FD(), &local) == 0 {
			if b := bind.ByLocal[local.AddrPort()]; b != nil {
				bind = b
			}
		}
	}
	asked := r.headOf(r.head.Host)
	if last := &bind.last; last.server != nil && bytes.Equal(asked, last.asked) {
		r.host, r.server = append(r.hostText[:0], last.host...), last.server
	} else if !bind.find(r, asked) {
		return false
	}
	r.loc = r.server.Default
	return true
}

// lastHost is the host that a bind was asked for last, and what came of it: most requests ask for the one before them.
type lastHost struct {
	asked, host []byte // as it came, and in lower case
	server      *Server
}

// lastHostMax is the longest host that is remembered, and that needs no memory of its own.
const lastHostMax = 64

// find looks the host up, and remembers it for the next request unless captures depend on it. False: there is no memory for it.
func (b *Bind) find(r *Request, asked []byte) bool {
	room := r.hostText[:]
	if len(asked) > len(room) {
		if room = r.arena.Alloc(len(asked)); room == nil {
			r.host = nil
			return false
		}
	}
	r.host = lowerInto(room[:0], asked)
	i, pattern := b.Names.LookupPattern(r.host)
	r.server = b.Servers[i]
	if pattern != nil {
		return r.matched(pattern, r.host) == route.Matches
	}
	if last := &b.last; len(asked) <= lastHostMax {
		last.asked = append(last.asked[:0], asked...)
		last.host = append(last.host[:0], r.host...)
		last.server = r.server
	}
	return true
}

// localAddr is the address that accepted the connection.
func (r *Request) localAddr() netip.AddrPort {
	if r.bind.Local.IsValid() || r.bind.Unix {
		return r.bind.Local
	}
	var local sys.Sockaddr
	sys.LocalAddr(r.client.FD(), &local)
	return local.AddrPort()
}

func lowerInto(dst, src []byte) []byte {
	for _, c := range src {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
