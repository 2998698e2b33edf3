// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"weir/internal/buffer"
	"weir/internal/clock"
	"weir/internal/conn"
	"weir/internal/event"
	"weir/internal/sys"
)

// rig moves bodies over TCP connections of the loopback device, on one thread.
type rig struct {
	b            *testing.B
	loop         *event.Loop
	timers       event.Timers
	table        *conn.Table
	shared       *Shared
	source, sink link
	nop          event.Task
	pipe         Pipe
	wire, trash  []byte
}

func (r *rig) OnReady(*conn.Conn)   {}
func (r *rig) OnTimeout(*conn.Conn) {}
func (r *rig) RunTask()             {}

func (r *rig) must(errno syscall.Errno, err error) {
	if errno != 0 || err != nil {
		r.b.Fatal(errno, err)
	}
}

// tcp makes a connection.
func (r *rig) tcp() link {
	any := sys.SockaddrTCP(netip.MustParseAddrPort("127.0.0.1:0"))
	listening, err := sys.Listen(&any, &sys.ListenOptions{Backlog: 1})
	r.must(0, err)
	defer sys.Close(listening)
	var at sys.Sockaddr
	r.must(sys.LocalAddr(listening, &at), nil)
	near, errno := sys.ConnectStart(&at, nil)
	if errno != sys.EINPROGRESS {
		r.must(errno, nil)
	}
	far := -1
	for far < 0 {
		if far, errno = sys.Accept(listening, &at); errno != 0 && errno != sys.EAGAIN {
			r.must(errno, nil)
		}
	}
	c, errno := r.table.Open(near, r, netip.AddrPort{})
	r.must(errno, nil)
	return link{conn: c, far: far}
}

func newRig(b *testing.B, spliced bool) *rig {
	r := &rig{b: b, wire: make([]byte, 64<<10), trash: make([]byte, 1<<20)}
	ck := clock.New(time.UTC)
	r.timers.Init(ck.Ms())
	r.nop.Init(r)
	var err error
	r.loop, err = event.NewLoop(8, ck, &r.timers, func() {})
	r.must(0, err)
	r.table = conn.NewTable(8, r.loop, &r.timers, ck)
	pool, err := buffer.NewPool(buffer.Options{BlockSize: 16 << 10, Limit: 64})
	r.must(0, err)
	r.shared = NewShared(SharedOptions{Pool: pool, Clock: ck})
	if spliced {
		r.shared.splicer = NewSplicer(1)
		r.shared.splicer.least = 1
		b.Cleanup(r.shared.splicer.Close)
	}
	r.source, r.sink = r.tcp(), r.tcp()
	b.Cleanup(func() {
		r.source.close()
		r.sink.close()
	})
	return r
}

// processor is the time that this thread has used so far.
func (r *rig) processor() time.Duration {
	const thisThread = 1
	var u syscall.Rusage
	r.must(0, syscall.Getrusage(thisThread, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// move has size bytes go through the pipe, in pieces as an origin with a fast disk sends them.
func (r *rig) move(size int) {
	r.pipe.Open(r.shared, &Options{Source: r.source.conn, Sink: r.sink.conn, Class: buffer.ClassResponse, Framing: Length, Length: int64(size), Blocks: 8})
	for unsent, o := size, Wait; o != Done; {
		if unsent > 0 {
			n, _ := sys.Write(r.source.far, r.wire[:min(unsent, len(r.wire))])
			unsent -= n
		}
		r.loop.Post(&r.nop)
		r.loop.Turn()
		if o = r.pipe.Pump(); o > Done {
			r.b.Fatal(o)
		}
		for n := 1; n > 0; {
			n, _ = sys.Discard(r.sink.far, r.trash)
		}
	}
	r.pipe.Close()
}

// BenchmarkSplice is what bodies cost the processor, user and kernel, read into blocks and spliced, with what sends and takes them, which is the
// same in both cases: spliceMin comes from it.
func BenchmarkSplice(b *testing.B) {
	for _, size := range []int{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20, 10 << 20} {
		for _, spliced := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dk/spliced=%v", size>>10, spliced), func(b *testing.B) {
				runtime.LockOSThread() // processor is this thread's
				defer runtime.UnlockOSThread()
				r := newRig(b, spliced)
				before := r.processor()
				for b.Loop() {
					r.move(size)
				}
				b.ReportMetric(float64((r.processor()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
