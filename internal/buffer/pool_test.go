// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"small", Options{BlockSize: 63, Limit: 1}, "block size 63"},
		{"large", Options{BlockSize: 64<<20 + 1, Limit: 1}, "block size 67108865"},
		{"no limit", Options{BlockSize: 64}, "limit 0 is not within 1"},
		{"many", Options{BlockSize: 64, Limit: MaxBlocks + 1}, "limit 268435457"},
		{"negative reserve", Options{BlockSize: 64, Limit: 1, Reserve: -1}, "reserve -1"},
		{"nothing but reserve", Options{BlockSize: 64, Limit: 2, Reserve: 2}, "reserve 2 is not within 0 and 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPool(tt.o)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, p)
		})
	}
}

// A request leaves the reserve, a response may take it, and nobody gets past the limit.
func TestClasses(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Reserve: 2, Limit: 5})
	require.Equal(t, 2, p.Stats().Allocated, "the reserve is allocated ahead")

	var held []*Block
	acquire := func(class Class) bool {
		b := p.Acquire(class)
		if b != nil {
			held = append(held, b)
		}
		return b != nil
	}
	for range 3 {
		require.True(t, acquire(ClassRequest))
	}
	require.False(t, acquire(ClassRequest))
	require.True(t, acquire(ClassResponse))
	require.True(t, acquire(ClassResponse))
	require.False(t, acquire(ClassResponse))
	require.Equal(t, Stats{BlockSize: 64, Used: 5, Allocated: 5, Limit: 5, Reserve: 2, Peak: 5, Refusals: 2}, p.Stats())

	p.Release(held[0])
	held = held[1:]
	require.False(t, acquire(ClassRequest), "the one that is left is the reserve's")
	require.True(t, acquire(ClassResponse))
	for i, b := range held[1:] {
		held[i].Next = b
	}
	held[len(held)-1].Next = nil
	p.ReleaseChain(held[0])
	p.ReleaseChain(nil)
	stats := p.Stats()
	require.Equal(t, 0, stats.Used)
	require.Equal(t, 5, stats.Peak)
}

// What is read ahead leaves a quarter of the limit, or the reserve if that is more; more than that in use presses the pool.
func TestAhead(t *testing.T) {
	for _, tt := range []struct{ reserve, limit, ahead int }{{2, 16, 12}, {6, 16, 10}, {0, 3, 3}, {2, 3, 1}} {
		p := newPool(t, Options{BlockSize: 64, Reserve: tt.reserve, Limit: tt.limit})
		var all *Block
		push := func(b *Block) { b.Next, all = all, b }
		for range tt.ahead {
			push(p.Acquire(ClassAhead))
			require.False(t, p.Pressed(), "by reading ahead alone")
		}
		require.Nil(t, p.Acquire(ClassAhead))
		for p.Stats().Used < tt.limit {
			push(p.Acquire(ClassResponse))
			require.Equal(t, tt.limit-p.Stats().Used < tt.limit/4, p.Pressed())
		}
		p.ReleaseChain(all)
		require.False(t, p.Pressed())
	}
}

// The block released last is acquired first: its memory may still be in the processor's caches.
func TestLIFO(t *testing.T) {
	p := newPool(t, Options{BlockSize: 4096, Limit: 10})
	a, b := p.Acquire(ClassRequest), p.Acquire(ClassRequest)
	p.Release(a)
	p.Release(b)
	require.Same(t, b, p.Acquire(ClassRequest))
	require.Same(t, a, p.Acquire(ClassRequest))
	a.Next = b
	p.ReleaseChain(a)
	require.Equal(t, 2, p.Stats().Allocated)
}

func TestAcquiredIsEmpty(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 2})
	a, b := p.Acquire(ClassRequest), p.Acquire(ClassRequest)
	a.Produce(10)
	a.Consume(3)
	a.Next = b
	p.Release(a)
	a = p.Acquire(ClassRequest)
	require.Zero(t, a.R+a.W)
	require.Nil(t, a.Next)
	p.Release(a)
	p.Release(b)
}

func TestReleaseMisuse(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 2})
	q := newPool(t, Options{BlockSize: 128, Limit: 2})
	b := p.Acquire(ClassRequest)
	require.PanicsWithValue(t, "buffer: release of block 0:0 of the pool of 64 bytes [] to the pool of 128 bytes []",
		func() { q.Release(b) })
	require.PanicsWithValue(t, "buffer: release of a block that no pool has made, which is in no state", func() { p.Release(&Block{}) })
	p.Release(b)
	require.PanicsWithValue(t, "buffer: release of block 0:0 of the pool of 64 bytes [], which is free", func() { p.Release(b) })

	var r receiver
	r.waiter.Init(&r)
	p.Wait(&r.waiter, ClassResponse)
	require.PanicsWithValue(t, "buffer: release of block 0:0 of the pool of 64 bytes [], which is granted",
		func() { p.Release(b) })
	p.Cancel(&r.waiter)
}

func TestCloseInUse(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 2})
	b := p.Acquire(ClassRequest)
	require.ErrorContains(t, p.Close(), "1 blocks in use")
	b.Produce(1) // still there
	p.Release(b)
}

// What is far above need goes back to the kernel, a batch at a time, and comes back when it is needed.
func TestTrim(t *testing.T) {
	size := os.Getpagesize()
	p := newPool(t, Options{BlockSize: size, Reserve: 80, Limit: 1000})
	var chain *Block
	take := func(n int) {
		for range n {
			b := p.Acquire(ClassRequest)
			b.Data[0], b.Data[size-1] = 'x', 'y'
			b.Next, chain = chain, b
		}
	}
	drop := func() {
		p.ReleaseChain(chain)
		chain = nil
	}

	take(500)
	require.Zero(t, p.Trim(), "all in use")
	drop()
	require.Zero(t, p.Trim(), "all in use since the last call")
	take(100)
	for want := 500 - trimBatch; want >= 100; want -= trimBatch {
		require.Equal(t, trimBatch, p.Trim())
		require.Equal(t, want, p.Stats().Allocated)
		require.Empty(t, p.Check())
	}
	require.Zero(t, p.Trim(), "what is left above the need is less than a batch")
	drop()
	p.Trim()
	for p.Trim() != 0 {
	}
	stats := p.Stats()
	require.GreaterOrEqual(t, stats.Allocated, 80, "the reserve stays")
	require.Less(t, stats.Allocated, 80+trimBatch)
	require.Equal(t, uint64(500-stats.Allocated), stats.Trimmed)
	require.Equal(t, 500, stats.Peak)

	take(600)
	require.Equal(t, 600, p.Stats().Allocated)
	require.Empty(t, p.Check())
	drop()

	small := newPool(t, Options{BlockSize: 512, Limit: 1000})
	for range 200 {
		b := small.Acquire(ClassRequest)
		b.Next, chain = chain, b
	}
	small.ReleaseChain(chain)
	small.Trim()
	require.Zero(t, small.Trim(), "blocks that are no whole pages stay")
}

// What stays is what was used last.
func TestTrimKeepsTheWarmest(t *testing.T) {
	p := newPool(t, Options{BlockSize: os.Getpagesize(), Limit: 1000})
	var blocks [trimBatch + 2]*Block
	for i := range blocks {
		blocks[i] = p.Acquire(ClassRequest)
	}
	for _, b := range blocks {
		p.Release(b)
	}
	p.Trim()
	a, b := p.Acquire(ClassRequest), p.Acquire(ClassRequest)
	p.Release(b)
	p.Release(a)
	require.Equal(t, trimBatch, p.Trim())
	require.Equal(t, 2, p.Stats().Allocated)
	require.Same(t, a, p.Acquire(ClassRequest))
	require.Same(t, b, p.Acquire(ClassRequest))
	p.Release(a)
	p.Release(b)
}

// The kernel refuses memory: Acquire says no, counts it, and works again when the kernel does.
func TestKernelRefuses(t *testing.T) {
	p := newPool(t, Options{BlockSize: 4096, Reserve: 1, Limit: 1000})
	mmap, refusal := p.mmap, errors.New("mmap(): cannot allocate memory")
	p.mmap = func(int) ([]byte, error) { return nil, refusal }
	var chain *Block
	n := 0
	for b := p.Acquire(ClassRequest); b != nil; b = p.Acquire(ClassRequest) {
		b.Next, chain = chain, b
		n++
	}
	require.Equal(t, p.perSlab, n, "the first slab is there")
	stats := p.Stats()
	require.Equal(t, uint64(1), stats.Failures)
	require.ErrorIs(t, stats.Failure, refusal)
	require.ErrorContains(t, stats.Failure, "grow by 256 blocks of 4096 bytes")

	var first, second receiver
	for _, r := range []*receiver{&first, &second} {
		r.waiter.Init(r)
		p.Wait(&r.waiter, ClassRequest)
	}
	p.Trim()
	p.Wake()
	require.Nil(t, first.block)
	p.mmap = mmap
	require.Nil(t, p.Acquire(ClassRequest), "nobody overtakes who waits")
	b := p.Acquire(ClassResponse)
	require.NotNil(t, b)
	p.Release(b)
	p.Trim()
	p.Wake()
	require.NotNil(t, first.block)
	require.NotNil(t, second.block)
	p.Release(first.block)
	p.Release(second.block)
	p.ReleaseChain(chain)
}

// No memory for the reserve is an error at start.
func TestReserveIsRefused(t *testing.T) {
	p := newPool(t, Options{BlockSize: 4096, Reserve: 1, Limit: 1000})
	p.mmap = func(int) ([]byte, error) { return nil, errors.New("no") }
	s := Pools{pools: []*Pool{p}}
	_, err := s.Open("late", Options{BlockSize: 4096, Reserve: 500, Limit: 600})
	require.EqualError(t, err, "late: buffer pool: grow by 256 blocks of 4096 bytes: no")
	require.NoError(t, s.Close())
}

func TestPools(t *testing.T) {
	posted := 0
	s := Pools{OnReady: func() { posted++ }}
	heads, err := s.Open("client heads", Options{BlockSize: 16384, Reserve: 2, Limit: 10})
	require.NoError(t, err)
	bodies, err := s.Open("proxy_buffers", Options{BlockSize: 16384, Reserve: 1, Limit: 5})
	require.NoError(t, err)
	chunks, err := s.Open("request_pool_size", Options{BlockSize: 4096, Limit: 1})
	require.NoError(t, err)

	require.Same(t, heads, bodies, "one size, one pool")
	require.NotSame(t, heads, chunks)
	require.Len(t, s.All(), 2)
	stats := []Stats{s.All()[0].Stats(), s.All()[1].Stats()}
	users := []string{"client heads", "proxy_buffers"}
	require.Equal(t, Stats{BlockSize: 16384, Allocated: 3, Limit: 15, Reserve: 3, Users: users}, stats[0])
	require.Equal(t, []string{"request_pool_size"}, stats[1].Users)

	_, err = s.Open("bad", Options{BlockSize: 16384, Reserve: 2, Limit: 2})
	require.EqualError(t, err, "bad: buffer pool: reserve 2 is not within 0 and 1, the limit less one")
	_, err = s.Open("too many", Options{BlockSize: 16384, Limit: MaxBlocks})
	require.ErrorContains(t, err, "too many: buffer pool: limit 268435471 of 3 users")
	require.Equal(t, 15, s.All()[0].Stats().Limit)

	var r receiver
	r.waiter.Init(&r)
	chunk := chunks.Acquire(ClassRequest)
	chunks.Wait(&r.waiter, ClassRequest)
	require.Zero(t, posted)
	chunks.Release(chunk)
	require.Equal(t, 1, posted)
	s.Wake()
	require.NotNil(t, r.block)
	require.ErrorContains(t, s.Close(), "4096 bytes [request_pool_size]): 1 blocks in use")
	chunks.Release(r.block)
	require.Zero(t, s.Trim())
	require.Empty(t, s.Check())
	require.NoError(t, s.Close())
	require.Empty(t, s.All())
}

// Check is worth something only if it finds what is wrong.
func TestCheckFinds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(p *Pool, used *Block) (mend func())
		want  string
	}{
		{"a count that is wrong", func(p *Pool, _ *Block) func() {
			p.used++
			return func() { p.used-- }
		}, "2 blocks in use on record, 1 found"},
		{"a block that is lost", func(p *Pool, _ *Block) func() {
			lost := p.warm
			p.warm = lost.Next
			return func() { p.warm = lost }
		}, "the warm list has 1 blocks, 2 are in that state"},
		{"a ring", func(p *Pool, _ *Block) func() {
			p.warm.Next.Next = p.warm
			return func() { p.warm.Next.Next = nil }
		}, "the warm list is a ring"},
		{"a used block among the free", func(p *Pool, used *Block) func() {
			used.Next, p.warm = p.warm, used
			return func() { p.warm = used.Next }
		}, "the warm list has block"},
		{"data outside of the block", func(_ *Pool, used *Block) func() {
			used.R = 5
			return func() { used.R = 0 }
		}, "has its data at 5 to 0"},
		{"another's memory", func(_ *Pool, used *Block) func() {
			data := used.Data
			used.Data = make([]byte, len(data))
			return func() { used.Data = data }
		}, "has another's memory"},
		{"a waiter that could be served", func(p *Pool, _ *Block) func() {
			w := &Waiter{state: waiterQueued}
			p.wait[ClassResponse].push(w)
			p.waiting++
			return func() { p.wait[ClassResponse].remove(w); p.waiting-- }
		}, "1 of class response wait"},
		{"a waiter that is not on record", func(p *Pool, _ *Block) func() {
			p.ready.first = &Waiter{state: waiterReady}
			return func() { p.ready.first = nil }
		}, "ready queue"},
		{"more than the limit", func(p *Pool, _ *Block) func() {
			p.limit = 2
			return func() { p.limit = 3 }
		}, "3 blocks mapped, the limit is 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, Options{BlockSize: 64, Reserve: 2, Limit: 3})
			p.Release(p.Acquire(ClassRequest))
			b, c, d := p.Acquire(ClassResponse), p.Acquire(ClassResponse), p.Acquire(ClassResponse)
			p.Release(c)
			p.Release(d)
			require.Empty(t, p.Check())
			mend := tt.spoil(p, b)
			var all []string
			for _, fault := range p.Check() {
				all = append(all, fault.Error())
			}
			require.Contains(t, strings.Join(all, "\n"), tt.want)
			mend()
			p.Release(b)
		})
	}
}
