// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// receiver waits for a block and keeps it.
type receiver struct {
	waiter Waiter
	block  *Block
	then   func(r *receiver)
}

func (r *receiver) OnBlock(_ *Waiter, b *Block) {
	r.block = b
	if r.then != nil {
		r.then(r)
	}
}

func newReceivers(n int, then func(*receiver)) []receiver {
	rs := make([]receiver, n)
	for i := range rs {
		rs[i].then = then
		rs[i].waiter.Init(&rs[i])
	}
	return rs
}

// Waiters are served in order, responses first; Release runs nobody's code.
func TestWaitOrder(t *testing.T) {
	posted := 0
	p := newPool(t, Options{BlockSize: 64, Reserve: 1, Limit: 3, OnReady: func() { posted++ }})
	held := []*Block{p.Acquire(ClassRequest), p.Acquire(ClassRequest), p.Acquire(ClassResponse)}
	var order []*receiver
	rs := newReceivers(4, func(r *receiver) { order = append(order, r) })
	p.Wait(&rs[0].waiter, ClassRequest)
	p.Wait(&rs[1].waiter, ClassRequest)
	p.Wait(&rs[2].waiter, ClassResponse)
	p.Wait(&rs[3].waiter, ClassResponse)
	require.Equal(t, 4, p.Stats().Waiting)

	for _, b := range held {
		p.Release(b)
	}
	require.Empty(t, order, "told by Wake only")
	require.Equal(t, 1, posted, "one post for all")
	require.Nil(t, p.Acquire(ClassRequest), "two blocks are theirs already, the third is the reserve")
	require.Equal(t, 4, p.Stats().Waiting)
	p.Wake()
	require.Equal(t, []*receiver{&rs[2], &rs[3]}, order)
	require.True(t, rs[0].waiter.Waiting())
	require.False(t, rs[2].waiter.Waiting())

	p.Release(rs[2].block)
	p.Release(rs[3].block)
	require.Equal(t, 2, posted)
	p.Wake()
	require.Equal(t, []*receiver{&rs[2], &rs[3], &rs[0], &rs[1]}, order)
	require.Equal(t, uint64(4), p.Stats().Waits)
	p.Release(rs[0].block)
	p.Release(rs[1].block)
	require.Equal(t, 2, posted)
}

func TestWaitTwice(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 1})
	rs := newReceivers(1, nil)
	p.Wait(&rs[0].waiter, ClassRequest)
	require.PanicsWithValue(t, "buffer: wait for a block of 64 bytes by a waiter that waits already",
		func() { p.Wait(&rs[0].waiter, ClassRequest) })
	p.Cancel(&rs[0].waiter)
	p.Cancel(&rs[0].waiter)
	require.Zero(t, p.Stats().Used)
}

// A receiver that gives its block back and waits again is served once per Wake: the turn ends.
func TestWakeIsBounded(t *testing.T) {
	posted, served := 0, 0
	p := newPool(t, Options{BlockSize: 64, Limit: 1, OnReady: func() { posted++ }})
	rs := newReceivers(2, func(r *receiver) {
		served++
		p.Release(r.block)
		p.Wait(&r.waiter, ClassRequest)
	})
	p.Wait(&rs[0].waiter, ClassRequest)
	p.Wait(&rs[1].waiter, ClassRequest)
	for turn := 1; turn <= 10; turn++ {
		require.Equal(t, turn, posted, "each turn with work is asked for")
		p.Wake()
		require.Equal(t, turn, served)
	}
	p.Cancel(&rs[0].waiter)
	p.Cancel(&rs[1].waiter)
	p.Wake()
	require.Equal(t, 10, served)
}

// A waiter that is called off while another is told gets nothing, and its block goes on.
func TestCancelInside(t *testing.T) {
	p := newPool(t, Options{BlockSize: 64, Limit: 2})
	var rs []receiver
	rs = newReceivers(3, func(*receiver) { p.Cancel(&rs[1].waiter) })
	a, b := p.Acquire(ClassRequest), p.Acquire(ClassRequest)
	for i := range rs {
		p.Wait(&rs[i].waiter, ClassRequest)
	}
	p.Release(a)
	p.Release(b)
	p.Wake()
	require.Nil(t, rs[1].block)
	require.NotNil(t, rs[2].block, "was next")
	p.Wake()
	p.Release(rs[0].block)
	p.Release(rs[2].block)
}

// poolModel is what a pool should be: numbers and queues, no memory.
type poolModel struct {
	pool    *Pool
	reserve int
	limit   int
	held    []*Block
	stamps  map[*Block]uint64
	stamp   uint64
	queue   [numClasses][]int // receivers
	ready   []int
	rs      []receiver
	refuse  bool // the kernel has no memory
	told    []int
}

// may says whether class gets a block.
func (m *poolModel) may(class Class) bool {
	used := len(m.held) + len(m.ready)
	switch class {
	case ClassAhead:
		used += max(m.reserve, m.limit/4)
	case ClassRequest:
		used += m.reserve
	case ClassBody:
		used += min(m.reserve, 1)
	}
	return used < m.limit && (m.hasFree() || !m.refuse)
}

// hasFree says whether there is a block for which the kernel need not be asked.
func (m *poolModel) hasFree() bool { return len(m.held)+len(m.ready) < m.pool.mapped }

// grant moves those who can be served to ready.
func (m *poolModel) grant() {
	for _, class := range []Class{ClassResponse, ClassBody, ClassRequest, ClassAhead} {
		for len(m.queue[class]) > 0 && m.may(class) {
			m.ready = append(m.ready, m.queue[class][0])
			m.queue[class] = m.queue[class][1:]
		}
	}
}

// hold notes that b belongs to the model and stamps its memory.
func (m *poolModel) hold(b *Block) {
	m.stamp++
	m.held = append(m.held, b)
	m.stamps[b] = m.stamp
	binary.NativeEndian.PutUint64(b.Data, m.stamp)
	binary.NativeEndian.PutUint64(b.Data[len(b.Data)-8:], m.stamp)
}

func (m *poolModel) release(i int) {
	b := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	delete(m.stamps, b)
	m.pool.Release(b)
	m.grant()
}

func (m *poolModel) acquire(rt *rapid.T, class Class) {
	// Where blocks are to be had and somebody waits, the kernel has refused before: who waits comes first, unless there
	// is a warm block, which cannot be while somebody waits that may have it.
	want := m.may(class) && len(m.queue[class]) == 0
	b := m.pool.Acquire(class)
	if (b != nil) != want {
		rt.Fatalf("acquire for a %v gave a block: %v, want %v", class, b != nil, want)
	}
	if b != nil {
		m.hold(b)
	}
}

func (m *poolModel) wait(i int, class Class) {
	if m.rs[i].waiter.Waiting() {
		return
	}
	m.queue[class] = append(m.queue[class], i)
	m.pool.Wait(&m.rs[i].waiter, class)
	m.grant()
}

func (m *poolModel) cancel(i int) {
	for class := range m.queue {
		if at := slices.Index(m.queue[class], i); at >= 0 {
			m.queue[class] = slices.Delete(m.queue[class], at, at+1)
		}
	}
	ready := slices.Index(m.ready, i)
	if ready >= 0 {
		m.ready = slices.Delete(m.ready, ready, ready+1)
	}
	m.pool.Cancel(&m.rs[i].waiter)
	if ready >= 0 {
		m.grant()
	}
}

func (m *poolModel) check(rt *rapid.T) {
	stats := m.pool.Stats()
	waiting := len(slices.Concat(m.queue[:]...)) + len(m.ready)
	if stats.Used != len(m.held)+len(m.ready) || stats.Waiting != waiting {
		rt.Fatalf("%d used, %d wait, want %d and %d", stats.Used, stats.Waiting, len(m.held)+len(m.ready), waiting)
	}
	if stats.Allocated < max(stats.Used, m.reserve) || stats.Allocated > m.limit {
		rt.Fatalf("%d allocated, with %d used, %d reserved, and a limit of %d", stats.Allocated, stats.Used, m.reserve, m.limit)
	}
	if free := m.limit - stats.Used; m.pool.Pressed() != (free < m.limit/4) {
		rt.Fatalf("pressed: %v with %d free of %d", m.pool.Pressed(), free, m.limit)
	}
	for b, stamp := range m.stamps {
		if binary.NativeEndian.Uint64(b.Data) != stamp || binary.NativeEndian.Uint64(b.Data[len(b.Data)-8:]) != stamp {
			rt.Fatalf("the memory of a block in use has changed")
		}
	}
	for _, fault := range m.pool.Check() {
		rt.Error(fault)
	}
}

// The pool and its waiters against the model: who gets a block, who waits, who is told in which order, and that no
// two users ever have the same memory; also while the kernel refuses memory now and then, and while receivers act.
func TestPoolModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &poolModel{stamps: map[*Block]uint64{}}
		m.limit = rapid.IntRange(1, 12).Draw(rt, "limit")
		m.reserve = rapid.IntRange(0, m.limit-1).Draw(rt, "reserve")
		p, err := NewPool(Options{BlockSize: os.Getpagesize(), Reserve: m.reserve, Limit: m.limit})
		require.NoError(rt, err)
		m.pool = p
		p.perSlab = rapid.IntRange(1, 4).Draw(rt, "slab")
		mmap := p.mmap
		p.mmap = func(n int) ([]byte, error) {
			if m.refuse {
				return nil, errors.New("refused")
			}
			return mmap(n)
		}
		class := rapid.SampledFrom([]Class{ClassAhead, ClassRequest, ClassBody, ClassResponse})
		m.rs = newReceivers(8, nil)
		pick := rapid.IntRange(0, len(m.rs)-1)
		for i := range m.rs {
			m.rs[i].then = func(r *receiver) {
				if len(m.ready) == 0 || m.ready[0] != i {
					rt.Fatalf("receiver %d is told, %v should be", i, m.ready)
				}
				m.ready = m.ready[1:]
				m.told = append(m.told, i)
				m.hold(r.block)
				switch rapid.IntRange(0, 4).Draw(rt, "then") {
				case 0:
					m.release(len(m.held) - 1)
				case 1:
					m.wait(i, class.Draw(rt, "class"))
				case 2:
					m.cancel(pick.Draw(rt, "other"))
				case 3:
					m.acquire(rt, class.Draw(rt, "class"))
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"acquire": func(rt *rapid.T) { m.acquire(rt, class.Draw(rt, "class")) },
			"release": func(rt *rapid.T) {
				if len(m.held) > 0 {
					m.release(rapid.IntRange(0, len(m.held)-1).Draw(rt, "block"))
				}
			},
			"wait":   func(rt *rapid.T) { m.wait(pick.Draw(rt, "receiver"), class.Draw(rt, "class")) },
			"cancel": func(rt *rapid.T) { m.cancel(pick.Draw(rt, "receiver")) },
			"wake": func(rt *rapid.T) {
				ready := len(m.ready)
				m.told = m.told[:0]
				p.Wake()
				if len(m.told) > ready {
					rt.Fatalf("%d told, %d were ready", len(m.told), ready)
				}
			},
			"trim": func(*rapid.T) {
				p.Trim()
				m.grant()
			},
			"raise": func(rt *rapid.T) { // one more user
				if m.refuse || m.limit > 40 {
					return
				}
				limit := rapid.IntRange(1, 5).Draw(rt, "more")
				reserve := rapid.IntRange(0, limit-1).Draw(rt, "reserve")
				m.limit += limit
				m.reserve += reserve
				require.NoError(rt, p.raise(reserve, limit))
				m.grant()
			},
			"kernel": func(*rapid.T) { m.refuse = !m.refuse },
			"":       m.check,
		})
		for i := range m.rs {
			m.cancel(i)
		}
		for len(m.held) > 0 {
			m.release(0)
		}
		m.check(rt)
		require.NoError(rt, p.Close())
	})
}
