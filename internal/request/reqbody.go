// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"math"

	"go.uber.org/zap"

	"weir/internal/buffer"
	"weir/internal/eventpipe"
	"weir/internal/http1"
)

// openBody starts reading the request's body, with what came along with the head. False: the verdict is the step's.
func (r *Request) openBody() (verdict, bool) {
	b := r.acquire(buffer.ClassBody)
	if b == nil {
		return wait, false
	}
	o := eventpipe.Options{
		Source: r.client, Class: buffer.ClassBody, Blocks: streamBlocks,
		Framing: eventpipe.Length, Length: r.head.ContentLength, Exact: true, Keep: true,
	}
	if r.readsFirst() {
		o.Blocks, o.SpillMax, o.Owner, o.Named = r.loc.BodyBlocks, math.MaxInt64, r, r.engine.NameBodies || r.loc.BodyFile != BodyFileNone
	}
	there := r.buf[r.next:r.w]
	if r.head.Chunked {
		o.Framing = eventpipe.Chunked
	}
	if n, ok := r.bodyThere(); ok {
		there = there[:n]
	}
	r.body.Open(r.engine.Pipes, &o)
	r.bodyOpen = true
	if r.head.Expect100 && len(there) == 0 {
		r.sendContinue()
	}
	for len(there) > 0 {
		b.Reset()
		n := copy(b.Data, there)
		b.W = n
		there = there[n:]
		r.next += n
		if !r.body.Feed(b) {
			return r.badBody(), false
		}
		if b = nil; len(there) > 0 {
			if b = r.engine.Pool.Acquire(buffer.ClassResponse); b == nil {
				r.closeClient = true
				return r.answer(503), false
			}
		}
	}
	if b != nil {
		r.engine.Pool.Release(b)
	}
	return r.bodyTooLarge()
}

// sendContinue tells a client that asked that its body is wanted. Without a block it is left out: such a client sends its body
// unasked after a while.
func (r *Request) sendContinue() {
	if b := r.engine.Pool.Acquire(buffer.ClassResponse); b != nil {
		b.Append(http100)
		r.pushEarly(b)
	}
}

var http100 = []byte("HTTP/1.1 100 Continue\r\n\r\n") // read-only

// bodyTooLarge answers 413 when a chunked body has grown over client_max_body_size. True: it has not.
func (r *Request) bodyTooLarge() (verdict, bool) {
	if limit := r.loc.MaxBody; limit > 0 && r.body.Announced() > limit {
		r.logError("client sent too large a body", zap.Int64("bytes", r.body.Announced()))
		r.withoutBody = true
		r.abandonOrigin()
		return r.answer(413), false
	}
	return again, true
}

func (r *Request) badBody() verdict {
	r.logError("client sent a malformed chunked body")
	r.abandonOrigin()
	r.closeClient, r.withoutBody = true, true
	return r.answer(400)
}

// readsFirst says whether the body is read before an origin is asked. An origin that speaks HTTP/1.0 must be told its length, so a chunked body
// is read first for it in any case, as in nginx.
func (r *Request) readsFirst() bool {
	p := r.loc.Proxy
	return p.RequestBuffering || p.HTTP10 && r.head.Chunked || r.mirrorsBody()
}

// canReplay says whether the body can be sent, from its first byte, to another origin: it is all there, in memory or in its temporary
// file, or nothing of it has been sent.
func (r *Request) canReplay() bool {
	return !r.sendsBody() || !r.bodyOpen || r.body.Keep || r.body.Wire == 0
}

// readBody reads the request's body before an origin is asked: into memory, and from client_body_buffer_size on to a temporary file. A body for
// which there is no room is sent on while the rest is read.
func (r *Request) readBody() verdict {
	if !r.bodyOpen {
		if v, ok := r.openBody(); !ok {
			return v
		}
		if !r.readsFirst() {
			if r.engine.KeepBodies && r.body.Fill() == eventpipe.Done { // as with nginx: a body that is there at once has a value, too
				r.keepBody()
			}
			return r.sendEarly()
		}
	}
	switch o := r.body.Fill(); o {
	case eventpipe.Done:
		r.client.Disarm()
		if r.mustStore() || r.body.Spilled > 0 && (r.body.Named || r.mirrorsBody()) || (r.engine.KeepBodies || r.body.Named) && r.overBuffer() {
			if v, ok := r.storeBody(); !ok {
				return v
			}
		}
	case eventpipe.Yield:
		r.engine.Loop.Post(&r.task)
		return r.awaitBody()
	case eventpipe.Full:
		if r.mustStore() {
			return r.bodyUnstored()
		}
		return r.sendEarly()
	case eventpipe.Wait:
		return r.awaitBody()
	case eventpipe.NoBlock:
		if !r.body.Empty() && !r.mustStore() {
			return r.sendEarly() // many bodies that wait for each other's blocks would wait for ever
		}
		r.client.Arm(r.nowMs() + r.loc.BodyTimeoutMs)
		r.waitForBlock(buffer.ClassBody, &r.body)
		return wait
	default:
		return r.bodyFailed(o)
	}
	if v, ok := r.bodyTooLarge(); !ok {
		return v
	}
	if r.engine.KeepBodies {
		r.keepBody()
	}
	r.mirrorBody()
	return r.become(StatePick)
}

// mustStore says whether the body has to be in a file, with a name (client_body_in_file_only).
func (r *Request) mustStore() bool { return r.loc.BodyFile != BodyFileNone }

// overBuffer says whether the body is larger than client_body_buffer_size, of which nginx makes a quarter more for one whose length is known. Where nobody asks, there may be
// more of it in memory.
func (r *Request) overBuffer() bool {
	size := r.loc.BodyBuffer
	if !r.head.Chunked {
		size += size / 4
	}
	return r.body.Received > size
}

// storeBody has all of a body be in its file: one that must be, or of which a part is there and the file has a name or is what the copies of mirror share, or one that is over the buffer where that is seen. False: the
// verdict is the step's.
func (r *Request) storeBody() (verdict, bool) {
	must := r.mustStore()
	switch o := r.body.SpillAll(); {
	case o == eventpipe.Wait:
		return wait, false
	case o == eventpipe.Full && must:
		return r.bodyUnstored(), false
	case o == eventpipe.Full || !r.body.Named:
		return again, true
	}
	r.bodyFile = r.body.FileName(must)
	if r.bodyFile != "" && r.loc.BodyFile == BodyFileClean {
		r.arena.AddCleanup(removeBody, r)
	}
	return again, true
}

// removeBody takes the file of a request's body away when the request is over.
func removeBody(arg any) {
	r := arg.(*Request)
	r.engine.Spill.Remove(r.bodyFile)
}

// bodyUnstored answers where the body cannot be in a file, and should be.
func (r *Request) bodyUnstored() verdict {
	r.logError("a request body cannot be saved to a file")
	r.closeClient = true
	return r.answer(500)
}

// keepBody makes the body that has been read the value of $request_body, if it is in memory as a whole. Without memory for the copy there is no value.
func (r *Request) keepBody() {
	size := int(r.body.Received)
	if size == 0 || r.body.Spilled > 0 {
		return
	}
	if room := r.arena.Alloc(size); room != nil {
		if text, ok := r.body.AppendBody(room[:0]); ok {
			r.bodyText = text
		}
	}
}

// awaitBody waits for more of the body: for the client, or for the temporary file to take what has come.
func (r *Request) awaitBody() verdict {
	if v, ok := r.bodyTooLarge(); !ok {
		return v
	}
	if r.body.Reading() {
		r.armIfMoved(r.client, clientSide, r.body.Raw, r.loc.BodyTimeoutMs)
	} else {
		r.client.Disarm()
	}
	return wait
}

// sendEarly goes on to an origin before the body is complete, which is sent on while the rest of it is read. What has been sent is kept, for
// another origin, as long as there is room.
func (r *Request) sendEarly() verdict {
	r.client.Disarm()
	if v, ok := r.bodyTooLarge(); !ok {
		return v
	}
	r.body.Blocks = max(r.body.Blocks, streamBlocks)
	r.mirrorBody()
	return r.become(StatePick)
}

// bodyFailed ends a request whose body does not arrive.
func (r *Request) bodyFailed(o eventpipe.Outcome) verdict {
	if o == eventpipe.SourceBad {
		return r.badBody()
	}
	r.logInfo("client closed the connection within a request body")
	r.abandonOrigin()
	r.status = 400
	r.closeClient, r.lingered = true, true
	return r.become(StateFinish)
}

// streamBlocks bounds the blocks of a request body that is sent on while it is read.
const streamBlocks = 8

// bodyThere finds the end of a request body that came along with the head: its length, framing included, if all of it is there.
func (r *Request) bodyThere() (int, bool) {
	d := discarding{length: r.head.ContentLength}
	n, v := r.dropFrom(&d, r.buf[r.next:r.w])
	return n, v == http1.Done
}
