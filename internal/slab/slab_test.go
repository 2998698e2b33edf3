// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slab

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

// tb is what the tests here need of testing.T, testing.B and rapid.T.
type tb interface {
	require.TestingT
	Helper()
	Logf(string, ...any)
}

type fixture struct {
	zone  *shm.Zone
	mutex *shmtx.Mutex
	pool  *Pool
}

func newFixture(t tb, sizeBytes int64) *fixture {
	t.Helper()
	runtime.LockOSThread()
	zone, err := shm.Create(shm.Options{Name: "test", Kind: "slab", SizeBytes: sizeBytes})
	require.NoError(t, err)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	mutex, err := shmtx.Open(zone, owner)
	require.NoError(t, err)
	return &fixture{zone: zone, mutex: mutex, pool: Format(zone)}
}

// newPart is a fixture whose zone has room for more than the pages of one of sizeBytes.
func newPart(t tb, sizeBytes, mostBytes int64) *fixture {
	t.Helper()
	runtime.LockOSThread()
	zone, err := shm.Create(shm.Options{Name: "test", Kind: "slab", SizeBytes: mostBytes, ReservedBytes: shm.MinBytes})
	require.NoError(t, err)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	mutex, err := shmtx.Open(zone, owner)
	require.NoError(t, err)
	pool, err := FormatPart(zone, sizeBytes)
	require.NoError(t, err)
	return &fixture{zone: zone, mutex: mutex, pool: pool}
}

func (f *fixture) close(t tb) {
	require.NoError(t, f.zone.Close())
	runtime.UnlockOSThread()
}

var errKilled = errors.New("killed")

// killedAt runs step in a transaction that ends before its k-th store, as that of a killed process does, and is undone as by the next
// owner of the lock. It says whether there were so many stores; if not, the transaction is complete.
func (f *fixture) killedAt(k int, step func(tx *shmtx.Tx)) (killed bool) {
	n := 0
	tx := f.mutex.Lock()
	f.mutex.HookStores(func() {
		if n++; n == k {
			panic(errKilled)
		}
	})
	defer func() {
		f.mutex.HookStores(nil)
		if r := recover(); r != nil {
			if r != error(errKilled) {
				panic(r)
			}
			tx.Rollback()
			killed = true
		}
		f.mutex.Unlock()
	}()
	step(tx)
	return false
}

// TestModel compares with a map, over random sizes, orders, and transactions that are killed at a random store.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := shm.MinBytes + int64(rapid.IntRange(0, 40).Draw(t, "pages"))*shm.PageBytes
		const most = shm.MinBytes + 100*shm.PageBytes
		var f *fixture
		if part := rapid.Bool().Draw(t, "part"); part {
			f = newPart(t, bytes, most)
		} else {
			f = newFixture(t, bytes)
		}
		defer f.close(t)
		live := map[shm.Offset]int{} // size by offset
		size := rapid.OneOf(rapid.IntRange(1, 70), rapid.IntRange(1, 2048), rapid.IntRange(2049, 30000), rapid.SampledFrom([]int{8, 16, 32, 64, 128, 2048, 4096}))
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				n, k := size.Draw(t, "size"), rapid.IntRange(1, 200).Draw(t, "kill")
				var off shm.Offset
				var ok bool
				if f.killedAt(k, func(tx *shmtx.Tx) { off, ok = f.pool.Alloc(tx, n) }) || !ok {
					return
				}
				wantApart(t, f, live, off, n)
				live[off] = n
				b := f.zone.Bytes(off, n)
				for i := range b { // a user writes all of it
					b[i] = byte(off >> 4)
				}
			},
			"free": func(t *rapid.T) {
				if len(live) == 0 {
					return
				}
				off := rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "which")
				for i, c := range f.zone.Bytes(off, live[off]) {
					require.Equal(t, byte(off>>4), c, "byte %d at %#x", i, off)
				}
				k := rapid.IntRange(1, 200).Draw(t, "kill")
				if !f.killedAt(k, func(tx *shmtx.Tx) { f.pool.Free(tx, off) }) {
					delete(live, off)
				}
			},
			"grow": func(t *rapid.T) {
				if !f.zone.Part() {
					t.Skip()
				}
				more, k := bytes+int64(rapid.IntRange(-2, 20).Draw(t, "more"))*shm.PageBytes, rapid.IntRange(1, 20).Draw(t, "kill")
				require.NoError(t, f.pool.Reserve(more))
				before, grown := f.pool.Stats(), false
				if !f.killedAt(k, func(tx *shmtx.Tx) { grown = f.pool.Grow(tx, more) }) && grown {
					bytes = more
				}
				require.Equal(t, Pages(bytes), f.pool.Stats().Pages)
				require.Equal(t, Pages(bytes)-before.Pages, f.pool.Stats().FreePages-before.FreePages)
			},
			"two at once": func(t *rapid.T) { // all or nothing
				n, k := size.Draw(t, "size"), rapid.IntRange(1, 300).Draw(t, "kill")
				before := f.used()
				killed := f.killedAt(k, func(tx *shmtx.Tx) {
					a, okA := f.pool.Alloc(tx, n)
					b, okB := f.pool.Alloc(tx, 17)
					if okA {
						fill(f.zone.Bytes(a, n))
						f.pool.Free(tx, a)
					}
					if okB {
						f.pool.Free(tx, b)
					}
				})
				require.Equal(t, before, f.used(), "killed: %v", killed)
			},
			"": func(t *rapid.T) {
				require.Empty(t, f.pool.Check())
				for off, n := range live {
					require.True(t, f.pool.Allocated(off, n))
				}
				require.Equal(t, len(live), f.used())
			},
		})
		for off := range live {
			f.killedAt(0, func(tx *shmtx.Tx) { f.pool.Free(tx, off) })
		}
		require.Zero(t, f.used())
		require.Empty(t, f.pool.Check())
		f.killedAt(0, func(tx *shmtx.Tx) { f.pool.reclaim(tx) })
		require.Equal(t, int(f.pool.h.pages), int(f.pool.h.freePages))
		require.Equal(t, f.pool.h.pages, f.pool.desc(f.pool.h.freeRuns).run, "one run again")
	})
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

// used is how many allocations there are; a run counts as one.
func (f *fixture) used() int {
	n := 0
	for _, s := range f.pool.Stats().Sizes {
		n += s.Used
	}
	for i := range f.pool.h.pages {
		if f.pool.desc(f.pool.descAt(i)).state == pageRunHead && f.boundary(i) {
			n++
		}
	}
	return n
}

// boundary says whether page i begins a run, a free run, or is cut: the state of a page inside a run means nothing.
func (f *fixture) boundary(i uint32) bool {
	for at := uint32(0); at <= i; {
		if at == i {
			return true
		}
		d := f.pool.desc(f.pool.descAt(at))
		at += max(d.run, 1)
	}
	return false
}

func wantApart(t tb, f *fixture, live map[shm.Offset]int, off shm.Offset, n int) {
	require.GreaterOrEqual(t, off, f.pool.h.firstPage)
	require.LessOrEqual(t, int64(off)+int64(n), f.zone.SizeBytes())
	if n >= 8 {
		require.Zero(t, off%8)
	}
	for other, m := range live {
		require.False(t, off < other+shm.Offset(m) && other < off+shm.Offset(n), "%#x+%d and %#x+%d overlap", off, n, other, m)
	}
}

// TestGrowEnds: a zone has no more pages than there is room for, and a damaged number of them is found and mended.
func TestGrowEnds(t *testing.T) {
	f := newPart(t, shm.MinBytes, 2*shm.MinBytes)
	defer f.close(t)
	f.killedAt(0, func(tx *shmtx.Tx) {
		require.False(t, f.pool.Grow(tx, 3*shm.MinBytes))
		require.False(t, f.pool.Grow(tx, shm.MinBytes))
		require.NoError(t, f.pool.Reserve(2*shm.MinBytes-shm.PageBytes))
		require.True(t, f.pool.Grow(tx, 2*shm.MinBytes-shm.PageBytes))
	})
	require.Empty(t, f.pool.Check())
	for _, damage := range []uint32{1, 1 << 30} {
		pages := f.pool.h.pages
		f.pool.h.pages = damage
		require.NotEmpty(t, f.pool.Check())
		f.killedAt(0, func(tx *shmtx.Tx) {
			f.pool.RestoreHeader(tx)
			f.pool.Rebuild(tx, func(shm.Offset, int) bool { return true })
		})
		require.Empty(t, f.pool.Check())
		require.Equal(t, pages, f.pool.h.pages)
	}
}

// TestFull fills a zone with each size and finds exactly the slots that there should be, and a count of refusals.
func TestFull(t *testing.T) {
	for k := range numClasses {
		t.Run(fmt.Sprint(slotBytes(k)), func(t *testing.T) {
			f := newFixture(t, 256<<10)
			defer f.close(t)
			tx := f.mutex.Lock()
			n := 0
			var last shm.Offset
			for {
				off, ok := f.pool.Alloc(tx, slotBytes(k))
				tx.Commit()
				if !ok {
					break
				}
				last = off
				n++
			}
			want := Pages(256<<10) * PerPage(slotBytes(k))
			require.Equal(t, want, n)
			s := f.pool.Stats().Sizes[k]
			require.Equal(t, SizeStats{SlotBytes: slotBytes(k), Pages: Pages(256 << 10), Total: want, Used: want, Requests: uint64(want + 1), Fails: 1}, s)
			f.pool.Free(tx, last)
			_, ok := f.pool.Alloc(tx, slotBytes(k))
			require.True(t, ok)
			f.mutex.Unlock()
			require.Empty(t, f.pool.Check())
		})
	}
}

// TestMisuse: what no correct user asks for is refused before anything changes.
func TestMisuse(t *testing.T) {
	f := newFixture(t, 256<<10)
	defer f.close(t)
	tx := f.mutex.Lock()
	a, _ := f.pool.Alloc(tx, 64)
	small, _ := f.pool.Alloc(tx, 8)
	run, _ := f.pool.Alloc(tx, 9000)
	freed, _ := f.pool.Alloc(tx, 64)
	f.pool.Free(tx, freed)
	tx.Commit()
	for name, off := range map[string]shm.Offset{
		"twice": freed, "inside a slot": a + 8, "inside a small slot": small + 4, "the bitmap": small &^ (shm.PageBytes - 1),
		"inside a run": run + shm.PageBytes, "not the run's start": run + 8, "a free page": shm.Offset(f.zone.SizeBytes() - 1),
		"a descriptor": shm.DataArea, "beyond": 1 << 31,
	} {
		require.Panics(t, func() { f.pool.Free(tx, off) }, name)
		require.Empty(t, f.pool.Check(), name)
	}
	_, ok := f.pool.Alloc(tx, 1<<40)
	require.False(t, ok)
	f.mutex.Unlock()
}

// TestCheckFindsDamage changes one field at a time and wants a fault reported for each.
func TestCheckFindsDamage(t *testing.T) {
	damages := map[string]func(f *fixture){
		"free pages":    func(f *fixture) { f.pool.h.freePages++ },
		"used":          func(f *fixture) { f.pool.h.classes[3].used-- },
		"bitmap":        func(f *fixture) { f.pool.desc(f.pool.h.classes[3].partial).bitmap ^= 4 },
		"partial list":  func(f *fixture) { f.pool.h.classes[3].partial = 0 },
		"list into air": func(f *fixture) { f.pool.h.freeRuns += 4 },
		"list circle":   func(f *fixture) { f.pool.desc(f.pool.h.freeRuns).next = f.pool.h.freeRuns },
		"run too long":  func(f *fixture) { f.pool.desc(f.pool.h.freeRuns).run++ },
		"run too short": func(f *fixture) { f.pool.desc(f.pool.h.freeRuns).run-- },
		"state":         func(f *fixture) { f.pool.desc(f.pool.descAt(0)).state = 77 },
		"small bitmap":  func(f *fixture) { *shm.At[uint64](f.zone, f.pool.pageOf(f.pool.h.classes[0].partial)) ^= 1 },
		"page count":    func(f *fixture) { f.pool.h.pages++ },
	}
	for name, damage := range damages {
		f := newFixture(t, 256<<10)
		tx := f.mutex.Lock()
		for _, n := range []int{64, 64, 64, 8, 8, 9000} {
			_, ok := f.pool.Alloc(tx, n)
			require.True(t, ok)
		}
		f.mutex.Unlock()
		require.Empty(t, f.pool.Check())
		damage(f)
		require.NotEmpty(t, f.pool.Check(), name)
		f.close(t)
	}
}

// BenchmarkFill shows that Alloc and Free of a slot cost the same in an empty and in a nearly full zone.
func BenchmarkFill(b *testing.B) {
	for _, percent := range []int{0, 50, 99} {
		b.Run(fmt.Sprintf("full=%d%%", percent), func(b *testing.B) {
			f := newFixture(b, 64<<20)
			defer f.close(b)
			tx := f.mutex.Lock()
			for range Pages(64<<20) * PerPage(64) / 100 * percent {
				f.pool.Alloc(tx, 64)
				tx.Commit()
			}
			b.ReportAllocs()
			for b.Loop() {
				off, _ := f.pool.Alloc(tx, 64)
				tx.Commit()
				f.pool.Free(tx, off)
				tx.Commit()
			}
			f.mutex.Unlock()
		})
	}
}
