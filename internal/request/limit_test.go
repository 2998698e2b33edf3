// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/limitconn"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/vars"
)

// newLimitZone is a zone in which this process counts as slot 0.
func newLimitZone(t *testing.T, owner *shmtx.Owner, sizeBytes int64) *limitconn.Zone {
	t.Helper()
	made, err := limitconn.Create(limitconn.Options{Name: "z", Key: "$binary_remote_addr", SizeBytes: sizeBytes}, owner)
	require.NoError(t, err)
	z, err := limitconn.Attach(made.FD(), owner, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

// While older generations count in a zone of another size, a key has a place in both or in none: one without room in the old zone is answered as on_full says, because
// nobody knows how many connections of it the older generations will have.
func TestLimitWithAFullOlderZone(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	older, own := newLimitZone(t, owner, shm.MinBytes), newLimitZone(t, owner, 1<<20)
	key, err := vars.Compile("$binary_remote_addr")
	require.NoError(t, err)
	limit := Limit{Zone: &Zone{Zone: own, Older: []*limitconn.Zone{older}}, Key: key, Max: 1, ByAddress: true}
	var l limiter
	source := acceptSource{}
	ask := func(n int, onFullAllow bool) ([]limitconn.Hold, limitconn.Verdict, *Limit) {
		limit.AllowFull = onFullAllow
		addr := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		source.peer = netip.AddrPortFrom(addr, 80)
		return l.acquire(nil, &Limits{List: []Limit{limit}}, addr, &source)
	}
	var held []limitconn.Hold
	keys := 0
	for ; ; keys++ {
		holds, v, failed := ask(keys, false)
		if v != limitconn.Passed {
			require.Equal(t, limitconn.Full, v)
			require.NotNil(t, failed)
			require.Empty(t, holds)
			break
		}
		require.Len(t, holds, 2)
		held = append(held, holds...)
	}
	require.Equal(t, limitconn.Capacity(shm.MinBytes, 4), keys)
	require.Equal(t, keys, own.Status().Keys, "nothing is left of the one that was refused")

	holds, v, failed := ask(keys, true)
	require.Equal(t, limitconn.Passed, v)
	require.NotNil(t, failed, "for the log")
	require.Len(t, holds, 1, "it is counted where there is room")
	_, v, _ = ask(keys, true)
	require.Equal(t, limitconn.Rejected, v)
	_, v, _ = ask(0, false)
	require.Equal(t, limitconn.Rejected, v, "one that has room in both")

	limitconn.Release(append(held, holds...))
	for _, z := range []*limitconn.Zone{older, own} {
		require.Zero(t, z.Status().Keys)
		require.Empty(t, z.Check())
	}
}
