// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package rbtree

import (
	"errors"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

type tb interface {
	require.TestingT
	Helper()
}

// fixture is a zone with a tree whose nodes stand at fixed places: record i at DataArea + 32*i. A record is a node and a number, by which nodes
// of equal keys are ordered.
type fixture struct {
	zone  *shm.Zone
	mutex *shmtx.Mutex
	tree  Tree
}

type record struct {
	_      Node
	number uint32
	_      [12]byte
}

func newFixture(t tb, sizeBytes int64) *fixture {
	t.Helper()
	runtime.LockOSThread()
	zone, err := shm.Create(shm.Options{Name: "test", Kind: "rbtree", SizeBytes: sizeBytes})
	require.NoError(t, err)
	owner, err := shmtx.NewOwner()
	require.NoError(t, err)
	mutex, err := shmtx.Open(zone, owner)
	require.NoError(t, err)
	return &fixture{zone: zone, mutex: mutex, tree: New(zone, shm.At[shm.Offset](zone, shm.UserArea))}
}

func (f *fixture) close(t tb) {
	require.NoError(t, f.zone.Close())
	runtime.UnlockOSThread()
}

func place(number int) shm.Offset { return shm.DataArea + shm.Offset(number)*32 }

func (f *fixture) number(off shm.Offset) uint32 { return shm.At[record](f.zone, off).number }

func (f *fixture) seek(key uint32, number int) (shm.Offset, Place) {
	return f.tree.Seek(key, func(other shm.Offset) int { return number - int(f.number(other)) })
}

func (f *fixture) insert(tx *shmtx.Tx, key uint32, number int) {
	_, at := f.seek(key, number)
	shm.At[record](f.zone, place(number)).number = uint32(number)
	f.tree.Insert(tx, place(number), key, at)
}

func (f *fixture) check() []error {
	return f.tree.Check(nil, func(a, b shm.Offset) int { return int(f.number(a)) - int(f.number(b)) })
}

var errKilled = errors.New("killed")

// killedAt runs step in a transaction that ends before its k-th store and is undone, as after a kill.
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

// TestModel compares with a sorted slice; keys collide often, transactions are killed at random stores.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture(t, shm.MinBytes)
		defer f.close(t)
		keys := map[int]uint32{} // by number
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				number := rapid.IntRange(0, 200).Draw(t, "number")
				key := rapid.Uint32Range(0, 40).Draw(t, "key")
				if _, ok := keys[number]; ok {
					return
				}
				if !f.killedAt(rapid.IntRange(0, 60).Draw(t, "kill"), func(tx *shmtx.Tx) { f.insert(tx, key, number) }) {
					keys[number] = key
				}
			},
			"delete": func(t *rapid.T) {
				if len(keys) == 0 {
					return
				}
				number := rapid.SampledFrom(slices.Sorted(maps.Keys(keys))).Draw(t, "number")
				found, _ := f.seek(keys[number], number)
				require.Equal(t, place(number), found)
				if !f.killedAt(rapid.IntRange(0, 90).Draw(t, "kill"), func(tx *shmtx.Tx) { f.tree.Delete(tx, found) }) {
					delete(keys, number)
				}
			},
			"seek what is not there": func(t *rapid.T) {
				key := rapid.Uint32Range(0, 41).Draw(t, "key")
				found, at := f.seek(key, -1)
				require.Zero(t, found)
				want := shm.Offset(0)
				for _, number := range ordered(keys) {
					if keys[number] >= key {
						want = place(number)
						break
					}
				}
				require.Equal(t, want, f.tree.After(at))
				met := f.tree.Meet(key)
				require.Equal(t, slices.Contains(slices.Collect(maps.Values(keys)), key), met != 0)
				require.True(t, met == 0 || f.tree.node(met).Key == key)
			},
			"": func(t *rapid.T) {
				require.Empty(t, f.check())
				var got []int
				for at := f.tree.First(); at != 0; at = f.tree.Next(at) {
					got = append(got, int(f.number(at)))
				}
				require.Equal(t, ordered(keys), got)
			},
		})
	})
}

// ordered are the numbers in the order of the tree.
func ordered(keys map[int]uint32) []int {
	var numbers []int
	for number := range keys {
		numbers = append(numbers, number)
	}
	slices.SortFunc(numbers, func(a, b int) int {
		if keys[a] != keys[b] {
			return int(keys[a]) - int(keys[b])
		}
		return a - b
	})
	return numbers
}

// TestLarge builds up and takes down a tree of 100,000 nodes, and wants the undo log nearly empty throughout.
func TestLarge(t *testing.T) {
	const n = 100_000
	f := newFixture(t, 8<<20)
	defer f.close(t)
	random := rand.New(rand.NewPCG(1, 2))
	keys := make([]uint32, n)
	tx := f.mutex.Lock()
	for i := range keys {
		keys[i] = random.Uint32()
		if i%3 == 0 {
			keys[i] = uint32(i) // an ascending run, the hard case
		}
		f.insert(tx, keys[i], i)
		tx.Commit()
	}
	require.Empty(t, f.check())
	for i, j := range random.Perm(n) {
		f.tree.Delete(tx, place(j))
		tx.Commit()
		if i == n/2 {
			require.Empty(t, f.check())
		}
	}
	f.mutex.Unlock()
	require.Zero(t, f.tree.First())
	t.Logf("at most %d stores in one transaction", tx.MostStores())
	require.Less(t, tx.MostStores(), 120)
}

// TestDamage: links that lead nowhere or in circles are found, by the operations and by Check.
func TestDamage(t *testing.T) {
	damages := map[string]func(f *fixture){
		"parent":   func(f *fixture) { f.tree.node(place(5)).up ^= 64 },
		"color":    func(f *fixture) { f.tree.node(*f.tree.root).up |= red },
		"key":      func(f *fixture) { f.tree.node(place(5)).Key += 1000 },
		"circle":   func(f *fixture) { f.tree.node(f.tree.First()).left = *f.tree.root },
		"outside":  func(f *fixture) { f.tree.node(place(0)).left = 0xfffffff0 },
		"crooked":  func(f *fixture) { f.tree.node(place(0)).left = place(1) + 2 },
		"lost":     func(f *fixture) { f.tree.node(*f.tree.root).left = 0 },
		"the root": func(f *fixture) { *f.tree.root = 8 },
	}
	for name, damage := range damages {
		f := newFixture(t, shm.MinBytes)
		tx := f.mutex.Lock()
		for i := range 30 {
			f.insert(tx, uint32(i*10), i)
			tx.Commit()
		}
		f.mutex.Unlock()
		require.Empty(t, f.check())
		damage(f)
		require.NotEmpty(t, f.check(), name)
		if name == "circle" || name == "outside" || name == "the root" {
			require.Panics(t, func() { f.tree.First(); f.seek(0, -1) }, name)
			require.Zero(t, f.tree.Meet(3), name)
		}
		f.close(t)
	}
}

func BenchmarkInsertDelete(b *testing.B) {
	const n = 100_000
	f := newFixture(b, 8<<20)
	defer f.close(b)
	tx := f.mutex.Lock()
	for i := range n {
		f.insert(tx, uint32(i)*40503, i)
		tx.Commit()
	}
	key := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		key += 2654435761
		f.insert(tx, key, n)
		f.tree.Delete(tx, place(n))
		tx.Commit()
	}
	f.mutex.Unlock()
}
