// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/shmtx"
)

// flood throws n random keys at a zone of 10 MB, of which more are wanted at once than it has room for, beside 1,000 keys that are held
// throughout. It returns how long each hundredth of the keys took.
func flood(tb testing.TB, n int) []time.Duration {
	z := newZone(tb, 10<<20, shmtx.Atomic, 0)
	const kept = 1000
	for i := range kept {
		take(tb, z, i%3, key4(i), 1+i%5)
	}
	ring := make([]Hold, 200_000) // more than Capacity
	random := rand.New(rand.NewPCG(11, uint64(n)))
	limits := []Limit{{Zone: z, Key: make([]byte, 16), Max: 10}}
	one := make([]Hold, 0, 1)
	times := make([]time.Duration, 0, 100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	full := 0
	for batch := range 100 {
		start := time.Now()
		for i := range n / 100 {
			at := (batch*(n/100) + i) % len(ring)
			Release(ring[at : at+1])
			binary.LittleEndian.PutUint64(limits[0].Key, random.Uint64())
			binary.LittleEndian.PutUint64(limits[0].Key[8:], random.Uint64())
			var v Verdict
			one, v, _ = Acquire(one[:0], limits)
			if v == Full {
				full++
				continue
			}
			ring[at] = one[0]
		}
		times = append(times, time.Since(start))
	}
	runtime.ReadMemStats(&after)
	require.Less(tb, after.Mallocs-before.Mallocs, uint64(1000), "the flood itself allocates nothing")
	for i := range kept {
		count, err := z.Count(key4(i))
		require.NoError(tb, err)
		require.Equal(tb, 1+i%5, count)
	}
	s := z.Status()
	require.Equal(tb, uint64(full), s.Full)
	if n > 2*len(ring) {
		require.Positive(tb, full, "the zone was never full")
	}
	require.Empty(tb, z.Check())
	Release(ring)
	require.Equal(tb, kept, z.Status().Keys)
	require.Empty(tb, z.Check())
	return times
}

// TestFlood wants the last keys to cost what those cost that came when the zone was full for the first time.
func TestFlood(t *testing.T) {
	if raceEnabled {
		t.Skip("one thread, judged by its time: with the race detector it takes most of a minute")
	}
	times := flood(t, 1_000_000)
	// The least of many: what a busy machine adds is not the zone's.
	first, early, late := slices.Min(times[:10]), slices.Min(times[30:50]), slices.Min(times[80:])
	t.Logf("10,000 keys: %v to begin with, %v when full, %v at the end", first, early, late)
	require.Less(t, late, 3*early)
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// BenchmarkFlood is TestFlood with b.N keys: go test -bench Flood -benchtime 10000000x.
func BenchmarkFlood(b *testing.B) {
	if b.N < 100 {
		return
	}
	times := flood(b, b.N)
	b.ReportMetric(float64(median(times[:50]).Nanoseconds())/float64(b.N/100), "ns/key-early")
	b.ReportMetric(float64(median(times[50:]).Nanoseconds())/float64(b.N/100), "ns/key-late")
}
