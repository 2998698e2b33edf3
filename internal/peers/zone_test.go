// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package peers

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/shm"
	"weir/internal/shmtx"
)

const testSlots = 4

func newOwner(tb testing.TB) *shmtx.Owner {
	tb.Helper()
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	require.NoError(tb, err)
	return owner
}

// newZone is a zone in the master, and what its workers have of it.
func newZone(tb testing.TB, kind shmtx.Kind, owner *shmtx.Owner, names ...Name) (master *Zone, workers []*Zone) {
	master, err := Create(testSlots, kind, owner)
	require.NoError(tb, err)
	require.NoError(tb, master.Register(names, 1000))
	for slot := range testSlots {
		workers = append(workers, attach(tb, master, owner, slot))
	}
	return master, workers
}

func attach(tb testing.TB, master *Zone, owner *shmtx.Owner, slot int) *Zone {
	fd, err := syscall.Dup(master.FD())
	require.NoError(tb, err)
	z, err := Attach(fd, owner, slot)
	require.NoError(tb, err)
	return z
}

// closeAll ends a test with Check.
func closeAll(tb testing.TB, master *Zone, workers []*Zone) {
	require.Empty(tb, master.Check())
	for _, z := range append(workers, master) {
		require.NoError(tb, z.Close())
	}
}

func find(tb testing.TB, z *Zone, n Name) *Peer {
	p, ok := z.Find(n)
	require.True(tb, ok, "%s", n)
	return p
}

func app(port int) Name { return Name{Group: "app", Address: fmt.Sprintf("10.0.0.1:%d", port)} }

// What comes and goes: origins that stay keep what is known of them, also in workers that know them already.
func TestRegister(t *testing.T) {
	owner := newOwner(t)
	twice := Name{Group: "app", Address: "10.0.0.1:1", Nth: 1}
	long := Name{Group: strings.Repeat("g", 300), Address: "unix:" + strings.Repeat("a", 100)}
	longer := Name{Group: long.Group + "g", Address: long.Address}
	master, workers := newZone(t, shmtx.Atomic, owner, app(1), twice, app(2), long, longer, app(1))
	defer closeAll(t, master, workers)
	require.Equal(t, 5, master.blocks())
	one := find(t, workers[0], app(1))
	one.Failed(2000, 1, 1)
	find(t, workers[0], long).SetAdmin(Drain, 2000)
	require.Equal(t, AsConfigured, find(t, workers[1], longer).Admin())
	require.Equal(t, Drain, find(t, workers[1], long).Admin())
	require.Zero(t, find(t, master, app(1)).Status().StartMs, "the group is new")

	require.NoError(t, master.Register([]Name{app(2), app(3)}, 3000))
	_, ok := workers[1].Find(app(4))
	require.False(t, ok)
	require.Equal(t, int64(3000), find(t, workers[1], app(3)).Status().StartMs, "new in its group")
	require.Zero(t, find(t, workers[1], app(2)).Status().StartMs)

	master.Retain(Keep{Names: []Name{app(2), app(3)}, Groups: []string{long.Group}})
	_, ok = workers[1].Find(app(1))
	require.False(t, ok)
	require.Equal(t, Drain, find(t, workers[2], long).Admin())

	require.NoError(t, master.Register([]Name{app(1), app(5), app(6)}, 4000))
	require.Equal(t, 6, master.blocks(), "free blocks are used again")
	require.Zero(t, find(t, workers[1], app(1)).Fails(), "nothing is known of it any more")
}

// To which origins a host's name has led, workers that come later know.
func TestFound(t *testing.T) {
	owner := newOwner(t)
	other := Name{Group: "other", Address: "10.0.0.1:1"}
	master, workers := newZone(t, shmtx.Atomic, owner, app(1), app(2), app(3), other)
	defer closeAll(t, master, workers)
	for _, n := range []Name{app(1), app(3), other} {
		find(t, workers[0], n).SetFound(7, 5)
	}
	find(t, workers[0], app(2)).SetFound(8, 6)
	want := map[Host][]Found{{"app", 7}: {{"10.0.0.1:1", 5}, {"10.0.0.1:3", 5}}, {"app", 8}: {{"10.0.0.1:2", 6}}, {"other", 7}: {{"10.0.0.1:1", 5}}}
	require.Equal(t, want, workers[1].Found())
	find(t, workers[1], app(2)).SetFound(0, 0)
	delete(want, Host{"app", 8})
	require.Equal(t, want, workers[0].Found())
}

// What one worker finds out, all know, and a new one too.
func TestAllKnow(t *testing.T) {
	owner := newOwner(t)
	master, workers := newZone(t, shmtx.Atomic, owner, app(1))
	defer closeAll(t, master, workers)
	a, b := find(t, workers[0], app(1)), find(t, workers[3], app(1))

	require.False(t, a.Failing(1000, 1, 500))
	require.True(t, a.Failed(1000, 4, 2) == false && b.Failed(1010, 4, 2), "the second one of both makes it unavailable")
	require.True(t, a.Failing(1500, 2, 500))
	require.False(t, a.Try(1500, 2, 500))
	require.True(t, b.Try(1511, 2, 500), "one of them gets the chance")
	require.False(t, a.Try(1511, 2, 500))
	b.Succeeded(1512, 2)
	require.Zero(t, a.Fails())
	require.Equal(t, int64(1512), a.Status().StartMs, "it has come back")

	require.True(t, find(t, master, app(1)).SetHealth(Unhealthy, 2000))
	h, at := a.Health()
	require.Equal(t, Unhealthy, h)
	require.Equal(t, int64(2000), at)
	require.False(t, find(t, master, app(1)).SetHealth(Unhealthy, 2100))
	b.Failed(2100, 1, 1)
	require.True(t, find(t, master, app(1)).SetHealth(Healthy, 2200))
	require.Equal(t, Status{Health: Healthy, HealthMs: 2200, StartMs: 2200, FailedMs: 2100, CheckedMs: 2100}, a.Status())

	find(t, master, app(1)).SetAdmin(Down, 2300)
	require.Equal(t, Down, b.Admin())
	find(t, master, app(1)).SetAdmin(Up, 2400)
	require.Equal(t, int64(2400), b.Status().StartMs)
	find(t, master, app(1)).SetAdmin(Up, 2500)
	require.Equal(t, int64(2400), b.Status().StartMs, "it was up")
	require.Equal(t, Up, find(t, attach(t, master, owner, 1), app(1)).Admin())
}

// The weight grows over slow_start, in proportion to the time.
func TestSlowStart(t *testing.T) {
	p := Alone()
	require.Equal(t, int64(4*One), p.Weight(4, 0, 1000))
	require.Equal(t, int64(4*One), p.Weight(4, 500, 1000), "it has not come back from anything")
	p.SetHealth(Unhealthy, 900)
	p.SetHealth(Healthy, 1000)
	require.Equal(t, int64(1), p.Weight(4, 500, 1000))
	require.Equal(t, int64(One), p.Weight(4, 400, 1100))
	require.Equal(t, int64(2*One), p.Weight(4, 400, 1200))
	require.Equal(t, int64(4*One), p.Weight(4, 400, 1400))
	require.Equal(t, int64(4*One), p.Weight(4, 0, 1100), "without slow_start")
	require.Equal(t, int64(1), p.Weight(4, 400, 999), "clocks of two processes differ by a millisecond")
}

// TestModel compares what several workers do with plain numbers.
func TestModel(t *testing.T) {
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		owner := newOwner(t)
		t.Run(kind.String(), rapid.MakeCheck(func(t *rapid.T) { runModel(t, kind, owner) }))
	}
}

type modelPeer struct {
	plain, counted [testSlots]int
	picks          uint64
	fails          int
	debt           int64
}

func runModel(t *rapid.T, kind shmtx.Kind, owner *shmtx.Owner) {
	master, err := Create(testSlots, kind, owner)
	require.NoError(t, err)
	defer master.Close()
	var workers []*Zone
	for slot := range testSlots {
		fd, err := syscall.Dup(master.FD())
		require.NoError(t, err)
		z, err := Attach(fd, owner, slot)
		require.NoError(t, err)
		defer z.Close()
		workers = append(workers, z)
	}
	model := map[Name]*modelPeer{}
	nowMs := int64(1000)
	draw := func(t *rapid.T) (Name, *modelPeer, int, *Peer) {
		n := app(rapid.IntRange(0, 5).Draw(t, "origin"))
		slot := rapid.IntRange(0, testSlots-1).Draw(t, "slot")
		p, ok := workers[slot].Find(n)
		require.Equal(t, model[n] != nil, ok)
		if !ok {
			t.Skip("no such origin")
		}
		return n, model[n], slot, p
	}
	t.Repeat(map[string]func(*rapid.T){
		"register": func(t *rapid.T) {
			nowMs++
			n := app(rapid.IntRange(0, 5).Draw(t, "origin"))
			require.NoError(t, master.Register([]Name{n}, nowMs))
			if model[n] == nil {
				model[n] = &modelPeer{}
			}
		},
		"retain": func(t *rapid.T) {
			var keep Keep
			for n, m := range model {
				if m.plain != [testSlots]int{} || m.counted != [testSlots]int{} || rapid.Bool().Draw(t, "keep") {
					keep.Names = append(keep.Names, n)
					continue
				}
				delete(model, n)
			}
			master.Retain(keep)
		},
		"enter": func(t *rapid.T) {
			_, m, slot, p := draw(t)
			if rapid.Bool().Draw(t, "counted") {
				p.EnterBusy(p.zone.Lock())
				p.zone.Unlock()
				m.counted[slot]++
			} else {
				p.Enter()
				m.plain[slot]++
			}
			p.Picked()
			m.picks++
		},
		"leave": func(t *rapid.T) {
			_, m, slot, p := draw(t)
			switch {
			case m.counted[slot] > 0:
				p.LeaveBusy()
				m.counted[slot]--
			case m.plain[slot] > 0:
				p.Leave()
				m.plain[slot]--
			}
		},
		"turn": func(t *rapid.T) {
			_, m, _, p := draw(t)
			n := int64(rapid.IntRange(-5, 5).Draw(t, "weight"))
			p.zone.Lock()
			p.Pay(n)
			p.zone.Unlock()
			m.debt -= n
			require.Equal(t, m.debt, p.s.debt)
		},
		"fail": func(t *rapid.T) {
			_, m, _, p := draw(t)
			nowMs++
			m.fails++
			require.Equal(t, m.fails == 3, p.Failed(nowMs, 5, 3))
		},
		"succeed": func(t *rapid.T) {
			_, m, _, p := draw(t)
			nowMs += 100
			if p.Try(nowMs, 3, 50) {
				p.Succeeded(nowMs, 3)
				m.fails = 0
			}
		},
		"reap": func(t *rapid.T) {
			slot := rapid.IntRange(0, testSlots-1).Draw(t, "slot")
			want := 0
			for _, m := range model {
				want += m.plain[slot] + m.counted[slot]
				m.plain[slot], m.counted[slot] = 0, 0
			}
			got, err := master.Reap(slot)
			require.NoError(t, err)
			require.Equal(t, want, got)
		},
		"": func(t *rapid.T) {
			for n, m := range model {
				p, ok := master.Find(n)
				require.True(t, ok)
				s, busy, work := p.Status(), 0, 0
				for slot := range testSlots {
					busy += m.counted[slot]
					work += m.counted[slot] + m.plain[slot]
				}
				require.Equal(t, []int{busy, work, m.fails}, []int{int(p.Busy()), s.Work, s.Fails})
				require.Equal(t, m.picks, s.Picks)
			}
			require.Empty(t, master.Check())
			require.False(t, master.CheckDue())
		},
	})
}

// TestDamage: what contradicts itself is found and made sound from what the living workers have in work.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(z *Zone){
		"busy too small":       func(z *Zone) { z.state(0).busy = 1 },
		"busy too large":       func(z *Zone) { z.state(0).busy = 1 << 40 },
		"work of a dead slot":  func(z *Zone) { z.cell(0, 3).work = 77 * countedWork },
		"a debt beyond reason": func(z *Zone) { z.state(0).debt = -1 << 60 },
		"a use beyond reason":  func(z *Zone) { z.entry(1).used = 9 },
		"less than is in work": func(z *Zone) { z.cell(0, 1).work = 0 },
		"an undo log without end": func(z *Zone) {
			*shm.At[uint32](z.shm, shm.LockArea+64) = 1 << 20
			z.Lock()
			z.Unlock()
		},
	} {
		t.Run(name, func(t *testing.T) {
			master, workers := newZone(t, shmtx.Atomic, newOwner(t), app(1), app(2))
			defer closeAll(t, master, workers)
			var peers []*Peer
			for slot := range 2 {
				p := find(t, workers[slot], app(1))
				p.EnterBusy(p.zone.Lock())
				p.zone.Unlock()
				peers = append(peers, p)
			}
			damage(master)
			require.NotEmpty(t, master.Check())
			require.True(t, master.CheckDue())
			master.Rebuild(func(slot int) bool { return slot < 2 })
			require.Empty(t, master.Check())
			for slot, p := range peers {
				if master.cell(0, slot).work > 0 {
					p.LeaveBusy()
				}
			}
			require.Zero(t, peers[0].Busy())
		})
	}
}

// A request that ends more often than it began is somebody's fault, and is met as one.
func TestLeaveTwice(t *testing.T) {
	master, workers := newZone(t, shmtx.Atomic, newOwner(t), app(1))
	find(t, workers[0], app(1)).LeaveBusy()
	require.True(t, master.CheckDue())
	require.NotEmpty(t, master.Check())
	master.Rebuild(func(int) bool { return true })
	closeAll(t, master, workers)
}

func TestRefusals(t *testing.T) {
	owner := newOwner(t)
	_, err := Create(0, shmtx.Atomic, owner)
	require.Error(t, err)
	master, workers := newZone(t, shmtx.Atomic, owner)
	defer closeAll(t, master, workers)
	for _, slot := range []int{-2, testSlots} {
		fd, err := syscall.Dup(master.FD())
		require.NoError(t, err)
		_, err = Attach(fd, owner, slot)
		require.ErrorContains(t, err, "slot")
		require.NoError(t, syscall.Close(fd))
	}
	_, err = master.Reap(testSlots)
	require.Error(t, err)
}

func TestNoAllocations(t *testing.T) {
	master, workers := newZone(t, shmtx.Atomic, newOwner(t), app(1), app(2))
	defer closeAll(t, master, workers)
	p := find(t, workers[0], app(1))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		tx := p.zone.Lock()
		_, debt := p.Take(p.Weight(1, 1000, 5))
		p.Pay(debt)
		p.EnterBusy(tx)
		p.zone.Unlock()
		p.Failed(1000, 1, 1)
		p.Try(5000, 1, 100)
		p.Succeeded(5000, 1)
		p.LeaveBusy()
	}))
}
