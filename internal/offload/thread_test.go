// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package offload

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// errand is a job that notes when it is done, on both sides.
type errand struct {
	Job
	number        int
	gate          chan struct{} // nil: open
	worked, heard *[]int
	again         *Thread // do it once more when it has been done
}

func (e *errand) Work() {
	if e.gate != nil {
		<-e.gate
	}
	*e.worked = append(*e.worked, e.number) // ordered by the queue: see TestThread
}

func (e *errand) OnWorked() {
	*e.heard = append(*e.heard, e.number)
	if again := e.again; again != nil {
		e.again = nil
		again.Do(&e.Job)
	}
}

// drainUntil makes turns until so many results have come.
func drainUntil(t *testing.T, l loop, q *Queue, heard *[]int, n int) {
	for len(*heard) < n {
		select {
		case <-l:
			q.Drain()
		case <-time.After(20 * time.Second):
			require.Fail(t, "a job was not done", "%v of %d", *heard, n)
		}
	}
}

// TestThread: jobs are done and told in the order in which they came, the loop goes on while one waits, and a job may be done again.
func TestThread(t *testing.T) {
	l := make(loop, 1)
	var q Queue
	q.Bind(l)
	thread := q.NewThread()
	defer thread.End()
	var worked, heard, want []int
	gate := make(chan struct{})
	for i := range 100 {
		e := &errand{number: i, worked: &worked, heard: &heard}
		if i == 0 {
			e.gate = gate
		}
		e.Init(e)
		thread.Do(&e.Job)
		want = append(want, i)
	}
	q.Drain()
	require.Empty(t, heard, "the first one waits, and the loop does not")
	close(gate)
	drainUntil(t, l, &q, &heard, 100)
	require.Equal(t, want, heard)
	require.Equal(t, want, worked)

	e := &errand{number: 100, worked: &worked, heard: &heard, again: thread}
	e.Init(e)
	thread.Do(&e.Job)
	drainUntil(t, l, &q, &heard, 102)
	require.Equal(t, []int{100, 100}, heard[100:])
}

func TestThreadDoesNotAllocate(t *testing.T) {
	l := make(loop, 1)
	var q Queue
	q.Bind(l)
	thread := q.NewThread()
	defer thread.End()
	worked, heard := make([]int, 0, 10000), make([]int, 0, 10000)
	e := &errand{worked: &worked, heard: &heard}
	e.Init(e)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		thread.Do(&e.Job)
		for n := len(heard); len(heard) == n; {
			<-l
			q.Drain()
		}
	}))
}
