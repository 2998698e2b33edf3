// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

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

// operations are what is killed at each of its stores; each runs in a process whose slot is 0, which has two requests in work with the first of two origins,
// one of them counted; slot 1 has three, all counted.
var operations = []struct {
	name  string
	run   func(z *Zone, p *Peer)
	again bool // made of several transactions: after a kill it is to be run again
}{
	{name: "enter", run: func(_ *Zone, p *Peer) { p.EnterBusy(p.zone.Lock()); p.zone.Unlock() }},
	{name: "leave", run: func(_ *Zone, p *Peer) { p.LeaveBusy() }},
	{name: "fail", run: func(_ *Zone, p *Peer) { p.Failed(3000, 5, 2) }},
	{name: "chance", run: func(_ *Zone, p *Peer) { p.Try(3000, 1, 100) }},
	{name: "succeed", run: func(_ *Zone, p *Peer) { p.Succeeded(3000, 1) }},
	{name: "up", run: func(_ *Zone, p *Peer) { p.SetAdmin(Up, 3000) }},
	{name: "down", run: func(_ *Zone, p *Peer) { p.SetAdmin(Down, 3000) }},
	{name: "healthy", run: func(_ *Zone, p *Peer) { p.SetHealth(Healthy, 3000) }},
	{name: "unhealthy", run: func(_ *Zone, p *Peer) { p.SetHealth(Unhealthy, 3000) }},
	{name: "register", run: func(z *Zone, _ *Peer) { crashtest.Must(z.Register([]Name{app(3)}, 3000)) }},
	{name: "retain", run: func(z *Zone, _ *Peer) { z.Retain(Keep{Names: []Name{app(1)}}) }},
	{name: "reap", run: func(z *Zone, _ *Peer) { _, err := z.Reap(1); crashtest.Must(err) }},
	{name: "rebuild", again: true, run: func(z *Zone, _ *Peer) { z.Rebuild(func(slot int) bool { return slot == 0 }) }},
}

// prepared is the zone that an operation finds.
func prepared(tb testing.TB, kind shmtx.Kind) (*Zone, *Peer) {
	owner := newOwner(tb)
	master, workers := newZone(tb, kind, owner, app(1), app(2))
	tb.Cleanup(func() { closeAll(tb, master, workers) })
	for slot, n := range []int{1, 3} {
		p := find(tb, workers[slot], app(1))
		for range n {
			p.EnterBusy(p.zone.Lock())
			p.zone.Unlock()
		}
	}
	p := find(tb, workers[0], app(1))
	p.Enter()
	p.SetHealth(Unhealthy, 1000)
	p.Failed(1000, 5, 1)
	p.Try(2000, 1, 100)
	return workers[0], p
}

// dump is all that is known of all origins.
func dump(z *Zone) string {
	text := ""
	for _, n := range []Name{app(1), app(2), app(3)} {
		p, ok := z.Find(n)
		text += fmt.Sprint(n, ok)
		if ok {
			text += fmt.Sprint(p.Status(), p.Busy(), p.s.admin, " ")
			for slot := range testSlots {
				text += fmt.Sprint(z.cell(p.block, slot).work, " ")
			}
		}
	}
	return text
}

// attached is a process's handle on the zone at descriptor 3.
func attached(slot int) *Zone {
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
	z := attached(0)
	p, _ := z.Find(app(1))
	z.mutex.HookStores(crashtest.AttachSegment[crashtest.Control](4).KillAt(k))
	operations[index].run(z, p)
	os.Exit(3) // the point was not reached
}

// TestCrashAtEveryStore kills a process right before each store of each operation, while this one waits for the lock: what was done is
// done wholly or not at all, and what the dead one had in work is given back.
func TestCrashAtEveryStore(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			points := 0
			for i, op := range operations {
				n := 0
				whole, p := prepared(t, kind)
				whole.mutex.HookStores(func() { n++ })
				op.run(whole, p)
				whole.mutex.HookStores(nil)
				for k := 1; k <= n; k++ {
					if (raceEnabled || testing.Short()) && (k+i)%5 != 0 {
						continue // processes with the race detector start slowly
					}
					points++
					t.Run(fmt.Sprint(op.name, " ", k), func(t *testing.T) { crashAt(t, kind, i, k, dump(whole)) })
				}
			}
			t.Logf("%d kill points in %d operations", points, len(operations))
			require.True(t, raceEnabled || testing.Short() || points > 100)
		})
	}
}

// TestReapOfHalfDone is the same where the one that reaps is the first to have the lock again.
func TestReapOfHalfDone(t *testing.T) {
	for index, op := range operations[:2] { // enter, leave
		n := 0
		whole, p := prepared(t, shmtx.Atomic)
		whole.mutex.HookStores(func() { n++ })
		op.run(whole, p)
		for k := 1; k <= n; k++ {
			z, p := prepared(t, shmtx.Atomic)
			killAt(t, z, index, k, func() {})
			_, err := z.Reap(0)
			require.NoError(t, err)
			require.Equal(t, int64(3), p.Busy(), "%s: killed before store %d", op.name, k)
			require.Empty(t, z.Check(), "%s: killed before store %d", op.name, k)
		}
	}
}

// killAt has a process killed right before store k of an operation; meanwhile is called when it is there.
func killAt(t *testing.T, z *Zone, index, k int, meanwhile func()) {
	segment, c := crashtest.NewSegment[crashtest.Control]()
	defer segment.Close()
	victim := crashtest.Spawn(t, fmt.Sprintf("crash:%d,%d", index, k), z.FD(), segment.FD())
	c.AwaitKill(t, victim, fmt.Sprintf("%s: store %d", operations[index].name, k), meanwhile)
}

func crashAt(t *testing.T, kind shmtx.Kind, index, k int, after string) {
	op := operations[index]
	z, p := prepared(t, kind)
	before := dump(z)
	killAt(t, z, index, k, func() {
		z.Lock()
		z.Unlock()
	})
	if op.again {
		op.run(z, p)
		before = after
	}
	require.Contains(t, []string{before, after}, dump(z), "%s: killed before store %d", op.name, k)
	require.Empty(t, z.Check(), "%s: killed before store %d", op.name, k)
	_, err := z.Reap(0)
	require.NoError(t, err)
	require.Equal(t, int64(z.counted(0)), p.Busy())
	require.Zero(t, z.cell(0, 0).work)
}

// ledger is where processes under load say what they do.
type ledger struct {
	stop   uint64
	rounds [testSlots]uint64
}

// runLoader is a process that takes turns, begins and ends requests, fails and recovers at random, until it is told to stop.
func runLoader(argument string) {
	var slot int
	_, err := fmt.Sscanf(argument, "%d", &slot)
	crashtest.Must(err)
	z, l := attached(slot), crashtest.AttachSegment[ledger](4)
	random := rand.New(rand.NewPCG(uint64(slot), uint64(time.Now().UnixNano())))
	var origins []*Peer
	for i := range 3 {
		p, ok := z.Find(app(i))
		if !ok {
			os.Exit(5)
		}
		origins = append(origins, p)
	}
	var held []*Peer
	for atomic.LoadUint64(&l.stop) == 0 {
		atomic.AddUint64(&l.rounds[slot], 1)
		switch p := origins[random.IntN(3)]; {
		case random.IntN(3) == 0 && len(held) > 0:
			held[0].LeaveBusy()
			held = held[1:]
		case random.IntN(8) == 0:
			p.Failed(int64(l.rounds[slot]), 4, 2)
		case random.IntN(8) == 0 && p.Try(int64(l.rounds[slot])+5, 2, 1):
			p.Succeeded(int64(l.rounds[slot])+6, 2)
		case len(held) < 20:
			tx := z.Lock()
			best, most, total := p, int64(0), int64(0)
			for _, o := range origins {
				taken, debt := o.Take(One)
				total += taken
				if best == nil || debt > most {
					best, most = o, debt
				}
			}
			best.Pay(total)
			best.EnterBusy(tx)
			z.Unlock()
			held = append(held, best)
		}
	}
	for _, p := range held {
		p.LeaveBusy()
	}
}

// TestKilledUnderLoad kills one of four processes again and again, at whatever it is doing. After each reap what is in work is what the living have in work,
// turns go on being smooth, and in the end nothing is in work.
func TestKilledUnderLoad(t *testing.T) {
	owner := newOwner(t)
	z, workers := newZone(t, shmtx.Atomic, owner, app(0), app(1), app(2))
	defer closeAll(t, z, workers)
	segment, l := crashtest.NewSegment[ledger]()
	defer segment.Close()
	rounds := 40
	if testing.Short() || raceEnabled {
		rounds = 8
	}
	crew := crashtest.Crew{Turns: l.rounds[:], Stop: &l.stop, Start: func(slot int) *exec.Cmd {
		return crashtest.Spawn(t, fmt.Sprintf("load:%d", slot), z.FD(), segment.FD())
	}}
	crew.KillInTurn(t, rounds, func(slot int) {
		_, err := z.Reap(slot)
		require.NoError(t, err)
		require.Empty(t, z.Check())
		for i := range 3 {
			require.Zero(t, z.cell(i, slot).work)
		}
	})
	sum := int64(0)
	for i := range 3 {
		p := find(t, z, app(i))
		require.Zero(t, p.Busy())
		require.Less(t, max(p.s.debt, -p.s.debt), int64(testSlots*(rounds+1)*3*One), "what killed turns have left is bounded")
		sum += p.s.debt
	}
	t.Logf("debts add up to %d turns of three after %d kills", sum/(3*One), rounds)
}
