// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package tempfile

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"weir/internal/sys"
)

const (
	spillers   = 100
	spillBytes = 32 << 10
	spillTurns = 400 // with every one of them writing once: 1.25 GiB in all
)

// measured is how long turns of a loop took.
type measured []time.Duration

func (m measured) report(b *testing.B, what string) {
	slices.Sort(m)
	b.ReportMetric(float64(m[len(m)-1].Microseconds()), what+"-longest-us")
	b.ReportMetric(float64(m[len(m)/2].Microseconds()), what+"-median-us")
}

// stopwatch measures turns, less the time in which the loop's thread had to wait for a processor: on a busy machine that says nothing.
type stopwatch struct {
	schedstat int // /proc/thread-self/schedstat; see Documentation/scheduler/sched-stats.rst
	turns     measured
}

func (w *stopwatch) delay() time.Duration {
	var text [64]byte
	n, err := unix.Pread(w.schedstat, text[:], 0)
	if err != nil {
		return 0
	}
	var ran, delayed int64
	fmt.Sscan(string(text[:n]), &ran, &delayed)
	return time.Duration(delayed)
}

func (w *stopwatch) turn(f func()) {
	before := w.delay()
	began := time.Now()
	f()
	took := time.Since(began)
	w.turns = append(w.turns, max(took-(w.delay()-before), 0))
}

// BenchmarkLongestTurn measures what a loop is kept from its other connections while 100 bodies are spilled, 32 KiB of each in a turn: made, written
// and closed by the loop itself (inline); written by it as far as the kernel says that it need not wait (now); or all by the thread. The directory
// is the one in TMPDIR; see doc.go for results.
func BenchmarkLongestTurn(b *testing.B) {
	for _, mode := range []string{"inline", "now", "thread"} {
		b.Run(mode, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				spillAll(b, mode)
			}
		})
	}
}

func spillAll(b *testing.B, mode string) {
	schedstat, err := os.Open("/proc/thread-self/schedstat")
	require.NoError(b, err)
	defer schedstat.Close()
	w := newWorld(b, b.TempDir(), 0)
	w.store.patient = mode != "now"
	data := make([]byte, spillBytes)
	var iov [1]sys.Iovec
	iov[0].Set(data)
	watch := &stopwatch{schedstat: int(schedstat.Fd())}
	files := make([]*File, spillers)
	began := time.Now()
	watch.turn(func() {
		for i := range files {
			files[i] = w.store.Create()
			if mode == "inline" {
				files[i].fd, _ = w.store.open()
			}
		}
	})
	made := watch.turns[0]
	for left := spillers * spillTurns; left > 0; {
		wait := true
		watch.turn(func() {
			w.calls.Drain()
			for _, f := range files {
				if f.Busy() || f.reserved >= spillTurns*spillBytes {
					continue
				}
				wait = false
				left--
				f.Reserve(spillBytes)
				if mode == "inline" {
					n, errno := sys.Pwritev(f.fd, iov[:], f.size)
					require.Equal(b, [2]any{spillBytes, syscall.Errno(0)}, [2]any{n, errno})
					f.added(n)
				} else {
					f.Append(iov[:], spillBytes, nobody{})
				}
			}
		})
		if wait {
			w.wait(b)
		}
	}
	took := time.Since(began)
	for _, f := range files {
		for f.Busy() {
			w.turn(b)
		}
	}
	before := len(watch.turns)
	watch.turn(func() {
		for _, f := range files {
			if mode == "inline" {
				sys.Close(f.fd)
				f.closed()
			} else {
				f.Close()
			}
		}
	})
	closed := watch.turns[before]
	for w.store.Open > 0 {
		w.turn(b)
	}
	b.ReportMetric(float64(made.Microseconds()), "made-us")
	b.ReportMetric(float64(closed.Microseconds()), "closed-us")
	watch.turns.report(b, "turn")
	b.ReportMetric(spillers*spillTurns*spillBytes/took.Seconds()/(1<<20), "MiB/s")
	b.ReportMetric(float64(w.store.Now), "now")
}

// nobody has no use for the end of a write.
type nobody struct{}

func (nobody) OnWritten(int, syscall.Errno) {}

// BenchmarkAppend is one write of 32 KiB, to the end of it.
func BenchmarkAppend(b *testing.B) {
	for _, dir := range []string{os.TempDir(), "/dev/shm"} {
		b.Run(fmt.Sprintf("dir=%s", dir), func(b *testing.B) {
			at, err := os.MkdirTemp(dir, "weir")
			if err != nil {
				b.Skip(err)
			}
			defer os.Remove(at)
			w := newWorld(b, at, 0)
			f := w.store.Create()
			data := make([]byte, spillBytes)
			var iov [1]sys.Iovec
			iov[0].Set(data)
			b.ReportAllocs()
			for b.Loop() {
				f.size, f.reserved = 0, spillBytes
				for f.Append(iov[:], spillBytes, nobody{}); f.Busy(); {
					w.turn(b)
				}
			}
			f.reserved = 0
			f.Close()
		})
	}
}
