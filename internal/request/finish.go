// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/conn"
	"weir/internal/eventpipe"
	"weir/internal/vars"
)

// finish logs the request, gives back what it held, and decides what becomes of the client's connection.
func (r *Request) finish() verdict {
	r.closeTrial()
	r.stopWaiting()
	r.client.Disarm()
	if row := r.server.Row; row != nil {
		r.countServed(row)
	}
	r.log()
	r.returnPeer()
	r.gate.reset()
	r.added.reset()
	r.program.reset()
	if len(r.holds) > 0 {
		r.unlimit()
	}
	if !r.arena.Empty() {
		r.closeArena()
	}
	r.engine.Stats.Writing.Dec()

	// A client that takes the end of the connection for the end of the body must not take a broken one for it.
	unframed := r.relayPipe.Framing == eventpipe.UntilClose || r.relayPipe.Framing == eventpipe.Chunked
	reset := r.aborted && r.headSent && unframed && !r.relayPipe.Chunk
	r.relayPipe.Close()
	if r.answerPage.file || r.file.open || r.file.listing != nil {
		r.file.close()
	}
	r.dropEncoder()
	r.closeOrigin()
	for r.early != nil {
		b := r.early
		r.early = b.Next
		r.engine.Pool.Release(b)
	}
	if reset {
		r.client.ResetOnClose()
	}
	if r.closeClient {
		return r.endClient()
	}
	return r.keepClient()
}

// closeTrial completes what variables say about the last attempt with an origin.
func (r *Request) closeTrial() {
	if len(r.trials) == 0 {
		return
	}
	t := r.trial()
	if t.ResponseMs < 0 {
		r.endAttempt()
	}
	if r.headSent && r.up.text != nil {
		t.BytesReceived += r.relayPipe.Raw
		t.Length = r.relayPipe.Received
	}
}

// log writes the request's line to each access log.
func (r *Request) log() {
	for i := range r.loc.Logs {
		l := &r.loc.Logs[i]
		if l.If != nil && !r.isTrue(l.If) {
			continue
		}
		if l.Writer == nil {
			r.logElsewhere(l)
			continue
		}
		line := l.Template.Append(l.Writer.Begin(), r)
		l.Writer.Commit(line)
	}
}

// isTrue says whether a condition is neither empty nor "0".
func (r *Request) isTrue(condition *vars.Template) bool {
	text := r.renderScratch(condition)
	return len(text) > 0 && string(text) != "0"
}

// keepClient has the connection go on: with the next request, if some of it is there, or with waiting for one.
func (r *Request) keepClient() verdict {
	if r.hasBody && !r.bodyOpen {
		return r.startDiscard()
	}
	if r.bodyOpen {
		extra, lost := r.body.TakeExtra(), r.body.HasExtra()
		r.body.Close()
		if extra != nil {
			r.dropBlock()
			r.block, r.buf = extra, extra.Data
			r.next, r.w = extra.R, extra.W
		} else if lost {
			r.closeClient = true
			return r.endClient()
		}
	}
	if r.next < r.w {
		r.base = r.next
		r.nextRequest(true)
		r.engine.Loop.Post(&r.task)
		return wait
	}
	r.base, r.w, r.next = 0, 0, 0
	keepaliveMs := r.loc.KeepaliveTimeoutMs
	if r.client.Readable() {
		// Something has come meanwhile, and its event is over.
		r.nextRequest(false)
		r.client.Arm(r.nowMs() + keepaliveMs)
		return again
	}
	r.engine.park(r.client, keepaliveMs)
	return r.release()
}

// nextRequest begins the next request of the same use.
func (r *Request) nextRequest(pipelined bool) {
	r.engine.Stats.Reading.Inc()
	r.begin()
	r.pipelined = pipelined
	if r.block == nil && !pipelined {
		r.buf = nil // the memory of a head that was not in a block is not kept
		r.useArena.Reset()
	}
}

// endClient closes the client's connection, after reading what it still sends where that is needed for it to see the response: a
// close with unread bytes makes the kernel send a reset, which may destroy what the client has not read yet.
func (r *Request) endClient() verdict {
	unread := r.bodyUnread() || r.next < r.w || r.client.Readable()
	r.body.Close()
	if !r.lingered && (r.loc.Linger == LingerAlways || r.loc.Linger == LingerOn && unread) {
		r.client.ShutdownWrite()
		r.lingerEndMs = r.nowMs() + r.loc.LingerTimeMs
		return r.become(StateLinger)
	}
	return r.closeAll()
}

func (r *Request) closeAll() verdict {
	r.engine.closeClient(r.client)
	return r.release()
}

// lingerReads bounds the reads of one turn.
const lingerReads = 16

// linger reads and drops until the client closes, is silent for lingering_timeout, or lingering_time is over.
func (r *Request) linger() verdict {
	var sink [4096]byte
	for range lingerReads {
		switch _, st := r.client.Read(sink[:]); st {
		case conn.OK:
			continue
		case conn.Again:
			r.client.Arm(min(r.nowMs()+r.loc.LingerTimeoutMs, r.lingerEndMs))
			return wait
		}
		return r.closeAll()
	}
	if r.nowMs() >= r.lingerEndMs {
		return r.closeAll()
	}
	r.engine.Loop.Post(&r.task)
	return wait
}
