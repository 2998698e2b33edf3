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

// Outcome is why Pump or Fill returned.
type Outcome uint8

// The outcomes. Those after Done are failures.
const (
	Wait         Outcome = iota // nothing to do until a connection is ready, or Owner.OnPipe is called
	Yield                       // there is more to do, but others have waited long enough: call again in the next turn
	NoBlock                     // the pool has no block for the next read and nothing else can go on
	Pause                       // Wait, and time may pass: call again at ResumeMs at the latest
	Full                        // of Fill only: the blocks are full, and nothing can be moved to a temporary file
	Done                        // the whole body has been read and written
	SourceClosed                // the source closed before the end
	SourceFailed                // reading failed
	SourceBad                   // the framing is malformed
	SinkFailed                  // writing failed
	FileShort                   // a file of PushFile has fewer bytes than it should
	Garbled                     // the encoder can make nothing of the body: Encoder.Err
)

// String names the outcome.
func (o Outcome) String() string {
	return [...]string{"wait", "yield", "no block", "pause", "full", "done", "source closed", "source failed", "source bad", "sink failed", "file short", "garbled"}[o]
}

const (
	// turnSteps bounds the reads and writes of one Pump, so that one fast transfer does not hold up the loop.
	turnSteps = 16
	// vectorMax bounds the pieces of one read or write.
	vectorMax = 20
)

// Owner is who a pipe belongs to.
type Owner interface {
	// OnPipe is called on the loop when a write to the temporary file, for which Pump or Fill may have had to wait, has ended: call it
	// again. It is not called for a pipe that has been closed.
	OnPipe()
}

// Options describe one body.
type Options struct {
	Source  *conn.Conn
	Sink    *conn.Conn   // may be nil while only Fill is used
	Owner   Owner        // must be set if SpillMax is
	Class   buffer.Class // of the first block; more are asked for with ClassAhead
	Framing Framing
	Chunk   bool // frame the payload as chunks for the sink
	// Exact says that what follows the body on the source belongs to somebody else (a pipelined request): never read past a known end.
	Exact bool
	// Watch sees all that comes from the source, and may end the body (UntilClose only); mostly nil.
	Watch Watcher
	// More says that the body goes on where the pipe says Done: its owner then pushes more of it, and takes this back before the last of it.
	More bool
	// Tail gets the source's trailer section, and gives the sink's, where both are chunked; mostly nil.
	Tail Tail
	// Keep says that what has been written stays, in memory or in the temporary file, so that the body can be written again from its start:
	// see Rewind. It ends by itself when nothing more could be read otherwise while the body is written.
	Keep bool
	// Unbuffered says that what has come is sent before anything more is read, and goes into no file (proxy_buffering = false).
	Unbuffered bool
	Length     int64 // for Length
	Skip       int64 // for Length: bytes at the body's beginning that are read and not passed on
	Blocks     int   // most blocks of bytes that wait, at least 2 (proxy_buffers)
	// Busy is the most bytes that are handed to the sink at a time (proxy_busy_buffers_size), and with Unbuffered the most that one read takes
	// (proxy_buffer_size). 0: no such bound. A descriptor is not divided for it.
	Busy int
	// SpillMax is the most bytes in the temporary file at a time (proxy_max_temp_file_size). 0: none is used.
	SpillMax int64
	// Named says that the file has a name: see FileName.
	Named bool
	// SpillWrite is the most bytes of one write to it (proxy_temp_file_write_size). 0: 128 KiB.
	SpillWrite int
	// Encoder changes the payload on its way; nil: it goes as it is. The pipe has it from Open on, and needs an Owner for it. What comes out has no
	// length that is known before: Chunk is for the sink, unless the end of the connection ends the body.
	Encoder    Encoder
	SinkRate   Rate // limit_rate: of the bytes written, heads and framing included
	SourceRate Rate // proxy_limit_rate: of the bytes read
}

// Tail is who knows about trailer fields.
type Tail interface {
	// TakeTrailer gets bytes of the source's trailer section, in order: field lines and the empty line, cut anywhere. They are the pipe's.
	TakeTrailer(b []byte)
	// AppendTrailer appends the field lines for the sink, each with CR LF. It is called once, when the source's body has been read.
	AppendTrailer(dst []byte) []byte
}

// Watcher looks at a body on its way.
type Watcher interface {
	// Pass gets the next bytes of the body, and says how many of them are let through. When not all are, the rest is
	// dropped and the body ends there.
	Pass(b []byte) int
}

// Pipe moves one body. The zero Pipe is closed; Open makes it ready.
type Pipe struct {
	Options
	shared *Shared

	// The chains, see the package's documentation. In the order of their bytes: kept, busy, out, in.
	kept, busy, out, in chain
	freeRaw             *buffer.Block // blocks to read into next; none between two calls but one that was granted
	sent                int64         // bytes of the first of busy that are written
	handed              int64         // bytes of busy that are not
	tail                *Buf          // the last shadow made, while its block may have room behind it
	blocks              int           // raw blocks that are the pipe's

	decoder  http1.Chunked
	left     int64 // of a known length, not yet read
	skip     int64 // of Skip, not yet read
	readDone bool  // the source's body is complete
	marked   bool  // the mark of its end has been queued
	tailed   bool  // with trailer fields behind it
	filling  bool  // in Fill
	reach    uint8 // blocks that the next read may fill, where the length is not known

	served                       int          // the file of PushFile
	file                         file         // temporary; nil: none now
	fileBufs                     int          // descriptors of bytes in it
	writer                       *spillWriter // of a write that is pending
	noSpill                      bool         // the file could not be made or written
	rescued                      bool         // it is there because memory was short: see Relieve
	needs                        buffer.Class // what the last block was asked for with: see Needs
	resting                      int          // blocks counted in Shared.resting
	enc                          encoding
	splice                       spliceState
	kernel                       *kernelPipe // with bytes between source and sink, all before those of the chains
	stall                        stall
	announced                    announced // in peek mode
	sinkResumeMs, sourceResumeMs int64     // see Pause; 0: none

	sinkMeter, sourceMeter meter

	pinned   *buffer.Block // in FeedPinned: the caller's
	feeds    *buffer.Block // the caller's that bytes may still wait in
	extra    *buffer.Block // bytes that came behind the body (Exact)
	extraLen int           // how many there were

	// Received is the payload read so far, Wire the bytes written to the sink, framing and heads included.
	Received, Wire int64
	// Raw is the bytes read from the source, framing included.
	Raw int64
	// Encoded is the payload that the encoder has been given, and Coded what it has made of it.
	Encoded, Coded int64
	// Spilled is the bytes that were written to the temporary file.
	Spilled int64
}

// Open readies the pipe for a body. The pipe must be closed. o is copied.
func (p *Pipe) Open(s *Shared, o *Options) {
	if !p.closed() {
		panic("eventpipe: open of a pipe that is not closed")
	}
	if o.SpillMax > 0 && o.Owner == nil {
		panic("eventpipe: a pipe that may use a temporary file has nobody to tell when it is written")
	}
	*p = Pipe{}
	p.Options = *o
	p.shared, p.left, p.skip, p.reach = s, o.Length, o.Skip, 1
	if o.SinkRate.BytesPerSecond > 0 {
		p.sinkMeter.set(o.SinkRate, s.clock.Ms(), 0)
	}
	if o.SourceRate.BytesPerSecond > 0 {
		p.sourceMeter.set(o.SourceRate, s.clock.Ms(), 0)
	}
	p.readDone = o.Framing == NoBody || o.Framing == Length && o.Length == 0
}

// closed says whether the pipe holds nothing.
func (p *Pipe) closed() bool {
	return p.kept.first == nil && p.busy.first == nil && p.out.first == nil && p.in.first == nil && p.freeRaw == nil && p.extra == nil &&
		p.file == nil && p.writer == nil && p.kernel == nil && p.Encoder == nil
}

// Close gives everything back. What the thread of the temporary file is reading follows when it has done so. A closed pipe may be
// closed again.
func (p *Pipe) Close() {
	if p.shared == nil {
		return
	}
	if p.busy.first != nil || p.in.first != nil || p.out.first != nil || p.kept.first != nil {
		for _, c := range [...]*chain{&p.kept, &p.busy, &p.out, &p.in} {
			p.letAllGo(c)
		}
		p.sent, p.handed = 0, 0
	}
	if p.Encoder != nil {
		p.closeEncoder()
	}
	if p.freeRaw != nil {
		p.dropRaw()
	}
	if p.extra != nil {
		p.shared.pool.Release(p.extra)
		p.extra = nil
	}
	if p.writer != nil {
		p.writer.pipe = nil
		p.writer = nil
	}
	if p.resting != 0 {
		p.countResting(0)
	}
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
	if p.kernel != nil {
		p.shared.splicer.release(p.kernel)
		p.kernel = nil
	}
}

// Grant hands over a block that was waited for after NoBlock; the pipe's next read uses it.
func (p *Pipe) Grant(b *buffer.Block) {
	b.Next = p.freeRaw
	p.freeRaw = b
}

// PushHead puts a block with a message head, which is written as it is, at the end of what waits. The pipe owns it then.
func (p *Pipe) PushHead(b *buffer.Block) {
	d := p.shared.alloc()
	d.raw, d.pos, d.last = b, int64(b.R), int64(b.W)
	d.flags = recycled | lastShadow | framed
	p.in.push(d)
	p.blocks++
}

// Feed takes a block whose data are the first bytes of the source's body as they came: those that were read together with the
// head. The pipe owns the block then. False: the framing is malformed.
func (p *Pipe) Feed(b *buffer.Block) bool {
	p.Raw += int64(b.Len())
	return p.take(b, b.R, b.W)
}

// FeedPinned is Feed for a block that stays the caller's: it is written from, and must not be released before the pipe is
// closed or no longer Holds it. The body begins at the index from of its Data.
func (p *Pipe) FeedPinned(b *buffer.Block, from int) bool {
	p.pinned = b
	p.Raw += int64(b.W - from)
	ok := p.take(b, from, b.W)
	p.pinned, p.tail = nil, nil // the block may come back to the pipe as one of its own
	p.feeds = b
	return ok
}

// Holds says whether bytes of b still wait to be written.
func (p *Pipe) Holds(b *buffer.Block) bool {
	for _, c := range [...]*chain{&p.kept, &p.busy, &p.out, &p.in} {
		for d := c.first; d != nil; d = d.next {
			if d.raw == b {
				return true
			}
		}
	}
	return p.writer != nil && p.writer.holds(b)
}

// Record has the pipe tell of a body that has been read completely without it: payload bytes, of raw that came from the source, and of which
// wire, the head included, have been written. What is left of it follows by PushHead, if the pipe is open; else there is nothing left.
func (p *Pipe) Record(payload, raw, wire int64) {
	p.Framing, p.Chunk = Length, false
	p.left, p.readDone = 0, true
	p.extraLen = int(raw - payload)
	p.Received, p.Raw, p.Wire = payload, raw, wire
}

// Announced is the payload that is known to come at least: what has been read, and the rest of the chunk that has begun.
func (p *Pipe) Announced() int64 { return p.Received + p.decoder.Remaining() }

// Full says whether there is no room for another read.
func (p *Pipe) Full() bool { return p.blocks >= p.Blocks && p.tailRoom() == 0 }

// ReadDone says whether the whole body has been read from the source.
func (p *Pipe) ReadDone() bool { return p.readDone }

// Reading says whether the pipe waits for bytes of the source; if not, the source is not the one to blame for silence.
func (p *Pipe) Reading() bool { return !p.readDone && !p.Source.Readable() && !p.Full() }

// Empty says whether nothing waits to be written.
func (p *Pipe) Empty() bool {
	return p.busy.first == nil && p.in.first == nil && p.out.first == nil && (p.kernel == nil || p.kernel.held == 0) && (p.Encoder == nil || !p.codes())
}

// HasExtra says whether bytes came behind the end of the body.
func (p *Pipe) HasExtra() bool { return p.extraLen > 0 }

// LostExtra says whether bytes came behind the body and there was no block for them (Exact): the source cannot be used any further.
func (p *Pipe) LostExtra() bool { return p.Exact && p.extraLen > 0 && p.extra == nil }

// End ends a body of no known length here: nothing more is read. What has been read is still written.
func (p *Pipe) End() {
	if p.Framing != UntilClose {
		panic("eventpipe: end of a body whose framing says where it ends")
	}
	if !p.readDone {
		p.readDone = true
		p.markEnd()
	}
}

// TakeExtra hands over the block with the bytes that came behind the body (Exact). nil if there were none, or, when
// HasExtra, if there was no block for them: they are lost, and the source cannot be used any further.
func (p *Pipe) TakeExtra() *buffer.Block {
	b := p.extra
	p.extra = nil
	return b
}
