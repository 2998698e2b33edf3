// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/shmtx"
)

// newOwner makes the test's goroutine an owner for as long as the test runs.
func newOwner(tb testing.TB) *shmtx.Owner {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	owner, err := shmtx.NewOwner()
	require.NoError(tb, err)
	return owner
}

// newZone makes a zone that this process holds connections in as slot.
func newZone(tb testing.TB, sizeBytes int64, kind shmtx.Kind, slot int) *Zone {
	tb.Helper()
	z, err := Create(Options{Name: "test", Key: "$binary_remote_addr", SizeBytes: sizeBytes, Mutex: kind}, newOwner(tb))
	require.NoError(tb, err)
	z.slot = slot
	tb.Cleanup(func() { require.NoError(tb, z.Close()) })
	return z
}

func key4(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// BenchmarkAcquireRelease is one request's cost: its key is new to the zone, or has other connections already.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		for _, keys := range []int{0, 1, 100, 10_000, 1_000_000} {
			z := newZone(b, 100<<20, kind, 0)
			var held []Hold
			for n := range keys {
				var v Verdict
				held, v, _ = Acquire(held, []Limit{{Zone: z, Key: key4(n), Max: 10}})
				require.Equal(b, Passed, v)
			}
			for _, fresh := range []bool{true, false} {
				if keys == 0 && !fresh {
					continue
				}
				b.Run(fmt.Sprintf("%v/keys=%d/new=%v", kind, keys, fresh), func(b *testing.B) {
					limits := []Limit{{Zone: z, Key: key4(0), Max: 10}}
					holds := make([]Hold, 0, 1)
					n := uint32(0)
					b.ReportAllocs()
					for b.Loop() {
						n += 7919
						k := n
						if fresh {
							k |= 1 << 30
						} else {
							k %= uint32(keys)
						}
						binary.BigEndian.PutUint32(limits[0].Key, k)
						holds, _, _ = Acquire(holds[:0], limits)
						Release(holds)
					}
				})
			}
		}
	}
}
