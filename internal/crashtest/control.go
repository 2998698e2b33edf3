// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/shm"
)

// segmentKind is the kind of the zones that NewSegment makes.
const segmentKind = "test"

// Control is how a test and the process that is to be killed wait for each other. It stands in a segment that both have mapped.
type Control struct {
	Reached uint32 // futex: the process is where it is to be killed
	Waiting uint32 // futex: the test is about to wait for what the process holds
	Killed  int64  // wall clock right before the kill, in nanoseconds
}

// NewSegment makes a zone for a T, by which a test and its processes talk. The caller closes it.
func NewSegment[T any]() (*shm.Zone, *T) {
	segment, err := shm.Create(shm.Options{Name: "test", Kind: segmentKind, SizeBytes: shm.MinBytes})
	Must(err)
	return segment, shm.At[T](segment, shm.DataArea)
}

// AttachSegment is what NewSegment has made, in the process that got it as the descriptor.
func AttachSegment[T any](fd int) *T {
	segment, err := shm.Attach(fd, segmentKind, 0)
	Must(err)
	return shm.At[T](segment, shm.DataArea)
}

// KillAt returns a function that kills the process when it is called for the k-th time: while the test spins on the lock that the process holds if k is odd, and
// while it sleeps if k is even.
func (c *Control) KillAt(k int) func() {
	n := 0
	return func() {
		if n++; n == k {
			c.kill(k%2 == 0)
		}
	}
}

func (c *Control) kill(late bool) {
	Signal(&c.Reached)
	if !Wait(&c.Waiting) {
		os.Exit(4)
	}
	for start := time.Now(); late && time.Since(start) < 200*time.Microsecond; {
	}
	atomic.StoreInt64(&c.Killed, time.Now().UnixNano())
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// AwaitKill waits until the victim has reached its point, calls meanwhile, which may wait for what the victim holds, and returns when the victim has been killed.
func (c *Control) AwaitKill(tb testing.TB, victim *exec.Cmd, point string, meanwhile func()) {
	tb.Helper()
	require.True(tb, Wait(&c.Reached), "%s was not reached", point)
	Signal(&c.Waiting)
	meanwhile()
	err := victim.Wait()
	status, ok := victim.ProcessState.Sys().(syscall.WaitStatus)
	require.True(tb, ok && status.Signal() == syscall.SIGKILL, "%s: the victim ended with %v", point, err)
}

// Point reads the argument of a role that is killed at a point: the index of an operation, and the number of a store.
func Point(argument string) (index, k int) {
	_, err := fmt.Sscanf(argument, "%d,%d", &index, &k)
	Must(err)
	return index, k
}

// Crew are processes that work at the same time, one for each slot, until they are told to stop.
type Crew struct {
	Start func(slot int) *exec.Cmd
	Turns []uint64 // in a zone: what each process has done so far, counted by itself
	Stop  *uint64  // in a zone: not 0 tells them to end
}

// KillInTurn kills one process after the other, in the middle of its work, has reap clear up after it, and starts it anew. In the end all of them stop.
func (c *Crew) KillInTurn(t *testing.T, rounds int, reap func(slot int)) {
	t.Helper()
	processes := make([]*exec.Cmd, len(c.Turns))
	for slot := range processes {
		processes[slot] = c.Start(slot)
	}
	for round := range rounds {
		slot := round % len(processes)
		before := atomic.LoadUint64(&c.Turns[slot])
		require.Eventually(t, func() bool { return atomic.LoadUint64(&c.Turns[slot]) > before+50 }, 20*time.Second, time.Millisecond)
		require.NoError(t, processes[slot].Process.Kill())
		processes[slot].Wait()
		reap(slot)
		processes[slot] = c.Start(slot)
	}
	atomic.StoreUint64(c.Stop, 1)
	for _, p := range processes {
		require.NoError(t, p.Wait())
	}
}
