// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/limitconn"
	"weir/internal/shmtx"
)

// MaxConns holds over all workers: two groups with different slots stand for two of them.
func TestMaxConns(t *testing.T) {
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	zone, err := limitconn.Create(limitconn.Options{Name: "places", Key: "upstream", SizeBytes: 64 << 10}, owner)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, zone.Check())
		require.NoError(t, zone.Close())
	})
	worker := func(slot int) *Group {
		fd, err := syscall.Dup(zone.FD())
		require.NoError(t, err)
		z, err := limitconn.Attach(fd, owner, slot)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, z.Close()) })
		return NewGroup(Options{Name: "app", Places: z, Peers: []PeerOptions{
			{Name: "a", Weight: 1, MaxConns: 3, MaxFails: 1, FailTimeoutMs: 1000},
			{Name: "b", Weight: 1, MaxConns: 2, MaxFails: 1, FailTimeoutMs: 1000},
		}})
	}
	workers := []*Group{worker(0), worker(1)}
	twice := NewGroup(Options{Name: "twice", Places: workers[0].Places, Peers: []PeerOptions{{Name: "a", Weight: 1, MaxConns: 1}, {Name: "a", Weight: 1, MaxConns: 1}, {Name: "b", Weight: 1, Down: true}}})
	require.Equal(t, 2, twice.Tries())
	var both [3]Tried
	require.NotNil(t, twice.Pick(1000, &both[0], nil))
	require.NotNil(t, twice.Pick(1000, &both[1], nil), "an origin that is named twice has the places of both")
	require.Nil(t, twice.Pick(1000, &both[2], nil))
	both[0].Leave()
	both[1].Leave()
	var tried [6]Tried
	got := map[string]int{}
	for i := range tried[:5] {
		p := workers[i%2].Pick(1000, &tried[i], nil)
		require.NotNil(t, p, "attempt %d", i)
		got[p.Name]++
	}
	require.Equal(t, map[string]int{"a": 3, "b": 2}, got)
	require.Nil(t, workers[0].Pick(1000, &tried[5], nil), "every place is taken")
	require.Nil(t, workers[1].Pick(1000, new(Tried), nil))

	left := tried[3].at.Name
	tried[3].Leave()
	tried[3].Leave() // leaving twice gives one place back
	tried[5].Reset()
	require.Equal(t, left, workers[0].Pick(1000, &tried[5], nil).Name)
	require.Nil(t, workers[1].Pick(1000, new(Tried), nil))

	dead, err := zone.Reap(1) // a killed worker's places come back
	require.NoError(t, err)
	require.Equal(t, 1, dead)
	require.NotNil(t, workers[0].Pick(1000, new(Tried), nil))
}
