// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/shmtx"
)

// TestMoveTrustsNothing moves places that are not there: nothing changes, nothing is read outside of the zone.
func TestMoveTrustsNothing(t *testing.T) {
	z := newZone(t, crashBytes, shmtx.Atomic, 1)
	yes := func() bool { return true }
	holds, v, _ := Acquire(nil, []Limit{{Zone: z, Key: []byte("a"), Max: 10}})
	require.Equal(t, Passed, v)
	good := holds[0].Place()
	z.slot = 0
	for name, p := range map[string]Place{
		"nowhere":           {Share: 0, Hash: good.Hash, Epoch: good.Epoch},
		"outside":           {Share: 0xffff_fff0, Hash: good.Hash, Epoch: good.Epoch},
		"crooked":           {Share: good.Share + 4, Hash: good.Hash, Epoch: good.Epoch},
		"another key":       {Share: good.Share, Hash: good.Hash + 1, Epoch: good.Epoch},
		"in the header":     {Share: 64, Hash: good.Hash, Epoch: good.Epoch},
		"a page never used": {Share: crashBytes - 24, Hash: good.Hash, Epoch: good.Epoch},
	} {
		hold, v := z.Move(p, 1, yes)
		require.Equal(t, Rejected, v, name)
		require.Zero(t, hold, name)
	}
	for _, from := range []int{0, 2, -1, SlotsMax} {
		_, v := z.Move(good, from, yes)
		require.Equal(t, Rejected, v, "slot %d", from)
	}
	_, v = z.Move(good, 1, func() bool { return false })
	require.Equal(t, Rejected, v, "the slot has another worker")
	require.Zero(t, z.Status().Faults)

	moved, v := z.Move(good, 1, yes)
	require.Equal(t, Passed, v)
	_, v = z.Move(good, 1, yes)
	require.Equal(t, Rejected, v, "a second time")
	n, err := z.Reap(1)
	require.NoError(t, err)
	require.Zero(t, n, "the old slot has nothing left")
	Release([]Hold{moved})
	require.Zero(t, z.Status().Keys)
	require.Empty(t, z.Check())
}

// TestMoveAfterReap: a place whose worker has been reaped meanwhile is not there to be moved, and neither is one of a zone rebuilt without it.
func TestMoveAfterReap(t *testing.T) {
	z := newZone(t, crashBytes, shmtx.Atomic, 1)
	yes := func() bool { return true }
	holds, _, _ := Acquire(nil, []Limit{{Zone: z, Key: []byte("a"), Max: 10}, {Zone: z, Key: []byte("b"), Max: 10}})
	_, err := z.Reap(1)
	require.NoError(t, err)
	z.slot = 2
	others, _, _ := Acquire(nil, []Limit{{Zone: z, Key: []byte("a"), Max: 10}})
	z.slot = 0
	_, v := z.Move(holds[0].Place(), 1, yes)
	require.Equal(t, Rejected, v)
	_, err = z.Rebuild(func(slot int) bool { return slot == 2 })
	require.NoError(t, err)
	moved, v := z.Move(others[0].Place(), 2, yes)
	require.Equal(t, Passed, v, "a rebuild that has kept the place changes nothing")
	Release([]Hold{moved})
	require.Empty(t, z.Check())
}

// TestReleaseAfterALostAnswer: who moved a place to itself was killed before it could say so. The one that gave it still has its hold: whatever stands there
// by now, nothing is taken from it.
func TestReleaseAfterALostAnswer(t *testing.T) {
	const giver, taker, other = 0, 1, 2
	yes := func() bool { return true }
	for name, test := range map[string]struct {
		key         string // of the connections that come after
		slot, count int    // whose they are, and how many
	}{
		"nothing there":                  {},
		"another worker's only one":      {key: "a", slot: other, count: 1},
		"another worker's many":          {key: "a", slot: other, count: 3},
		"this worker's, of another key":  {key: "b", slot: giver, count: 1},
		"this worker's many, of another": {key: "b", slot: giver, count: 3},
	} {
		for _, reaped := range []bool{false, true} {
			z := newZone(t, crashBytes, shmtx.Atomic, giver)
			holds := take(t, z, giver, []byte("a"), 1)
			z.slot = taker
			_, v := z.Move(holds[0].Place(), giver, yes)
			require.Equal(t, Passed, v, name)
			want := 1
			if reaped {
				n, err := z.Reap(taker)
				require.NoError(t, err)
				require.Equal(t, 1, n, name)
				want = 0
			}
			later := take(t, z, test.slot, []byte(test.key), test.count)
			z.slot = giver
			Release(holds)
			require.Equal(t, uint64(1), z.Status().Stale, name)
			require.Zero(t, z.Status().Faults, name)
			require.Equal(t, want+test.count, connections(t, z), name)
			require.Empty(t, z.Check(), name)
			z.slot = test.slot
			Release(later)
			require.Equal(t, want, connections(t, z), name)
			require.Equal(t, uint64(1), z.Status().Stale, name)
		}
	}
}
