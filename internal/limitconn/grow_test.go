// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

// TestGrow: a zone grows while workers that attached before go on with it, and those that attach later find the same counts.
func TestGrow(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	master, err := Create(Options{Name: "z", Key: GroupKey, SizeBytes: shm.MinBytes, MostBytes: 64 << 20}, owner)
	require.NoError(t, err)
	attach := func(slot int) *Zone {
		fd, err := syscall.Dup(master.FD())
		require.NoError(t, err)
		z, err := Attach(fd, owner, slot)
		require.NoError(t, err)
		return z
	}
	old := attach(0)
	var holds []Hold
	fill := func(z *Zone) (n int) {
		for ; ; n++ {
			holds = append(holds, Hold{})
			if v := z.Acquire(&holds[len(holds)-1], fmt.Append(nil, "group\x00", len(holds)), 1, false); v != Passed {
				require.Equal(t, Full, v)
				holds = holds[:len(holds)-1]
				return n
			}
		}
	}
	first := fill(old)
	require.Equal(t, shm.MinBytes, old.SizeBytes())
	require.NoError(t, master.Grow(1<<20))
	require.NoError(t, master.Grow(shm.MinBytes), "it never shrinks")
	require.Equal(t, int64(1<<20), old.SizeBytes())
	require.Empty(t, master.Check())
	next := attach(1)
	var again Hold
	require.Equal(t, Rejected, next.Acquire(&again, fmt.Append(nil, "group\x00", 1), 1, false), "what was counted before counts")
	more := fill(next)
	require.Greater(t, first, 0)
	require.Equal(t, Capacity(1<<20, len("group\x00")+4), first+more)
	require.Empty(t, master.Check())
	_, err = master.Rebuild(nil)
	require.NoError(t, err)
	require.Equal(t, first+more, master.Status().Keys)
	require.Error(t, master.Grow(2<<30), "larger than it can be")
	for _, slot := range []int{0, 1} {
		_, err = master.Reap(slot)
		require.NoError(t, err)
	}
	require.Zero(t, master.Status().Keys)
	require.Empty(t, master.Check())
	for _, z := range []*Zone{old, next, master} {
		require.NoError(t, z.Close())
	}
}
