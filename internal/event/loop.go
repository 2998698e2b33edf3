// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package event

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"weir/internal/clock"
	"weir/internal/sys"
)

// maxEvents bounds the events taken in one turn, and by it the time between two looks at the timers.
const maxEvents = 512

// busyEvents is the batch size from which the next turn looks for more without sleeping first:
// a poll that keeps the processor is cheaper than a wait that lets go of it, if it finds something.
const busyEvents = 8

// napMs is for how long a sleep keeps the processor of the Go scheduler. To let go of it and to get it back wakes two threads of the runtime,
// one of which then looks around some sixty times: for the usual short sleep that costs more than the request at its end.
const napMs = 100

// napTurns is how many turns must have come within napMs of each other before the loop naps: one that ends without an event costs more than letting go
// at once, and so a loop that is mostly at rest does not try.
const napTurns = 16

// Handler owns one registered descriptor.
type Handler interface {
	// Mark notes which events came (an epoll mask). It may only store bits: other handlers have not been told yet.
	Mark(events uint32)
	// Run acts on the marked events. It may register and unregister any descriptor.
	Run()
}

// Token names one registration: a slot, and the tag that the slot has during this registration.
type Token struct {
	slot, seq uint32
}

type slot struct {
	handler Handler
	seq     uint32
	next    uint32 // next free slot, when this one is free
}

// Gate is asked around the loop's wait. Neither call may sleep.
type Gate interface {
	// Enter is called before the loop waits for events. It may register and forget descriptors. It returns for how many milliseconds the loop may
	// sleep; negative: as long as it likes.
	Enter() (mostMs int)
	// Leave is called when the events of the wait have been marked, before any handler runs.
	Leave()
}

// Helpers are goroutines that work for the loop.
type Helpers interface {
	// AtWork says whether one of them has something to do, and so may need the loop's processor while the loop sleeps.
	AtWork() bool
}

// Task is a piece of posted work; embed one in its owner. The zero Task is ready for Init.
type Task struct {
	next   *Task
	run    Runner
	queued bool
}

// Runner is the owner of a Task.
type Runner interface {
	// RunTask does the posted work, once for each time that it was posted.
	RunTask()
}

// Init names the task's owner. Call it once, before the task is posted.
func (t *Task) Init(r Runner) { t.run = r }

// Stats are the loop's own counters. One writer: the loop.
type Stats struct {
	Turns  uint64 // turns made
	Sleeps uint64 // turns that waited in the kernel
	Naps   uint64 // of those, that kept their processor to the end
	Stale  uint64 // events dropped because their slot had a new owner; see TakeStale
}

// Loop is the worker's event loop. It is made with NewLoop and lives until the process ends.
type Loop struct {
	ep     int
	events [maxEvents]sys.EpollEvent
	last   int // events in the last batch
	slots  []slot
	begun  uint32 // slots that have been used; the memory of the others has not been touched
	free   uint32 // first of them that is free; 0 is none (slot 0 is the waker's)

	clock  *clock.Clock
	timers *Timers

	head, tail *Task // posted work, in order

	gate    Gate    // nil: none
	helpers Helpers // nil: always at work

	sleptMs int64 // when the last sleep began
	quick   int   // sleeps in a row that each began within napMs of the one before

	wakeFD int
	waking atomic.Bool // a wake-up is on its way
	onWake func()
	Stats  Stats
}

// NewLoop makes a loop with room for slots registered descriptors. onWake runs on the loop after each Wake.
func NewLoop(slots int, ck *clock.Clock, timers *Timers, onWake func()) (*Loop, error) {
	ep, err := sys.EpollCreate()
	if err != nil {
		return nil, err
	}
	wake, err := sys.Eventfd()
	if err != nil {
		return nil, err
	}
	l := &Loop{ep: ep, wakeFD: wake, clock: ck, timers: timers, onWake: onWake, slots: make([]slot, slots+1)}
	// Slot 0 is the waker's; a free-list link of 0 therefore means "none".
	if _, errno := l.Register(wake, sys.EpollIn|sys.EpollEdge, (*waker)(l)); errno != 0 {
		return nil, fmt.Errorf("epoll_ctl(eventfd): %w", errno)
	}
	return l, nil
}

// Register watches fd for the events in mask. It gives ENOSPC when every slot is taken.
func (l *Loop) Register(fd int, mask uint32, h Handler) (Token, syscall.Errno) {
	i := l.free
	if i == 0 {
		i = l.begun
	}
	if int(i) == len(l.slots) {
		return Token{}, syscall.ENOSPC
	}
	s := &l.slots[i]
	if errno := sys.EpollAdd(l.ep, fd, mask, [2]uint32{i, s.seq}); errno != 0 {
		return Token{}, errno
	}
	if i == l.begun {
		l.begun++
	} else {
		l.free = s.next
	}
	s.handler = h
	return Token{slot: i, seq: s.seq}, 0
}

// Unregister gives the slot back. The kernel forgets a descriptor by itself when it is closed, so the caller closes it
// right after; one that stays open needs Forget first.
func (l *Loop) Unregister(t Token) {
	s := &l.slots[t.slot]
	if s.handler == nil || s.seq != t.seq {
		panic(fmt.Sprintf("event: unregister of slot %d with tag %d, which has tag %d", t.slot, t.seq, s.seq))
	}
	s.handler = nil
	s.seq++
	s.next = l.free
	l.free = t.slot
}

// TakeStale gives the number of events dropped since the last call.
func (l *Loop) TakeStale() uint64 {
	n := l.Stats.Stale
	l.Stats.Stale = 0
	return n
}

// Forget takes fd out of the epoll instance while it stays open. The caller still calls Unregister.
func (l *Loop) Forget(fd int) { sys.EpollDel(l.ep, fd) }

// Post queues t to run at the end of this turn; a task that is queued already stays where it is.
// What is posted while posted work runs is left for the next turn, which does not sleep.
func (l *Loop) Post(t *Task) {
	if t.queued {
		return
	}
	t.queued = true
	t.next = nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
}

// Wake ends the loop's sleep and has onWake run on it. Any goroutine may call it; calls between two
// turns are one wake-up (a compare-and-swap decides who writes to the eventfd).
func (l *Loop) Wake() {
	if l.waking.CompareAndSwap(false, true) {
		sys.EventfdSignal(l.wakeFD)
	}
}

// SetGate has g asked around every wait from now on. The loop's thread calls it, between two turns.
func (l *Loop) SetGate(g Gate) { l.gate = g }

// SetHelpers names the goroutines that the loop lets have its processor. The loop's thread calls it, between two turns.
func (l *Loop) SetHelpers(h Helpers) { l.helpers = h }

// Turn makes one turn: wait, clock, events, timers, posted work.
func (l *Loop) Turn() {
	most := -1
	if l.gate != nil {
		most = l.gate.Enter()
	}
	n := l.wait(most)
	l.clock.Update()
	l.Stats.Turns++
	l.mark(l.events[:n])
	if l.gate != nil {
		l.gate.Leave()
	}
	l.run(l.events[:n])
	l.timers.Expire(l.clock.Ms())
	l.runPosted()
}

// wait fetches the next batch of events. It sleeps only when nothing is ready and no work is posted, and not past
// the next timer, nor longer than mostMs when that is not negative.
func (l *Loop) wait(mostMs int) int {
	n, errno := 0, syscall.Errno(0)
	if l.head != nil || l.last >= busyEvents {
		n, errno = sys.EpollNap(l.ep, l.events[:], 0)
	}
	if n == 0 && errno == 0 && l.head == nil {
		l.Stats.Sleeps++
		sleepMs := l.timers.WaitMs(l.clock.Ms())
		if mostMs >= 0 && (sleepMs < 0 || sleepMs > mostMs) {
			sleepMs = mostMs
		}
		n, errno = l.sleep(sleepMs)
	}
	if errno != 0 {
		if errno != sys.EINTR {
			panic(fmt.Sprintf("event: epoll_wait(%d): %v", l.ep, errno))
		}
		n = 0
	}
	l.last = n
	return n
}

// sleep waits for events until ms have passed; negative: for ever. It keeps its processor for up to napMs when an event is likely by then, and nobody
// else has a use for it.
func (l *Loop) sleep(ms int) (int, syscall.Errno) {
	if now := l.clock.Ms(); now-l.sleptMs > napMs {
		l.sleptMs, l.quick = now, 0
	} else {
		l.sleptMs, l.quick = now, l.quick+1
	}
	if l.quick >= napTurns && l.helpers != nil && !l.helpers.AtWork() {
		nap := napMs
		if ms >= 0 {
			nap = min(ms, napMs)
			ms -= nap
		}
		if n, errno := sys.EpollNap(l.ep, l.events[:], nap); n > 0 || errno != 0 || ms == 0 {
			l.Stats.Naps++
			return n, errno
		}
	}
	return sys.EpollWait(l.ep, l.events[:], ms)
}

// mark tells every handler of the batch which events it has.
func (l *Loop) mark(events []sys.EpollEvent) {
	for i := range events {
		ev := &events[i]
		s := &l.slots[ev.Data[0]]
		if s.seq != ev.Data[1] {
			l.Stats.Stale++
			continue
		}
		s.handler.Mark(ev.Events)
	}
}

// run lets every handler of the batch act, except where an earlier one of the same batch has closed the descriptor.
func (l *Loop) run(events []sys.EpollEvent) {
	for i := range events {
		ev := &events[i]
		s := &l.slots[ev.Data[0]]
		if s.seq != ev.Data[1] {
			continue
		}
		s.handler.Run()
	}
}

// runPosted runs the work that was posted before it began.
func (l *Loop) runPosted() {
	t := l.head
	l.head, l.tail = nil, nil
	for t != nil {
		next := t.next
		t.queued = false
		t.run.RunTask()
		t = next
	}
}

// waker is the loop's own handler: the eventfd.
type waker Loop

// Mark does nothing: there is only one event that an eventfd can have.
func (w *waker) Mark(uint32) {}

// Run takes the wake-up and runs what it was for. The eventfd is drained before the flag is cleared: the other way
// round, the signal of a Wake in between would be drained while its flag stays, and every later Wake would be silent.
// A Wake between the two is silent and right to be: onWake, which runs after both, sees its work.
func (w *waker) Run() {
	sys.EventfdDrain(w.wakeFD)
	w.waking.Store(false)
	w.onWake()
}
