// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/invariant"
	"weir/internal/sys"
)

// A schedule is one body moved through real sockets on one goroutine, in an order that a seed decides: how much each side sends
// and takes and when, how many blocks the pool has left, what is wrong with the body, when a side goes away. The pipe is pumped
// as the worker does it: when an event came, when it asked for another turn, and when it got a block that it waited for.
// One that is not told of its chance hangs, and that is a failure too.
//
//	WEIR_SIM_SEED=n   the first seed    WEIR_SIM_RUNS=n   how many schedules; one alone is shown step by step
//
// `make test` runs a few thousand, `make check` 100,000, with the checks of the tag invariants. The files of the schedules are real, their disk is
// not: see disk. So is the time: it passes when a schedule says so.

// world is what schedules share.
type world struct {
	loop   *event.Loop
	clock  *clock.Clock
	timers event.Timers
	table  *conn.Table
	pools  map[[2]int]*buffer.Pool // by block size and limit
	nop    event.Task
	ms     int64 // the pipes' time, which only goes on when a schedule says so
	disk   disk
	// Kernel pipes outlive a schedule: one that was given back with bytes in it would show in the next.
	splicers [2]*Splicer
	total    Stats // of all schedules
	pauses   int
	encoded  int // bodies that were changed, and are whole
	begun    int // pumps that left a chunk of peek mode half written
	kept     int // bodies that were written from their start once more, from the file too
}

// Ms is the pipes' time. See Clock.
func (w *world) Ms() int64 { return w.ms }

// RunTask does nothing: a posted task keeps a turn from sleeping. See event.Runner.
func (w *world) RunTask() {}

func newWorld(t *testing.T) *world {
	w := &world{clock: clock.New(time.UTC), pools: map[[2]int]*buffer.Pool{}, ms: 1000}
	w.disk.folder = t.TempDir()
	t.Cleanup(w.disk.close)
	for i, bytes := range []int{4096, 64 << 10} {
		w.splicers[i] = NewSplicer(1)
		w.splicers[i].bytes = bytes
	}
	w.timers.Init(w.clock.Ms())
	w.nop.Init(w)
	var err error
	w.loop, err = event.NewLoop(8, w.clock, &w.timers, func() {})
	require.NoError(t, err)
	w.table = conn.NewTable(8, w.loop, &w.timers, w.clock)
	return w
}

// turn makes one turn of the loop that does not sleep.
func (w *world) turn() {
	w.loop.Post(&w.nop)
	w.loop.Turn()
}

func (w *world) pool(size, limit int) *buffer.Pool {
	key := [2]int{size, limit}
	if w.pools[key] == nil {
		p, err := buffer.NewPool(buffer.Options{BlockSize: size, Limit: limit})
		if err != nil {
			panic(err)
		}
		w.pools[key] = p
	}
	return w.pools[key]
}

// link is one side's connection: conn is the pipe's end, far the peer's.
type link struct {
	conn *conn.Conn
	far  int // -1: closed
}

// sim is one schedule on its way.
type sim struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	verbose bool
	w       *world
	pool    *buffer.Pool
	plan    plan
	shared  *Shared
	splicer *Splicer
	pipe    Pipe

	source, sink link
	mixer        *mixer // nil: the body is not changed
	unsent       []byte // of the wire and the extra bytes
	got          []byte // what the sink's peer has received
	pinned       *buffer.Block
	hoard        []*buffer.Block
	waiter       buffer.Waiter
	due          bool // the pipe has to be pumped
	filling      bool // the body is read before it is written
	outcome      Outcome
	over         bool
	bound        int // most blocks that the queue may have
	moved        int // something has happened: a count
	retries      int // other sinks that the body will be written to
	aborted      bool
	noted        string // a fault that check reports
	openedMs     int64
}

func (s *sim) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%v\noutcome %v, over %v, %d bytes out\nrepeat with WEIR_SIM_SEED=%d WEIR_SIM_RUNS=1", fmt.Sprintf(format, args...), &s.plan,
		s.outcome, s.over, len(s.got), s.seed)
}

func (s *sim) note(format string, args ...any) {
	if s.verbose {
		s.t.Logf(format, args...)
	}
}

// OnReady has the pipe pumped. See conn.Owner.
func (s *sim) OnReady(*conn.Conn) { s.due = true }

// OnTimeout is not used. See conn.Owner.
func (s *sim) OnTimeout(*conn.Conn) {}

// OnPipe has the pipe pumped: a write to the file has ended. See Owner.
func (s *sim) OnPipe() {
	if s.over {
		s.noted = "told of a pipe that is closed"
	}
	s.due = true
}

// OnBlock hands the pipe the block that it waited for. See buffer.Receiver.
func (s *sim) OnBlock(_ *buffer.Waiter, b *buffer.Block) {
	s.note("granted a block")
	s.pipe.Grant(b)
	s.due = true
}

func (s *sim) connect() link {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(s.t, err)
	for _, fd := range fds {
		if s.rng.IntN(4) > 0 {
			require.NoError(s.t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
		}
	}
	c, errno := s.w.table.Open(fds[0], s, netip.AddrPort{})
	require.Zero(s.t, errno)
	return link{conn: c, far: fds[1]}
}

func (l *link) closeFar() {
	if l.far >= 0 {
		sys.Close(l.far)
		l.far = -1
	}
}

func (l *link) close() {
	l.closeFar()
	l.conn.Close()
}

// run makes one schedule.
func (w *world) run(t *testing.T, seed uint64, verbose bool) Outcome {
	s := &sim{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 77)), verbose: verbose, w: w}
	s.makePlan()
	s.note("%v", &s.plan)
	defer func() {
		if r := recover(); r != nil {
			s.fail("panic: %v\n%s", r, debug.Stack())
		}
	}()
	s.pool = w.pool(s.plan.blockSize, s.plan.limit)
	s.share()
	s.waiter.Init(s)
	s.source, s.sink = s.connect(), s.connect()
	s.open()
	s.tighten()
	s.drive()
	s.check()
	s.close()
	return s.outcome
}

// open readies the pipe as the worker does: for a request's body, or behind a response's head.
func (s *sim) open() {
	p := &s.plan
	o := Options{Source: s.source.conn, Sink: s.sink.conn, Class: buffer.ClassResponse, Framing: p.framing, Length: int64(len(p.payload)), Blocks: p.blocks,
		Chunk: p.chunk, Exact: p.exact, Keep: p.keep, Owner: s, Busy: p.busy, Unbuffered: p.unbuffered, SpillMax: p.spillMax, SpillWrite: p.spillWrite,
		SinkRate: p.sinkRate, SourceRate: p.sourceRate}
	if p.keep {
		o.Chunk, o.Sink = false, nil
	}
	if p.encode {
		s.mixer = newMixer(s)
		o.Encoder = s.mixer
	}
	s.pipe.Open(s.shared, &o)
	s.openedMs = s.w.ms
	all := append(bytes.Clone(p.wire), p.extra...)
	first := all[:p.prefix]
	s.unsent = all[p.prefix:]
	var headBlock *buffer.Block
	if len(p.head) > 0 || !p.keep {
		headBlock = s.pool.Acquire(buffer.ClassResponse)
		headBlock.Append(p.head)
	}
	if s.feed(headBlock, first) {
		s.due = true
	} else {
		s.end(SourceBad)
	}
	s.bound = max(p.blocks, s.pipe.blocks)
	if p.keep && !s.over {
		s.filling = p.buffered
		if !s.filling {
			s.startWriting()
		}
	}
}

// feed gives the pipe what came along with the head.
func (s *sim) feed(headBlock *buffer.Block, first []byte) bool {
	p := &s.plan
	if o := &s.pipe.Options; !p.keep && p.small && o.Framing == Length && !o.Chunk && o.Length <= min(1<<12, int64(len(first)), int64(len(headBlock.Room()))) {
		headBlock.Append(first[:o.Length])
		s.pipe.PushHead(headBlock)
		s.pipe.Record(o.Length, int64(len(first)), 0)
		return true
	}
	if headBlock != nil {
		s.pipe.PushHead(headBlock)
	}
	if len(first) == 0 {
		return true
	}
	b := s.pool.Acquire(buffer.ClassResponse)
	if !p.keep && p.pinned {
		// The body begins somewhere in the block of the origin's head.
		from := s.rng.IntN(len(b.Data) - len(first) + 1)
		b.W = from
		b.Append(first)
		s.pinned = b
		return s.pipe.FeedPinned(b, from)
	}
	b.Append(first)
	return s.pipe.Feed(b)
}

// startWriting begins to write a request's body.
func (s *sim) startWriting() {
	s.filling = false
	p := &s.plan
	if !s.pipe.ReadDone() {
		s.pipe.StopKeeping()
		s.retries = 0
		if p.framing != NoBody && p.chunk {
			s.pipe.SetChunk()
		}
		p.chunk = s.pipe.Chunk
	} else if p.chunk {
		s.pipe.SetChunk()
	}
	s.pipe.Rewind(s.sink.conn)
	s.tryCopy()
	s.due = true
}

// tryCopy puts a complete body behind a head, as it is done for small ones.
func (s *sim) tryCopy() {
	if !s.pipe.ReadDone() || !s.pipe.Keep || !s.odds(30) {
		return
	}
	b := s.pool.Acquire(buffer.ClassResponse)
	if b == nil {
		return
	}
	if s.pipe.CopyTo(b) {
		s.got = append(s.got[:0], b.Bytes()...)
		s.moved++
	}
	s.pool.Release(b)
}

// pump lets the pipe work.
func (s *sim) pump() {
	s.due = false
	if s.filling {
		o := s.pipe.Fill()
		s.note("fill: %v", o)
		switch o {
		case Yield:
			s.moved++
			s.due = true
		case Done, Full:
			if o == Full && !s.pipe.Full() {
				s.fail("there is room")
			}
			s.moved++
			s.startWriting()
		case NoBlock:
			if len(s.hoard) > 0 {
				s.wait()
			} else {
				s.startWriting() // nobody else has blocks to give back: the body must not wait for its own
			}
		case Wait, Pause:
			s.outcome = o
		default:
			s.end(o)
		}
		return
	}
	wire, raw, pressed := s.pipe.Wire, s.pipe.Raw, s.pool.Pressed()
	o := s.pipe.Pump()
	s.note("pump: %v, %d out, %d in", o, s.pipe.Wire-wire, s.pipe.Raw-raw)
	s.moved += int(s.pipe.Wire - wire + s.pipe.Raw - raw)
	s.checkRates()
	s.outcome = o
	if s.pipe.announced.payload > 0 {
		s.w.begun++
	}
	switch o {
	case Wait, Pause:
		s.checkWait(o, pressed)
	case Yield:
		s.due = true
	case NoBlock:
		if !s.pipe.Empty() {
			s.noted = "no block, while something waits to be written"
		}
		s.wait()
	case Done:
		if s.retries--; s.retries >= 0 && s.pipe.Keep {
			s.anotherSink()
			return
		}
		s.end(o)
	default:
		s.end(o)
	}
	if !s.over && s.pipe.Keep && s.retries > 0 && s.odds(10) {
		s.retries--
		s.anotherSink()
	}
}

// anotherSink writes a kept body once more, from its start.
func (s *sim) anotherSink() {
	s.note("another sink")
	if s.pipe.fileBufs > 0 {
		s.w.kept++
	}
	s.sink.close()
	s.sink = s.connect()
	s.aborted = false
	s.got = s.got[:0]
	s.pipe.Rewind(s.sink.conn)
	s.tryCopy()
	s.due = true
}

func (s *sim) wait() {
	if !s.waiter.Waiting() {
		s.pool.Wait(&s.waiter, buffer.ClassResponse)
	}
}

func (s *sim) end(o Outcome) { s.outcome, s.over = o, true }

// checkWait looks whether a pipe that waits had nothing to do. pressed: it began when memory was short.
func (s *sim) checkWait(o Outcome, pressed bool) {
	p := &s.pipe
	if o == Pause && p.ResumeMs() <= s.w.ms {
		s.fail("it pauses until %d, and it is %d", p.ResumeMs(), s.w.ms)
	}
	if o == Pause {
		s.w.pauses++
	}
	if o == Pause || p.writer != nil || s.mixer != nil && s.mixer.pending {
		return
	}
	if (!p.Empty() || p.announced.begun()) && p.Sink.Writable() {
		s.fail("it waits, and the sink takes more")
	}
	if s.mixer != nil && len(s.mixer.kept) > 0 && p.Sink.Writable() {
		s.fail("it waits, and the encoder keeps back %d bytes that the sink would take", len(s.mixer.kept))
	}
	if p.announced.begun() { // what has begun without a block goes on without
		return
	}
	idle := p.Empty() || !s.plan.unbuffered && p.kernel == nil && !p.rescued
	if idle && !p.ReadDone() && !p.Full() && p.Source.Readable() && s.pool.Stats().Used < s.plan.limit-s.plan.limit/4 && !pressed && !s.pool.Pressed() {
		s.fail("it waits, and there is more to read and room for it")
	}
}

// checkRates holds what was moved against the rates.
func (s *sim) checkRates() {
	most := func(r Rate) int64 {
		return r.After + r.BytesPerSecond*(s.w.ms-s.openedMs)/1000 + r.BytesPerSecond/burstsPerSecond + 1
	}
	if r := s.plan.sinkRate; r.BytesPerSecond > 0 && s.pipe.Wire > most(r) && !s.plan.keep {
		s.fail("%d bytes written in %d ms, at most %d allowed", s.pipe.Wire, s.w.ms-s.openedMs, most(r))
	}
	if r := s.plan.sourceRate; r.BytesPerSecond > 0 && s.pipe.Raw > most(r)+int64(s.plan.prefix) {
		s.fail("%d bytes read in %d ms, at most %d allowed", s.pipe.Raw, s.w.ms-s.openedMs, most(r))
	}
}

// checkBlocks counts every block and finds it in one place.
func (s *sim) checkBlocks() {
	p := &s.pipe
	if faults := p.Check(); len(faults) > 0 {
		s.fail("%v", faults)
	}
	own := p.blocks
	for _, b := range []*buffer.Block{p.extra, s.pinned} {
		if b != nil {
			own++
		}
	}
	for b := p.freeRaw; b != nil; b = b.Next {
		own++
	}
	granted := 0
	if s.waiter.Waiting() && s.pool.Stats().Used > own+len(s.hoard) {
		granted = 1
	}
	if used := s.pool.Stats().Used; used != own+granted+len(s.hoard) {
		s.fail("%d blocks in use: %d are the pipe's, %d hoarded", used, own, len(s.hoard))
	}
	if p.blocks > s.bound {
		s.fail("%d blocks on the chains, at most %d expected", p.blocks, s.bound)
	}
	if s.splicer != nil && s.splicer.Open() > s.splicer.Max() {
		s.fail("%d kernel pipes", s.splicer.Open())
	}
}

// close gives everything back, and looks whether it is all there.
func (s *sim) close() {
	s.pool.Cancel(&s.waiter)
	pending := s.pipe.writer
	s.pipe.Close()
	if pending != nil {
		held := 0
		for d := pending.held.first; d != nil; d = d.next {
			held += int(d.len())
		}
		if held < pending.v.total {
			s.fail("%d bytes are being written, and only %d stay where they are", pending.v.total, held)
		}
	}
	s.w.disk.work(1 << 20)
	if s.mixer != nil && !s.mixer.released {
		s.fail("the encoder is not back")
	}
	s.mixer.work()
	if s.noted != "" {
		s.fail("%s", s.noted)
	}
	if s.splicer != nil && s.splicer.idle == nil && s.splicer.Open() != 0 {
		s.fail("%d kernel pipes are not back", s.splicer.Open())
	}
	s.count()
	if s.shared.used != 0 {
		s.fail("%d descriptors are not back", s.shared.used)
	}
	if d := &s.w.disk; d.open != 0 || d.taken != 0 {
		s.fail("%d files are open, %d bytes of the quota are taken", d.open, d.taken)
	}
	s.giveBack(len(s.hoard))
	if s.pinned != nil {
		s.pool.Release(s.pinned)
	}
	s.source.close()
	s.sink.close()
	if used := s.pool.Stats().Used; used != 0 {
		s.fail("%d blocks are not back", used)
	}
	if faults := s.pool.Check(); len(faults) > 0 {
		s.fail("%v", faults)
	}
	s.w.turn()
}

// count adds up what happened, for TestSchedules to see that everything did.
func (s *sim) count() {
	t, n := &s.w.total, &s.shared.Stats
	t.SpilledBytes += n.SpilledBytes
	t.SpillRefused += n.SpillRefused
	t.SpillBounded += n.SpillBounded
	t.SpillFailed += n.SpillFailed
	t.PeekedBytes += n.PeekedBytes
	t.SplicedBytes += n.SplicedBytes
	t.SplicedBodies += n.SplicedBodies
	for i, not := range n.NotSpliced {
		t.NotSpliced[i] += not
	}
}

// TestSchedules runs schedules.
func TestSchedules(t *testing.T) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	runs := 6000
	if invariant.Enabled {
		runs = 100_000 // `make check`; `make invariants` and `make race` are -short
	}
	if testing.Short() {
		runs = 3000
	}
	seed, runs := number("WEIR_SIM_SEED", 1), number("WEIR_SIM_RUNS", runs)
	w := newWorld(t)
	seen := map[Outcome]int{}
	for i := range runs {
		seen[w.run(t, uint64(seed+i), runs == 1)]++
	}
	t.Logf("outcomes: %v; %+v; %d pauses, %d bodies rewound with a file", seen, w.total, w.pauses, w.kept)
	if runs >= 3000 {
		for _, o := range []Outcome{Done, SourceClosed, SourceFailed, SourceBad, SinkFailed, Garbled} {
			require.NotZero(t, seen[o], "no schedule ended with %q", o)
		}
		n := &w.total
		for what, count := range map[string]uint64{"spilled": n.SpilledBytes, "refused": n.SpillRefused, "bounded": n.SpillBounded, "failed": n.SpillFailed,
			"peeked": n.PeekedBytes, "spliced": n.SplicedBytes, "paused": uint64(w.pauses), "rewound": uint64(w.kept), "left in the middle of a chunk": uint64(w.begun), "encoded": uint64(w.encoded)} {
			require.NotZero(t, count, "nothing was %s", what)
		}
		for _, why := range []NoSplice{NoSpliceOff, NoSpliceChunked, NoSpliceUnbuffered, NoSpliceRate, NoSpliceShort} {
			require.NotZero(t, n.NotSpliced[why], "not spliced: %v", why)
		}
	}
}
