// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/rbtree"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/slab"
)

// The tests of this file kill real processes: this test binary, started again in one of these roles.
func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string){"crash": runVictim, "step": runStepped, "count": runCounted, "load": runLoader})
}

// world is a zone at one of three levels: an allocator, an allocator and a tree, or connection counts.
type world struct {
	shm   *shm.Zone
	mutex *shmtx.Mutex
	pool  *slab.Pool
	root  *shm.Offset // tree
	z     *Zone       // counts; nil at the lower levels
	holds []Hold
	lines []Ticket
	mem   []shm.Offset // what prepare allocated, in order
}

func newWorld(kind shmtx.Kind, owner *shmtx.Owner) *world {
	z, err := Create(Options{Name: "crash", Key: "$k", SizeBytes: crashBytes, Mutex: kind}, owner)
	crashtest.Must(err)
	return openWorld(z)
}

func openWorld(z *Zone) *world {
	return &world{shm: z.shm, mutex: z.mutex, pool: z.pool, root: &z.h.root, z: z}
}

const crashBytes = 64 << 10

// operation is what is killed at each of its stores, and the state it starts from. Both run in a process whose slot is 0.
type operation struct {
	name    string
	level   int // of the zone, see world
	prepare func(w *world)
	run     func(w *world)
	again   bool // made of several transactions: after a kill it is to be run again
}

const (
	levelSlab = iota
	levelTree
	levelCounts
)

// in runs f as one transaction.
func (w *world) in(f func(tx *shmtx.Tx)) {
	tx := w.mutex.Lock()
	f(tx)
	w.mutex.Unlock()
}

func (w *world) alloc(sizes ...int) {
	w.in(func(tx *shmtx.Tx) {
		for _, size := range sizes {
			off, ok := w.pool.Alloc(tx, size)
			if !ok {
				panic("no room")
			}
			w.mem = append(w.mem, off)
			tx.Commit()
		}
	})
}

func (w *world) free(indexes ...int) {
	w.in(func(tx *shmtx.Tx) {
		for _, i := range indexes {
			w.pool.Free(tx, w.mem[i])
			tx.Commit()
		}
	})
}

func (w *world) insert(keys ...uint32) {
	tree := rbtree.New(w.shm, w.root)
	w.in(func(tx *shmtx.Tx) {
		for _, key := range keys {
			found, at := tree.Seek(key, func(shm.Offset) int { return 0 })
			if found != 0 {
				panic("twice")
			}
			off, ok := w.pool.Alloc(tx, rbtree.Bytes)
			if !ok {
				panic("no room")
			}
			tree.Insert(tx, off, key, at)
			w.mem = append(w.mem, off)
			tx.Commit()
		}
	})
}

func (w *world) remove(keys ...uint32) {
	tree := rbtree.New(w.shm, w.root)
	w.in(func(tx *shmtx.Tx) {
		for _, key := range keys {
			found, _ := tree.Seek(key, func(shm.Offset) int { return 0 })
			tree.Delete(tx, found)
			w.pool.Free(tx, found)
			tx.Commit()
		}
	})
}

// acquire takes one place for each key, in the slot.
func (w *world) acquire(slot int, keys ...string) {
	w.z.slot = slot
	for _, key := range keys {
		var v Verdict
		if w.holds, v, _ = Acquire(w.holds, []Limit{{Zone: w.z, Key: []byte(key), Max: 100}}); v != Passed {
			panic(v)
		}
	}
	w.z.slot = 0
}

// wait has slots wait for a key that has one place.
func (w *world) wait(key string, slots ...int) {
	for _, slot := range slots {
		w.z.slot = slot
		var hold Hold
		var ticket Ticket
		if _, v := w.z.Wait(Waiter{ID: uint32(len(w.lines)), Line: 10}, []Want{{Key: []byte(key), Max: 1}}, &hold, &ticket); v != Queued {
			panic(v)
		}
		w.lines = append(w.lines, ticket)
	}
	w.z.slot = 0
}

func (w *world) release(i int) { Release(w.holds[i : i+1]) }

// move takes a place of another slot over to slot 0.
func (w *world) move(i, from int) {
	hold, v := w.z.Move(w.holds[i].Place(), from, func() bool { return true })
	if v != Passed {
		panic(v)
	}
	w.holds[i] = hold
}

func repeat[T any](n int, v T) []T { return slices.Repeat([]T{v}, n) }

func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("key%03d", i)
	}
	return keys
}

// crashOperations covers every way through alloc, free, insert, delete, acquire, release, reap and the clearing of a key that makes other stores.
func crashOperations() []operation {
	nothing := func(*world) {}
	ascending := func(n uint32) func(*world) {
		return func(w *world) {
			for k := range n {
				w.insert(k * 10)
			}
		}
	}
	return []operation{
		{name: "alloc/first of a page", level: levelSlab, prepare: nothing, run: func(w *world) { w.alloc(64) }},
		{name: "alloc/middle of a page", level: levelSlab, prepare: func(w *world) { w.alloc(64) }, run: func(w *world) { w.alloc(64) }},
		{name: "alloc/last of a page", level: levelSlab, prepare: func(w *world) { w.alloc(repeat(126, 32)...) }, run: func(w *world) { w.alloc(32) }},
		{name: "alloc/second page", level: levelSlab, prepare: func(w *world) { w.alloc(repeat(2, 2048)...) }, run: func(w *world) { w.alloc(2048) }},
		{name: "alloc/run", level: levelSlab, prepare: nothing, run: func(w *world) { w.alloc(9000) }},
		{name: "alloc/kept page reclaimed", level: levelSlab, prepare: func(w *world) {
			w.alloc(16)
			w.free(0)
			w.alloc(repeat(w.pool.Stats().FreePages, 4096)...)
		}, run: func(w *world) { w.alloc(256) }},
		{name: "free/of a full page", level: levelSlab, prepare: func(w *world) { w.alloc(repeat(64, 64)...) }, run: func(w *world) { w.free(7) }},
		{name: "free/last of a page, runs merge", level: levelSlab, prepare: func(w *world) {
			w.alloc(append(repeat(3, 4096), repeat(3, 2048)...)...)
			w.free(1, 2, 3, 4)
		}, run: func(w *world) { w.free(5) }},
		{name: "free/small slot", level: levelSlab, prepare: func(w *world) { w.alloc(8, 8) }, run: func(w *world) { w.free(0) }},
		{name: "free/page given up", level: levelSlab, prepare: func(w *world) {
			w.alloc(repeat(3, 2048)...)
			w.free(0)
		}, run: func(w *world) { w.free(2) }},
		{name: "free/run, merged on both sides", level: levelSlab, prepare: func(w *world) {
			w.alloc(4096, 9000, 4096, 4096)
			w.free(0, 2)
		}, run: func(w *world) { w.free(1) }},
		{name: "insert/first", level: levelTree, prepare: nothing, run: func(w *world) { w.insert(5) }},
		{name: "insert/recolors and rotates", level: levelTree, prepare: ascending(13), run: func(w *world) { w.insert(130) }},
		{name: "insert/double rotation", level: levelTree, prepare: func(w *world) { w.insert(10, 30) }, run: func(w *world) { w.insert(20) }},
		{name: "delete/root with two children", level: levelTree, prepare: ascending(20), run: func(w *world) { w.remove(70) }},
		{name: "delete/black leaf", level: levelTree, prepare: ascending(20), run: func(w *world) { w.remove(0) }},
		{name: "delete/two children, next is not its child", level: levelTree, prepare: ascending(20), run: func(w *world) { w.remove(110) }},
		{name: "delete/last", level: levelTree, prepare: ascending(1), run: func(w *world) { w.remove(0) }},
		{name: "acquire/first key", level: levelCounts, prepare: nothing, run: func(w *world) { w.acquire(0, "a") }},
		{name: "acquire/new key", level: levelCounts, prepare: func(w *world) { w.acquire(0, numbered(64)...) }, run: func(w *world) { w.acquire(0, "new") }},
		{name: "acquire/known key", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a", "b") }, run: func(w *world) { w.acquire(0, "a") }},
		{name: "acquire/key of another slot", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a"); w.acquire(0, "b") }, run: func(w *world) { w.acquire(0, "a") }},
		{name: "acquire/node's own share again", level: levelCounts, prepare: func(w *world) {
			w.acquire(0, "a")
			w.acquire(1, "a")
			w.release(0)
		}, run: func(w *world) { w.acquire(0, "a") }},
		{name: "release/last of a key", level: levelCounts, prepare: func(w *world) { w.acquire(0, numbered(20)...) }, run: func(w *world) { w.release(9) }},
		{name: "release/only key", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a") }, run: func(w *world) { w.release(0) }},
		{name: "release/one of two", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a", "a") }, run: func(w *world) { w.release(1) }},
		{name: "release/share of its own", level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a")
			w.acquire(0, "a", "b", "c")
			w.acquire(2, "a")
		}, run: func(w *world) { w.release(1) }},
		{name: "release/of a cleared key", level: levelCounts, prepare: func(w *world) {
			w.acquire(0, "a")
			w.clear("a")
			w.acquire(0, "a")
		}, run: func(w *world) { w.release(0) }},
		{name: "move/only connection, in the node", level: levelCounts, prepare: func(w *world) { w.acquire(1, "b", "a"); w.acquire(0, "b") },
			run: func(w *world) { w.move(1, 1) }},
		{name: "move/only connection, share of its own", level: levelCounts, prepare: func(w *world) { w.acquire(2, "a"); w.acquire(1, "c", "a", "b") },
			run: func(w *world) { w.move(2, 1) }},
		{name: "move/one of two, new share", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a", "a"); w.acquire(0, "b") },
			run: func(w *world) { w.move(1, 1) }},
		{name: "move/one of two, known share", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a", "a"); w.acquire(0, "a") },
			run: func(w *world) { w.move(0, 1) }},
		{name: "move/last of a share, known share", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a", "b"); w.acquire(1, "a", "b") },
			run: func(w *world) { w.move(2, 1) }},
		{name: "move/last in the node, known share", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a"); w.acquire(0, "a") },
			run: func(w *world) { w.move(0, 1) }},
		{name: "move/of a cleared key", level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a", "a")
			w.clear("a")
		}, run: func(w *world) { w.move(1, 1) }},
		{name: "clear/key of two slots", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a", "b"); w.acquire(0, "a") }, run: func(w *world) { w.clear("a") }},
		{name: "reap", again: true, level: levelCounts, prepare: func(w *world) {
			w.acquire(7, "a", "b", "b", "c")
			w.acquire(0, "b", "c", "d")
			w.acquire(7, "d", "e")
			w.clear("e")
		}, run: func(w *world) {
			_, err := w.z.Reap(7)
			crashtest.Must(err)
		}},
		{name: "wait/first", level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a")
			w.wait("a", 0)
			Leave(&w.lines[0], true, 0)
		}, run: func(w *world) { w.wait("a", 0) }},
		{name: "wait/second", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a"); w.wait("a", 2) }, run: func(w *world) { w.wait("a", 0) }},
		{name: "wait/of another key", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a", "b"); w.wait("a", 0) }, run: func(w *world) { w.wait("b", 0) }},
		{name: "release/to the only one in line", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a"); w.wait("a", 1) }, run: func(w *world) { w.release(0) }},
		{name: "release/to the first in line", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a"); w.wait("a", 1, 0, 2) },
			run: func(w *world) { w.release(0) }},
		{name: "release/to one in line, who has a share", level: levelCounts, prepare: func(w *world) {
			w.acquire(0, "a", "b")
			w.wait("a", 0, 1)
			w.wait("b", 0)
		}, run: func(w *world) { w.release(0) }},
		{name: "release/nobody in line for it", level: levelCounts, prepare: func(w *world) { w.acquire(0, "a", "b"); w.wait("a", 1) },
			run: func(w *world) { w.release(1) }},
		{name: "calls", again: true, level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a", "b")
			w.wait("a", 0, 0)
			w.wait("b", 0)
			w.z.slot = 1
			Release(w.holds[:2])
			w.z.slot = 0
		}, run: func(w *world) { w.z.Calls(nil, 0) }},
		{name: "leave/in the middle of the line", level: levelCounts, prepare: func(w *world) { w.acquire(1, "a"); w.wait("a", 1, 0, 2) },
			run: func(w *world) { Leave(&w.lines[1], true, 0) }},
		{name: "leave/called", level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a")
			w.wait("a", 0, 2)
			w.z.slot = 1
			w.release(0)
			w.z.slot = 0
		}, run: func(w *world) { Leave(&w.lines[0], false, 0) }},
		{name: "reap/waiters and places that others wait for", again: true, level: levelCounts, prepare: func(w *world) {
			w.acquire(7, "a", "b", "c")
			w.acquire(0, "d")
			w.wait("a", 7, 1, 2)
			w.wait("b", 1)
			w.wait("d", 7)
			w.z.slot = 7
			w.release(1)
			w.z.slot = 0
		}, run: func(w *world) {
			_, err := w.z.Reap(7)
			crashtest.Must(err)
		}},
		{name: "rebuild/with waiters", again: true, level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a", "b")
			w.wait("a", 0, 1)
			w.wait("b", 0)
			w.z.slot = 1
			w.release(1)
			w.z.slot = 0
		}, run: func(w *world) {
			_, err := w.z.Rebuild(nil)
			crashtest.Must(err)
		}},
		{name: "rebuild", again: true, level: levelCounts, prepare: func(w *world) {
			w.acquire(1, "a", "b", "b", "c")
			w.acquire(0, "b", "c", "d")
			w.acquire(2, "d", "e")
			w.clear("e")
		}, run: func(w *world) {
			_, err := w.z.Rebuild(nil)
			crashtest.Must(err)
		}},
	}
}

func (w *world) clear(key string) {
	_, found, err := w.z.Delete([]byte(key))
	crashtest.Must(err)
	if !found {
		panic("no such key")
	}
}

// dump is the state of the zone as its users see it.
func (w *world) dump(level int) string {
	var b strings.Builder
	stats := w.pool.Stats()
	for _, s := range stats.Sizes {
		fmt.Fprintf(&b, "%d:%d ", s.SlotBytes, s.Used)
	}
	fmt.Fprintf(&b, "runs:%d\n", stats.RunPages)
	switch level {
	case levelTree:
		tree := rbtree.New(w.shm, w.root)
		for at := tree.First(); at != 0; at = tree.Next(at) {
			fmt.Fprintf(&b, "%d ", shm.At[rbtree.Node](w.shm, at).Key)
		}
	case levelCounts:
		crashtest.Must(w.z.Walk(func(e *Entry) {
			slices.SortFunc(e.Shares, func(a, b Share) int { return a.Slot - b.Slot })
			fmt.Fprintf(&b, "%s=%d%v ", e.Key, e.Connections, e.Shares)
		}))
		fmt.Fprintf(&b, "cleared:%d", w.z.Status().Orphans)
		w.dumpLines(&b)
	}
	return b.String()
}

func (w *world) dumpLines(b *strings.Builder) {
	z := w.z
	for at := z.lines.First(); at != 0; at = z.lines.Next(at) {
		fmt.Fprintf(b, " line %s:", z.nameAt(at, z.line(at)))
		for off := z.line(at).head; off != 0; off = z.waiter(off).next {
			fmt.Fprintf(b, " %d", z.waiter(off).id)
		}
	}
	if z.h.calls == 0 {
		return
	}
	for slot, off := range z.callLists().called {
		for ; off != 0; off = z.waiter(off).slotNext {
			fmt.Fprintf(b, " call %d of slot %d", z.waiter(off).id, slot)
		}
	}
}

func (w *world) check(level int) []error {
	switch level {
	case levelSlab:
		return w.pool.Check()
	case levelTree:
		tree := rbtree.New(w.shm, w.root)
		return append(w.pool.Check(), tree.Check(nil, nil)...)
	}
	return w.z.check()
}

// control is what the test and its victim tell each other. It stands in a zone of its own.
type control struct {
	crashtest.Control

	// what the preparation took, for the victim to go on with
	nholds, nmem uint32
	nlines       uint32
	lines        [16]struct {
		at    shm.Offset
		epoch uint32
	}
	holds [256]struct {
		share       shm.Offset
		hash, epoch uint32
	}
	mem [256]shm.Offset
}

func newControl(w *world) (*shm.Zone, *control) {
	segment, c := crashtest.NewSegment[control]()
	c.nholds, c.nmem = uint32(len(w.holds)), uint32(copy(c.mem[:], w.mem))
	c.nlines = uint32(len(w.lines))
	for i, t := range w.lines {
		c.lines[i].at, c.lines[i].epoch = t.at, t.epoch
	}
	for i, h := range w.holds {
		c.holds[i].share, c.holds[i].hash, c.holds[i].epoch = h.share, h.hash, h.epoch
	}
	return segment, c
}

// resume gives a victim's world what the test's has.
func (c *control) resume(w *world) {
	w.mem = append(w.mem, c.mem[:c.nmem]...)
	for _, t := range c.lines[:c.nlines] {
		w.lines = append(w.lines, Ticket{zone: w.z, at: t.at, epoch: t.epoch})
	}
	for _, h := range c.holds[:c.nholds] {
		w.holds = append(w.holds, Hold{zone: w.z, share: h.share, hash: h.hash, epoch: h.epoch})
	}
}

// runVictim is the process that is killed: descriptor 3 is the zone, 4 the control page. It attaches as the worker of slot 0.
func runVictim(argument string) {
	index, k := crashtest.Point(argument)
	w, c := resumeWorld()
	w.mutex.HookStores(c.KillAt(k))
	crashOperations()[index].run(w)
	os.Exit(3) // the point was not reached
}

// TestCrashAtEveryStore kills a process right before each store of each operation, while this one waits for the lock. What stands under the
// lock does not know its kind, so with flock every fifth point is tried, or all with WEIR_LONG=1; -short: every fifth with both.
func TestCrashAtEveryStore(t *testing.T) {
	allowed := 10 * time.Millisecond
	if raceEnabled {
		allowed *= 5 // it slows what is measured
	}
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			every := 1
			switch {
			case testing.Short():
				every = 17
			case kind == shmtx.Flock && os.Getenv("WEIR_LONG") != "1" || raceEnabled:
				every = 5
			}
			var points, repeated int
			var longest time.Duration
			for i, op := range crashOperations() {
				n := countStores(t, kind, op)
				for k := 1; k <= n; k++ {
					if (k+i)%every != 0 {
						continue
					}
					points++
					waited := crashAt(t, kind, i, k)
					// Where more want to run than there are processors, a dying process waits for its turn to die. What is
					// our own doing happens every time.
					for end := time.Now().Add(20 * time.Second); waited > allowed && time.Now().Before(end); {
						repeated++
						waited = min(waited, crashAt(t, kind, i, k))
					}
					require.LessOrEqual(t, waited, allowed, "%s: killed before store %d", op.name, k)
					longest = max(longest, waited)
				}
			}
			t.Logf("%d kill points in %d operations tried, %d more than once; longest wait for the lock after a kill %v",
				points, len(crashOperations()), repeated, longest)
		})
	}
}

// countStores runs the operation whole, and says how many stores it makes.
func countStores(t *testing.T, kind shmtx.Kind, op operation) int {
	w := newWorld(kind, newOwner(t))
	defer w.close()
	op.prepare(w)
	n := 0
	w.mutex.HookStores(func() { n++ })
	op.run(w)
	w.mutex.HookStores(nil)
	require.Empty(t, w.check(op.level), op.name)
	return n
}

func (w *world) close() {
	crashtest.Must(w.z.Close())
}

// crashAt kills a victim right before store k of an operation, and returns how long it took this process to get the lock after that.
func crashAt(t *testing.T, kind shmtx.Kind, index, k int) time.Duration {
	op := crashOperations()[index]
	owner := newOwner(t)
	w := newWorld(kind, owner)
	defer w.close()
	op.prepare(w)
	twin := newWorld(kind, owner)
	defer twin.close()
	op.prepare(twin)
	op.run(twin)
	before, after := w.dump(op.level), twin.dump(op.level)
	recoveries := w.mutex.Recoveries()

	segment, c := newControl(w)
	defer segment.Close()
	victim := crashtest.Spawn(t, fmt.Sprintf("crash:%d,%d", index, k), w.z.FD(), segment.FD())
	var at int64
	c.AwaitKill(t, victim, fmt.Sprintf("%s: store %d", op.name, k), func() {
		w.mutex.Lock()
		at = time.Now().UnixNano()
		w.mutex.Unlock()
	})

	if !strings.HasPrefix(op.name, "rebuild") { // that one leaves a mark, on which everybody refuses to work
		require.Empty(t, w.check(op.level), "%s: killed before store %d", op.name, k)
	}
	require.LessOrEqual(t, w.mutex.Recoveries(), recoveries+1)
	if op.again {
		op.run(w)
		before = after
	}
	require.Contains(t, []string{before, after}, w.dump(op.level), "%s: killed before store %d", op.name, k)
	require.Empty(t, w.check(op.level), "%s: killed before store %d", op.name, k)
	if killed := atomic.LoadInt64(&c.Killed); killed != 0 && killed < at {
		return time.Duration(at - killed)
	}
	return 0
}
