// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/zonekey"
)

// TestKeysOfOneHash: who chooses keys with one hash gets no wrong count, nor a tree that is higher.
func TestKeysOfOneHash(t *testing.T) {
	z := newZone(t, 1<<20, shmtx.Atomic, 0)
	key := func(n int) []byte { // the one half makes the product 0, whatever the other is
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 0x9E3779B185EBCA87), uint64(n))
	}
	const keys = 2000
	holds := make([]Hold, 3*keys)
	for i := range holds {
		require.Equal(t, Passed, z.Acquire(&holds[i], key(i%keys), 3, false))
	}
	require.Equal(t, zonekey.Hash(key(0)), zonekey.Hash(key(1)))
	var none Hold
	for n := range keys {
		require.Equal(t, Rejected, z.Acquire(&none, key(n), 3, false))
	}
	require.Zero(t, none)
	require.Empty(t, z.Check())
	Release(holds[:2*keys])
	for n := range keys {
		count, err := z.Count(key(n))
		require.NoError(t, err)
		require.Equal(t, 1, count)
	}
	Release(holds[2*keys:])
	require.Zero(t, z.Status().Keys)
	require.Empty(t, z.Check())
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	fd, err := syscall.Dup(fd)
	require.NoError(t, err)
	return fd
}

// take acquires n places for key in a slot.
func take(t testing.TB, z *Zone, slot int, key []byte, n int) []Hold {
	t.Helper()
	own := z.slot
	z.slot = slot
	defer func() { z.slot = own }()
	var holds []Hold
	for range n {
		var v Verdict
		holds, v, _ = Acquire(holds, []Limit{{Zone: z, Key: key, Max: 1 << 30}})
		require.Equal(t, Passed, v)
	}
	return holds
}

// TestCapacity fills zones of several sizes with keys of several lengths: the number that Capacity says, and not one more.
func TestCapacity(t *testing.T) {
	require.Equal(t, 162624, Capacity(10<<20, 4), "what the documents say of a 10 MB zone and IPv4 addresses")
	require.Equal(t, 162624, Capacity(10<<20, 16), "and of IPv6 addresses")
	require.Zero(t, Capacity(shm.MinBytes-1, 4))
	for _, size := range []int64{shm.MinBytes, 64 << 10, 1 << 20, 10<<20 + 5} {
		for _, keyBytes := range []int{4, 16, 17, 80, KeyMax} {
			z := newZone(t, size, shmtx.Atomic, 0)
			want := Capacity(size, keyBytes)
			key := make([]byte, keyBytes)
			n := 0
			for ; n <= want; n++ {
				binaryKey(key, n)
				if _, v, _ := Acquire(nil, []Limit{{Zone: z, Key: key, Max: 1}}); v != Passed {
					require.Equal(t, Full, v)
					break
				}
			}
			require.Equal(t, want, n, "zone of %d, keys of %d bytes", size, keyBytes)
			if size <= 1<<20 {
				require.Empty(t, z.Check())
			}
		}
	}
}

// TestDocumentedCapacity holds docs/shared-memory.md to what Capacity says.
func TestDocumentedCapacity(t *testing.T) {
	text, err := os.ReadFile("../../docs/shared-memory.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| (\d+)m \| ([\d,]+) \| ([\d,]+) \|$`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, rows, 3)
	number := func(text string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
		require.NoError(t, err)
		return n
	}
	for _, row := range rows {
		size := int64(number(row[1])) << 20
		for keyBytes, want := range map[int]int{4: number(row[2]), 16: number(row[2]), 17: number(row[3]), 80: number(row[3])} {
			require.Equal(t, want, Capacity(size, keyBytes), "%s, %d bytes", row[1], keyBytes)
		}
	}
}

func binaryKey(key []byte, n int) {
	for i := range min(len(key), 4) {
		key[len(key)-1-i] = byte(n >> (8 * i))
	}
}

// TestAllOrNone: a refusal by one limit gives back what the ones before it gave.
func TestAllOrNone(t *testing.T) {
	a, b := newZone(t, 64<<10, shmtx.Atomic, 0), newZone(t, 64<<10, shmtx.Flock, 0)
	b.Mutex().Close()
	mutex, err := shmtx.Open(b.shm, newOwner(t))
	require.NoError(t, err)
	b.mutex = mutex
	limits := []Limit{{Zone: a, Key: []byte("x"), Max: 5}, {Zone: a, Key: nil, Max: 1}, {Zone: b, Key: []byte("y"), Max: 1}}
	count := func() [2]int {
		x, errX := a.Count([]byte("x"))
		y, errY := b.Count([]byte("y"))
		require.NoError(t, errX)
		require.NoError(t, errY)
		return [2]int{x, y}
	}
	first, v, failed := Acquire(make([]Hold, 0, 2), limits)
	require.Equal(t, Passed, v)
	require.Equal(t, -1, failed)
	require.Len(t, first, 2, "an empty key is not counted")
	require.Equal(t, [2]int{1, 1}, count())

	second, v, failed := Acquire(first, limits)
	require.Equal(t, Rejected, v)
	require.Equal(t, 2, failed)
	require.Equal(t, first, second, "what was held before stays")
	require.Equal(t, [2]int{1, 1}, count())

	limits[2].DryRun = true
	second, v, failed = Acquire(first, limits)
	require.Equal(t, RejectedDryRun, v)
	require.Equal(t, 2, failed)
	require.Equal(t, first, second)
	require.Equal(t, [2]int{1, 1}, count())

	Release(first)
	Release(first) // zero holds hold nothing
	require.Equal(t, [2]int{0, 0}, count())
	require.Equal(t, uint64(3), a.Status().Passed)
	require.Equal(t, [2]uint64{1, 1}, [2]uint64{b.Status().Rejected, b.Status().DryRun})
	a.CountBypassed()
	require.Equal(t, uint64(1), a.Status().Bypassed)

	require.Zero(t, testing.AllocsPerRun(100, func() {
		first, _, _ = Acquire(first[:0], limits)
		Release(first)
	}))
}

func TestFullZone(t *testing.T) {
	z := newZone(t, shm.MinBytes, shmtx.Atomic, 0)
	n := 0
	for {
		_, v, _ := Acquire(nil, []Limit{{Zone: z, Key: key4(n), Max: 1}})
		if v == Full {
			break
		}
		n++
	}
	known := key4(0)
	held, v, _ := Acquire(nil, []Limit{{Zone: z, Key: known, Max: 2}})
	require.Equal(t, Passed, v, "a known key needs no room")
	Release(held)
	_, v, failed := Acquire(nil, []Limit{{Zone: z, Key: key4(-1), Max: 1, DryRun: true}})
	require.Equal(t, FullDryRun, v)
	require.Zero(t, failed)
	held, v, failed = Acquire(nil, []Limit{{Zone: z, Key: key4(-1), Max: 1, AllowFull: true}})
	require.Equal(t, Passed, v)
	require.Zero(t, failed, "let through, but it is told why it is not counted")
	require.Empty(t, held)
	z.slot = 1
	_, v, _ = Acquire(nil, []Limit{{Zone: z, Key: known, Max: 9}})
	require.Equal(t, Full, v, "no room for another worker's share")
	s := z.Status()
	require.Equal(t, uint64(3), s.Full)
	require.InDelta(t, 1, s.UsedPart, 0)
	require.Empty(t, z.Check())
}

// TestLongKeys: keys beyond KeyMax are told apart, whatever they share.
func TestLongKeys(t *testing.T) {
	z := newZone(t, 64<<10, shmtx.Atomic, 0)
	long := bytes.Repeat([]byte("k"), 1000)
	other := append(bytes.Clone(long), '!')
	take(t, z, 0, long, 2)
	take(t, z, 0, other, 1)
	take(t, z, 0, long[:KeyMax], 4)
	for key, want := range map[string]int{string(long): 2, string(other): 1, string(long[:KeyMax]): 4} {
		n, err := z.Count([]byte(key))
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	n, found, err := z.Delete(long)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 2, n)
	require.Equal(t, 2, z.Status().Keys)
	require.Equal(t, 1, z.Status().Orphans)
}

// TestClearedKey: the connections of a cleared key end without a trace, and the key starts at 0.
func TestClearedKey(t *testing.T) {
	z := newZone(t, 64<<10, shmtx.Atomic, 0)
	old := take(t, z, 0, []byte("k"), 3)
	_, _, err := z.Delete([]byte("k"))
	require.NoError(t, err)
	young := take(t, z, 0, []byte("k"), 2)
	Release(old)
	n, err := z.Count([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	Release(young)
	require.Zero(t, z.Status().Keys+z.Status().Orphans)
	require.Empty(t, z.Check())
	_, found, err := z.Delete([]byte("k"))
	require.NoError(t, err)
	require.False(t, found)
}

// TestTop compares with a sorted list.
func TestTop(t *testing.T) {
	z := newZone(t, 10<<20, shmtx.Atomic, NoSlot)
	random := rand.New(rand.NewPCG(7, 7))
	var want []Entry
	for n := range 20_000 {
		key := fmt.Appendf(nil, "key-%d", n)
		e := Entry{Key: key}
		for _, slot := range random.Perm(6)[:1+random.IntN(3)] {
			c := 1 + random.IntN(3)
			take(t, z, slot, key, c)
			e.Connections += c
			e.Shares = append(e.Shares, Share{Slot: slot, Connections: c})
		}
		want = append(want, e)
	}
	slices.SortFunc(want, func(a, b Entry) int { return order(&b, &a) })
	for _, n := range []int{0, 1, 20, 500, 30_000} {
		got, err := z.Top(n)
		require.NoError(t, err)
		require.Len(t, got, min(n, len(want)))
		for i := range got {
			sortShares(got[i].Shares)
			sortShares(want[i].Shares)
			require.Equal(t, want[i], got[i])
		}
	}
}

func sortShares(s []Share) { slices.SortFunc(s, func(a, b Share) int { return a.Slot - b.Slot }) }

// TestListHoldsLockShortly times each chunk of a list of many keys with several shares each. The median is judged: the longest tell how long
// this process had to wait for a processor.
func TestListHoldsLockShortly(t *testing.T) {
	z := newZone(t, 64<<20, shmtx.Atomic, 0)
	for n := range 100_000 {
		take(t, z, n%7, key4(n*2654435761), 1)
		take(t, z, n%5, key4(n*2654435761), 1)
	}
	c := &chunk{keys: make([]byte, 0, chunkKeys*KeyMax), shares: make([]Share, 0, chunkShares)}
	var last []byte
	var lastHash uint32
	var times []time.Duration
	for {
		start := time.Now()
		require.Equal(t, Passed, z.copyChunk(c, lastHash, last))
		times = append(times, time.Since(start))
		if c.n == 0 {
			break
		}
		hash, key := c.last()
		last, lastHash = append(last[:0], key...), hash
	}
	slices.Sort(times)
	t.Logf("%d chunks: median %v, 99 %% %v, longest %v", len(times), times[len(times)/2], times[len(times)*99/100], times[len(times)-1])
	if !raceEnabled {
		require.Less(t, times[len(times)/2], 50*time.Microsecond)
	}
}

// TestAttach: what fits attaches, and sees the same counts; what does not is refused with the reason, and keeps its descriptor.
func TestAttach(t *testing.T) {
	z := newZone(t, 64<<10, shmtx.Atomic, 3)
	take(t, z, 3, []byte("k"), 2)
	fd := dup(t, z.FD())
	other, err := Attach(fd, newOwner(t), 4)
	require.NoError(t, err)
	require.Equal(t, "test", other.Name())
	require.Equal(t, "$binary_remote_addr", other.Key())
	n, err := other.Count([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.True(t, other.Matches(Options{Name: "test", Key: "$binary_remote_addr", SizeBytes: 64<<10 + 9}))
	require.False(t, other.Matches(Options{Name: "test", Key: "$host", SizeBytes: 64 << 10}))
	require.False(t, other.Matches(Options{Name: "test", Key: "$binary_remote_addr", SizeBytes: 64 << 10, Mutex: shmtx.Flock}))
	require.NoError(t, other.Close())

	segment, err := shm.Create(shm.Options{Name: "x", Kind: "stats", SizeBytes: shm.MinBytes})
	require.NoError(t, err)
	defer segment.Close()
	_, err = Attach(segment.FD(), newOwner(t), 0)
	require.ErrorContains(t, err, `kind "stats", want "limit_conn"`)
	_, err = Attach(z.FD(), newOwner(t), SlotsMax)
	require.ErrorContains(t, err, "slot 1024")
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	_, err = Attach(int(file.Fd()), newOwner(t), 0)
	require.Error(t, err)
	require.Panics(t, func() {
		z.slot = NoSlot
		defer func() { z.mutex.Unlock() }()
		Acquire(nil, []Limit{{Zone: z, Key: []byte("k"), Max: 1}})
	})
}

// TestSharedOwner: the goroutines of a master use one zone at the same time.
func TestSharedOwner(t *testing.T) {
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	z, err := Create(Options{Name: "master", SizeBytes: 64 << 10}, owner)
	require.NoError(t, err)
	z.slot = 0
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 500 {
				holds, v, _ := Acquire(nil, []Limit{{Zone: z, Key: key4(g*n%50 + 1), Max: 100}})
				if v != Passed {
					t.Errorf("verdict %v", v)
				}
				if n%100 == 0 {
					z.Status()
					_, err := z.Top(3)
					if err != nil {
						t.Error(err)
					}
				}
				Release(holds)
			}
		})
	}
	wg.Wait()
	require.Zero(t, z.Status().Keys)
	require.Positive(t, z.Status().Lock.LongestHoldNs)
	require.Empty(t, z.Check())
	require.NoError(t, z.Close())
}

// TestUndoLogSuffices makes the largest transactions that there are, in a large tree.
func TestUndoLogSuffices(t *testing.T) {
	z := newZone(t, 64<<20, shmtx.Atomic, 0)
	var holds []Hold
	for n := range 300_000 {
		var v Verdict
		holds, v, _ = Acquire(holds, []Limit{{Zone: z, Key: key4(n), Max: 1}})
		require.Equal(t, Passed, v)
	}
	for _, i := range rand.New(rand.NewPCG(3, 3)).Perm(len(holds)) {
		Release(holds[i : i+1])
	}
	tx := z.mutex.Lock()
	most := tx.MostStores()
	z.mutex.Unlock()
	t.Logf("at most %d stores in one transaction", most)
	require.Less(t, most, 150)
	require.Empty(t, z.Check())
}
