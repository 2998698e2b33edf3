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

// world is what schedules share.
type world struct {
	loop   *event.Loop
	clock  *clock.Clock
	timers event.Timers
	table  *conn.Table
	pools  map[[2]int]*buffer.Pool // by block size and limit
	nop    event.Task
}

// RunTask does nothing: a posted task keeps a turn from sleeping. See event.Runner.
func (w *world) RunTask() {}

func newWorld(t *testing.T) *world {
	w := &world{clock: clock.New(time.UTC), pools: map[[2]int]*buffer.Pool{}}
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
	pipe    Pipe

	source, sink link
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
	s.waiter.Init(s)
	s.source, s.sink = s.connect(), s.connect()
	s.open()
	s.drive()
	s.check()
	s.close()
	return s.outcome
}

// open readies the pipe as the worker does: for a request's body, or behind a response's head.
func (s *sim) open() {
	p := &s.plan
	o := Options{Source: s.source.conn, Sink: s.sink.conn, Class: buffer.ClassResponse, Framing: p.framing, Length: int64(len(p.payload)), Blocks: p.blocks,
		Chunk: p.chunk, Exact: p.exact, Keep: p.keep}
	if p.keep {
		o.Chunk, o.Sink = false, nil
	}
	s.pipe.Open(s.pool, o)
	all := append(bytes.Clone(p.wire), p.extra...)
	first := all[:p.prefix]
	s.unsent = all[p.prefix:]
	var headBlock *buffer.Block
	if len(p.head) > 0 || !p.keep {
		headBlock = s.pool.Acquire(buffer.ClassResponse)
		headBlock.Append(p.head)
		s.pipe.PushHead(headBlock)
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
	if len(first) == 0 {
		return true
	}
	if !p.keep && p.small && s.pipe.AppendSmall(headBlock, first, 1<<12) {
		return true
	}
	b := s.pool.Acquire(buffer.ClassResponse)
	if !p.keep && p.pinned {
		// The body begins somewhere in the block of the origin's head.
		from := s.rng.IntN(len(b.Data) - TailRoom - len(first) + 1)
		b.W = from
		b.Append(first)
		s.pinned = b
		return s.pipe.FeedPinned(b, from)
	}
	b.R, b.W = HeadRoom, HeadRoom
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

// drive acts until the pipe has come to an end.
func (s *sim) drive() {
	still := 0
	for step := 0; !s.over; step++ {
		before := s.moved
		if step < s.plan.calm {
			s.act()
		} else {
			s.doBest()
		}
		s.w.turn()
		s.pool.Wake()
		if s.due && !s.over {
			s.pump()
		}
		s.checkBlocks()
		if still++; s.moved != before || step < s.plan.calm {
			still = 0
		}
		if still > 20 {
			s.fail("it hangs: readable %v writable %v, %d blocks on the queue, %d unsent", s.source.conn.Readable(), s.pipe.Sink != nil && s.pipe.Sink.Writable(), s.pipe.blocks, len(s.unsent))
		}
	}
}

// act does one thing at random.
func (s *sim) act() {
	switch s.rng.IntN(7) {
	case 0, 1:
		s.send(1 + s.someSize(5000))
	case 2, 3:
		s.receive(1 + s.someSize(5000))
	case 4:
		if b := s.pool.Acquire(buffer.ClassResponse); b != nil {
			s.hoard = append(s.hoard, b)
		}
	case 5:
		s.giveBack(s.rng.IntN(1 + len(s.hoard)))
		if s.odds(20) {
			s.due = true // an event that has nothing to do with it
		}
	case 6:
		if s.plan.abort && s.odds(15) {
			s.note("the sink goes away")
			s.aborted = true
			s.sink.closeFar()
		}
	}
}

// doBest lets both sides do all they can.
func (s *sim) doBest() {
	s.giveBack(len(s.hoard))
	if s.plan.abort && !s.aborted && s.odds(50) {
		s.aborted = true
		s.sink.closeFar()
	}
	s.send(1 << 20)
	s.receive(1 << 20)
}

func (s *sim) giveBack(n int) {
	for range n {
		last := len(s.hoard) - 1
		s.pool.Release(s.hoard[last])
		s.hoard = s.hoard[:last]
		s.moved++
	}
}

// send has the source's peer send up to n bytes, and close when all is sent and that is its part.
func (s *sim) send(n int) {
	if s.source.far < 0 {
		return
	}
	if len(s.unsent) > 0 {
		sent, _ := sys.Write(s.source.far, s.unsent[:min(n, len(s.unsent))])
		s.unsent = s.unsent[sent:]
		s.moved += sent
		s.note("sent %d", sent)
	}
	if len(s.unsent) > 0 {
		return
	}
	switch p := &s.plan; {
	case p.damage == reset:
		sys.Write(s.source.conn.FD(), []byte("x")) // closing with this unread is a reset
		s.source.closeFar()
		s.moved++
	case p.damage == truncated || p.framing == UntilClose || p.damage == intact && len(p.extra) == 0 && s.odds(5):
		s.note("the source closes")
		s.source.closeFar()
		s.moved++
	}
}

// receive has the sink's peer take up to n bytes.
func (s *sim) receive(n int) {
	if s.sink.far < 0 {
		return
	}
	buf := make([]byte, min(n, 64<<10))
	if got, errno := sys.Read(s.sink.far, buf); errno == 0 && got > 0 {
		s.got = append(s.got, buf[:got]...)
		s.moved += got
		s.note("received %d", got)
	}
}

// pump lets the pipe work.
func (s *sim) pump() {
	s.due = false
	if s.filling {
		o := s.pipe.Fill()
		s.note("fill: %v", o)
		switch o {
		case Done, Yield:
			if o == Yield && !s.pipe.Full() {
				s.fail("the queue is not full")
			}
			s.moved++
			s.startWriting()
		case NoBlock:
			if len(s.hoard) > 0 {
				s.wait()
			} else {
				s.startWriting() // nobody else has blocks to give back: the body must not wait for its own
			}
		case Wait:
		default:
			s.end(o)
		}
		return
	}
	wire, raw := s.pipe.Wire, s.pipe.Raw
	o := s.pipe.Pump()
	s.note("pump: %v, %d out, %d in", o, s.pipe.Wire-wire, s.pipe.Raw-raw)
	s.moved += int(s.pipe.Wire - wire + s.pipe.Raw - raw)
	switch o {
	case Wait:
		if !s.pipe.Empty() && s.pipe.Sink.Writable() {
			s.fail("it waits, and the sink takes more")
		}
		if !s.pipe.ReadDone() && !s.pipe.Full() && s.pipe.Source.Readable() && s.pool.Stats().Used < s.plan.limit {
			s.fail("it waits, and there is more to read and room for it")
		}
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

// checkBlocks counts every block and finds it in one place.
func (s *sim) checkBlocks() {
	p := &s.pipe
	queued := 0
	for b := p.first; b != nil; b = b.Next {
		if b != s.pinned {
			queued++
		}
	}
	own := 0
	for _, b := range []*buffer.Block{p.extra, p.spare, s.pinned} {
		if b != nil {
			own++
		}
	}
	granted := 0
	if s.waiter.Waiting() && s.pool.Stats().Used > queued+own+len(s.hoard) {
		granted = 1
	}
	if used := s.pool.Stats().Used; used != queued+own+granted+len(s.hoard) {
		s.fail("%d blocks in use: %d on the queue, %d beside it, %d hoarded", used, queued, own, len(s.hoard))
	}
	if p.blocks > s.bound {
		s.fail("%d blocks on the queue, at most %d expected", p.blocks, s.bound)
	}
}

// close gives everything back, and looks whether it is all there.
func (s *sim) close() {
	s.pool.Cancel(&s.waiter)
	s.pipe.Close()
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
		runs = 20_000
	}
	if testing.Short() {
		runs = 600
	}
	seed, runs := number("WEIR_SIM_SEED", 1), number("WEIR_SIM_RUNS", runs)
	w := newWorld(t)
	seen := map[Outcome]int{}
	for i := range runs {
		seen[w.run(t, uint64(seed+i), runs == 1)]++
	}
	t.Logf("outcomes: %v", seen)
	if runs >= 3000 {
		for o := Done; o <= SinkFailed; o++ {
			require.NotZero(t, seen[o], "no schedule ended with %q", o)
		}
	}
}
