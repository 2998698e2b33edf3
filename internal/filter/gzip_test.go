// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package filter

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

// Whatever the pieces are, what comes out unpacks to what went in; after a flush at once.
func TestRoundTrip(t *testing.T) {
	b := newBench(t, 2)
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 18 {
		c := &client{}
		e := b.Acquire(c)
		require.True(t, e.Gzip(1+round%9))
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
		require.Zero(t, z.ModTime.Unix())
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
	e := b.Acquire(c)
	require.True(t, e.Gzip(1))
	other := b.Acquire(c)
	require.False(t, other.Gzip(1), "there is one only")
	require.Equal(t, uint64(1), b.Refused)
	e.Added(copy(e.Room(), make([]byte, roomBytes)))
	require.Empty(t, e.Room())
	require.False(t, e.Run(false, true))
	e.Release()
	require.False(t, other.Gzip(1), "it is at work")
	for b.InUse() > 1 {
		<-b.loop
		b.queue.Drain()
	}
	require.Zero(t, c.told)
	require.True(t, other.Gzip(9), "one of another level makes room")
	other.Release()
	require.Zero(t, b.InUse())
}

// held is the heap memory that one of n encoders takes that make of random bytes.
func held(t *testing.T, b *bench, body []byte, add func(e *Encoder)) int {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []*Encoder
	for range 4 {
		c := &client{}
		e := b.Acquire(c)
		all = append(all, e)
		add(e)
		for rest := body; len(rest) > 0; {
			n := copy(e.Room(), rest)
			e.Added(n)
			rest = rest[n:]
			if !e.Run(false, false) {
				b.turn(c)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, e := range all {
		e.Release()
	}
	return int(after.HeapAlloc-before.HeapAlloc) / len(all)
}

// TestMemory holds Bytes, GzipBytes and GunzipBytes to what encoders take, with their buffers grown.
func TestMemory(t *testing.T) {
	random := make([]byte, 6*roomBytes) // nothing makes the output longer
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for level := 1; level <= 9; level++ {
		b := newBench(t, 1000)
		require.LessOrEqual(t, held(t, b, random, func(e *Encoder) { e.Gzip(level) }), Bytes+GzipBytes, "level %d", level)
	}
	b := newBench(t, 1000)
	require.LessOrEqual(t, held(t, b, pack(random), func(e *Encoder) { e.Gunzip() }), Bytes+GunzipBytes, "gunzip")
	require.LessOrEqual(t, held(t, b, random, func(e *Encoder) {
		e.Sub(Replacing{Patterns: NewPatterns([][]byte{{7}}), With: [][]byte{make([]byte, 100)}})
		e.Recode(toUTF8())
	}), Bytes, "sub and charset")
}
