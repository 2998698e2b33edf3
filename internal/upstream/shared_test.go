// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/peers"
	"weir/internal/shmtx"
)

// fleet is a group as several workers have it.
type fleet struct {
	zone    *peers.Zone // the master's
	workers []*Group
	zones   []*peers.Zone
	owner   *shmtx.Owner
}

func newFleet(tb testing.TB, n int, o Options) *fleet {
	tb.Helper()
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	require.NoError(tb, err)
	f := &fleet{owner: owner}
	f.zone, err = peers.Create(n, shmtx.Atomic, owner)
	require.NoError(tb, err)
	var names []peers.Name
	for _, p := range o.Peers {
		names = append(names, peers.Name{Group: o.Name, Address: p.Name})
	}
	require.NoError(tb, f.zone.Register(names, 1))
	for slot := range n {
		f.workers = append(f.workers, f.worker(tb, slot, o))
	}
	return f
}

// worker attaches to the zone as the worker of a slot does.
func (f *fleet) worker(tb testing.TB, slot int, o Options) *Group {
	fd, err := syscall.Dup(f.zone.FD())
	require.NoError(tb, err)
	z, err := peers.Attach(fd, f.owner, slot)
	require.NoError(tb, err)
	f.zones = append(f.zones, z)
	o.Zone = z
	list := o.Peers
	o.Peers = nil
	for _, p := range list {
		var ok bool
		p.Shared, ok = z.Find(peers.Name{Group: o.Name, Address: p.Name})
		require.True(tb, ok)
		o.Peers = append(o.Peers, p)
	}
	return NewGroup(o)
}

func (f *fleet) close(tb testing.TB) {
	require.Empty(tb, f.zone.Check())
	for _, z := range append(f.zones, f.zone) {
		require.NoError(tb, z.Close())
	}
}

// options are those of a group of n peers of one weight, "10.0.0.1:80" and so on.
func options(m Method, n int) Options {
	o := Options{Name: "app", Method: m}
	for i := range n {
		o.Peers = append(o.Peers, PeerOptions{Name: fmt.Sprintf("10.0.0.%d:80", i+1), Weight: 1, MaxFails: 1, FailTimeoutMs: 10_000})
	}
	return o
}

// TestTurnsAreShared: whichever workers choose, and in whatever order, the turns are those of one.
func TestTurnsAreShared(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 5).Draw(rt, "weights")
		o := options(RoundRobin, len(weights))
		for i, w := range weights {
			o.Peers[i].Weight = w
		}
		f := newFleet(t, 4, o)
		defer f.close(t)
		one := NewGroup(o)
		for i := range 60 {
			var here, there Tried
			worker := rapid.IntRange(0, 3).Draw(rt, "worker")
			require.Equal(rt, one.Pick(1000, &there, nil).Name, f.workers[worker].Pick(1000, &here, nil).Name, "choice %d", i)
			here.Leave()
		}
	})
}

// TestLoadIsShared is a model of least_conn: a choice is always one of the peers with the least work for their weight, over all workers, also when one of
// these is killed.
func TestLoadIsShared(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const workers = 3
		weights := rapid.SliceOfN(rapid.IntRange(1, 4), 2, 4).Draw(rt, "weights")
		o := options(LeastConn, len(weights))
		for i, w := range weights {
			o.Peers[i].Weight = w
		}
		f := newFleet(t, workers, o)
		defer f.close(t)
		work := make([]int, len(weights))
		var held [workers][]*Tried
		leave := func(w int) {
			last := len(held[w]) - 1
			work[held[w][last].at.index]--
			held[w][last].Leave()
			held[w] = held[w][:last]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"pick": func(rt *rapid.T) {
				w := rapid.IntRange(0, workers-1).Draw(rt, "worker")
				tried := new(Tried)
				p := f.workers[w].Pick(1000, tried, nil)
				for i := range work {
					require.LessOrEqual(rt, work[p.index]*weights[i], work[i]*weights[p.index], "work %v of weights %v, chosen %d", work, weights, p.index)
				}
				work[p.index]++
				held[w] = append(held[w], tried)
			},
			"leave": func(rt *rapid.T) {
				if w := rapid.IntRange(0, workers-1).Draw(rt, "worker"); len(held[w]) > 0 {
					leave(w)
				}
			},
			"kill": func(rt *rapid.T) {
				w := rapid.IntRange(0, workers-1).Draw(rt, "worker")
				n, err := f.zone.Reap(w)
				require.NoError(rt, err)
				require.Equal(rt, len(held[w]), n)
				for _, tried := range held[w] {
					work[tried.at.index]--
				}
				held[w] = nil
			},
			"": func(rt *rapid.T) {
				for i, p := range f.workers[0].peers {
					require.Equal(rt, int64(work[i]), p.Shared.Busy())
				}
			},
		})
		for w := range held {
			for len(held[w]) > 0 {
				leave(w)
			}
		}
	})
}

// TestOneChanceForAll: of a peer that has failed, all workers together try one request in fail_timeout, by whatever method.
func TestOneChanceForAll(t *testing.T) {
	for m := RoundRobin; m <= RandomTwo; m++ {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			f := newFleet(t, 4, options(m, 2))
			defer f.close(t)
			bad := f.workers[0].peers[0].Name
			require.True(t, f.workers[0].peers[0].Failed(1000))
			tries := 0
			for i := range 800 {
				var tried Tried
				p := f.workers[i%4].Pick(11_001, &tried, fmt.Append(nil, "key", i))
				if p.Name == bad {
					tries++
					p.Failed(11_001)
				}
				tried.Leave()
			}
			require.Equal(t, 1, tries)
		})
	}
}

// An operator's word and a health check's count for all workers at once, and for new ones; also where there is nothing to choose.
func TestOperatorAndHealth(t *testing.T) {
	for m := RoundRobin; m <= RandomTwo; m++ {
		o := options(m, 2)
		o.Peers[0].Checked, o.Peers[1].Checked = true, true
		o.Peers[1].Down = true
		f := newFleet(t, 3, o)
		all := func(nowMs int64) (seen string) {
			names := map[string]bool{}
			for i := range 90 {
				var tried Tried
				p := f.workers[i%3].Pick(nowMs, &tried, fmt.Append(nil, "key", i))
				if p != nil {
					names[p.Name] = true
				}
				tried.Leave()
			}
			for i, p := range o.Peers {
				if names[p.Name] {
					seen += fmt.Sprint(i)
				}
			}
			return seen
		}
		set := func(i int, a peers.Admin) {
			p, ok := f.zone.Find(peers.Name{Group: "app", Address: o.Peers[i].Name})
			require.True(t, ok)
			p.SetAdmin(a, 1000)
		}
		health := func(i int, h peers.Health) {
			p, _ := f.zone.Find(peers.Name{Group: "app", Address: o.Peers[i].Name})
			p.SetHealth(h, 1000)
		}
		require.Equal(t, "0", all(1000))
		set(1, peers.Up)
		require.Equal(t, "01", all(1000), "method %d: up, although the config says down", m)
		set(0, peers.Drain)
		require.Equal(t, "1", all(1000), "method %d", m)
		health(1, peers.Unhealthy)
		require.Equal(t, "", all(1000), "method %d", m)
		health(1, peers.Healthy)
		require.Equal(t, "1", all(1000), "method %d", m)
		set(0, peers.Up)
		set(1, peers.Down)
		f.workers[0] = f.worker(t, 0, o)
		require.Equal(t, "0", all(1000), "method %d: a new worker knows", m)
		f.close(t)
	}
	for m := RoundRobin; m <= RandomTwo; m++ {
		o := options(m, 2)
		o.Peers[0].Checked, o.Peers[0].Mandatory = true, true
		f := newFleet(t, 1, o)
		require.NotContains(t, picks(f.workers[0], 1, 20), o.Peers[0].Name, "method %d: no check has been passed yet", m)
		f.close(t)
	}
	f := newFleet(t, 1, options(RoundRobin, 1))
	defer f.close(t)
	g := f.workers[0]
	require.NotEqual(t, "-", func() string { g.peers[0].Shared.SetHealth(peers.Unhealthy, 1); return picks(g, 1, 1) }(), "a group without checks does not go by what old ones have found")
	g.peers[0].Checked = true
	g.peers[0].Shared.SetHealth(peers.Unknown, 1)
	g.peers[0].Mandatory = true
	require.Equal(t, "-", picks(g, 1, 1), "no check has been passed yet")
	g.peers[0].Mandatory = false
	require.Equal(t, "-", func() string { g.peers[0].Shared.SetAdmin(peers.Down, 1); return picks(g, 1, 1) }())
	require.NotEqual(t, "-", func() string { g.peers[0].Shared.SetAdmin(peers.Up, 1); return picks(g, 1, 1) }())
	require.Equal(t, "-", func() string { g.peers[0].Shared.SetHealth(peers.Unhealthy, 1); return picks(g, 1, 1) }())
}

// A peer that has come back gets what is due to it in slow_start: a share that grows from nothing.
func TestSlowStart(t *testing.T) {
	for _, m := range []Method{RoundRobin, LeastConn} {
		o := options(m, 2)
		for i := range o.Peers {
			o.Peers[i].SlowStartMs = 10_000
		}
		f := newFleet(t, 2, o)
		share := func(nowMs int64) int {
			n := 0
			var held []*Tried
			for i := range 300 {
				tried := new(Tried)
				if f.workers[i%2].Pick(nowMs, tried, nil).index == 0 {
					n++
				}
				held = append(held, tried)
			}
			for _, tried := range held {
				tried.Leave()
			}
			return n
		}
		require.Equal(t, 150, share(1000))
		f.workers[1].peers[0].Failed(1000)
		require.Zero(t, share(1001))
		tried := new(Tried)
		for n := 0; f.workers[0].Pick(20_000, tried, nil).index != 0; n++ {
			tried.Leave()
			tried.Reset()
			require.Less(t, n, 5)
		}
		f.workers[0].peers[0].Succeeded(20_000)
		tried.Leave()
		require.LessOrEqual(t, share(20_000), 2, "method %d", m)
		require.InDelta(t, 300/6, share(22_000), 4, "method %d: a fifth of its weight beside the other's", m)
		require.InDelta(t, 300/3, share(25_000), 4, "method %d: half of its weight", m)
		require.InDelta(t, 150, share(30_000), 4, "method %d", m)
		f.close(t)
	}
}

// Requests that are bound to a peer go to it, also when it drains, and to others when it cannot have them.
func TestSticky(t *testing.T) {
	for m := RoundRobin; m <= RandomTwo; m++ {
		o := options(m, 3)
		o.Sticky = &Sticky{Cookie: "srv"}
		o.Peers[2].Route = "third"
		f := newFleet(t, 2, o)
		g := f.workers[1]
		require.Equal(t, "1484b8b3753313249a03bcfd7b96938d", g.peers[0].ID(), "what md5sum says of 10.0.0.1:80")
		require.Equal(t, "third", g.peers[2].ID())
		pick := func(id string) *Peer {
			var tried Tried
			tried.Bind(g, []byte(id))
			p := g.Pick(1000, &tried, []byte("some key"))
			tried.Leave()
			return p
		}
		for range 20 {
			require.Same(t, g.peers[2], pick("third"))
		}
		third, _ := f.zone.Find(peers.Name{Group: "app", Address: o.Peers[2].Name})
		third.SetAdmin(peers.Drain, 1000)
		require.Same(t, g.peers[2], pick("third"))
		for range 20 {
			require.NotSame(t, g.peers[2], pick("unknown"))
		}
		third.SetAdmin(peers.Down, 1000)
		require.NotSame(t, g.peers[2], pick("third"))
		third.SetAdmin(peers.Up, 1000)
		third.Failed(1000, 1, 1)
		require.NotSame(t, g.peers[2], pick("third"))

		var tried Tried
		tried.Bind(g, []byte(g.peers[0].ID()))
		seen := map[*Peer]bool{}
		first := true
		for p := g.Pick(1000, &tried, []byte("k")); p != nil; p = g.Pick(1000, &tried, []byte("k")) {
			require.True(t, !first || p == g.peers[0])
			require.False(t, seen[p], "twice")
			seen[p], first = true, false
			tried.Leave()
		}
		require.Len(t, seen, 2, "then the others that are there")
		f.close(t)
	}
}

// TestDistribution: over 100,000 choices of four workers each peer gets its share, by turns to the request, by hashes and at random about that.
func TestDistribution(t *testing.T) {
	const picks = 100_000
	weights := []int{5, 3, 1, 1}
	for m := RoundRobin; m <= RandomTwo; m++ {
		t.Run(fmt.Sprint(m), func(t *testing.T) {
			o := options(m, len(weights))
			for i, w := range weights {
				o.Peers[i].Weight = w
			}
			f := newFleet(t, 4, o)
			defer f.close(t)
			got := make([]int, len(weights))
			var held []*Tried // with least_conn and random two: requests that take as long as 40 others
			var room [40]Tried
			for i := range picks {
				tried := &room[i%len(room)]
				if len(held) == len(room) {
					tried.Leave()
					tried.Reset()
				} else {
					held = append(held, tried)
				}
				key := fmt.Append(nil, "/page/", i)
				if m == IPHash {
					key = []byte{byte(i >> 16), byte(i >> 8), byte(i), 1}
				}
				got[f.workers[i%4].Pick(1000, tried, key).index]++
			}
			for i := range room {
				room[i].Leave()
			}
			for i, w := range weights {
				want := picks * w / 10
				tolerance := 0
				switch m {
				case LeastConn:
					tolerance = picks / 500
				case IPHash, Hash, Random:
					tolerance = picks / 50
				case ConsistentHash: // 160 points for each unit of weight: nginx's own spread
					tolerance = picks / 10
				case RandomTwo: // less busy ones are chosen: the weights even out more than at random
					tolerance = picks / 20
				}
				require.InDelta(t, want, got[i], float64(tolerance), "peer %d: %v", i, got)
			}
		})
	}
}

// TestConsistentHashMoves: whichever of n peers leaves or fails, only its own keys move, about 1/n of all.
func TestConsistentHashMoves(t *testing.T) {
	const n, keys = 8, 20_000
	f := newFleet(t, 2, options(ConsistentHash, n))
	defer f.close(t)
	of := func(g *Group, key int) *Peer {
		var tried Tried
		p := g.Pick(1000, &tried, fmt.Append(nil, "key", key))
		tried.Leave()
		return p
	}
	before := make([]*Peer, keys)
	for k := range before {
		before[k] = of(f.workers[0], k)
	}
	for i := range n {
		f.workers[1].peers[i].Shared.SetAdmin(peers.Down, 1000)
		moved := 0
		for k, p := range before {
			if now := of(f.workers[0], k); now != p {
				require.Equal(t, i, p.index, "a key of another peer has moved")
				moved++
			}
		}
		require.InDelta(t, keys/n, moved, keys/n/3, "peer %d", i)
		f.workers[1].peers[i].Shared.SetAdmin(peers.Up, 1000)
	}
}
