// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package offload

import "sync"

// Worker is the owner of a Job.
type Worker interface {
	// Work does what may block. It runs on a goroutine, and may touch only what the loop leaves alone until OnWorked.
	Work()
	// OnWorked is called on the loop, after Work.
	OnWorked()
}

// Job is one piece of work for a Thread; embed it in its owner. It is at work once at a time, and costs no allocation.
type Job struct {
	owner Worker
	next  *Job
}

// Init names the job's owner. Call it once, before the first Do.
func (j *Job) Init(w Worker) { j.owner = w }

// Thread does jobs one after the other, in the order in which they came. There is no bound on those that wait: each belongs to somebody who
// waits for it.
type Thread struct {
	queue  *Queue
	prompt bool // see NewPromptThread

	mu    sync.Mutex
	some  sync.Cond
	jobs  jobList
	ended bool
}

// jobList is a queue of jobs, linked through them.
type jobList struct{ first, last *Job }

func (l *jobList) push(j *Job) {
	j.next = nil
	if l.last == nil {
		l.first = j
	} else {
		l.last.next = j
	}
	l.last = j
}

func (l *jobList) pop() *Job {
	j := l.first
	if l.first = j.next; l.first == nil {
		l.last = nil
	}
	return j
}

// NewThread starts a thread whose results come with the queue's. Bind comes first.
func (q *Queue) NewThread() *Thread {
	t := &Thread{queue: q}
	t.some.L = &t.mu
	go t.work()
	return t
}

// NewPromptThread makes a thread without a goroutine: a job is done within Do, and told as always. It is for tests in which everything has one order.
func (q *Queue) NewPromptThread() *Thread { return &Thread{queue: q, prompt: true} }

// Do has the job done. It must not be on its way already.
func (t *Thread) Do(j *Job) {
	t.queue.atWork++
	if t.prompt {
		j.owner.Work()
		t.queue.onWorked(j)
		return
	}
	t.mu.Lock()
	t.jobs.push(j)
	t.mu.Unlock()
	t.some.Signal()
}

// Start has the job done on a goroutine of its own: it may take as long as it likes. It must not be on its way already.
func (q *Queue) Start(j *Job) {
	q.atWork++
	go func() {
		j.owner.Work()
		q.onWorked(j)
	}()
}

// End ends the thread when what has been asked for is done. Nothing may be asked for afterwards. It is for tests: a worker's threads end with it.
func (t *Thread) End() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.some.Signal()
}

func (t *Thread) work() {
	for {
		t.mu.Lock()
		for t.jobs.first == nil {
			if t.ended {
				t.mu.Unlock()
				return
			}
			t.some.Wait()
		}
		j := t.jobs.pop()
		t.mu.Unlock()
		j.owner.Work()
		t.queue.onWorked(j)
	}
}
