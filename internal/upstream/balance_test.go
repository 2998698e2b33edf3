// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package upstream

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// named makes a group of one method, of peers with these names.
func named(m Method, weights []int, names ...string) *Group {
	o := Options{Name: "test", Method: m}
	for i, name := range names {
		o.Peers = append(o.Peers, PeerOptions{Name: name, Weight: weights[i%len(weights)], MaxFails: 1, FailTimeoutMs: 10_000})
	}
	return NewGroup(o)
}

func pickOne(g *Group, key string) *Peer {
	var tried Tried
	p := g.Pick(1000, &tried, []byte(key))
	tried.Leave()
	return p
}

// What nginx 1.22.1 chose for these keys among 127.0.0.1:19001 to 19004, the second with weight 3; and with the second one marked as down.
func TestHashesAreNginx(t *testing.T) {
	text := func(i int) string { return fmt.Sprint("key", i) }
	v4 := func(i int) string { return string([]byte{10, byte(i * 7), byte(i * i), 9}) }
	v6 := func(i int) string { // 2001:db8::i:1, with the digits of i read as hexadecimal
		group := i/10*16 + i%10
		return string([]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, byte(group >> 8), byte(group), 0, 1})
	}
	for _, tc := range []struct {
		method Method
		key    func(int) string
		down   bool
		want   string
	}{
		{Hash, text, false, "432324321232342121232143341222241421422322233212"},
		{Hash, text, true, "434334341431343131131143341331341411413313333411"},
		{ConsistentHash, text, false, "432234442222122333244441222421132222442323242311"},
		{ConsistentHash, text, true, "434434441134143333444441343411131444444313144311"},
		{IPHash, v4, false, "224223223223222224224221331312442222"},
		{IPHash, v4, true, "344413143133311334314111331311444334"},
		{IPHash, v6, false, "2214322214322143"},
	} {
		g := named(tc.method, []int{1, 3, 1, 1}, "127.0.0.1:19001", "127.0.0.1:19002", "127.0.0.1:19003", "127.0.0.1:19004")
		g.peers[1].Down = tc.down
		got := ""
		for i := range tc.want {
			name := pickOne(g, tc.key(i)).Name
			got += name[len(name)-1:]
		}
		require.Equal(t, tc.want, got, "method %d, down %v", tc.method, tc.down)
	}
}

// All requests of one key go to one peer, the keys spread by weight, and a key whose peer has failed goes to another.
func TestHashesSpread(t *testing.T) {
	for _, m := range []Method{IPHash, Hash, ConsistentHash} {
		g := named(m, []int{1, 2, 1}, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		const keys = 60_000
		count := map[string]int{}
		for i := range keys {
			key := fmt.Sprint("key", i)
			if m == IPHash {
				key = string([]byte{byte(i >> 16), byte(i >> 8), byte(i), 1})
			}
			p := pickOne(g, key)
			require.Same(t, p, pickOne(g, key))
			count[p.Name]++
		}
		require.InDelta(t, keys/2, count["10.0.0.2:80"], keys/12, "method %d: %v", m, count)
		require.InDelta(t, keys/4, count["10.0.0.1:80"], keys/12, "method %d: %v", m, count)

		first := pickOne(g, "abcd")
		first.Failed(1000)
		second := pickOne(g, "abcd")
		require.NotSame(t, first, second)
		require.Same(t, second, pickOne(g, "abcd"))

		var tried Tried
		seen := map[*Peer]bool{}
		for p := g.Pick(1000, &tried, []byte("abcd")); p != nil; p = g.Pick(1000, &tried, []byte("abcd")) {
			require.False(t, seen[p])
			seen[p] = true
			tried.Leave()
		}
		require.Len(t, seen, 2, "the one that has failed is left out")
	}
}

// When a peer leaves the ring only its own keys move.
func TestConsistentHashMovesFew(t *testing.T) {
	names := []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "10.0.0.5:80"}
	all, fewer := named(ConsistentHash, []int{1}, names...), named(ConsistentHash, []int{1}, names[:4]...)
	moved := 0
	const keys = 20_000
	for i := range keys {
		key := fmt.Sprint(i)
		before, after := pickOne(all, key), pickOne(fewer, key)
		if before.Name != after.Name {
			require.Equal(t, names[4], before.Name)
			moved++
		}
	}
	require.InDelta(t, keys/5, moved, keys/20)
}

// The peer with the fewest attempts by weight is next; equals take turns.
func TestLeastConn(t *testing.T) {
	g := named(LeastConn, []int{1, 1, 2}, "a", "b", "c")
	var out string
	var held [8]Tried
	for i := range held {
		out += g.Pick(1000, &held[i], nil).Name
	}
	conns := map[string]int{}
	for _, p := range g.peers {
		conns[p.Name] = int(p.Shared.Busy())
	}
	require.Equal(t, map[string]int{"a": 2, "b": 2, "c": 4}, conns, out)
	for i := range held {
		if held[i].at.Name == "b" {
			held[i].Leave()
		}
	}
	require.Equal(t, "b", pickOne(g, "").Name)

	g = named(LeastConn, []int{1}, "a", "b", "c")
	out = ""
	for range 6 {
		out += pickOne(g, "").Name
	}
	require.Equal(t, "abcabc", out, "with nothing in work they take turns")
}

// A random choice follows the weights; the better of two evens out what is in work.
func TestRandom(t *testing.T) {
	g := named(Random, []int{1, 3}, "a", "b")
	const n = 20_000
	count := map[string]int{}
	for range n {
		count[pickOne(g, "").Name]++
	}
	require.InDelta(t, n/4, count["a"], n/40)

	g = named(RandomTwo, []int{1}, "a", "b", "c", "d")
	for range 400 {
		var tried Tried
		g.Pick(1000, &tried, nil)
	}
	for _, p := range g.peers {
		require.InDelta(t, 100, p.Shared.Busy(), 15, p.Name)
	}
}

func BenchmarkPick(b *testing.B) {
	for m := RoundRobin; m <= RandomTwo; m++ {
		b.Run(fmt.Sprint(m), func(b *testing.B) {
			g := named(m, []int{1}, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80")
			key := []byte("/index.html")
			b.ReportAllocs()
			for b.Loop() {
				var tried Tried
				g.Pick(1000, &tried, key)
				tried.Leave()
			}
		})
	}
}
