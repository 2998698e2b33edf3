// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

// busy fills a zone with keys of several slots, and returns the holds of slot 0.
func busy(t *testing.T, z *Zone) []Hold {
	var holds []Hold
	for n := range 100 {
		holds = append(holds, take(t, z, 0, key4(n), 1+n%3)...)
		take(t, z, 1+n%3, key4(n), 2)
	}
	take(t, z, 2, []byte("cleared"), 1)
	_, _, err := z.Delete([]byte("cleared"))
	require.NoError(t, err)
	return holds
}

// TestDamage spoils one field at a time: Check reports it, no operation reads or writes outside the zone, and Rebuild makes the zone sound again with
// the counts as they were, unless it was the counts that were spoiled.
func TestDamage(t *testing.T) {
	anyNode := func(z *Zone) *node { return z.node(*rootOf(z)) }
	damages := []struct {
		name string
		do   func(z *Zone)
		lost int // connections that cannot be saved
	}{
		{"tree root", func(z *Zone) { z.h.root += 8 }, 0},
		{"tree link out of the zone", func(z *Zone) { z.h.root = 0xfffffff8 }, 0},
		{"node total", func(z *Zone) { anyNode(z).own.counts += 5 }, 0},
		{"node's share list", func(z *Zone) { anyNode(z).own.next = 0 }, 0},
		{"node's share list, circle", func(z *Zone) { z.share(anyNode(z).own.next).next = anyNode(z).own.next }, 0},
		{"slot list", func(z *Zone) { z.lists()[1] = 0 }, 0},
		{"slot list, prev", func(z *Zone) { z.share(z.lists()[1]).slotPrev = 64 }, 0},
		{"slot list, circle", func(z *Zone) { z.share(z.lists()[2]).slotNext = z.lists()[2] }, 0},
		{"slot lists lost", func(z *Zone) { z.h.slots = 0 }, 0},
		{"key count", func(z *Zone) { z.h.keys-- }, 0},
		{"cleared count", func(z *Zone) { z.h.orphans = 0 }, 0},
		{"allocator header", func(z *Zone) { clear(z.shm.Bytes(shm.AllocArea, 256)) }, 0},
		{"state", func(z *Zone) { z.h.state = stateRebuilding }, 0},
		{"a key", func(z *Zone) { z.keyAt(*rootOf(z), anyNode(z))[0] ^= 1 }, -1},
		{"a key's length", func(z *Zone) { lastOfChunk(z).own.info &^= keyLenMask }, -1},
		{"a share's node", func(z *Zone) { z.share(anyNode(z).own.next).node += 8 }, -1},
	}
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		for _, d := range damages {
			t.Run(kind.String()+"/"+d.name, func(t *testing.T) {
				z := newZone(t, 128<<10, kind, 0)
				holds := busy(t, z)
				require.Empty(t, z.Check())
				require.False(t, z.Status().CheckDue)
				before := connections(t, z)
				d.do(z)
				require.NotEmpty(t, z.Check())
				require.True(t, z.Status().CheckDue)
				poke(z)

				r, err := z.Rebuild(nil)
				require.NoError(t, err)
				require.Empty(t, z.Check())
				require.Equal(t, 1, z.Status().Rebuilds)
				require.True(t, z.Status().Sound)
				if d.lost == 0 {
					require.Equal(t, before, connections(t, z))
					require.Zero(t, r.Lost)
				} else {
					require.Less(t, connections(t, z), before)
					require.Positive(t, r.Lost)
				}
				Release(holds)
				for slot := range 4 {
					_, err := z.Reap(slot)
					require.NoError(t, err)
				}
				require.Zero(t, connections(t, z))
				require.Equal(t, strings.HasPrefix(d.name, "a key"), z.Status().Stale > 0, "only then something of slot 0 is lost")
				require.Zero(t, z.Status().Keys+z.Status().Orphans)
				require.Empty(t, z.Check())
			})
		}
	}
}

// lastOfChunk is the node behind which Walk goes on when it has let the lock go once.
func lastOfChunk(z *Zone) *node {
	at := z.tree.First()
	for range chunkKeys - 1 {
		at = z.tree.Next(at)
	}
	return z.node(at)
}

func rootOf(z *Zone) *shm.Offset { return &z.h.root }

// poke tries every operation on a damaged zone, without changing what others hold. None may crash.
func poke(z *Zone) {
	_, _, _ = z.Delete([]byte("no such key"))
	_, _ = z.Count(key4(3))
	_, _ = z.Top(5)
	_, _ = z.Reap(900)
	_ = z.Status()
}

// connections is the number of connections that slots 0 to 3 hold, found without links between them.
func connections(t *testing.T, z *Zone) int {
	t.Helper()
	n := 0
	require.NoError(t, z.Walk(func(e *Entry) { n += e.Connections }))
	return n
}

// TestRebuildWithoutTheDead: what belongs to no live slot goes.
func TestRebuildWithoutTheDead(t *testing.T) {
	z := newZone(t, 128<<10, shmtx.Atomic, 0)
	busy(t, z)
	r, err := z.Rebuild(func(slot int) bool { return slot == 2 })
	require.NoError(t, err)
	require.Empty(t, z.Check())
	require.NoError(t, z.Walk(func(e *Entry) {
		require.Len(t, e.Shares, 1)
		require.Equal(t, Share{Slot: 2, Connections: 2}, e.Shares[0])
	}))
	require.Equal(t, 2*33+1, r.Connections)
}

// TestRandomDamage flips random bits anywhere behind the identity. Nothing may crash, and Rebuild must always end in a sound zone.
func TestRandomDamage(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		z := newZone(t, 128<<10, shmtx.Atomic, 0)
		holds := busy(t, z)
		for range 1 + random.IntN(20) {
			// Not the lock word: it would stop everybody, this process too.
			at := 0x240 + random.IntN(int(z.SizeBytes())-0x240)
			if random.IntN(2) == 0 {
				at = 0x240 + random.IntN(0x1000-0x240)
			}
			z.shm.Bytes(shm.Offset(at), 1)[0] ^= 1 << random.IntN(8)
		}
		z.Check()
		_, _, _ = Acquire(nil, []Limit{{Zone: z, Key: key4(5), Max: 100}})
		Release(holds[:10])
		poke(z)
		_, err := z.Reap(1)
		_ = err
		_, err = z.Rebuild(nil)
		require.NoError(t, err, "seed %d", seed)
		require.Empty(t, z.Check(), "seed %d", seed)
	}
}
