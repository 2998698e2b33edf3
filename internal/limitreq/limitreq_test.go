// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

const second = 1_000_000_000

func newZone(t testing.TB, size int64) *Zone {
	t.Helper()
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	z, err := Create(Options{Name: "req", Key: "$binary_remote_addr", SizeBytes: size, Mutex: shmtx.Atomic}, owner)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, z.Check())
		require.NoError(t, z.Close())
	})
	return z
}

func one(z *Zone, key string, burst, delay uint32) []Limit {
	return []Limit{{Zone: z, Key: []byte(key), PeriodNs: Period(10, second), Burst: burst, Delay: delay}}
}

// The figures of nginx's documentation: at 10r/s with burst 5, six pass at once, the seventh does not; what is over the rate waits.
func TestFigures(t *testing.T) {
	z := newZone(t, 1<<20)
	const now = 50 * second
	for i := range uint64(6) {
		out := Charge(one(z, "a", 5, 0), now, false)
		want := Outcome{Index: -1}
		if i > 0 {
			want = Outcome{Verdict: Delayed, Index: 0, DelayNs: i * second / 10, ExcessMilli: i * 1000}
		}
		require.Equal(t, want, out, "request %d", i)
	}
	out := Charge(one(z, "a", 5, 0), now, false)
	require.Equal(t, Outcome{Verdict: Rejected, Index: 0, DelayNs: second / 10, ExcessMilli: 6000}, out)
	require.Equal(t, Passed, Charge(one(z, "b", 5, 0), now, false).Verdict, "another key")

	require.Equal(t, Rejected, Charge(one(z, "a", 5, 0), now+second/10-1, false).Verdict)
	require.Equal(t, Delayed, Charge(one(z, "a", 5, 0), now+second/10, false).Verdict, "one place is free after one period")

	for i := range 6 {
		require.Equal(t, Passed, Charge(one(z, "nodelay", 5, NoDelay), now, false).Verdict, "request %d", i)
	}
	require.Equal(t, Rejected, Charge(one(z, "nodelay", 5, NoDelay), now, false).Verdict)

	for i, want := range []Verdict{Passed, Passed, Passed, Delayed, Delayed, Delayed, Rejected} {
		require.Equal(t, want, Charge(one(z, "two-stage", 5, 2), now, false).Verdict, "request %d", i)
	}
	require.Equal(t, Passed, Charge(one(z, "none", 0, 0), now, false).Verdict)
	require.Equal(t, Rejected, Charge(one(z, "none", 0, 0), now, false).Verdict)
	require.Equal(t, Passed, Charge(one(z, "", 0, 0), now, false).Verdict, "an empty key is not limited")
	require.Equal(t, Passed, Charge(one(z, "", 0, 0), now, false).Verdict)
}

func TestDryRun(t *testing.T) {
	z := newZone(t, 1<<20)
	for _, want := range []Verdict{Passed, DelayedDryRun, RejectedDryRun, RejectedDryRun} {
		require.Equal(t, want, Charge(one(z, "a", 1, 0), second, true).Verdict)
	}
	require.Equal(t, uint64(3), z.Status().DryRun)
}

func TestPeriod(t *testing.T) {
	require.Equal(t, uint64(333_333_334), Period(3, second), "rounded up: never more than the rate")
	require.Equal(t, uint64(60*second), Period(1, 60*second))
}

// Of several limits all count a request or none does, and the longest delay is the one that counts.
func TestSeveral(t *testing.T) {
	z, other := newZone(t, 1<<20), newZone(t, 1<<20)
	limits := append(one(z, "a", 5, 0), one(other, "a", 1, 0)...)
	limits[1].PeriodNs = Period(1, second)
	require.Equal(t, Passed, Charge(limits, second, false).Verdict)
	out := Charge(limits, second, false)
	require.Equal(t, Outcome{Verdict: Delayed, Index: 1, DelayNs: second, ExcessMilli: 1000}, out)
	before := z.Status().Keys
	for range 20 {
		out = Charge(limits, second, false)
		require.Equal(t, Rejected, out.Verdict)
		require.Equal(t, 1, out.Index)
	}
	require.Equal(t, before, z.Status().Keys)
	require.Equal(t, uint64(2*second/10), Charge(limits[:1], second, false).DelayNs, "the refused ones are not counted in the first zone")
}

// Against a plain map, with the time that goes on at random.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		z := newZone(t, 1<<20)
		freeNs := map[string]uint64{}
		now := uint64(second)
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(rt *rapid.T) { now += rapid.Uint64Range(0, 3*second).Draw(rt, "ns") },
			"charge": func(rt *rapid.T) {
				l := Limit{
					Zone: z, Key: []byte(rapid.SampledFrom([]string{"a", "b", "c", strings.Repeat("long", 100)}).Draw(rt, "key")),
					PeriodNs: second / 3, Burst: rapid.Uint32Range(0, 5).Draw(rt, "burst"), Delay: rapid.Uint32Range(0, 5).Draw(rt, "delay"),
				}
				from := max(freeNs[string(l.Key)], now)
				backlog := from - now
				want := Outcome{Index: -1}
				switch {
				case backlog > uint64(l.Burst)*l.PeriodNs:
					want = Outcome{Verdict: Rejected, DelayNs: backlog - uint64(l.Burst)*l.PeriodNs, ExcessMilli: backlog * 1000 / l.PeriodNs}
				case backlog > uint64(l.Delay)*l.PeriodNs:
					want = Outcome{Verdict: Delayed, DelayNs: backlog - uint64(l.Delay)*l.PeriodNs, ExcessMilli: backlog * 1000 / l.PeriodNs}
				}
				if want.Verdict != Rejected {
					freeNs[string(l.Key)] = from + l.PeriodNs
				}
				require.Equal(rt, want, Charge([]Limit{l}, now, false))
			},
			"delete": func(rt *rapid.T) {
				key := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
				_, err := z.Delete([]byte(key))
				require.NoError(rt, err)
				delete(freeNs, key)
			},
			"": func(rt *rapid.T) { require.Empty(rt, z.Check()) },
		})
	})
}

// A zone holds as many keys as Capacity says; then the key used longest ago leaves, and idle ones leave by themselves.
func TestCapacity(t *testing.T) {
	const size = 128 << 10
	for _, keyBytes := range []int{4, 16, 200} {
		t.Run(fmt.Sprint(keyBytes), func(t *testing.T) {
			z := newZone(t, size)
			capacity := Capacity(size, keyBytes)
			key := func(i int) string { return fmt.Sprintf("%0*d", keyBytes, i) }
			for i := range capacity {
				require.Equal(t, Passed, Charge(one(z, key(i), 0, 0), second, false).Verdict)
			}
			require.Zero(t, z.Status().Evicted)
			require.Equal(t, capacity, z.Status().Keys)
			require.Equal(t, Rejected, Charge(one(z, key(0), 0, 0), second, false).Verdict, "key 0 is the newest now")
			require.Equal(t, Passed, Charge(one(z, key(capacity), 0, 0), second, false).Verdict)
			s := z.Status()
			require.Equal(t, uint64(1), s.Evicted)
			require.Equal(t, capacity, s.Keys)
			require.Equal(t, Rejected, Charge(one(z, key(0), 0, 0), second, false).Verdict, "key 0 is still there")
			require.Equal(t, Passed, Charge(one(z, key(1), 0, 0), second, false).Verdict, "key 1 was the oldest, and has left")
			require.Equal(t, Passed, Charge(one(z, key(capacity+1), 0, 0), 5*second, false).Verdict)
			require.Equal(t, capacity-1, z.Status().Keys, "two idle keys have left")
		})
	}
}

// Keys of a size for which no page can be had are refused, and the zone goes on.
func TestFull(t *testing.T) {
	z := newZone(t, 64<<10)
	for i := range Capacity(64<<10, 4) {
		Charge(one(z, fmt.Sprintf("%04d", i), 0, 0), second, false)
	}
	big := strings.Repeat("k", 250)
	require.Equal(t, Full, Charge(one(z, big, 0, 0), second, false).Verdict)
	require.Equal(t, FullDryRun, Charge(one(z, big, 0, 0), second, true).Verdict)
	require.Equal(t, uint64(1), z.Status().Full)
}

// A damaged zone says so, and works again when it was emptied.
func TestDamaged(t *testing.T) {
	z := newZone(t, 64<<10)
	for i := range 50 {
		Charge(one(z, fmt.Sprint(i), 0, 0), second, false)
	}
	z.node(z.h.root).newer = 3
	require.NotEmpty(t, z.Check())
	require.Equal(t, Damaged, Charge(one(z, "a", 0, 0), second, false).Verdict)
	require.False(t, z.Status().Sound)
	z.Empty()
	require.Equal(t, Passed, Charge(one(z, "a", 0, 0), second, false).Verdict)

	z.h.root = shm.Offset(0xfffffff0) // an operation meets it
	require.Equal(t, Damaged, Charge(one(z, "b", 0, 0), second, false).Verdict)
	require.Equal(t, uint64(1), z.Status().Faults)
	z.Empty()
	require.Equal(t, 2, z.Status().Emptied)
	require.Equal(t, Passed, Charge(one(z, "b", 0, 0), second, false).Verdict)
	list, err := z.Newest(10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "b", string(list[0].Key))
}

func BenchmarkCharge(b *testing.B) {
	z := newZone(b, 10<<20)
	limits := one(z, "\x0a\x00\x00\x01", 1000, NoDelay)
	b.ReportAllocs()
	now := uint64(second)
	for b.Loop() {
		now += second / 10
		Charge(limits, now, false)
	}
}
