// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package buffer

import "fmt"

// Receiver is who waits for a block.
type Receiver interface {
	// OnBlock hands over the block that w waited for; the receiver owns it. It is called by Wake, never by Release, and w
	// may be used to wait again.
	OnBlock(w *Waiter, b *Block)
}

// waiterState is where a waiter is.
type waiterState uint8

const (
	waiterIdle   waiterState = iota // nowhere
	waiterQueued                    // waits
	waiterReady                     // has a block
)

// Waiter is a place in the queue for a block, embedded in what waits. Its zero value with Init waits for nothing. It
// must not move while it waits.
type Waiter struct {
	receiver Receiver
	block    *Block // its own once it is ready
	next     *Waiter
	prev     *Waiter
	class    Class
	state    waiterState
}

// Init makes w a waiter of r that waits for nothing.
func (w *Waiter) Init(r Receiver) { *w = Waiter{receiver: r} }

// Waiting reports whether OnBlock will be called.
func (w *Waiter) Waiting() bool { return w.state != waiterIdle }

// Wait queues w, which must not be waiting, behind the others of its class. It gets the first block that its class
// may have; responses are served before requests. The block is its own from then on: nobody who comes later can take
// it. OnBlock comes with a Wake.
func (p *Pool) Wait(w *Waiter, class Class) {
	if w.state != waiterIdle {
		panic(fmt.Sprintf("buffer: wait for a block of %d bytes by a waiter that waits already", p.blockSize))
	}
	w.class = class
	w.state = waiterQueued
	p.wait[class].push(w)
	p.waiting++
	p.waits++
	p.changes++
	p.grant()
}

// Cancel ends w's wait; a block that it has got but was not told of goes to the next. Harmless if w waits for nothing.
func (p *Pool) Cancel(w *Waiter) {
	if w.state == waiterIdle {
		return
	}
	p.changes++
	switch w.state {
	case waiterQueued:
		p.wait[w.class].remove(w)
		p.waiting--
		w.state = waiterIdle
	case waiterReady:
		p.ready.remove(w)
		b := w.block
		w.block, w.state = nil, waiterIdle
		p.put(b)
	}
}

// grant gives blocks to waiters, in order, as long as there are both.
func (p *Pool) grant() {
	for class := numClasses; class > 0; {
		class--
		for queue := &p.wait[class]; queue.first != nil; {
			if p.used >= p.ceil[class] {
				break
			}
			if p.warm == nil && !p.refill() {
				return
			}
			b := p.Acquire(class)
			b.state = stateGranted
			w := queue.first
			queue.remove(w)
			p.waiting--
			p.changes++
			w.block, w.state = b, waiterReady
			p.ready.push(w)
			if !p.posted && p.onReady != nil {
				p.posted = true
				p.onReady()
			}
		}
	}
}

// Wake tells waiters about the blocks that they have got, in the order in which they got them; those that get one
// meanwhile are told by the next Wake. With nobody to tell it costs a comparison.
func (p *Pool) Wake() {
	p.posted = false
	for n := p.ready.n; n > 0 && p.ready.first != nil; n-- {
		w := p.ready.first
		p.ready.remove(w)
		p.changes++
		b := w.block
		w.block, w.state = nil, waiterIdle
		b.state = stateUsed
		w.receiver.OnBlock(w, b)
	}
}

// list is a queue of waiters.
type list struct {
	first, last *Waiter
	n           int
}

// push puts w, which is on no list, at the end.
func (l *list) push(w *Waiter) {
	w.prev, w.next = l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.n++
}

// remove takes w, which is on this list, out of it.
func (l *list) remove(w *Waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev = nil, nil
	l.n--
}
