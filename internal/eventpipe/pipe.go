// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"weir/internal/buffer"
	"weir/internal/conn"
	"weir/internal/http1"
)

// Framing says how the end of the source's body is found.
type Framing uint8

// The framings.
const (
	NoBody     Framing = iota // nothing comes
	Length                    // a known number of bytes
	Chunked                   // chunks
	UntilClose                // everything until the source closes its side
)

// Outcome is why Pump returned.
type Outcome uint8

// The outcomes.
const (
	Wait         Outcome = iota // nothing to do until a connection is ready
	Yield                       // there is more to do, but others have waited long enough: call again in the next turn
	NoBlock                     // the pool has no block for the next read and nothing else can go on
	Done                        // the whole body has been read and written
	SourceClosed                // the source closed before the end
	SourceFailed                // reading failed
	SourceBad                   // the framing is malformed
	SinkFailed                  // writing failed
)

// String names the outcome.
func (o Outcome) String() string {
	return [...]string{"wait", "yield", "no block", "done", "source closed", "source failed", "source bad", "sink failed"}[o]
}

const (
	// HeadRoom and TailRoom are kept free around the payload of a block for chunk framing.
	HeadRoom = 16 // a chunk head: at most 8 hexadecimal digits and CRLF
	TailRoom = 16 // the end of a chunk and the last chunk

	// turnSteps bounds the reads and writes of one Pump, so that one fast transfer does not hold up the loop.
	turnSteps = 16
	// vectorMax bounds the blocks of one read or write.
	vectorMax = 16
)

var lastChunk = []byte("0\r\n\r\n") // read-only

// Options describe one body.
type Options struct {
	Source  *conn.Conn
	Sink    *conn.Conn // may be nil while only Fill is used
	Class   buffer.Class
	Framing Framing
	Length  int64 // for Length
	Blocks  int   // most blocks on the queue, at least 2
	Chunk   bool  // frame the payload as chunks for the sink
	// Exact says that what follows the body on the source belongs to somebody else (a pipelined request): never read past a known end.
	Exact bool
	// Keep says that written blocks stay, so that the body can be written again from its start: see Rewind.
	Keep bool
}

// Pipe moves one body. The zero Pipe is closed; Open makes it ready.
type Pipe struct {
	Options
	pool *buffer.Pool

	decoder http1.Chunked
	left    int64 // of a known length, not yet read

	first, last *buffer.Block // the queue
	cur         *buffer.Block // where writing stands: the first block with bytes not yet written
	off         int           // the next byte of cur to write; an index into its Data
	blocks      int

	readDone  bool // the source's body is complete
	chunkDone bool // the last chunk has been framed
	end       int  // bytes of a last chunk that no block had room for, still to be written
	endAlone  bool // the last chunk is such a one

	pinned   *buffer.Block // on the queue, but the caller's: see FeedPinned
	spare    *buffer.Block // from Grant, for the next read
	extra    *buffer.Block // bytes that came behind the body (Exact)
	extraLen int           // how many there were

	// Received is the payload read so far, Wire the bytes written to the sink, framing and heads included.
	Received, Wire int64
	// Raw is the bytes read from the source, framing included.
	Raw int64
}

// Open readies the pipe for a body. The pipe must be closed.
func (p *Pipe) Open(pool *buffer.Pool, o Options) {
	if p.first != nil || p.extra != nil || p.spare != nil {
		panic("eventpipe: open of a pipe that has blocks")
	}
	*p = Pipe{Options: o, pool: pool, left: o.Length}
	p.readDone = o.Framing == NoBody || o.Framing == Length && o.Length == 0
	if p.readDone {
		p.finish()
	}
}

// Close gives every block back. A closed pipe may be closed again.
func (p *Pipe) Close() {
	for p.first != nil {
		p.pop()
	}
	p.cur, p.end = nil, 0
	if p.extra != nil {
		p.pool.Release(p.extra)
		p.extra = nil
	}
	if p.spare != nil {
		p.pool.Release(p.spare)
		p.spare = nil
	}
}

// Grant hands over a block that was waited for after NoBlock; the pipe's next read uses it.
func (p *Pipe) Grant(b *buffer.Block) { p.spare = b }

// PushHead puts a block with a message head, which is written as it is, at the end of the queue. The pipe owns it then.
func (p *Pipe) PushHead(b *buffer.Block) { p.push(b) }

// Feed takes a block whose data are the first bytes of the source's body as they came: those that were read together with the
// head. The pipe owns the block then. The data must begin at HeadRoom or later. False: the framing is malformed.
func (p *Pipe) Feed(b *buffer.Block) bool {
	p.Raw += int64(b.Len())
	return p.filter(b)
}

// FeedPinned is Feed for a block that stays the caller's: it is written from, and must not be released before the pipe is
// closed or has written it. The body begins at the index from of its Data; what is before stays untouched, so the chunk
// head goes to the end of the queue's last block, which PushHead has put there with HeadRoom bytes of room.
func (p *Pipe) FeedPinned(b *buffer.Block, from int) bool {
	p.pinned = b
	b.R = from
	return p.Feed(b)
}

// AppendSmall copies a body of known length that is complete in bytes behind the head in b, the last block pushed, if it has at most
// limit bytes, there is room and the sink wants no chunks. bytes may go on behind the body. False: nothing was done.
func (p *Pipe) AppendSmall(b *buffer.Block, bytes []byte, limit int64) bool {
	if p.Framing != Length || p.Chunk || p.left > min(limit, int64(len(bytes)), int64(len(b.Room()))) {
		return false
	}
	p.extraLen = len(bytes) - int(p.left)
	b.Append(bytes[:p.left])
	p.Raw += int64(len(bytes))
	p.Received += p.left
	p.left = 0
	p.readDone = true
	return true
}

// CopyTo copies a body that has been read completely, and is kept, behind the data in b, and counts it as written. False:
// there is no room for it, or the sink wants chunks, and nothing was done.
func (p *Pipe) CopyTo(b *buffer.Block) bool {
	if p.Chunk || p.Received > int64(len(b.Room())) {
		return false
	}
	for q := p.first; q != nil; q = q.Next {
		b.Append(q.Bytes())
	}
	p.Wire += p.Received
	p.cur = nil
	return true
}

// Announced is the payload that is known to come at least: what has been read, and the rest of the chunk that has begun.
func (p *Pipe) Announced() int64 { return p.Received + p.decoder.Remaining() }

// Full says whether the queue has no room for another read.
func (p *Pipe) Full() bool { return p.blocks >= p.Blocks }

// ReadDone says whether the whole body has been read from the source.
func (p *Pipe) ReadDone() bool { return p.readDone }

// Empty says whether nothing waits to be written.
func (p *Pipe) Empty() bool { return p.cur == nil && p.end == 0 }

// HasExtra says whether bytes came behind the end of the body.
func (p *Pipe) HasExtra() bool { return p.extraLen > 0 }

// LostExtra says whether bytes came behind the body and there was no block for them (Exact): the source cannot be used any further.
func (p *Pipe) LostExtra() bool { return p.Exact && p.extraLen > 0 && p.extra == nil }

// TakeExtra hands over the block with the bytes that came behind the body (Exact). nil if there were none, or, when
// HasExtra, if there was no block for them: they are lost, and the source cannot be used any further.
func (p *Pipe) TakeExtra() *buffer.Block {
	b := p.extra
	p.extra = nil
	return b
}

// SetChunk decides for chunk framing after all; it is for bodies of which nothing has been written yet.
func (p *Pipe) SetChunk() {
	if p.Chunk {
		return
	}
	p.Chunk = true
	for b := p.first; b != nil; b = b.Next {
		p.frame(b)
	}
	p.cur = p.first
	if p.cur != nil {
		p.off = p.cur.R
	}
	if p.readDone {
		p.finish()
	}
}

// Rewind starts writing from the first block again, for another sink. Only with Keep.
func (p *Pipe) Rewind(sink *conn.Conn) {
	p.Sink = sink
	p.cur = p.first
	if p.cur != nil {
		p.off = p.cur.R
	}
	if p.endAlone {
		p.end = len(lastChunk)
	}
}

// StopKeeping lets go of written blocks from now on, those already written included.
func (p *Pipe) StopKeeping() {
	p.Keep = false
	for p.first != p.cur {
		p.pop()
	}
}

func (p *Pipe) push(b *buffer.Block) {
	b.Next = nil
	if p.last == nil {
		p.first = b
	} else {
		p.last.Next = b
	}
	p.last = b
	p.blocks++
	if p.cur == nil {
		p.cur, p.off = b, b.R
	}
}

// pop gives the first block back.
func (p *Pipe) pop() {
	b := p.first
	p.first = b.Next
	if p.first == nil {
		p.last = nil
	}
	p.blocks--
	if b == p.pinned {
		b.Next = nil
		p.pinned = nil
		return
	}
	p.pool.Release(b)
}
