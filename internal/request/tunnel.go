// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
	"weir/internal/logfile"
)

// startTunnel answers 101, with a head made in b, and lets bytes pass both ways from then on.
func (r *Request) startTunnel(b *buffer.Block) verdict {
	u := &r.up
	r.status = 101
	r.closeClient = true
	dst := http1.AppendStatusLineReason(headSpace(b), 101, u.head.Reason.Of(u.text))
	for i := range u.head.Fields {
		f := &u.head.Fields[i]
		if (!f.Hop || f.ID == http1.FieldUpgrade) && f.ID != http1.FieldContentLength {
			dst = appendOriginal(dst, f, u.text)
		}
	}
	if s := r.group.Sticky; s != nil {
		dst = r.appendSticky(dst, s)
	}
	dst = append(dst, "Connection: upgrade\r\n\r\n"...)
	r.headBytes = int64(len(dst))
	r.keepHead(dst)
	down := eventpipe.Options{Source: u.conn, Framing: eventpipe.UntilClose, Blocks: tunnelBlocks}
	up := eventpipe.Options{
		Source: r.client, Sink: u.conn, Class: buffer.ClassResponse, Framing: eventpipe.UntilClose, Blocks: tunnelBlocks,
	}
	r.goodbye, r.webSocket, r.frames = goodbyeNone, r.isWebSocketNow(), [2]frames{}
	if r.webSocket {
		down.Watch, up.Watch = &r.frames[toClient], &r.frames[toOrigin]
	}
	if !r.openRelay(&down, b, dst) {
		return r.abortResponse()
	}
	if u.block.Len() > u.head.Len {
		r.relayPipe.FeedPinned(u.block, u.block.R+u.head.Len)
	}
	r.body.Close()
	r.body.Open(r.engine.Pipes, &up)
	r.hasBody, r.bodyOpen = true, true
	r.takeByMs = 0
	r.become(StateTunnel)
	return r.feedTunnel()
}

// tunnelBlocks bounds what waits in one direction of a tunnel: reading further ahead of the receiver gains nothing.
const tunnelBlocks = 2

// feedTunnel passes on what the client sent right behind its handshake.
func (r *Request) feedTunnel() verdict {
	for there := r.buf[r.next:r.w]; len(there) > 0; {
		b := r.engine.Pool.Acquire(buffer.ClassResponse)
		if b == nil {
			return r.abortResponse()
		}
		n := b.Append(there)
		there = there[n:]
		r.next += n
		r.body.Feed(b)
	}
	return again
}

// tunnel moves bytes both ways. A side that closes its half has that passed on; the tunnel ends when both have, when one fails, or when
// nothing passes for proxy_read_timeout. While nothing passes it holds no block.
func (r *Request) tunnel() verdict {
	if r.goodbye != goodbyeNone {
		return r.endTunnel()
	}
	down := r.relayPipe.Pump()
	up := r.body.Pump()
	if down > eventpipe.Done || up > eventpipe.Done {
		return r.abortResponse()
	}
	if down == eventpipe.Done && !r.downDone {
		r.downDone = true
		r.client.ShutdownWrite()
	}
	if up == eventpipe.Done && !r.upDone {
		r.upDone = true
		r.up.conn.ShutdownWrite()
	}
	if r.downDone && r.upDone {
		return r.endedTunnel()
	}
	r.pumpAgain(down, up)
	if r.block != nil || r.up.block != nil {
		r.moveHeads()
	}
	r.underPressure()
	r.armTunnel()
	return wait
}

// pumpAgain sees to it that the step comes back, when no connection's event will bring it.
func (r *Request) pumpAgain(down, up eventpipe.Outcome) {
	switch {
	case down == eventpipe.Yield || up == eventpipe.Yield:
		r.engine.Loop.Post(&r.task)
	case down == eventpipe.NoBlock:
		r.waitForBlock(buffer.ClassResponse, &r.relayPipe)
	case up == eventpipe.NoBlock:
		r.waitForBlock(buffer.ClassResponse, &r.body)
	}
}

// armTunnel sets the deadlines: the client's while something waits for it, and the origin's for the sooner of nothing passing either way
// (proxy_read_timeout), its not taking what waits for it (proxy_send_timeout), and the end of a pipe's pause.
func (r *Request) armTunnel() {
	down, up := &r.relayPipe, &r.body
	if down.Empty() {
		r.client.Disarm()
	} else {
		r.armIfMoved(r.client, clientSide, down.Wire, r.loc.SendTimeoutMs)
	}
	now, p := r.nowMs(), r.loc.Proxy
	if moved := down.Wire + down.Raw + up.Wire + up.Raw; r.takeByMs == 0 || r.progress[originSide] != moved {
		r.progress[originSide], r.silentByMs = moved, now+p.ReadTimeoutMs
	}
	if up.Empty() || r.takeByMs == 0 || r.taken != up.Wire {
		r.taken, r.takeByMs = up.Wire, now+p.SendTimeoutMs
	}
	by := r.silentByMs
	if !up.Empty() {
		by = min(by, r.takeByMs)
	}
	for _, pipe := range [...]*eventpipe.Pipe{down, up} {
		if at := pipe.ResumeMs(); at != 0 {
			by = min(by, at)
		}
	}
	if !r.up.conn.Armed() || r.up.conn.DeadlineMs() != by {
		r.up.conn.Arm(by)
	}
}

// tunnelTimeout ends a tunnel that is idle, or in which the origin does not take its part.
func (r *Request) tunnelTimeout() {
	switch now := r.nowMs(); {
	case now >= r.silentByMs:
		r.logOriginAt(logfile.LevelInfo, "tunnel was idle for proxy_read_timeout")
		r.endedTunnel()
		return
	case !r.body.Empty() && now >= r.takeByMs:
		r.logOrigin("origin took the bytes of a tunnel too slowly")
	default:
		return // a pause is over
	}
	r.abortResponse()
}
