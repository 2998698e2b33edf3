// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shmtx

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/shm"
	"weir/internal/sys"
)

// Where the tests need other processes they start this binary again, in its one role.
func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string){"contend": runContender})
}

// both kinds of locks.
func both() []Kind { return []Kind{Atomic, Flock} }

// area is what the tests change under the lock.
type area struct {
	words  [8]uint64
	halves [8]uint32
	offset shm.Offset
	start  uint32 // contention: 0 wait, 1 go, 2 stop
	ready  uint32 // processes that wait for 1
	turns  [16]uint64
	inside uint32
	broken uint32
}

func newZone(tb testing.TB, kind Kind) (*shm.Zone, *area) {
	tb.Helper()
	z, err := shm.Create(shm.Options{Name: "test", Kind: "shmtx", Features: Features(kind), SizeBytes: shm.MinBytes})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, z.Close()) })
	return z, shm.At[area](z, shm.DataArea)
}

func openMutex(tb testing.TB, z *shm.Zone) *Mutex {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	owner, err := NewOwner()
	require.NoError(tb, err)
	m, err := Open(z, owner)
	require.NoError(tb, err)
	tb.Cleanup(m.Close)
	return m
}

func TestTransaction(t *testing.T) {
	for _, kind := range both() {
		t.Run(kind.String(), func(t *testing.T) {
			z, a := newZone(t, kind)
			m := openMutex(t, z)
			tx := m.Lock()
			tx.Put64(&a.words[1], 11)
			tx.Put32(&a.halves[2], 22) // the two halves of one word
			tx.Put32(&a.halves[3], 33)
			tx.PutOffset(&a.offset, 44)
			tx.Commit()
			committed := *a
			tx.Put64(&a.words[1], 100)
			tx.Put64(&a.words[1], 101) // twice: the first value must come back
			tx.Put32(&a.halves[3], 300)
			tx.Put32(&a.halves[2], 200)
			tx.PutOffset(&a.offset, 400)
			require.NotEqual(t, committed, *a)
			tx.Rollback()
			require.Equal(t, committed, *a)
			m.Unlock()

			tx = m.Lock()
			tx.Put64(&a.words[0], 5)
			m.Unlock()
			m.Lock()
			require.Equal(t, uint64(5), a.words[0], "unlock commits")
			require.Zero(t, m.Recoveries())
			m.Unlock()
			require.Equal(t, 4, tx.MostStores())
		})
	}
}

// TestRecovery lets an owner vanish in the middle of a transaction, and the next undo it, whichever store was the last, and again when the next one
// vanishes too while it undoes.
func TestRecovery(t *testing.T) {
	z, a := newZone(t, Flock) // no word to repair by hand
	m := openMutex(t, z)
	a.words = [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}
	change := func(tx *Tx) {
		for i := range a.words {
			tx.Put64(&a.words[i], 99)
		}
	}
	before := a.words
	for k := 1; ; k++ {
		if !vanish(m, k, func() { change(m.Lock()) }) {
			break
		}
		for j := 1; vanish(m, j, func() { m.Lock() }); j++ {
		}
		require.Equal(t, before, a.words, "vanished before store %d", k)
		m.Unlock()
	}
	require.NotEqual(t, before, a.words)
	m.tx.Rollback()
	m.Unlock()
	require.Positive(t, m.Counters().RolledBack)
}

// vanish runs f and stops it before its k-th store; false when it makes fewer. It leaves everything as it is, except for what the kernel would do when
// the process ended: the lock is free.
func vanish(m *Mutex, k int, f func()) (vanished bool) {
	n := 0
	m.HookStores(func() {
		if n++; n == k {
			panic("vanish")
		}
	})
	defer func() {
		m.HookStores(nil)
		if r := recover(); r != nil {
			if r != "vanish" {
				panic(r)
			}
			m.tx.n = 0
			m.owner.held = false
			sys.Funlock(m.lock.(*flockLock).fd)
			vanished = true
		}
	}()
	f()
	return false
}

// TestDamagedLog: a log that cannot be one is dropped; it stops one operation, not all for ever.
func TestDamagedLog(t *testing.T) {
	for _, kind := range both() {
		z, a := newZone(t, kind)
		m := openMutex(t, z)
		for name, damage := range map[string]func(){
			"too long": func() { m.tx.area.undoLength = undoCap + 1 },
			"outside":  func() { m.tx.area.undoLength = 1; m.tx.log[0].offset = 0xfffffff8 },
			"crooked":  func() { m.tx.area.undoLength = 1; m.tx.log[0].offset = 0x3003 },
		} {
			damage()
			require.Panics(t, func() { m.Lock() }, name)
			tx := m.Lock()
			tx.Put64(&a.words[0], 1)
			m.Unlock()
		}
	}
}

func TestMisuse(t *testing.T) {
	z, _ := newZone(t, Atomic)
	m := openMutex(t, z)
	tx := m.Lock()
	require.Panics(t, func() { m.Lock() }, "two locks")
	var elsewhere uint64
	require.Panics(t, func() { tx.Put64(&elsewhere, 1) }, "not in the zone")
	require.Panics(t, func() {
		for range undoCap + 1 {
			tx.Put64(shm.At[uint64](z, shm.DataArea), 1)
		}
	}, "too many stores")
	tx.Rollback()
	m.Unlock()

	require.Equal(t, "Kind(9)", Kind(9).String())
	strange, _ := newZone(t, 9)
	_, err := Open(strange, m.owner)
	require.ErrorContains(t, err, "unknown kind of lock 9")
}

// TestRobust: the kernel knows the lock while it is held, and only then.
func TestRobust(t *testing.T) {
	z, _ := newZone(t, Atomic)
	m := openMutex(t, z)
	require.True(t, m.owner.robust.Registered())
	require.False(t, m.owner.robust.Pending())
	m.Lock()
	require.True(t, m.owner.robust.Pending())
	require.Equal(t, sys.ThreadID(), m.tx.area.word)
	m.Unlock()
	require.False(t, m.owner.robust.Pending())
	require.Zero(t, m.tx.area.word)
}

// TestTryLock: it takes what nobody holds, also from an owner that has died, and never waits.
func TestTryLock(t *testing.T) {
	for _, kind := range both() {
		z, a := newZone(t, kind)
		m := openMutex(t, z)
		tx := m.TryLock()
		require.NotNil(t, tx)
		tx.Put64(&a.words[0], 5)
		other := make(chan *Mutex)
		var holdAndEnd func()
		holdAndEnd = func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine, as if it were killed
			if int(sys.ThreadID()) == os.Getpid() {
				ended := make(chan struct{})
				go func() { // the main thread never ends: leave it to another, and keep this one busy
					defer close(ended)
					holdAndEnd()
				}()
				<-ended
				runtime.UnlockOSThread()
				return
			}
			owner, err := NewOwner()
			if err != nil {
				panic(err)
			}
			o, err := Open(z, owner)
			if err != nil {
				panic(err)
			}
			if o.TryLock() != nil || owner.held || owner.robust.Pending() {
				panic("it is held")
			}
			other <- o
			<-other
			if o.TryLock() == nil {
				panic("it is free")
			}
			o.tx.Put64(&a.words[0], 6)
			if kind == Flock { // a descriptor is the process's, not the thread's
				sys.Funlock(o.lock.(*flockLock).fd)
			}
			other <- o
		}
		go holdAndEnd()
		o := <-other
		m.Unlock()
		require.Equal(t, uint64(5), a.words[0])
		other <- nil
		<-other
		require.Eventually(t, func() bool { tx = m.TryLock(); return tx != nil }, 10*time.Second, time.Millisecond, "the thread has ended")
		require.Equal(t, uint64(5), a.words[0], "what the dead thread began is undone")
		require.Equal(t, uint64(1), m.Recoveries())
		m.Unlock()
		o.Close()
	}
}

// TestLockFree: it takes a free lock, and changes nothing when it cannot.
func TestLockFree(t *testing.T) {
	z, a := newZone(t, Atomic)
	m := openMutex(t, z)
	for range 2 * timedEvery {
		tx := m.LockFree()
		require.NotNil(t, tx)
		require.True(t, m.owner.robust.Pending())
		require.Equal(t, sys.ThreadID(), m.tx.area.word)
		tx.Put64(&a.words[0], a.words[0]+1)
		m.Unlock()
		require.False(t, m.owner.robust.Pending())
		require.Zero(t, m.tx.area.word)
	}
	require.Equal(t, uint64(2*timedEvery), a.words[0])
	require.Equal(t, uint64(2*timedEvery), m.Counters().Acquisitions)
	require.Positive(t, m.Counters().LongestHoldNs)

	other, err := Open(z, m.owner)
	require.NoError(t, err)
	m.Lock()
	require.Nil(t, other.LockFree(), "one lock at a time")
	m.Unlock()
	for name, word := range map[string]uint32{"held": 1, "its owner died": sys.FutexOwnerDied, "somebody sleeps": sys.FutexWaiters} {
		m.tx.area.word = word
		require.Nil(t, m.LockFree(), name)
		require.Equal(t, word, m.tx.area.word, name)
		require.False(t, m.owner.held, name)
	}
	m.tx.area.word = 0
	m.tx.area.undoLength, m.tx.log[0] = 1, undoRecord{offset: uint32(shm.DataArea), old: 7}
	require.Nil(t, m.LockFree(), "something to undo")
	require.Zero(t, m.tx.area.word)
	m.Lock()
	require.Equal(t, uint64(7), *shm.At[uint64](z, shm.DataArea))
	m.Unlock()

	shared, err := NewSharedOwner()
	require.NoError(t, err)
	master, err := Open(z, shared)
	require.NoError(t, err)
	require.Nil(t, master.LockFree(), "a shared owner")
	flocked, _ := newZone(t, Flock)
	require.Nil(t, openMutex(t, flocked).LockFree(), "kind flock")
}

// TestWaiterIsWoken: a sleeper gets the lock when it is given back, long before its time is up; and the mark of sleepers does not stay for ever.
func TestWaiterIsWoken(t *testing.T) {
	for _, kind := range both() {
		z, _ := newZone(t, kind)
		m := openMutex(t, z)
		m.Lock()
		got := make(chan time.Time)
		go func() {
			runtime.LockOSThread()
			owner, err := NewOwner()
			if err != nil {
				panic(err)
			}
			other, err := Open(z, owner)
			if err != nil {
				panic(err)
			}
			other.Lock()
			got <- time.Now()
			other.Unlock()
			other.Close()
			got <- time.Time{}
		}()
		deadline := time.Now().Add(10 * time.Second)
		for kind == Atomic && atomic.LoadUint32(&m.tx.area.word)&sys.FutexWaiters == 0 {
			require.True(t, time.Now().Before(deadline))
			time.Sleep(time.Millisecond)
		}
		select {
		case <-got:
			require.Fail(t, "two owners")
		case <-time.After(20 * time.Millisecond):
		}
		m.Unlock()
		<-got
		<-got
		m.Lock()
		require.Equal(t, uint64(1), m.Counters().Contended)
		require.Positive(t, m.Counters().Waits)
		m.Unlock()
		require.Zero(t, m.tx.area.word)
	}
}

// spinLock is what the others are compared with: no sleep, no recovery.
type spinLock struct{ word *uint32 }

func (l *spinLock) acquire(func()) effort {
	for !atomic.CompareAndSwapUint32(l.word, 0, 1) {
		for atomic.LoadUint32(l.word) != 0 {
		}
	}
	return effort{}
}
func (l *spinLock) try(func()) (effort, bool) { panic("not used") }

func (l *spinLock) release(func()) { atomic.StoreUint32(l.word, 0) }
func (l *spinLock) close()         {}

// runContender takes the lock again and again, from start 1 to start 2: descriptor 3 is the zone.
func runContender(argument string) {
	var index int
	var spin bool
	_, err := fmt.Sscanf(argument, "%d,%t", &index, &spin)
	crashtest.Must(err)
	runtime.LockOSThread()
	z, err := shm.Attach(3, "shmtx", 0)
	crashtest.Must(err)
	owner, err := NewOwner()
	crashtest.Must(err)
	m, err := Open(z, owner)
	crashtest.Must(err)
	if spin {
		m.lock, m.word = &spinLock{word: &m.tx.area.word}, nil
	}
	a := shm.At[area](z, shm.DataArea)
	atomic.AddUint32(&a.ready, 1)
	for atomic.LoadUint32(&a.start) == 0 {
		sys.FutexWait(&a.start, 0, int64(time.Second))
	}
	for atomic.LoadUint32(&a.start) == 1 {
		tx := m.LockFree()
		if tx == nil {
			tx = m.Lock()
		}
		if atomic.AddUint32(&a.inside, 1) != 1 {
			atomic.StoreUint32(&a.broken, 1)
		}
		for i := range 10 { // as many stores as a new key makes
			tx.Put64(&a.words[i%8], a.words[i%8]+1)
		}
		atomic.AddUint32(&a.inside, ^uint32(0))
		m.Unlock()
		a.turns[index]++
	}
}

// contend lets n processes take the lock for a while; it returns how often each got it.
func contend(tb testing.TB, kind Kind, spin bool, n int, length time.Duration) []uint64 {
	z, a := newZone(tb, kind)
	var processes []*exec.Cmd
	for i := range n {
		processes = append(processes, crashtest.Spawn(tb, fmt.Sprintf("contend:%d,%t", i, spin), z.FD()))
	}
	deadline := time.Now().Add(20 * time.Second)
	for atomic.LoadUint32(&a.ready) < uint32(n) {
		require.True(tb, time.Now().Before(deadline), "%d of %d processes are ready", atomic.LoadUint32(&a.ready), n)
		time.Sleep(time.Millisecond)
	}
	atomic.StoreUint32(&a.start, 1)
	sys.FutexWake(&a.start, n)
	time.Sleep(length)
	atomic.StoreUint32(&a.start, 2)
	for _, p := range processes {
		require.NoError(tb, p.Wait())
	}
	require.Zero(tb, a.broken, "two owners at the same time")
	return a.turns[:n]
}

// TestMutualExclusion has five processes contend, and nobody starve.
func TestMutualExclusion(t *testing.T) {
	for _, kind := range both() {
		turns := contend(t, kind, false, 5, 400*time.Millisecond)
		if slices.Contains(turns, 0) { // on a busy machine a process may not run at all for so long
			turns = contend(t, kind, false, 5, 5*time.Second)
		}
		t.Logf("%v: turns of five processes: %v", kind, turns)
		for _, n := range turns {
			require.Positive(t, n)
		}
	}
}

// BenchmarkContended: transactions of ten stores by several processes at once, in transactions per second of all, and the least share of one process
// as a part of a fair share.
func BenchmarkContended(b *testing.B) {
	for _, n := range []int{1, 2, 8} {
		for _, l := range []struct {
			name string
			kind Kind
			spin bool
		}{{"atomic", Atomic, false}, {"flock", Flock, false}, {"spinlock", Atomic, true}} {
			b.Run(fmt.Sprintf("%s/processes=%d", l.name, n), func(b *testing.B) {
				var all, least uint64
				const length = time.Second
				for b.Loop() {
					turns := contend(b, l.kind, l.spin, n, length)
					least = turns[0]
					for _, t := range turns {
						all += t
						least = min(least, t)
					}
				}
				perSecond := float64(all) / float64(b.N) / length.Seconds()
				b.ReportMetric(perSecond, "tx/s")
				b.ReportMetric(1e9/perSecond, "ns/tx")
				b.ReportMetric(float64(least)*float64(n)/(float64(all)/float64(b.N)), "least/fair")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func BenchmarkUncontended(b *testing.B) {
	for _, kind := range both() {
		for _, stores := range []int{0, 1, 10} {
			b.Run(fmt.Sprintf("%v/stores=%d", kind, stores), func(b *testing.B) {
				z, a := newZone(b, kind)
				m := openMutex(b, z)
				b.ReportAllocs()
				for b.Loop() {
					tx := m.Lock()
					for i := range stores {
						tx.Put64(&a.words[i%8], uint64(i))
					}
					m.Unlock()
				}
			})
		}
	}
}
