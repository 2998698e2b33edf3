// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A peer that stays is the same object with what it knows, one that leaves is chosen no more, and requests in work keep theirs.
func TestSetPeers(t *testing.T) {
	g := newTestGroup([]int{1, 1}, nil)
	var tried Tried
	a := g.Pick(1000, &tried, nil)
	require.Equal(t, "a", a.Name)
	option := func(name string, weight int) PeerOptions {
		return PeerOptions{Name: name, Weight: weight, MaxFails: 1, FailTimeoutMs: 10_000}
	}
	g.SetPeers([]PeerOptions{option("b", 1), option("c", 1)})
	require.True(t, a.left)
	require.Equal(t, 2, len(g.peers))
	require.NotContains(t, picks(g, 1000, 10), "a")
	require.Equal(t, 1, a.Shared.Status().Work, "its attempt goes on")
	tried.Leave()
	require.Equal(t, 0, a.Shared.Status().Work)
	require.NotNil(t, g.Pick(1000, &tried, nil), "the peers that have come were not tried")
	require.NotNil(t, g.Pick(1000, &tried, nil))
	require.Nil(t, g.Pick(1000, &tried, nil))

	b := g.peers[0]
	require.True(t, b.Failed(2000))
	g.SetPeers([]PeerOptions{option("b", 3), option("d", 1)})
	require.Same(t, b, g.peers[0])
	require.Equal(t, 3, b.Weight)
	require.True(t, b.Shared.Failing(2000, 1, 10_000), "what is known of a peer that stays")

	for _, m := range []Method{RoundRobin, LeastConn, IPHash, Hash, ConsistentHash, Random, RandomTwo} {
		none := NewGroup(Options{Method: m})
		require.Nil(t, none.Pick(1000, new(Tried), []byte("key")), "a group without peers")
		none.SetPeers([]PeerOptions{option("x", 1), option("y", 1)})
		require.NotNil(t, none.Pick(1000, new(Tried), []byte("key")))
		none.SetPeers(nil)
		require.Nil(t, none.Pick(1000, new(Tried), []byte("key")))
	}
}

// Whatever comes and goes, indexes differ, and a request gets each peer once.
func TestSetPeersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newTestGroup(nil, nil)
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			names := rapid.SliceOfNDistinct(rapid.IntRange(0, 90), 0, 80, rapid.ID[int]).Draw(t, "names")
			var list []PeerOptions
			for _, n := range names {
				list = append(list, PeerOptions{Name: string(rune('!' + n)), Weight: 1, Backup: n%5 == 0})
			}
			before := map[string]*Peer{}
			for _, p := range g.peers {
				before[p.Name] = p
			}
			g.SetPeers(list)
			seen := map[int]bool{}
			for i, p := range g.peers {
				require.False(t, seen[p.index], "index %d twice", p.index)
				seen[p.index] = true
				require.Equal(t, list[i].Name, p.Name)
				if old := before[p.Name]; old != nil {
					require.Same(t, old, p)
				}
			}
			var tried Tried
			for range list {
				require.NotNil(t, g.Pick(1000, &tried, nil))
				tried.Leave()
			}
			require.Nil(t, g.Pick(1000, &tried, nil))
		}
	})
}
