// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shm

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func create(t testing.TB, size int64) *Zone {
	t.Helper()
	z, err := Create(Options{Name: "test", Kind: "kind", Key: "$key", KindLayout: 7, Features: 3, SizeBytes: size})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, z.Close()) })
	return z
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	fd, err := syscall.Dup(fd)
	require.NoError(t, err)
	return fd
}

func TestCreateAndAttach(t *testing.T) {
	z := create(t, MinBytes+5)
	require.Equal(t, MinBytes, z.SizeBytes(), "rounded down to pages")
	require.Empty(t, z.Check())
	other, err := Attach(dup(t, z.FD()), "kind", 7)
	require.NoError(t, err)
	require.Equal(t, []any{"test", "kind", "$key", uint32(3), MinBytes}, []any{other.Name(), other.Kind(), other.Key(), other.Features(), other.SizeBytes()})
	require.True(t, other.SamePIDNamespace())
	require.NotEqual(t, z.base, other.base, "mapped twice")
	*At[uint64](z, DataArea) = 42
	require.Equal(t, uint64(42), *At[uint64](other, DataArea))
	require.NoError(t, other.Close())
}

// TestLook: what At faults at, Look and Same refuse.
func TestLook(t *testing.T) {
	z := create(t, MinBytes)
	last := Offset(MinBytes - 8)
	require.Equal(t, At[uint64](z, last), Look[uint64](z, last))
	for _, off := range []Offset{0, LockArea - 8, DataArea + 4, Offset(MinBytes), 0xfffffff8} {
		require.Nil(t, Look[uint64](z, off), "%#x", off)
	}
	require.Nil(t, Look[[16]byte](z, last))
	copy(z.Bytes(last, 8), "abcdefgh")
	require.True(t, z.Same(last, []byte("abcdefgh")))
	require.True(t, z.Same(last+4, []byte("efgh")))
	require.True(t, z.Same(last, nil))
	for _, other := range []string{"abcdefgi", "abce", "abcdefghi"} {
		require.False(t, z.Same(last, []byte(other)), other)
	}
	require.False(t, z.Same(last+6, []byte("gh\x00\x00")), "past the end")
	require.False(t, z.Same(0, []byte("weir")), "the identity")
}

func TestCreateRefuses(t *testing.T) {
	good := Options{Name: "n", Kind: "k", SizeBytes: MinBytes}
	for want, spoil := range map[string]func(o *Options){
		"a name has":          func(o *Options) { o.Name = "" },
		"a name has 1 to 64":  func(o *Options) { o.Name = strings.Repeat("x", 65) },
		"a kind has":          func(o *Options) { o.Kind = "" },
		"257 bytes":           func(o *Options) { o.Key = strings.Repeat("x", 257) },
		"too small: at least": func(o *Options) { o.SizeBytes = MinBytes - 1 },
		"too large: at most":  func(o *Options) { o.SizeBytes = MaxBytes + 1 },
	} {
		o := good
		spoil(&o)
		_, err := Create(o)
		require.ErrorContains(t, err, want)
	}
}

// TestNoRoom: a zone that the machine has no memory for is refused with both numbers, and nothing stays reserved.
func TestNoRoom(t *testing.T) {
	available, ok := sys.MemoryAvailable()
	if !ok || available >= MaxBytes {
		t.Skipf("%d bytes available, a zone has at most %d", available, int64(MaxBytes))
	}
	_, err := Create(Options{Name: "big", Kind: "k", SizeBytes: MaxBytes})
	require.ErrorContains(t, err, "bytes needed")
	require.ErrorContains(t, err, "available")
}

// TestSealed: nobody can take pages away from under those who have the zone mapped.
func TestSealed(t *testing.T) {
	z := create(t, MinBytes)
	require.ErrorIs(t, syscall.Ftruncate(z.FD(), PageBytes), syscall.EPERM)
	require.ErrorIs(t, syscall.Ftruncate(z.FD(), MinBytes*2), syscall.EPERM)
	var stat syscall.Stat_t
	require.NoError(t, syscall.Fstat(z.FD(), &stat))
	require.GreaterOrEqual(t, stat.Blocks*512, MinBytes, "all pages are there")
}

func TestAttachRefuses(t *testing.T) {
	for want, spoil := range map[string]func(z *Zone){
		"not a zone":                     func(z *Zone) { z.identity().magic++ },
		"layout 4, want 3":               func(z *Zone) { z.identity().layout = 4 },
		"size 5, mapped":                 func(z *Zone) { z.identity().size = 5 },
		"the name has 0 bytes":           func(z *Zone) { z.identity().nameLen = 0 },
		"the kind has 99 bytes":          func(z *Zone) { z.identity().kindLen = 99 },
		"the key has 9999 bytes":         func(z *Zone) { z.identity().keyLen = 9999 },
		`kind "kinx", want "kind"`:       func(z *Zone) { z.identity().kind[3] = 'x' },
		"kind kind has layout 8, want 7": func(z *Zone) { z.identity().kindLayout = 8 },
		"zone at descriptor":             func(z *Zone) { z.identity().magic = 0 },
	} {
		z := create(t, MinBytes)
		spoil(z)
		fd := dup(t, z.FD())
		_, err := Attach(fd, "kind", 7)
		require.ErrorContains(t, err, want)
		require.NoError(t, syscall.Close(fd), "still the caller's")
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	_, err = Attach(int(file.Fd()), "kind", 7)
	require.Error(t, err, "a file whose size is not sealed")
	small, err := sys.SharedFile("small", PageBytes)
	require.NoError(t, err)
	defer sys.Close(small)
	_, err = Attach(small, "kind", 7)
	require.ErrorContains(t, err, "a zone has")
}

// TestOffsets: only offsets of whole, aligned objects behind the identity become pointers.
// That a zone can grow is known to all who attach it, also when all of it has been reserved.
func TestPart(t *testing.T) {
	z, err := Create(Options{Name: "a", Kind: "test", SizeBytes: 2 * MinBytes, ReservedBytes: MinBytes})
	require.NoError(t, err)
	defer z.Close()
	require.NoError(t, z.Reserve(0, 2*MinBytes))
	fd, err := syscall.Dup(z.FD())
	require.NoError(t, err)
	again, err := Attach(fd, "test", 0)
	require.NoError(t, err)
	defer again.Close()
	require.True(t, z.Part())
	require.True(t, again.Part())
}

func TestOffsets(t *testing.T) {
	z := create(t, MinBytes)
	end := Offset(z.SizeBytes())
	for _, good := range []Offset{LockArea, LockArea + 8, DataArea, end - 32} {
		p := At[[4]uint64](z, good)
		require.Equal(t, good, OffsetOf(z, p))
		p[3] = 9
		off, word := Word(z, &p[3])
		require.Equal(t, good+24, off)
		require.Equal(t, uint64(9), word)
	}
	half := (*[8]uint32)(At[[8]uint32](z, DataArea))
	half[0], half[1] = 1, 2
	off, word := Word(z, &half[1])
	require.Equal(t, DataArea, off)
	require.Equal(t, uint64(2<<32|1), word)

	for _, bad := range []Offset{0, 8, LockArea - 8, LockArea + 1, LockArea + 4, DataArea + 7, end, end - 24, end - 31, end + 8, 0x80000000, 0xfffffff8, 0xffffffff} {
		fault := faultOf(func() { At[[4]uint64](z, bad) })
		require.NotNil(t, fault, "%#x", bad)
		require.Equal(t, bad, fault.Offset)
		require.ErrorContains(t, fault, `zone "test": offset `)
	}
	var elsewhere uint64
	require.NotNil(t, faultOf(func() { OffsetOf(z, &elsewhere) }))
	require.NotNil(t, faultOf(func() { Word(z, &elsewhere) }))
	for _, n := range []int{-1, int(end), int(end-DataArea) + 1} {
		require.NotNil(t, faultOf(func() { z.Bytes(DataArea, n) }), n)
	}
	require.NotNil(t, faultOf(func() { z.Bytes(8, 1) }))
	require.Len(t, z.Bytes(DataArea, int(end-DataArea)), int(end-DataArea))
}

func faultOf(f func()) (fault *Fault) {
	defer func() {
		if r := recover(); r != nil && !errors.As(r.(error), &fault) {
			panic(r)
		}
	}()
	f()
	return nil
}

func TestFork(t *testing.T) {
	z := create(t, MinBytes)
	*At[uint64](z, DataArea) = 1
	*At[uint64](z, DataArea+PageBytes) = 2
	private, err := z.Fork(Range{0, z.SizeBytes()})
	require.NoError(t, err)
	z.CopyRange(private, 0, int(DataArea)+8)
	require.Equal(t, "test", private.Name())
	require.Equal(t, uint64(1), *At[uint64](private, DataArea))
	require.Zero(t, *At[uint64](private, DataArea+PageBytes), "not copied")
	*At[uint64](z, DataArea) = 3
	require.Equal(t, uint64(1), *At[uint64](private, DataArea))
	require.NotNil(t, faultOf(func() { z.CopyRange(private, DataArea, int(z.SizeBytes())) }))
	require.NoError(t, private.Close())
}

func BenchmarkAt(b *testing.B) {
	z := create(b, MinBytes)
	b.ReportAllocs()
	for b.Loop() {
		At[[4]uint64](z, DataArea)[0]++
	}
}
