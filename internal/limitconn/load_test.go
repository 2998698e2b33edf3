// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/shm"
	"weir/internal/shmtx"
)

const (
	loadKeys    = 200
	loadSlots   = 8
	loadLimit   = 3
	loadHolds   = 20 // per process
	ledgerKind  = "ledger"
	ledgerBytes = shm.MinBytes
)

// ledger is where the processes under load say what they hold, beside the zone and without its lock. A process counts a connection here after it
// has acquired it, and takes it away before it releases it: so what stands here is never more than what stands in the zone.
type ledger struct {
	pause      uint32 // number of the pause that is wanted, or 0
	stop, over uint32
	_          uint32
	slots      [loadSlots]struct {
		paused           uint32 // number of the last pause that the process has been in
		passed, rejected uint32
		held             [loadKeys]uint32 // connections, and above heldMask how often they have changed
	}
}

func newLedger() (*shm.Zone, *ledger) {
	segment, err := shm.Create(shm.Options{Name: "load", Kind: ledgerKind, SizeBytes: ledgerBytes})
	crashtest.Must(err)
	return segment, shm.At[ledger](segment, shm.DataArea)
}

const heldMask = 1<<8 - 1

// change books a connection of a process that has been acquired (1) or is to be released (-1). Only that process does.
func (l *ledger) change(slot, key int, by uint32) {
	held := &l.slots[slot].held[key]
	now := atomic.LoadUint32(held)
	atomic.StoreUint32(held, (now+heldMask+1)&^heldMask|(now+by)&heldMask)
}

// sum is how many connections of a key all processes said to hold at one moment: while it is read, a place must not go from a process that has
// been counted to one that has not. So it is read until it is the same twice; 0: it never was.
func (l *ledger) sum(key int) (n uint32) {
	var last, now [loadSlots]uint32
	for range 100 {
		last = now
		n = 0
		for i := range now {
			now[i] = atomic.LoadUint32(&l.slots[i].held[key])
			n += now[i] & heldMask
		}
		if now == last {
			return n
		}
	}
	return 0
}

func loadKey(key int) []byte { return fmt.Appendf(nil, "key-%d", key) }

// runLoader is a process that acquires and releases at random until it is told to stop: descriptor 3 is the zone, 4 the ledger.
func runLoader(argument string) {
	var slot int
	_, err := fmt.Sscanf(argument, "%d", &slot)
	crashtest.Must(err)
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	crashtest.Must(err)
	z, err := Attach(3, owner, slot)
	crashtest.Must(err)
	segment, err := shm.Attach(4, ledgerKind, 0)
	crashtest.Must(err)
	l := shm.At[ledger](segment, shm.DataArea)
	own := &l.slots[slot]
	random := rand.New(rand.NewPCG(uint64(slot), uint64(time.Now().UnixNano())))
	var keys []int
	var holds []Hold
	release := func(i int) {
		l.change(slot, keys[i], ^uint32(0))
		Release(holds[i : i+1])
		keys, holds = slices.Delete(keys, i, i+1), slices.Delete(holds, i, i+1)
	}
	for atomic.LoadUint32(&l.stop) == 0 {
		for round := atomic.LoadUint32(&l.pause); round != 0; round = atomic.LoadUint32(&l.pause) {
			atomic.StoreUint32(&own.paused, round)
			time.Sleep(100 * time.Microsecond)
		}
		if len(keys) > 0 && (len(keys) == loadHolds || random.IntN(2) == 0) {
			release(random.IntN(len(keys)))
			continue
		}
		key := random.IntN(loadKeys)
		var v Verdict
		holds, v, _ = Acquire(holds, []Limit{{Zone: z, Key: loadKey(key), Max: loadLimit}})
		if v != Passed {
			atomic.AddUint32(&own.rejected, 1)
			continue
		}
		keys = append(keys, key)
		l.change(slot, key, 1)
		atomic.AddUint32(&own.passed, 1)
		if l.sum(key) > loadLimit {
			atomic.AddUint32(&l.over, 1)
		}
	}
	for len(keys) > 0 {
		release(0)
	}
}

// TestKilledUnderLoad kills one of four processes again and again, at whatever it is doing, while all acquire and release the same
// keys. After each reap the zone holds exactly what the living hold.
func TestKilledUnderLoad(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			z := newZone(t, 128<<10, kind, NoSlot)
			segment, l := newLedger()
			defer segment.Close()
			workers := make([]*exec.Cmd, 4)
			for slot := range workers {
				workers[slot] = crashtest.Spawn(t, fmt.Sprintf("load:%d", slot), z.FD(), segment.FD())
			}
			end := time.Now().Add(3 * time.Second)
			kills, reaped := 0, 0
			for ; time.Now().Before(end) || kills < 20; kills++ {
				time.Sleep(time.Duration(rand.IntN(40_000)) * time.Microsecond)
				slot := rand.IntN(len(workers))
				require.NoError(t, workers[slot].Process.Kill())
				require.Error(t, workers[slot].Wait())
				l.slots[slot].held = [loadKeys]uint32{}
				n, err := z.Reap(slot)
				require.NoError(t, err)
				reaped += n
				compareLedger(t, z, l, len(workers), slot, uint32(kills+1))
				workers[slot] = crashtest.Spawn(t, fmt.Sprintf("load:%d", slot), z.FD(), segment.FD())
			}
			atomic.StoreUint32(&l.stop, 1)
			for _, w := range workers {
				require.NoError(t, w.Wait())
			}
			require.Zero(t, l.over, "more than the limit were admitted")
			require.Empty(t, z.Check())
			s := z.Status()
			require.Zero(t, s.Keys+s.Orphans)
			require.Zero(t, s.Stale+s.Faults)
			var passed []uint32
			for slot := range workers {
				passed = append(passed, l.slots[slot].passed)
			}
			t.Logf("%d kills, %d connections reaped, %d recoveries, %d stores undone; acquired by slot: %v; lock: %+v",
				kills, reaped, s.Lock.Recoveries, s.Lock.RolledBack, passed, s.Lock)
		})
	}
}

// compareLedger stops all processes but the dead one between two operations, and wants the zone to hold what they say.
func compareLedger(t *testing.T, z *Zone, l *ledger, workers, dead int, round uint32) {
	t.Helper()
	atomic.StoreUint32(&l.pause, round)
	defer atomic.StoreUint32(&l.pause, 0)
	deadline := time.Now().Add(20 * time.Second)
	for slot := range workers {
		for slot != dead && atomic.LoadUint32(&l.slots[slot].paused) != round {
			require.True(t, time.Now().Before(deadline), "slot %d does not pause", slot)
			time.Sleep(100 * time.Microsecond)
		}
	}
	require.Empty(t, z.Check())
	for key := range loadKeys {
		n, err := z.Count(loadKey(key))
		require.NoError(t, err)
		require.Equal(t, int(l.sum(key)), n, "connections of key %d", key)
		require.LessOrEqual(t, n, loadLimit)
	}
}
