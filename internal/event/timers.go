// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package event

import "math/bits"

// A Timers is a hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7): level 0 has one bucket per tick, each
// level above has buckets 64 times as wide. A timer hangs in the lowest level whose present rotation reaches its
// deadline.
//
//	level 0   64 buckets of   8 ms    [ ][ ][x][ ]...          the next 512 ms
//	level 1   64 buckets of 512 ms    [ ][x][ ][ ]...          the next 32 s
//	level 2   64 buckets of  32 s     [ ][ ][x][ ]...          the next 35 min; then 37 h, 99 days, 17 years, 1,115 years
//	pending   what was in the buckets that time has reached
//
// Lazy: a deadline that moves forward, or away altogether, is one store; the timer stays where it hangs. Only when time
// reaches that bucket is it looked at: it fires, or hangs itself further on, or is dropped. So a connection whose read
// time-out of a minute is pushed forward by each request moves about twice a minute, however many requests it has.
//
// Coarse: deadlines are rounded up to a tick, so a timer fires up to 8 ms (and never a moment) too late rather than
// early.

const (
	tickShift   = 3 // a tick is 8 ms
	tickMs      = 1 << tickShift
	levelShift  = 6 // buckets per level: 64, the bits of one word
	bucketMask  = 1<<levelShift - 1
	wheelLevels = 7
	pendingList = wheelLevels << levelShift // the number of the list after the last bucket
	lastTick    = int64(1)<<(wheelLevels*levelShift) - 1
)

// What one call of Expire may do. Looking at a timer costs about 20 ns, firing one costs what its owner does (often:
// closing a connection), so the latter counts for more. What is left over fires in the next turn, after the events
// that wait.
const (
	expireBudget = 4096
	fireCost     = 16
)

// Never is the deadline of a timer that is not armed, and what NextMs says when there is nothing to wait for.
const Never = int64(1<<63 - 1)

// Expirer is who owns timers.
type Expirer interface {
	// OnTimer is called when t's deadline has passed. t is not armed any more and hangs nowhere. The owner may
	// arm, disarm and unlink any timer, t included.
	OnTimer(t *Timer)
}

// Timer is one deadline, embedded in what it belongs to (48 bytes). Init comes first; it must not move while it is
// linked.
type Timer struct {
	deadline int64 // ms; Never: not armed
	early    int64 // ms: a deadline before it needs another bucket than the one the timer hangs in; Never: it hangs in none
	next     *Timer
	prev     *Timer
	owner    Expirer
}

// Init makes t a timer of owner that is not armed.
func (t *Timer) Init(owner Expirer) {
	*t = Timer{deadline: Never, early: Never, owner: owner}
}

// Armed reports whether t is going to fire.
func (t *Timer) Armed() bool { return t.deadline != Never }

// DeadlineMs is when t is due, in the clock's milliseconds; Never if it is not armed.
func (t *Timer) DeadlineMs() int64 { return t.deadline }

// Disarm calls the deadline off. It is one store: t stays linked until time reaches its bucket. Memory that is given
// back, or used for something else, takes Timers.Unlink.
func (t *Timer) Disarm() { t.deadline = Never }

// Timers is the wheel of one loop. Init comes first; it must not be copied.
type Timers struct {
	tick     int64 // every bucket up to this tick has been emptied
	linked   int   // timers that hang somewhere
	firing   bool
	occupied [wheelLevels]uint64    // one bit per bucket that is not empty
	lists    [pendingList + 1]Timer // heads; the deadline field of a head is its number
}

// Init makes w an empty wheel that stands at nowMs, which must not be negative.
func (w *Timers) Init(nowMs int64) {
	*w = Timers{tick: nowMs >> tickShift}
	for i := range w.lists {
		head := &w.lists[i]
		head.next, head.prev, head.deadline = head, head, int64(i)
	}
}

// Arm makes t fire once the time is deadlineMs or later; a deadline that was armed before is replaced. A deadline in
// the past fires with the next tick. deadlineMs is on the scale of Expire's nowMs, at most 1,000 years from 0 (Never:
// as Disarm).
func (w *Timers) Arm(t *Timer, deadlineMs int64) {
	t.deadline = deadlineMs
	if deadlineMs < t.early {
		w.relink(t)
	}
}

// Unlink calls t off and takes it out of the wheel: afterwards nothing points to it. Cheap, and harmless if t hangs
// nowhere.
func (w *Timers) Unlink(t *Timer) {
	t.deadline = Never
	if t.early != Never {
		w.unlink(t)
	}
}

// Linked is how many timers hang in the wheel, those included that were disarmed and not yet dropped.
func (w *Timers) Linked() int { return w.linked }

// WaitMs is the time-out for epoll_wait(2) at nowMs: milliseconds until NextMs, 0 if that has passed, -1 if there is
// nothing to wait for.
func (w *Timers) WaitMs(nowMs int64) int {
	next := w.NextMs()
	if next == Never {
		return -1
	}
	const most = 1<<31 - 1 // epoll_wait takes an int
	return int(min(max(next-nowMs, 0), most))
}

// NextMs is the time at which Expire has something to do: no later than the earliest deadline rounded up to a tick,
// and possibly earlier, when a bucket of an upper level has to be spread out or holds only disarmed timers. Never if
// the wheel is empty.
func (w *Timers) NextMs() int64 {
	if pending := &w.lists[pendingList]; pending.next != pending {
		return w.tick << tickShift
	}
	for level, occupied := range w.occupied {
		if occupied == 0 {
			continue
		}
		// A level's buckets all lie in the present rotation, after its present bucket, and before anything in the
		// levels above: the first bit found is the next bucket.
		shift := uint(level * levelShift)
		rotation := w.tick >> shift &^ bucketMask
		return (rotation + int64(bits.TrailingZeros64(occupied))) << shift << tickShift
	}
	return Never
}

// Expire fires the timers that are due at nowMs, in no particular order among those of one call, and returns how
// many. A time that runs backwards is taken as no change. The work of one call is bounded; if some is left over,
// NextMs is in the past.
func (w *Timers) Expire(nowMs int64) (fired int) {
	if w.firing {
		panic("event: Timers.Expire called by a timer's owner")
	}
	w.firing = true
	w.advance(nowMs >> tickShift)
	pending := &w.lists[pendingList]
	for budget := expireBudget; budget > 0 && pending.next != pending; budget-- {
		t := pending.next
		switch {
		case t.deadline == Never:
			w.unlink(t)
		case t.deadline > nowMs:
			w.relink(t)
		default:
			w.unlink(t)
			t.deadline = Never
			t.owner.OnTimer(t)
			fired++
			budget -= fireCost - 1
		}
	}
	w.firing = false
	return fired
}

// advance moves the wheel to tick now and the buckets that time has passed or reached to the pending list. Its cost
// is that of the buckets that are not empty, however far the step.
func (w *Timers) advance(now int64) {
	now = min(now, lastTick)
	if now <= w.tick {
		return
	}
	top := levelOf(w.tick, now)
	for level := range top {
		w.collect(level, w.occupied[level]) // its rotation is over
	}
	reached := uint(now>>(top*levelShift)) & bucketMask
	w.collect(top, w.occupied[top]&(2<<reached-1))
	w.tick = now
}

// collect moves the level's buckets named by set to the pending list.
func (w *Timers) collect(level int, set uint64) {
	w.occupied[level] &^= set
	pending := &w.lists[pendingList]
	for ; set != 0; set &= set - 1 {
		head := &w.lists[level<<levelShift+bits.TrailingZeros64(set)]
		first, last := head.next, head.prev
		head.next, head.prev = head, head
		first.prev, pending.prev.next = pending.prev, first
		last.next, pending.prev = pending, last
	}
}

// relink hangs t where its deadline belongs.
func (w *Timers) relink(t *Timer) {
	if t.early != Never {
		w.unlink(t)
	}
	// Rounded up, and in the future: what is armed while timers fire must not fire in the same call, or two
	// owners could keep each other busy for ever.
	due := (max(t.deadline, 1)-1)>>tickShift + 1
	due = min(max(due, w.tick+1), lastTick)
	level := levelOf(w.tick, due)
	bucket := due >> (level * levelShift)
	t.early = (bucket<<(level*levelShift)-1)<<tickShift + 1

	w.occupied[level] |= 1 << (bucket & bucketMask)
	head := &w.lists[int64(level<<levelShift)+bucket&bucketMask]
	last := head.prev
	t.prev, t.next = last, head
	last.next, head.prev = t, t
	w.linked++
}

// unlink takes t, which is linked, out of its list.
func (w *Timers) unlink(t *Timer) {
	next, prev := t.next, t.prev
	next.prev, prev.next = prev, next
	if next == prev && next.deadline != pendingList {
		// Only a head is its own neighbour on both sides: its bucket is empty now.
		w.occupied[next.deadline>>levelShift] &^= 1 << (next.deadline & bucketMask)
	}
	t.next, t.prev, t.early = nil, nil, Never
	w.linked--
}

// levelOf is the level on which a timer due at tick due hangs while the wheel stands at tick now, which is another
// one: that of the highest digit, to the base of 64, in which they differ.
func levelOf(now, due int64) int {
	return (bits.Len64(uint64(now^due)) - 1) / levelShift
}
