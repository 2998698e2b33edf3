// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package event

// Waiters are those that wait for one thing to happen, in the order in which they came. The zero Waiters has none.
type Waiters struct{ first, last *Waiter }

// Waiter is one of them; embed it in whoever waits. The zero Waiter waits for nothing.
type Waiter struct {
	prev, next *Waiter
	on         *Waiters
	task       *Task
}

// Waiting says whether it waits.
func (x *Waiter) Waiting() bool { return x.on != nil }

// Add has x wait: task is posted when it happens. x must not wait already.
func (w *Waiters) Add(x *Waiter, task *Task) {
	if x.on != nil {
		panic("event: a waiter waits already")
	}
	*x = Waiter{prev: w.last, on: w, task: task}
	if w.last == nil {
		w.first = x
	} else {
		w.last.next = x
	}
	w.last = x
}

// Leave has x wait no more. It may be called of one that does not.
func (x *Waiter) Leave() {
	w := x.on
	if w == nil {
		return
	}
	if x.prev == nil {
		w.first = x.next
	} else {
		x.prev.next = x.next
	}
	if x.next == nil {
		w.last = x.prev
	} else {
		x.next.prev = x.prev
	}
	*x = Waiter{}
}

// Empty says whether nobody waits.
func (w *Waiters) Empty() bool { return w.first == nil }

// Wake posts the tasks of all waiters, and empties the queue.
func (w *Waiters) Wake(l *Loop) {
	for x := w.first; x != nil; x = w.first {
		task := x.task
		x.Leave()
		l.Post(task)
	}
}
