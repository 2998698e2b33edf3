// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
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
	dst = append(dst, "Connection: upgrade\r\n\r\n"...)
	r.headBytes = int64(len(dst))
	if r.openRelay(eventpipe.Options{Source: u.conn, Framing: eventpipe.UntilClose, Blocks: r.loc.Proxy.Blocks}, b, dst) == nil {
		return r.abortResponse()
	}
	if u.block.Len() > u.head.Len {
		r.relayPipe.FeedPinned(u.block, u.block.R+u.head.Len)
	}
	r.body.Close()
	r.body.Open(r.engine.Pool, eventpipe.Options{
		Source: r.client, Sink: u.conn, Class: buffer.ClassBody, Framing: eventpipe.UntilClose, Blocks: r.loc.Proxy.Blocks,
	})
	r.hasBody, r.bodyOpen = true, true
	r.become(StateTunnel)
	return r.feedTunnel()
}

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
// nothing passes for proxy_read_timeout.
func (r *Request) tunnel() verdict {
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
		r.complete = true
		r.lingered = true
		r.up.conn.Close()
		r.up.conn = nil
		return r.become(StateFinish)
	}
	switch {
	case down == eventpipe.Yield || up == eventpipe.Yield:
		r.engine.Loop.Post(&r.task)
	case down == eventpipe.NoBlock:
		r.waitForBlock(buffer.ClassResponse, &r.relayPipe)
	case up == eventpipe.NoBlock:
		r.waitForBlock(buffer.ClassResponse, &r.body)
	}
	if !r.relayPipe.Empty() {
		r.armIfMoved(r.client, 0, r.relayPipe.Wire, r.loc.SendTimeoutMs)
	} else {
		r.client.Disarm()
	}
	moved := r.relayPipe.Wire + r.relayPipe.Raw + r.body.Wire + r.body.Raw
	r.armIfMoved(r.up.conn, 1, moved, r.loc.Proxy.ReadTimeoutMs)
	return wait
}
