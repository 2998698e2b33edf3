// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

//go:build invariants

package buffer

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who keeps a slice of a block past its release reads nonsense.
func TestPoisonRead(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	b.Append([]byte("secret"))
	old := b.Bytes()
	p.Release(b)
	require.Equal(t, "\xdb\xdb\xdb\xdb\xdb\xdb", string(old))
}

// Who uses the descriptor panics.
func TestPoisonDescriptor(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	p.Release(b)
	require.Panics(t, func() { b.Bytes() })
	require.Panics(t, func() { b.Room()[0] = 1 })
	require.Panics(t, func() { b.Produce(1) })
	require.Panics(t, func() { b.Consume(0) })
}

// Who writes is found by Check, and by the next one to acquire the block.
func TestPoisonWrite(t *testing.T) {
	const report = "buffer: block 0:0 of the pool of 64 bytes [] was written to at offset 5 after its release: " +
		"58 db db db db db db db db db db db db db db db"
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	b := p.Acquire(ClassRequest)
	old := b.Data
	p.Release(b)
	old[5] = 'X'
	require.ErrorContains(t, errors.Join(p.Check()...), report)
	require.PanicsWithValue(t, report, func() { p.Acquire(ClassRequest) })

	q := newPool(t, Options{BlockSize: 64, Limit: 1})
	b = q.Acquire(ClassRequest)
	q.Release(b)
	require.Empty(t, q.Check())
	// The pool of the panic has lost its block; it is left to the end of the process.
	old[5] = poisonByte
	p.warm, p.used = &p.slabs[0].blocks[0], 0
	p.warm.Data, p.warm.state, p.warm.Next = nil, stateWarm, nil
}

// The same after the memory has gone to the kernel and come back as zeroes.
func TestPoisonTrimmed(t *testing.T) {
	size := os.Getpagesize()
	p := newPool(t, Options{BlockSize: size, Limit: 2 * trimBatch})
	var chain *Block
	var old [][]byte
	for range 2 * trimBatch {
		b := p.Acquire(ClassRequest)
		old = append(old, b.Data)
		b.Next, chain = chain, b
	}
	p.ReleaseChain(chain)
	p.Trim()
	require.Equal(t, trimBatch, p.Trim())
	cold := 0
	for _, mem := range old {
		if mem[0] != 0 {
			continue
		}
		if cold++; cold > 1 {
			continue
		}
		mem[1] = 'X'
		require.ErrorContains(t, errors.Join(p.Check()...), "was written to at offset 1 after its release")
		mem[1] = 0
	}
	require.Equal(t, trimBatch, cold)
	require.Empty(t, p.Check())
}

func TestPoisonArena(t *testing.T) {
	a := newArena(t, 1, 1<<20)
	small, big := a.Copy([]byte("small")), a.Alloc(5000)
	copy(big, "large")
	a.Reset()
	require.Equal(t, "\xdb\xdb\xdb\xdb\xdb", string(small))
	require.Equal(t, "\xdb\xdb\xdb\xdb\xdb", string(big[:5]))
	big[7] = 'X'
	const report = "a large piece of 8192 bytes was written to at offset 7 after it was freed"
	require.ErrorContains(t, errors.Join(a.depot.Check()...), "buffer depot: "+report)
	require.PanicsWithValue(t, "buffer: "+report, func() { a.Alloc(5000) })
	big[7] = poisonByte
	a.depot.Trim()
	a.depot.used, a.depot.cached = 0, 0
}

func TestArenaAllocInside(t *testing.T) {
	a := newArena(t, 1, 0)
	b := a.Begin(1)
	require.PanicsWithValue(t, "buffer: Arena.Alloc between Begin and End", func() { a.Alloc(1) })
	a.End(append(b, 'x'))
	require.NotNil(t, a.Alloc(1))
}
