// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// model is what a zone should hold: connections by key and slot, and each hold that was given out.
type model struct {
	counts map[string]map[int]int
	holds  []modelHold
}

type modelHold struct {
	hold    Hold
	key     string
	slot    int
	cleared bool
}

func (m *model) total(key string) int {
	n := 0
	for _, c := range m.counts[key] {
		n += c
	}
	return n
}

func (m *model) add(key string, slot, n int) {
	if m.counts[key] == nil {
		m.counts[key] = map[int]int{}
	}
	if m.counts[key][slot] += n; m.counts[key][slot] == 0 {
		delete(m.counts[key], slot)
	}
	if len(m.counts[key]) == 0 {
		delete(m.counts, key)
	}
}

// stored is key as the zone lists it.
func stored(key string) string {
	if len(key) > KeyMax {
		return string(zonekey.Shorten([]byte(key)))
	}
	return key
}

// TestModel compares a zone with maps, over random acquires, releases, reaps and clearings; the zone is so small that it is full at times.
func TestModel(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		owner := newOwner(t)
		t.Run(kind.String(), rapid.MakeCheck(func(t *rapid.T) {
			z, err := Create(Options{Name: "model", Key: "$k", SizeBytes: shm.MinBytes + 2*shm.PageBytes, Mutex: kind}, owner)
			require.NoError(t, err)
			defer func() { require.NoError(t, z.Close()) }()
			runModel(t, z)
		}))
	}
}

func runModel(t *rapid.T, z *Zone) {
	m := &model{counts: map[string]map[int]int{}}
	var passed, rejected, dryRun, full uint64
	nthKey := func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", n%13*n%290) }
	drawKey := func(t *rapid.T) string { return nthKey(rapid.IntRange(0, 300).Draw(t, "key")) }
	acquire := func(t *rapid.T, key string, slot int, limit uint32, dry bool) {
		z.slot = slot
		holds, v, failed := Acquire(nil, []Limit{{Zone: z, Key: []byte(key), Max: limit, DryRun: dry}})
		switch over := m.total(key) >= int(limit); {
		case over && dry:
			require.Equal(t, RejectedDryRun, v)
			dryRun++
		case over:
			require.Equal(t, Rejected, v)
			rejected++
		case v == Full || v == FullDryRun:
			require.Equal(t, dry, v == FullDryRun)
			require.Zero(t, z.pool.Stats().FreePages, "there was room")
			if dry {
				dryRun++
			} else {
				full++
			}
		default:
			require.Equal(t, Passed, v)
			require.Len(t, holds, 1)
			require.Equal(t, -1, failed)
			passed++
			m.add(key, slot, 1)
			m.holds = append(m.holds, modelHold{hold: holds[0], key: key, slot: slot})
			return
		}
		require.Empty(t, holds)
		require.Zero(t, failed)
	}
	t.Repeat(map[string]func(*rapid.T){
		"acquire": func(t *rapid.T) {
			acquire(t, drawKey(t), rapid.IntRange(0, 4).Draw(t, "slot"), rapid.Uint32Range(0, 4).Draw(t, "max"), rapid.Bool().Draw(t, "dry run"))
		},
		"acquire many": func(t *rapid.T) {
			first, slot := rapid.IntRange(0, 200).Draw(t, "first"), rapid.IntRange(0, 4).Draw(t, "slot")
			for n := range 100 {
				acquire(t, nthKey(first+n), slot, 3, false)
			}
		},
		"release": func(t *rapid.T) {
			if len(m.holds) == 0 {
				return
			}
			i := rapid.IntRange(0, len(m.holds)-1).Draw(t, "hold")
			h := m.holds[i]
			m.holds = slices.Delete(m.holds, i, i+1)
			z.slot = h.slot
			taken := []Hold{h.hold}
			Release(taken)
			require.Equal(t, Hold{}, taken[0])
			if !h.cleared {
				m.add(h.key, h.slot, -1)
			}
		},
		"move": func(t *rapid.T) {
			if len(m.holds) == 0 {
				return
			}
			h := &m.holds[rapid.IntRange(0, len(m.holds)-1).Draw(t, "hold")]
			to, still := rapid.IntRange(0, 4).Draw(t, "to"), rapid.IntRange(0, 3).Draw(t, "still") > 0
			if to == h.slot {
				return
			}
			z.slot = to
			hold, v := z.Move(h.hold.Place(), h.slot, func() bool { return still })
			switch {
			case !still:
				require.Equal(t, Rejected, v)
			case v == Full:
				require.Zero(t, z.pool.Stats().FreePages, "there was room")
			default:
				require.Equal(t, Passed, v)
				if !h.cleared {
					m.add(h.key, h.slot, -1)
					m.add(h.key, to, 1)
				}
				h.hold, h.slot = hold, to
			}
		},
		"reap": func(t *rapid.T) {
			slot := rapid.IntRange(0, 4).Draw(t, "slot")
			want := 0
			m.holds = slices.DeleteFunc(m.holds, func(h modelHold) bool {
				if h.slot != slot {
					return false
				}
				want++
				if !h.cleared {
					m.add(h.key, slot, -1)
				}
				return true
			})
			n, err := z.Reap(slot)
			require.NoError(t, err)
			require.Equal(t, want, n)
		},
		"clear": func(t *rapid.T) {
			key := drawKey(t)
			want := m.total(key)
			n, found, err := z.Delete([]byte(key))
			require.NoError(t, err)
			require.Equal(t, want, n)
			require.Equal(t, want > 0, found)
			delete(m.counts, key)
			for i := range m.holds {
				m.holds[i].cleared = m.holds[i].cleared || m.holds[i].key == key
			}
		},
		"rebuild": func(t *rapid.T) {
			r, err := z.Rebuild(func(int) bool { return true })
			require.NoError(t, err)
			require.Equal(t, len(m.holds), r.Connections)
			require.Zero(t, r.Lost)
		},
		"": func(t *rapid.T) {
			require.Empty(t, z.check())
			compare(t, z, m)
			s := z.Status()
			require.Equal(t, [4]uint64{passed, rejected, dryRun, full}, [4]uint64{s.Passed, s.Rejected, s.DryRun, s.Full})
		},
	})
	for slot := range 5 {
		_, err := z.Reap(slot)
		require.NoError(t, err)
	}
	require.Zero(t, z.Status().Keys+z.Status().Orphans)
	require.Empty(t, z.Check())
}

// compare wants exactly the keys and shares of the model in the zone.
func compare(t *rapid.T, z *Zone, m *model) {
	got := map[string]map[int]int{}
	require.NoError(t, z.Walk(func(e *Entry) {
		shares := map[int]int{}
		for _, s := range e.Shares {
			shares[s.Slot] += s.Connections
		}
		got[string(e.Key)] = shares
	}))
	want := map[string]map[int]int{}
	for key, shares := range m.counts {
		want[stored(key)] = maps.Clone(shares)
		n, err := z.Count([]byte(key))
		require.NoError(t, err)
		require.Equal(t, m.total(key), n)
	}
	require.Equal(t, want, got)
}
