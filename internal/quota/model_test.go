// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package quota

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

func newOwner(tb testing.TB) *shmtx.Owner {
	tb.Helper()
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	require.NoError(tb, err)
	return owner
}

func newZone(tb testing.TB, limit int64, kind shmtx.Kind, slot int) *Zone {
	tb.Helper()
	z, err := Create(limit, kind, newOwner(tb))
	require.NoError(tb, err)
	z.slot = slot
	tb.Cleanup(func() {
		require.Empty(tb, z.Check())
		require.NoError(tb, z.Close())
	})
	return z
}

// TestModel compares a zone with plain numbers, over random takings, returns, reaps and changes of the limit.
func TestModel(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		owner := newOwner(t)
		t.Run(kind.String(), rapid.MakeCheck(func(t *rapid.T) {
			limit := rapid.Int64Range(0, 1000).Draw(t, "limit")
			z, err := Create(limit, kind, owner)
			require.NoError(t, err)
			defer func() { require.NoError(t, z.Close()) }()
			runModel(t, z, limit)
		}))
	}
}

func runModel(t *rapid.T, z *Zone, limit int64) {
	var shares [4]int64
	var peak int64
	var taken, refused, denied uint64
	sum := func() (n int64) {
		for _, share := range shares {
			n += share
		}
		return n
	}
	slotOf := func(t *rapid.T) int { return rapid.IntRange(0, len(shares)-1).Draw(t, "slot") }
	take := func(t *rapid.T, bound int64, call func(int64) bool, no *uint64) {
		n := rapid.Int64Range(0, 400).Draw(t, "bytes")
		want := sum()+n <= bound
		require.Equal(t, want, call(n))
		if !want {
			*no++
			return
		}
		taken++
		shares[z.slot] += n
		peak = max(peak, sum())
	}
	t.Repeat(map[string]func(*rapid.T){
		"acquire": func(t *rapid.T) {
			z.slot = slotOf(t)
			take(t, limit/2, z.Acquire, &refused)
		},
		"rescue": func(t *rapid.T) {
			z.slot = slotOf(t)
			take(t, limit, z.Rescue, &denied)
		},
		"release": func(t *rapid.T) {
			z.slot = slotOf(t)
			n := rapid.Int64Range(0, shares[z.slot]).Draw(t, "bytes")
			z.Release(n)
			shares[z.slot] -= n
		},
		"reap": func(t *rapid.T) {
			slot := slotOf(t)
			n, err := z.Reap(slot)
			require.NoError(t, err)
			require.Equal(t, shares[slot], n)
			shares[slot] = 0
		},
		"limit": func(t *rapid.T) {
			limit = rapid.Int64Range(0, 1000).Draw(t, "limit")
			z.SetLimit(limit)
		},
		"": func(t *rapid.T) {
			s := z.Status()
			require.Equal(t, []int64{limit, sum(), peak}, []int64{s.Limit, s.Used, s.Peak})
			require.Equal(t, []uint64{taken, refused, denied}, []uint64{s.Taken, s.Refused, s.Denied})
			for slot, share := range shares {
				require.Equal(t, share, z.Share(slot))
			}
			require.Empty(t, z.Check())
			require.True(t, z.Status().Sound)
		},
	})
}

// TestHalfIsForOrdinaryUse: what is convenient never takes the room of what is needed.
func TestHalfIsForOrdinaryUse(t *testing.T) {
	z := newZone(t, 100, shmtx.Atomic, 0)
	require.True(t, z.Acquire(50))
	require.False(t, z.Acquire(1), "more than half")
	require.True(t, z.Rescue(50))
	require.False(t, z.Rescue(1), "more than all")
	z.Release(60)
	require.True(t, z.Acquire(10))
	require.False(t, z.Acquire(1))
	require.False(t, z.Rescue(1<<62), "no overflow")
}

// TestDamage: a zone that contradicts itself gives nothing out until it has been rebuilt from the shares of the living.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(z *Zone){
		"total too small":            func(z *Zone) { z.h.used = 1 },
		"total too large":            func(z *Zone) { z.h.used = 1 << 40 },
		"share of a dead slot":       func(z *Zone) { z.shares[9] = 77 },
		"share that cannot be":       func(z *Zone) { z.shares[9] = 1 << 63 },
		"more given back than taken": func(z *Zone) { z.shares[1] = 5; z.Release(30) },
		"an undo log without end": func(z *Zone) {
			*shm.At[uint32](z.shm, shm.LockArea+64) = 1 << 20
			require.False(t, z.Acquire(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t, 1000, shmtx.Atomic, 2)
			require.True(t, z.Acquire(40))
			z.slot = 1
			require.True(t, z.Acquire(30))
			damage(z)
			require.NotEmpty(t, z.Check())
			require.True(t, z.Status().CheckDue)
			require.False(t, z.Rescue(1), "nothing is given out")
			_, err := z.Rebuild(func(slot int) bool { return slot == 1 || slot == 2 })
			require.NoError(t, err)
			require.Empty(t, z.Check())
			require.Equal(t, z.Share(1)+z.Share(2), z.Status().Used)
			require.Equal(t, int64(40), z.Share(2))
			require.True(t, z.Acquire(1))
		})
	}
}

func TestMisuse(t *testing.T) {
	z := newZone(t, 100, shmtx.Atomic, NoSlot)
	require.Panics(t, func() { z.Acquire(1) })
	z.slot = 0
	require.Panics(t, func() { z.Acquire(-1) })
	for _, slot := range []int{-1, SlotsMax} {
		_, err := z.Reap(slot)
		require.Error(t, err)
	}
	_, err := Attach(z.FD(), nil, SlotsMax)
	require.ErrorContains(t, err, "slot 1024")
}

func BenchmarkAcquireRelease(b *testing.B) {
	z := newZone(b, 1<<40, shmtx.Atomic, 0)
	for b.Loop() {
		z.Acquire(65536)
		z.Release(65536)
	}
}
