// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package offload

import (
	"os"
	"os/signal"
	"sync"
)

// Waker is the loop that takes the results: event.Loop.
type Waker interface {
	// Wake makes the loop call Queue.Drain soon. Any goroutine may call it.
	Wake()
}

// Queue carries results from helper goroutines to the loop.
type Queue struct {
	waker  Waker
	atWork int // jobs that have not been told of; the loop's

	mu     sync.Mutex
	done   []func() // results that wait for the loop, in order
	worked jobList  // jobs that have been done, in order
}

// Bind names the loop that is woken. Call it once, before Signals.
func (q *Queue) Bind(w Waker) { q.waker = w }

// Signals has onSignal called on the loop for each of the signals that arrives.
func (q *Queue) Signals(onSignal func(os.Signal), signals ...os.Signal) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, signals...)
	go func() {
		for s := range c {
			q.post(func() { onSignal(s) })
		}
	}()
}

// Drain runs what has been posted. The loop calls it after each wake-up.
func (q *Queue) Drain() {
	q.mu.Lock()
	done, worked := q.done, q.worked
	q.done, q.worked = nil, jobList{}
	q.mu.Unlock()
	for _, f := range done {
		f()
	}
	for worked.first != nil {
		q.atWork--
		worked.pop().owner.OnWorked()
	}
}

// AtWork says whether there are jobs of which the loop has not been told that they are done. See event.Helpers.
func (q *Queue) AtWork() bool { return q.atWork > 0 }

// onWorked has the loop told of a job that has been done.
func (q *Queue) onWorked(j *Job) {
	q.mu.Lock()
	q.worked.push(j)
	q.mu.Unlock()
	q.waker.Wake()
}

func (q *Queue) post(f func()) {
	q.mu.Lock()
	q.done = append(q.done, f)
	q.mu.Unlock()
	q.waker.Wake()
}
