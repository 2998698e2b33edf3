// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// newArena makes an arena of chunks of 4096 bytes that must have given everything back when the test ends.
func newArena(t testing.TB, chunks, largeLimit int) *Arena {
	t.Helper()
	p := newPool(t, Options{BlockSize: 4096, Limit: chunks})
	d := NewDepot(largeLimit)
	a := &Arena{}
	a.Init(p, d)
	t.Cleanup(func() {
		a.Reset()
		require.True(t, a.Empty())
		require.Empty(t, a.Check())
		require.Empty(t, d.Check())
		require.Zero(t, d.Stats().LargeUsed)
		d.Trim()
		require.Zero(t, d.Stats().LargeCached)
	})
	return a
}

func TestArenaSmall(t *testing.T) {
	a := newArena(t, 3, 0)
	require.True(t, a.Empty(), "no memory before the first piece")
	p := a.Alloc(10)
	require.Len(t, p, 10)
	require.Equal(t, 10, cap(p), "append must not get into the next piece")
	q := a.Copy([]byte("hello"))
	require.Equal(t, "hello", string(q))
	copy(q, "HELLO")
	for i := range p {
		p[i] = 0xff
	}
	require.Equal(t, "HELLO", string(q))
	require.Len(t, a.Alloc(100), 100)
	require.Equal(t, 1, a.pool.Stats().Used)
	require.NotNil(t, a.Alloc(0))
	require.False(t, a.Free(p), "small pieces are not freed singly")

	require.Len(t, a.Alloc(4096), 4096, "a whole chunk is still small")
	require.Equal(t, 2, a.pool.Stats().Used)
	require.Len(t, a.free, 4096-115, "the chunk with more left goes on being cut")
	require.Len(t, a.Alloc(4090), 4090)
	require.Len(t, a.free, 4096-115)
	require.Nil(t, a.Alloc(4096), "three chunks are the limit")
	require.Nil(t, a.Copy(make([]byte, 4096)))
	require.Nil(t, a.Alloc(4096))
	require.Len(t, a.Alloc(1000), 1000, "what is there can be used")
	require.Empty(t, a.Check())

	a.Reset()
	require.Zero(t, a.pool.Stats().Used, "idle: no block")
	require.NotNil(t, a.Alloc(0))
	require.True(t, a.Empty())
}

func TestArenaLarge(t *testing.T) {
	a := newArena(t, 1, 1<<20)
	d := a.depot
	p := a.Alloc(4097)
	require.Len(t, p, 4097)
	require.Equal(t, 4097, cap(p))
	q := a.Copy(bytes.Repeat([]byte("x"), 100_000))
	r := a.Alloc(8192)
	require.Equal(t, DepotStats{LargeUsed: 8192 + 131072 + 8192, LargeLimit: 1 << 20}, d.Stats())
	require.Zero(t, a.pool.Stats().Used)
	require.False(t, a.Free(q[1:]), "not where a piece starts")
	require.False(t, a.Free(nil))
	require.False(t, a.Free([]byte("of nobody")))
	require.True(t, a.Free(q[:0]))
	require.False(t, a.Free(q), "freed already")
	require.Equal(t, 131072, d.Stats().LargeCached)
	require.Empty(t, a.Check())

	s := a.Alloc(131072)
	require.Same(t, &q[:1][0], &s[0], "used again")
	require.True(t, a.Free(p))
	require.True(t, a.Free(r))
	require.True(t, a.Free(s))
	require.True(t, a.Empty())

	require.Nil(t, a.Alloc(1<<20+1), "above the limit")
	require.Nil(t, a.Alloc(1<<50))
	require.Equal(t, uint64(2), d.Stats().Refusals)
	require.Len(t, a.Alloc(1<<20), 1<<20, "what is kept for reuse makes room")
	require.Zero(t, d.Stats().LargeCached)
	a.Reset()
	require.Zero(t, d.Stats().LargeCached, "too large to be kept")
	require.Empty(t, d.Check())

	d.mmap = func(int) ([]byte, error) { return nil, errors.New("no memory") }
	require.Nil(t, a.Alloc(5000))
	require.Equal(t, uint64(1), d.Stats().Failures)
	require.EqualError(t, d.Stats().Failure, "no memory")
}

// What is kept for reuse is bounded.
func TestArenaCacheIsBounded(t *testing.T) {
	a := newArena(t, 1, 10<<20)
	for range 20 {
		require.NotNil(t, a.Alloc(128<<10))
	}
	a.Reset()
	require.Equal(t, cacheBytes, a.depot.Stats().LargeCached)
	require.Empty(t, a.depot.Check())
}

// Text of unknown length is appended in place.
func TestArenaBeginEnd(t *testing.T) {
	a := newArena(t, 3, 1<<20)
	b := a.Begin(10)
	require.Empty(t, b)
	require.Equal(t, 4096, cap(b))
	b = append(b, "one"...)
	one := a.End(b)
	two := a.End(append(a.Begin(10), "two"...))
	require.Equal(t, "one", string(one))
	require.Equal(t, "two", string(two))
	require.Equal(t, 3, cap(one), "append must not get into the next piece")
	require.Same(t, &b[:4][3], &two[0], "nothing lies between")
	require.NotNil(t, a.End(a.Begin(0)))

	// What was not appended to what Begin gave is copied.
	a.Begin(10)
	other := []byte("other")
	three := a.End(other)
	copy(other, "later")
	require.Equal(t, "other", string(three))

	// It does not fit into the rest of the chunk: a new one.
	a.Alloc(4000)
	require.GreaterOrEqual(t, cap(a.Begin(100)), 100)
	a.End(nil)
	require.Equal(t, 2, a.pool.Stats().Used)

	// It becomes larger than a chunk: a large piece.
	long := bytes.Repeat([]byte("long"), 2000)
	require.Equal(t, long, a.End(append(a.Begin(10), long...)))
	require.Equal(t, 8192, a.depot.Stats().LargeUsed)

	// There is no chunk any more: what appends grows on the Go heap, and the arena has no room for it.
	a.Alloc(4096)
	a.Alloc(4096)
	a.Alloc(len(a.free))
	b = append(a.Begin(10), "four"...)
	require.Equal(t, "four", string(b))
	require.Nil(t, a.End(b))
	require.NotNil(t, a.End(append(a.Begin(10), long...)))
}

// Cleanups run at the end, the last one first, while the memory is still there; one that adds another has it run too.
func TestArenaCleanups(t *testing.T) {
	a := newArena(t, 2, 0)
	var order []string
	note := func(arg any) { order = append(order, string(arg.([]byte))) }
	a.AddCleanup(note, a.Copy([]byte("first")))
	a.AddCleanup(note, a.Copy([]byte("second")))
	a.AddCleanup(func(any) { a.AddCleanup(note, a.Copy([]byte("late"))) }, nil)
	require.False(t, a.Empty())
	a.Reset()
	require.Equal(t, []string{"late", "second", "first"}, order)
	a.Reset()
	require.Len(t, order, 3, "once")
}

func TestArenaCheckFinds(t *testing.T) {
	a := newArena(t, 2, 1<<20)
	a.Alloc(1)
	a.Alloc(5000)
	a.Alloc(5000)

	chunks := a.chunks
	a.chunks = nil
	require.ErrorContains(t, errors.Join(a.Check()...), "4095 bytes free in no chunk")
	a.chunks = chunks
	chunks.state = stateWarm
	require.ErrorContains(t, errors.Join(a.Check()...), "its chunk is a block that is free")
	chunks.state = stateUsed
	a.large.next.prev = nil
	require.ErrorContains(t, errors.Join(a.Check()...), "linked wrongly")
	a.large.next.prev = a.large
	a.depot.cached++
	require.ErrorContains(t, errors.Join(a.depot.Check()...), "1 cached on record and 0 found")
	a.depot.cached--
	require.Empty(t, a.depot.Check())
}

// arenaModel is an arena and the pieces that it should hold.
type arenaModel struct {
	arena    Arena
	pieces   []piece
	cleanups []int // in the order in which they were added
	ran      []int
}

type piece struct {
	got, want []byte
	large     bool
}

func (m *arenaModel) check(rt *rapid.T) {
	for i, p := range m.pieces {
		if !bytes.Equal(p.got, p.want) {
			rt.Fatalf("piece %d of %d bytes has changed", i, len(p.want))
		}
	}
	for _, fault := range m.arena.Check() {
		rt.Error(fault)
	}
	full := slices.ContainsFunc(m.pieces, func(p piece) bool { return len(p.want) > 0 })
	if m.arena.Empty() != (!full && len(m.cleanups) == 0 && m.arena.chunks == nil) {
		rt.Fatalf("empty is %v with %d pieces", m.arena.Empty(), len(m.pieces))
	}
}

// Several arenas of one depot against a plain list of pieces: none loses its content to another, refusals come when
// they must and not before, and in the end everything is back.
func TestArenaModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const chunkSize = 1024
		chunks := rapid.IntRange(1, 20).Draw(rt, "chunks")
		limit := rapid.IntRange(0, 4<<20).Draw(rt, "limit")
		p, err := NewPool(Options{BlockSize: chunkSize, Limit: chunks})
		require.NoError(rt, err)
		d := NewDepot(limit)
		ms := make([]arenaModel, 3)
		for i := range ms {
			ms[i].arena.Init(p, d)
		}
		pick := func(rt *rapid.T) *arenaModel { return &ms[rapid.IntRange(0, len(ms)-1).Draw(rt, "arena")] }
		size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, chunkSize), rapid.IntRange(0, 3<<18))
		serial := 0

		// mayAlloc says whether n bytes are to be had.
		mayAlloc := func(m *arenaModel, n int) bool {
			if n <= len(m.arena.free) {
				return true
			}
			if n <= chunkSize {
				return p.used < chunks
			}
			rounded := max(1<<bits.Len(uint(n-1)), 4096)
			return d.used+rounded <= limit
		}
		keep := func(m *arenaModel, got []byte, n int, may bool) {
			if (got != nil) != may || may && len(got) != n {
				rt.Fatalf("%d bytes asked for, got %d, nil: %v, want memory: %v", n, len(got), got == nil, may)
			}
			if got == nil {
				return
			}
			if cap(got) != n {
				rt.Fatalf("a piece of %d bytes reaches %d bytes into the next", n, cap(got)-n)
			}
			serial++
			want := bytes.Repeat(fmt.Append(nil, serial, " "), n/2+1)[:n]
			copy(got, want)
			m.pieces = append(m.pieces, piece{got: got, want: want, large: n > chunkSize})
		}
		reset := func(m *arenaModel) {
			m.ran = m.ran[:0]
			m.arena.Reset()
			slices.Reverse(m.ran)
			if !slices.Equal(m.ran, m.cleanups) {
				rt.Fatalf("cleanups ran backwards: %v, added: %v", m.ran, m.cleanups)
			}
			m.pieces, m.cleanups = nil, nil
			if !m.arena.Empty() {
				rt.Fatal("not empty after reset")
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"alloc": func(rt *rapid.T) {
				m, n := pick(rt), size.Draw(rt, "size")
				may := mayAlloc(m, n)
				keep(m, m.arena.Alloc(n), n, may)
			},
			"append": func(rt *rapid.T) {
				m, n, hint := pick(rt), size.Draw(rt, "size"), size.Draw(rt, "hint")
				b := m.arena.Begin(hint)
				if cap(b) < min(hint, chunkSize) && p.used < chunks {
					rt.Fatalf("room for %d, %d asked for", cap(b), hint)
				}
				may := mayAlloc(m, n)
				keep(m, m.arena.End(append(b, make([]byte, n)...)), n, may)
			},
			"free": func(rt *rapid.T) {
				m := pick(rt)
				if len(m.pieces) == 0 {
					return
				}
				i := rapid.IntRange(0, len(m.pieces)-1).Draw(rt, "piece")
				if freed := m.arena.Free(m.pieces[i].got); freed != m.pieces[i].large {
					rt.Fatalf("freed: %v, a piece of %d bytes", freed, len(m.pieces[i].want))
				} else if freed {
					m.pieces = slices.Delete(m.pieces, i, i+1)
				}
			},
			"cleanup": func(rt *rapid.T) {
				m := pick(rt)
				serial++
				m.cleanups = append(m.cleanups, serial)
				m.arena.AddCleanup(func(arg any) { m.ran = append(m.ran, arg.(int)) }, serial)
			},
			"reset": func(rt *rapid.T) { reset(pick(rt)) },
			"trim":  func(*rapid.T) { d.Trim() },
			"": func(rt *rapid.T) {
				for i := range ms {
					ms[i].check(rt)
				}
				for _, fault := range d.Check() {
					rt.Error(fault)
				}
			},
		})
		for i := range ms {
			reset(&ms[i])
		}
		d.Trim()
		require.Zero(rt, d.Stats().LargeUsed+d.Stats().LargeCached)
		require.NoError(rt, p.Close())
	})
}
