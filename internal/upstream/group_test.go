// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/peers"
)

// newTestGroup makes a group of peers "a", "b", ... with weights; change adapts their options.
func newTestGroup(weights []int, change func(i int, o *PeerOptions)) *Group {
	o := Options{Name: "test"}
	for i, w := range weights {
		p := PeerOptions{Name: string(rune('a' + i)), Weight: w, MaxFails: 1, FailTimeoutMs: 10_000}
		if change != nil {
			change(i, &p)
		}
		o.Peers = append(o.Peers, p)
	}
	return NewGroup(o)
}

// picks gives the peers of n requests.
func picks(g *Group, nowMs int64, n int) string {
	var out strings.Builder
	for range n {
		var tried Tried
		if p := g.Pick(nowMs, &tried, nil); p != nil {
			out.WriteString(p.Name)
		} else {
			out.WriteByte('-')
		}
	}
	return out.String()
}

// The sequences that nginx's algorithm gives; the first is the one in its commit message.
func TestSmoothSequences(t *testing.T) {
	for _, tc := range []struct {
		weights []int
		want    string
	}{
		{[]int{5, 1, 1}, "aabacaa" + "aabacaa"},
		{[]int{1, 1, 1}, "abcabc"},
		{[]int{2, 1}, "abaaba"},
		{[]int{4, 2, 1}, "abacaba" + "abacaba"},
		{[]int{3, 3}, "ababab"},
		{[]int{7}, "aaa"},
	} {
		require.Equal(t, tc.want, picks(newTestGroup(tc.weights, nil), 1000, len(tc.want)), "weights %v", tc.weights)
	}
}

// Over one round each peer gets its weight, and no peer gets requests in a row that another is due for: at no time is one further from
// its share than a request for each peer.
func TestSmoothShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 12), 2, 6).Draw(t, "weights")
		g := newTestGroup(weights, nil)
		total := 0
		for _, w := range weights {
			total += w
		}
		got := make([]int, len(weights))
		for n := 1; n <= 3*total; n++ {
			var tried Tried
			got[g.Pick(1000, &tried, nil).index]++
			for i, w := range weights {
				if share := float64(n) * float64(w) / float64(total); share-float64(got[i]) > float64(len(weights)) || float64(got[i])-share > float64(len(weights)) {
					t.Fatalf("after %d requests %v were given for weights %v", n, got, weights)
				}
			}
			if n%total == 0 {
				for i, w := range weights {
					if got[i] != n/total*w {
						t.Fatalf("after %d rounds %v were given for weights %v", n/total, got, weights)
					}
				}
			}
		}
	})
}

func (g *Group) peer(name string) *Peer {
	for _, p := range g.peers {
		if p.Name == name {
			return p
		}
	}
	panic(name)
}

// max_fails within fail_timeout make a server unavailable for fail_timeout; then it gets one request, whose outcome decides.
func TestMaxFails(t *testing.T) {
	g := newTestGroup([]int{1, 1}, func(_ int, o *PeerOptions) { o.MaxFails = 2 })
	a := g.peer("a")
	require.False(t, a.Failed(1000))
	require.Contains(t, picks(g, 1001, 4), "a", "one failure is allowed")
	require.True(t, a.Failed(2000), "the second one makes it unavailable")
	require.Equal(t, "bbbb", picks(g, 2001, 4))
	require.Equal(t, "bbbb", picks(g, 12_000, 4), "for all of fail_timeout")

	require.Equal(t, 1, strings.Count(picks(g, 12_001, 6), "a"), "then it gets a chance, one in fail_timeout")
	require.False(t, a.Failed(12_002), "it was unavailable already")
	require.Equal(t, "bbbb", picks(g, 12_003, 4))

	require.Equal(t, 1, strings.Count(picks(g, 22_003, 6), "a"))
	a.Succeeded(22_003)
	require.Equal(t, 3, strings.Count(picks(g, 22_004, 6), "a"), "back")
}

// A success right after a failure, without a chance in between, does not forgive it: it may have begun before.
func TestSuccessOfAnEarlierRequest(t *testing.T) {
	g := newTestGroup([]int{1, 1}, nil)
	a := g.peer("a")
	require.True(t, a.Failed(1000))
	a.Succeeded(1000)
	require.Equal(t, "bbbb", picks(g, 1001, 4))
}

// Failures further apart than fail_timeout do not add up.
func TestOldFailuresAreForgotten(t *testing.T) {
	g := newTestGroup([]int{1, 1}, func(_ int, o *PeerOptions) { o.MaxFails = 2 })
	a := g.peer("a")
	require.False(t, a.Failed(1000))
	picks(g, 20_000, 2)
	a.Succeeded(20_000)
	require.False(t, a.Failed(20_001))
	require.Contains(t, picks(g, 20_002, 2), "a")
}

// A failure lowers the effective weight, which grows back by one with each choice.
func TestFailureLowersWeight(t *testing.T) {
	g := newTestGroup([]int{10, 10}, func(_ int, o *PeerOptions) { o.MaxFails = 5 })
	a := g.peer("a")
	for range 3 {
		a.Failed(1000)
	}
	require.Equal(t, int64(4*peers.One), effective(a))
	first := strings.Count(picks(g, 1001, 6), "a")
	require.Less(t, first, 3)
	require.Equal(t, int64(10*peers.One), effective(a))
	for range 20 {
		a.Failed(1000)
	}
	require.Zero(t, effective(a), "and not below nothing")
}

// effective is the weight that failures have left.
func effective(p *Peer) int64 { return int64(p.Weight-p.Shared.Status().Penalty) * peers.One }

// max_fails = 0: failures are not counted.
func TestMaxFailsZero(t *testing.T) {
	g := newTestGroup([]int{1, 1}, func(_ int, o *PeerOptions) { o.MaxFails = 0 })
	for range 5 {
		require.False(t, g.peer("a").Failed(1000))
	}
	require.Equal(t, "abab", picks(g, 1001, 4))
}

// A group with one server: it is never taken for unavailable, but not tried twice for one request.
func TestSinglePeer(t *testing.T) {
	g := newTestGroup([]int{3}, nil)
	require.True(t, g.Single())
	for range 5 {
		require.False(t, g.peer("a").Failed(1000))
	}
	require.Equal(t, "aaa", picks(g, 1001, 3))
	var tried Tried
	require.NotNil(t, g.Pick(1001, &tried, nil))
	require.Nil(t, g.Pick(1001, &tried, nil))
	tried.Reset()
	require.NotNil(t, g.Pick(1001, &tried, nil))

	down := newTestGroup([]int{1}, func(_ int, o *PeerOptions) { o.Down = true })
	require.Equal(t, "-", picks(down, 1001, 1))
}

// backup: only when no other is available. down: never.
func TestBackupAndDown(t *testing.T) {
	g := newTestGroup([]int{1, 1, 1, 1}, func(i int, o *PeerOptions) {
		o.Down = i == 1
		o.Backup = i >= 2
	})
	require.False(t, g.Single())
	require.Equal(t, "aaa", picks(g, 1000, 3))
	g.peer("a").Failed(1000)
	require.Equal(t, "cdcd", picks(g, 1001, 4))
	g.peer("c").Failed(1001)
	require.Equal(t, "dd", picks(g, 1002, 2))
	g.peer("d").Failed(1002)
	require.Equal(t, "--", picks(g, 1003, 2), "no live upstreams")
	require.Equal(t, "a", picks(g, 11_001, 1))

	one := newTestGroup([]int{1, 1}, func(i int, o *PeerOptions) { o.Backup = i == 1 })
	require.True(t, one.peer("a").Failed(1000), "with a backup a single server can be unavailable")
	require.Equal(t, "bb", picks(one, 1001, 2))

	// One request goes through all of them, the backups last.
	g = newTestGroup([]int{1, 1, 1}, func(i int, o *PeerOptions) { o.Backup = i == 0 })
	var tried Tried
	got := ""
	for p := g.Pick(1000, &tried, nil); p != nil; p = g.Pick(1000, &tried, nil) {
		got += p.Name
	}
	require.Equal(t, "bca", got)
}

// Tried against a set, with any number of peers.
func TestTriedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tried Tried
		model := map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				i := rapid.IntRange(0, 300).Draw(t, "peer")
				tried.add(i)
				model[i] = true
			},
			"reset": func(*rapid.T) {
				tried.Reset()
				clear(model)
			},
			"": func(t *rapid.T) {
				for i := range 400 {
					if tried.has(i) != model[i] {
						t.Fatalf("peer %d: %v", i, tried.has(i))
					}
				}
			},
		})
	})
}

// A request tries every one of many peers once.
func TestManyPeers(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 128, 129, 200} {
		o := Options{}
		for i := range n {
			o.Peers = append(o.Peers, PeerOptions{Name: fmt.Sprint(i), Weight: 1 + i%3})
		}
		g := NewGroup(o)
		var tried Tried
		seen := map[*Peer]bool{}
		for p := g.Pick(1000, &tried, nil); p != nil; p = g.Pick(1000, &tried, nil) {
			require.False(t, seen[p], "twice")
			seen[p] = true
		}
		require.Len(t, seen, n)
	}
}

func TestTrialName(t *testing.T) {
	g := newTestGroup([]int{1}, nil)
	require.Equal(t, "a", (&Trial{Peer: g.peers[0]}).Name())
	require.Equal(t, "group", (&Trial{Group: "group"}).Name())
}
