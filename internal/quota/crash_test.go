// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package quota

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/shmtx"
)

// The tests of this file kill real processes: this test binary, started again in one of these roles.
func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string){"crash": runVictim, "load": runLoader})
}

// operations are what is killed at each of its stores; each runs in a process whose slot is 0, which has taken 30 of the 100 that ordinary
// use may have, while slot 1 has 20.
var operations = []struct {
	name  string
	run   func(z *Zone)
	again bool // made of several transactions: after a kill it is to be run again
}{
	{name: "acquire", run: func(z *Zone) { z.Acquire(10) }},
	{name: "acquire/refused", run: func(z *Zone) { z.Acquire(51) }},
	{name: "rescue", run: func(z *Zone) { z.Rescue(150) }},
	{name: "rescue/refused", run: func(z *Zone) { z.Rescue(151) }},
	{name: "release", run: func(z *Zone) { z.Release(10) }},
	{name: "release/all", run: func(z *Zone) { z.Release(30) }},
	{name: "reap", run: func(z *Zone) { z.Reap(1) }},
	{name: "limit", run: func(z *Zone) { z.SetLimit(5) }},
	{name: "rebuild", again: true, run: func(z *Zone) { z.Rebuild(func(slot int) bool { return slot == 0 }) }},
}

func prepared(tb testing.TB, kind shmtx.Kind) *Zone {
	z := newZone(tb, 200, kind, 1)
	require.True(tb, z.Acquire(20))
	z.slot = 0
	require.True(tb, z.Acquire(30))
	return z
}

func dump(z *Zone) string {
	s := z.Status()
	return fmt.Sprint(s.Limit, s.Used, z.Share(0), z.Share(1))
}

// attach is a process's handle on the zone at descriptor 3.
func attach(slot int) *Zone {
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	crashtest.Must(err)
	z, err := Attach(3, owner, slot)
	crashtest.Must(err)
	return z
}

// runVictim is the process that is killed.
func runVictim(argument string) {
	index, k := crashtest.Point(argument)
	z := attach(0)
	z.mutex.HookStores(crashtest.AttachSegment[crashtest.Control](4).KillAt(k))
	operations[index].run(z)
	os.Exit(3) // the point was not reached
}

// TestCrashAtEveryStore kills a process right before each store of each operation, while this one waits for the lock: what was done is
// done wholly or not at all, and what the dead one held is given back.
func TestCrashAtEveryStore(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			points := 0
			for i, op := range operations {
				n := 0
				whole := prepared(t, kind)
				whole.mutex.HookStores(func() { n++ })
				op.run(whole)
				whole.mutex.HookStores(nil)
				for k := 1; k <= n; k++ {
					if (raceEnabled || testing.Short()) && (k+i)%5 != 0 {
						continue // processes with the race detector start slowly
					}
					points++
					crashAt(t, kind, i, k, dump(whole))
				}
			}
			t.Logf("%d kill points in %d operations", points, len(operations))
			require.True(t, raceEnabled || testing.Short() || points > 60)
		})
	}
}

func crashAt(t *testing.T, kind shmtx.Kind, index, k int, after string) {
	op := operations[index]
	z := prepared(t, kind)
	before := dump(z)
	segment, c := crashtest.NewSegment[crashtest.Control]()
	defer segment.Close()
	victim := crashtest.Spawn(t, fmt.Sprintf("crash:%d,%d", index, k), z.FD(), segment.FD())
	c.AwaitKill(t, victim, fmt.Sprintf("%s: store %d", op.name, k), func() {
		z.mutex.Lock()
		z.mutex.Unlock()
	})
	if op.again {
		op.run(z)
		before = after
	}
	require.Contains(t, []string{before, after}, dump(z), "%s: killed before store %d", op.name, k)
	require.Empty(t, z.Check(), "%s: killed before store %d", op.name, k)
	_, err := z.Reap(0)
	require.NoError(t, err)
	require.Equal(t, z.Share(1), z.Status().Used)
}

const (
	loadSlots = 4
	loadLimit = 64 << 10
)

// ledger is where processes under load say what they hold, after they have taken it and until before they give it back: the sum is never more than
// what the zone counts.
type ledger struct {
	stop, over uint64
	held       [loadSlots]uint64 // bytes, and above them how often they have changed
	rounds     [loadSlots]uint64
}

// change books what a process has taken or gives back. Only that process does.
func (l *ledger) change(slot int, n int64) {
	held := atomic.LoadUint64(&l.held[slot])
	atomic.StoreUint64(&l.held[slot], (held>>32+1)<<32|uint64(int64(uint32(held))+n))
}

func (l *ledger) of(slot int) int64 { return int64(uint32(atomic.LoadUint64(&l.held[slot]))) }

// sum is what all held at one moment: while it is read, bytes must not move from a process that has been counted to one that has not. So it is read
// until it is the same twice; 0: it never was.
func (l *ledger) sum() (n int64) {
	var last, now [loadSlots]uint64
	for range 100 {
		last = now
		n = 0
		for i := range now {
			now[i] = atomic.LoadUint64(&l.held[i])
			n += int64(uint32(now[i]))
		}
		if now == last {
			return n
		}
	}
	return 0
}

// runLoader is a process that takes and gives back at random until it is told to stop.
func runLoader(argument string) {
	var slot int
	_, err := fmt.Sscanf(argument, "%d", &slot)
	crashtest.Must(err)
	z, l := attach(slot), crashtest.AttachSegment[ledger](4)
	random := rand.New(rand.NewPCG(uint64(slot), uint64(time.Now().UnixNano())))
	for atomic.LoadUint64(&l.stop) == 0 {
		atomic.AddUint64(&l.rounds[slot], 1)
		n := int64(random.IntN(loadLimit/3) + 1)
		if z.Rescue(n) {
			l.change(slot, n)
			if l.sum() > loadLimit {
				atomic.AddUint64(&l.over, 1)
			}
		}
		if n = l.of(slot); n > 0 && random.IntN(2) == 0 {
			n = random.Int64N(n) + 1
			l.change(slot, -n)
			z.Release(n)
		}
	}
	n := l.of(slot)
	l.change(slot, -n)
	z.Release(n)
}

// TestKilledUnderLoad kills one of four processes again and again, at whatever it is doing. After each reap the others hold at most what the zone
// counts, the limit is never passed, and in the end nothing is in use.
func TestKilledUnderLoad(t *testing.T) {
	z := newZone(t, loadLimit, shmtx.Atomic, NoSlot)
	segment, l := crashtest.NewSegment[ledger]()
	defer segment.Close()
	crew := crashtest.Crew{Turns: l.rounds[:], Stop: &l.stop, Start: func(slot int) *exec.Cmd {
		return crashtest.Spawn(t, fmt.Sprintf("load:%d", slot), z.FD(), segment.FD())
	}}
	crew.KillInTurn(t, 40, func(slot int) {
		atomic.StoreUint64(&l.held[slot], 0)
		_, err := z.Reap(slot)
		require.NoError(t, err)
		require.Zero(t, z.Share(slot))
		require.Empty(t, z.Check())
	})
	require.Zero(t, atomic.LoadUint64(&l.over), "the limit was passed")
	s := z.Status()
	require.Zero(t, s.Used)
	require.NotZero(t, s.Denied, "the limit was never met")
	require.LessOrEqual(t, s.Peak, int64(loadLimit))
	t.Logf("%d takings, %d refused, %d recoveries", s.Taken, s.Denied, s.Lock.Recoveries)
}
