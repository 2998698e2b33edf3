// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package compress

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"weir/internal/offload"
)

// loop is a Waker whose turns a test makes.
type loop chan struct{}

func (l loop) Wake() {
	select {
	case l <- struct{}{}:
	default:
	}
}

type client struct{ told int }

func (c *client) OnEncoded() { c.told++ }

// bench is a pool with its thread and loop.
type bench struct {
	*Pool
	queue offload.Queue
	loop  loop
}

func newBench(t *testing.T, limit int) *bench {
	b := &bench{loop: make(loop, 1)}
	b.queue.Bind(b.loop)
	thread := b.queue.NewThread()
	t.Cleanup(thread.End)
	b.Pool = NewPool(limit, thread)
	return b
}

// turn waits until c has been told.
func (b *bench) turn(c *client) {
	for before := c.told; c.told == before; {
		<-b.loop
		b.queue.Drain()
	}
}

// text is what compresses about as pages do.
func text(n int, r *rand.Rand) []byte {
	words := []string{"<p>", "weir ", "the ", "of ", "water ", "stands ", "1234 ", "</p>\n"}
	var b []byte
	for len(b) < n {
		b = append(b, words[r.IntN(len(words))]...)
	}
	return b[:n]
}

// Whatever the pieces are, what comes out unpacks to what went in; after a flush at once.
func TestRoundTrip(t *testing.T) {
	b := newBench(t, 2)
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 18 {
		c := &client{}
		e := b.Acquire(1+round%9, c)
		require.NotNil(t, e)
		want := text(1+r.IntN(100<<10), r)
		var packed bytes.Buffer
		for rest := want; ; {
			n := copy(e.Room(), rest[:min(len(rest), 1+r.IntN(40<<10))])
			e.Added(n)
			rest = rest[n:]
			flush, end := r.IntN(2) == 0, len(rest) == 0
			if !e.Run(flush, end) {
				b.turn(c)
			}
			packed.Write(e.Output().Bytes())
			if flush && !end {
				z, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
				require.NoError(t, err)
				got, _ := io.ReadAll(z)
				require.Equal(t, len(want)-len(rest), len(got))
			}
			if end {
				break
			}
		}
		e.Release()
		z, err := gzip.NewReader(&packed)
		require.NoError(t, err)
		got, err := io.ReadAll(z)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	}
	require.Zero(t, b.InUse())
}

// An encoder that is released while the thread is at work comes back when that is done, and its client is not told.
func TestReleaseAtWork(t *testing.T) {
	b := newBench(t, 1)
	c := &client{}
	e := b.Acquire(1, c)
	require.Nil(t, b.Acquire(1, c), "there is one only")
	require.Equal(t, uint64(1), b.Refused)
	e.Added(copy(e.Room(), make([]byte, roomBytes)))
	require.Empty(t, e.Room())
	require.False(t, e.Run(false, true))
	e.Release()
	require.Nil(t, b.Acquire(1, c), "it is at work")
	for b.InUse() > 0 {
		<-b.loop
		b.queue.Drain()
	}
	require.Zero(t, c.told)
	other := b.Acquire(9, c)
	require.NotNil(t, other, "one of another level makes room")
	other.Release()
}

// TestEncoderBytes holds EncoderBytes to what encoders take, with their buffers grown.
func TestEncoderBytes(t *testing.T) {
	b := newBench(t, 1000)
	random := make([]byte, roomBytes) // nothing makes the output longer
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for level := 1; level <= 9; level++ {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var all []*Encoder
		for range 4 {
			c := &client{}
			e := b.Acquire(level, c)
			all = append(all, e)
			for i := range 6 {
				e.Added(copy(e.Room(), random))
				if !e.Run(false, i == 5) {
					b.turn(c)
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, int(after.HeapAlloc-before.HeapAlloc)/len(all), EncoderBytes, "level %d", level)
		for _, e := range all {
			e.Release()
		}
	}
}
