// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/invariant"
)

// BenchmarkAcquireRelease is what one use of a block costs when one is warm.
func BenchmarkAcquireRelease(b *testing.B) {
	p := newPool(b, Options{BlockSize: 16384, Reserve: 2, Limit: 1024})
	b.ReportAllocs()
	for b.Loop() {
		p.Release(p.Acquire(ClassRequest))
	}
}

// BenchmarkWaitWake is what it costs when there is none: wait, be granted a block, be told.
func BenchmarkWaitWake(b *testing.B) {
	p := newPool(b, Options{BlockSize: 16384, Limit: 1})
	rs := newReceivers(1, nil)
	r := &rs[0]
	r.block = p.Acquire(ClassRequest)
	b.ReportAllocs()
	for b.Loop() {
		p.Wait(&r.waiter, ClassRequest)
		p.Release(r.block)
		p.Wake()
	}
	p.Release(r.block)
}

// BenchmarkArenaRequest is the arena's part of a small request: a dozen pieces, two cleanups, everything back.
func BenchmarkArenaRequest(b *testing.B) {
	a := newArena(b, 4, 1<<20)
	text := []byte("X-Forwarded-For: 192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		arenaRequest(a, text)
	}
}

func arenaRequest(a *Arena, text []byte) {
	for range 10 {
		a.Copy(text)
	}
	a.End(append(a.Begin(64), text...))
	a.AddCleanup(func(any) {}, a)
	a.AddCleanup(func(any) {}, a)
	a.Reset()
}

func BenchmarkArenaLarge(b *testing.B) {
	a := newArena(b, 1, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		a.Free(a.Alloc(10_000))
	}
}

func TestNoAllocations(t *testing.T) {
	p := newPool(t, Options{BlockSize: 4096, Limit: 4})
	rs := newReceivers(1, nil)
	a := newArena(t, 2, 1<<20)
	text := []byte("X-Forwarded-For: 192.0.2.1")
	once := func() {
		blocks := [4]*Block{}
		for i := range blocks {
			blocks[i] = p.Acquire(ClassRequest)
		}
		p.Wait(&rs[0].waiter, ClassResponse)
		for _, b := range blocks {
			p.Release(b)
		}
		p.Wake()
		p.Release(rs[0].block)
		arenaRequest(a, text)
		a.Free(a.Alloc(10_000))
		a.Alloc(5000)
		a.Reset()
		if !invariant.Enabled {
			p.Trim()
		}
	}
	once()
	require.Zero(t, testing.AllocsPerRun(100, once))
}
