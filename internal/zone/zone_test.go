// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package zone

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
)

func create(t *testing.T, o Options) (Handle, *shm.Zone) {
	t.Helper()
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	segment, mutex, err := Create("test", 1, o, owner)
	require.NoError(t, err)
	h := Of(segment, mutex)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h, segment
}

func TestMatches(t *testing.T) {
	o := Options{Name: "a", Key: "$k", SizeBytes: shm.MinBytes + 1, Mutex: shmtx.Flock}
	h, _ := create(t, o)
	require.True(t, h.Matches(o))
	for _, change := range []func(*Options){
		func(o *Options) { o.Name = "b" }, func(o *Options) { o.Key = "$l" },
		func(o *Options) { o.SizeBytes += shm.PageBytes }, func(o *Options) { o.Mutex = shmtx.Atomic },
	} {
		other := o
		change(&other)
		require.False(t, h.Matches(other), "%+v", other)
	}
}

// TestAttachRefuses: the descriptor of a zone that cannot be used stays the caller's.
func TestAttachRefuses(t *testing.T) {
	segment, err := shm.Create(shm.Options{Name: "a", Kind: "test", KindLayout: 1, Features: 7, SizeBytes: shm.MinBytes})
	require.NoError(t, err)
	defer segment.Close()
	fd, err := syscall.Dup(segment.FD())
	require.NoError(t, err)
	_, _, err = Attach(fd, "other", 1, nil)
	require.ErrorContains(t, err, "other")
	_, _, err = Attach(fd, "test", 1, nil)
	require.ErrorContains(t, err, "unknown kind of lock 7")
	require.NoError(t, syscall.Close(fd))
}

// TestCheckCopy: what is checked is a copy, made without the lock being held any longer; an undo log that cannot be one is a fault, and nobody is kept out.
func TestCheckCopy(t *testing.T) {
	h, segment := create(t, Options{Name: "a", SizeBytes: shm.MinBytes})
	pool := slab.Format(segment)
	checked := 0
	check := func(private *shm.Zone) []error {
		checked++
		h.Mutex().Lock()
		h.Mutex().Unlock()
		*shm.At[uint32](private, shm.UserArea) = 1
		return private.Check()
	}
	faults, recoveries := h.CheckCopy(pool, check)
	require.Empty(t, faults)
	require.Zero(t, recoveries)
	require.Zero(t, *shm.At[uint32](segment, shm.UserArea))

	*shm.At[uint32](segment, shm.LockArea+64) = 1 << 20
	faults, _ = h.CheckCopy(pool, check)
	require.Len(t, faults, 1)
	require.ErrorContains(t, faults[0], "undo log")
	faults, _ = h.CheckCopy(pool, check)
	require.Empty(t, faults)
	require.Equal(t, 2, checked)
}
