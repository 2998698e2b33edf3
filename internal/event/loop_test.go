// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package event

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/clock"
	"weir/internal/sys"
)

// rig is a loop and what it has done.
type rig struct {
	t      *testing.T
	loop   *Loop
	clock  *clock.Clock
	timers Timers
	woken  int
	trace  []string
}

func newRig(t *testing.T, slots int) *rig {
	r := &rig{t: t, clock: clock.New(time.UTC)}
	r.timers.Init(r.clock.Ms())
	var err error
	r.loop, err = NewLoop(slots, r.clock, &r.timers, func() { r.woken++ })
	require.NoError(t, err)
	t.Cleanup(func() {
		sys.Close(r.loop.ep)
		sys.Close(r.loop.wakeFD)
	})
	return r
}

// turn makes one turn that does not sleep.
func (r *rig) turn() {
	nop := &job{rig: r}
	nop.task.Init(nop)
	r.loop.Post(&nop.task)
	r.loop.Turn()
}

// job is posted work.
type job struct {
	rig  *rig
	name string
	task Task
	then func()
}

func (r *rig) job(name string, then func()) *job {
	j := &job{rig: r, name: name, then: then}
	j.task.Init(j)
	return j
}

func (j *job) RunTask() {
	if j.name != "" {
		j.rig.trace = append(j.rig.trace, j.name)
	}
	if j.then != nil {
		j.then()
	}
}

// end is one end of a pair of sockets, registered.
type end struct {
	rig   *rig
	name  string
	fd    int
	far   int
	token Token
	mask  uint32
	then  func()
}

func (r *rig) end(name string, then func()) *end {
	r.t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(r.t, err)
	e := &end{rig: r, name: name, fd: fds[0], far: fds[1], then: then}
	var errno syscall.Errno
	e.token, errno = r.loop.Register(e.fd, sys.EpollIn|sys.EpollRdHup|sys.EpollEdge, e)
	require.Zero(r.t, errno)
	r.t.Cleanup(func() { sys.Close(e.far) })
	return e
}

func (e *end) Mark(events uint32) {
	e.rig.trace = append(e.rig.trace, "mark "+e.name)
	e.mask |= events
}

func (e *end) Run() {
	e.rig.trace = append(e.rig.trace, "run "+e.name)
	if e.then != nil {
		e.then()
	}
}

func (e *end) close() {
	e.rig.loop.Unregister(e.token)
	sys.Close(e.fd)
}

func (e *end) poke() { sys.Write(e.far, []byte("x")) }

// All events of a turn are marked before the first handler runs; posted work comes after them.
func TestTurnOrder(t *testing.T) {
	r := newRig(t, 4)
	posted := r.job("posted", nil)
	a := r.end("a", func() { r.loop.Post(&posted.task) })
	b := r.end("b", nil)
	a.poke()
	b.poke()
	r.turn()
	require.Equal(t, []string{"mark a", "mark b", "run a", "run b", "posted"}, r.trace)
	require.NotZero(t, a.mask&sys.EpollIn)
	r.trace = nil
	r.turn()
	require.Empty(t, r.trace, "edge-triggered: told once")
	sys.Close(b.far)
	r.turn()
	require.NotZero(t, b.mask&sys.EpollRdHup)
}

// An event that was fetched before its descriptor was closed never reaches the next owner of the slot, nor of the descriptor.
func TestStaleEvents(t *testing.T) {
	r := newRig(t, 2)
	var b, c *end
	a := r.end("a", func() {
		b.close()
		c = r.end("c", nil) // takes b's slot, and its descriptor
	})
	b = r.end("b", nil)
	slot, fd := b.token.slot, b.fd
	a.poke()
	b.poke()
	r.turn()
	require.Equal(t, []string{"mark a", "mark b", "run a"}, r.trace)
	require.Equal(t, slot, c.token.slot)
	require.Equal(t, fd, c.fd)
	require.NotEqual(t, b.token.seq, c.token.seq)
	require.Zero(t, c.mask)

	r.trace = nil
	c.poke()
	r.turn()
	require.Equal(t, []string{"mark c", "run c"}, r.trace)
	require.Zero(t, r.loop.TakeStale())

	// The kernel still knows a descriptor that has a copy: its events carry the old tag, and are dropped and counted.
	copied, err := syscall.Dup(c.fd)
	require.NoError(t, err)
	c.close()
	d := r.end("d", nil)
	require.Equal(t, slot, d.token.slot)
	r.trace = nil
	c.poke()
	r.turn()
	require.Empty(t, r.trace)
	require.Equal(t, uint64(1), r.loop.TakeStale())
	require.Zero(t, r.loop.TakeStale())
	sys.Close(copied)
}

// Forget: nothing comes any more from a descriptor that stays open.
func TestForget(t *testing.T) {
	r := newRig(t, 2)
	a := r.end("a", nil)
	r.loop.Forget(a.fd)
	r.loop.Unregister(a.token)
	a.poke()
	r.turn()
	require.Empty(t, r.trace)
	require.Zero(t, r.loop.TakeStale())
	var errno syscall.Errno
	a.token, errno = r.loop.Register(a.fd, sys.EpollIn, a)
	require.Zero(t, errno)
	r.turn()
	require.Equal(t, []string{"mark a", "run a"}, r.trace)
}

// Every slot can be used, again and again; one more is ENOSPC. An error of the kernel's takes no slot.
func TestSlots(t *testing.T) {
	r := newRig(t, 3)
	for range 5 {
		ends := []*end{r.end("a", nil), r.end("b", nil), r.end("c", nil)}
		_, errno := r.loop.Register(ends[0].far, sys.EpollIn, ends[0])
		require.Equal(t, syscall.ENOSPC, errno)
		ends[1].close()
		_, errno = r.loop.Register(-1, sys.EpollIn, ends[0])
		require.Equal(t, syscall.EBADF, errno)
		ends[1] = r.end("d", nil)
		for _, e := range ends {
			e.close()
		}
	}
	e := r.end("e", nil)
	e.close()
	require.Panics(t, func() { r.loop.Unregister(e.token) }, "twice")
}

// Posted work runs in order, once each; what is posted meanwhile runs in the next turn, which does not sleep.
func TestPost(t *testing.T) {
	r := newRig(t, 1)
	a, b := r.job("a", nil), r.job("b", nil)
	var again *job
	left := 2
	again = r.job("again", func() {
		if left--; left > 0 {
			r.loop.Post(&again.task)
			r.loop.Post(&a.task)
		}
	})
	r.loop.Post(&a.task)
	r.loop.Post(&again.task)
	r.loop.Post(&b.task)
	r.loop.Post(&a.task)
	r.loop.Turn()
	require.Equal(t, []string{"a", "again", "b"}, r.trace)
	r.trace = nil
	r.loop.Turn()
	require.Equal(t, []string{"again", "a"}, r.trace)
	require.Zero(t, r.loop.Stats.Sleeps)
	require.Equal(t, uint64(2), r.loop.Stats.Turns)
}

// The loop sleeps until the next timer, and not past it.
func TestSleepEndsWithTimer(t *testing.T) {
	r := newRig(t, 1)
	rec := newRecorder(1)
	r.timers.Arm(&rec.timers[0], r.clock.Ms()+20)
	began := r.clock.Ms()
	for len(rec.fired) == 0 {
		r.loop.Turn()
	}
	require.GreaterOrEqual(t, r.clock.Ms()-began, int64(20))
	require.NotZero(t, r.loop.Stats.Sleeps)
	require.Less(t, r.loop.Stats.Turns, uint64(20), "it sleeps, it does not spin")
}

// helpers are Helpers that a test puts to work.
type helpers bool

func (h *helpers) AtWork() bool { return bool(*h) }

// A loop whose turns come quickly keeps its processor while it sleeps, but not when goroutines may need it.
func TestNap(t *testing.T) {
	r := newRig(t, 1)
	var atWork helpers
	r.loop.SetHelpers(&atWork)
	r.loop.sleptMs = r.clock.Ms() // the clock stands still, so each sleep follows the one before at once
	naps := func(ms int) bool {
		for {
			before := r.loop.Stats.Naps
			n, errno := r.loop.sleep(ms)
			if errno == sys.EINTR { // the runtime of a test preempts with signals
				continue
			}
			require.Zero(t, n)
			require.Zero(t, errno)
			return r.loop.Stats.Naps > before
		}
	}
	for range napTurns - 1 {
		require.False(t, naps(1))
	}
	require.True(t, naps(1))
	atWork = true
	require.False(t, naps(1))
	atWork = false
	require.True(t, naps(1))
	r.loop.sleptMs -= napMs + 1
	require.False(t, naps(1), "the one before was too long ago")
}

// Wake from other goroutines: none is lost, and calls between two turns are one.
func TestWake(t *testing.T) {
	r := newRig(t, 1)
	for range 10 {
		r.loop.Wake()
	}
	r.turn()
	require.Equal(t, 1, r.woken)
	r.turn()
	require.Equal(t, 1, r.woken)

	var mu sync.Mutex
	given, taken := 0, 0
	r.loop.onWake = func() {
		mu.Lock()
		defer mu.Unlock()
		taken = given
	}
	const goroutines, each = 4, 500
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range each {
				mu.Lock()
				given++
				mu.Unlock()
				r.loop.Wake()
			}
		})
	}
	// A wake-up that got lost would let this sleep for ever; the timer ends that.
	rec := newRecorder(1)
	r.timers.Arm(&rec.timers[0], r.clock.Ms()+10_000)
	for taken < goroutines*each {
		r.loop.Turn()
		require.Empty(t, rec.fired, "%d of %d wake-ups were seen", taken, goroutines*each)
	}
	group.Wait()
}

// A batch larger than maxEvents is taken in several turns, and a busy loop looks again before it sleeps.
func TestManyEvents(t *testing.T) {
	const n = maxEvents + 10
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*n+50 {
		t.Skipf("%d descriptors are allowed, and %d pairs of sockets wanted (%v)", limit.Cur, n, err)
	}
	r := newRig(t, n)
	for range n {
		r.end("x", nil).poke()
	}
	r.loop.Turn()
	require.Len(t, r.trace, 2*maxEvents)
	sleeps := r.loop.Stats.Sleeps
	r.loop.Turn()
	require.Len(t, r.trace, 2*n)
	require.Equal(t, sleeps, r.loop.Stats.Sleeps)
}
