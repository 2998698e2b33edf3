// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/eventpipe"
)

// goodbye is how far the end of a tunnel has come, when it is this worker that ends it.
type goodbye uint8

const (
	goodbyeNone goodbye = iota
	goodbyePass         // the frames that have begun pass, in both directions
	goodbyeTell         // both sides are told
	goodbyeHear         // what they still say is dropped, until they close
)

// goodbyeMs is how long the first part of a goodbye may take, and how long the rest.
const goodbyeMs = 1000

// sayGoodbye begins the end of a tunnel. What has been read still passes. In a WebSocket each side gets the rest of the frame that it is in the middle of, and
// then a close frame 1001, so that the client sees an orderly end and comes back; any other protocol's bytes just end.
//
// Neither side is told before both directions have come to a border: a side that is told may close at once, in the middle of what it was sending.
func (r *Request) sayGoodbye() {
	r.goodbye = goodbyePass
	r.client.Arm(r.nowMs() + goodbyeMs)
	r.up.conn.Disarm()
	for i := range r.frames {
		r.frames[i].ending = true
	}
}

// The directions of a tunnel, as indexes.
const (
	toClient = iota
	toOrigin
)

// endTunnel is the step of a tunnel that ends.
func (r *Request) endTunnel() verdict {
	if r.goodbye == goodbyePass {
		down, up := r.toBorder(toClient, &r.relayPipe), r.toBorder(toOrigin, &r.body)
		if down > eventpipe.Done || up > eventpipe.Done {
			return r.abortResponse()
		}
		if !r.relayPipe.ReadDone() || !r.body.ReadDone() {
			r.pumpAgain(down, up)
			return wait
		}
		r.startTelling()
	}
	if r.goodbye == goodbyeTell {
		down, up := r.relayPipe.Pump(), r.body.Pump()
		if down > eventpipe.Done || up > eventpipe.Done {
			return r.abortResponse()
		}
		r.closeHalf(down, r.client, &r.downDone)
		r.closeHalf(up, r.up.conn, &r.upDone)
		if !r.downDone || !r.upDone {
			r.pumpAgain(down, up)
			return wait
		}
		r.goodbye = goodbyeHear
	}
	clientOpen, originOpen := dropRest(r.client), dropRest(r.up.conn)
	if clientOpen || originOpen {
		return wait
	}
	return r.endedTunnel()
}

// toBorder moves what has begun in one direction.
func (r *Request) toBorder(direction int, p *eventpipe.Pipe) eventpipe.Outcome {
	f := &r.frames[direction]
	if !p.ReadDone() && r.webSocket && !f.between() {
		if o := p.Pump(); o > eventpipe.Done || !f.between() {
			return o
		}
	}
	p.End()
	return p.Pump()
}

// startTelling puts the close frames behind what has passed. A direction that has not come to a border in time gets none.
func (r *Request) startTelling() {
	r.goodbye = goodbyeTell
	r.client.Arm(r.nowMs() + goodbyeMs)
	pipes, told := [...]*eventpipe.Pipe{&r.relayPipe, &r.body}, [...]bool{r.downDone, r.upDone}
	for direction, p := range pipes {
		p.End()
		f := &r.frames[direction]
		if !r.webSocket || f.closed || !f.between() || told[direction] {
			continue
		}
		if b := r.engine.Pool.Acquire(buffer.ClassResponse); b != nil {
			b.Append(appendClose(nil, direction == toOrigin))
			p.PushHead(b)
		}
	}
}

// closeHalf tells a side that nothing more comes, once all has been written.
func (r *Request) closeHalf(o eventpipe.Outcome, sink *conn.Conn, over *bool) {
	if o == eventpipe.Done && !*over {
		*over = true
		sink.ShutdownWrite()
	}
}

// dropMax bounds the reads of one turn.
const dropMax = 16

// dropRest reads and drops what a side still says; false when it has closed.
func dropRest(c *conn.Conn) (open bool) {
	var sink [4096]byte
	for range dropMax {
		switch _, st := c.Read(sink[:]); st {
		case conn.OK:
		case conn.Again:
			return true
		default:
			return false
		}
	}
	return false // it has no end of things to say
}

// endedTunnel ends a tunnel in order.
func (r *Request) endedTunnel() verdict {
	r.complete = true
	r.lingered = true
	r.up.conn.Close()
	r.up.conn = nil
	return r.become(StateFinish)
}
