// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitconn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/shm"
	"weir/internal/shmtx"
	"weir/internal/sys"
)

// runStepped is the process that is stepped through an operation: descriptor 3 is the zone, 4 the control page.
func runStepped(argument string) {
	var index int
	_, err := fmt.Sscanf(argument, "%d", &index)
	crashtest.Must(err)
	w, c := resumeWorld()
	op := crashOperations()[index]
	atomic.StoreInt64(&c.Killed, int64(sys.ThreadID()))
	crashtest.Signal(&c.Reached)
	for atomic.LoadUint32(&c.Waiting) == 0 {
	}
	op.run(w)
	atomic.StoreUint32(&c.Reached, 2)
	os.Exit(0)
}

// TestKilledAtEveryInstruction has the processor stop after each single instruction of each operation. Whenever memory has changed, what a kill at this
// instruction would leave is copied into another zone, and the next owner of that one's lock must find it as it was before the operation or after it. Unlike
// the test with kills, this one does not rely on the code to say where its stores are, nor on the compiler to keep their order.
func TestKilledAtEveryInstruction(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector it takes minutes")
	}
	for _, kind := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			var instructions, states int
			for i := range crashOperations() {
				if (kind == shmtx.Flock || testing.Short()) && i%5 != 0 {
					continue // with flock, what is done under the lock is the same
				}
				n, changed := stepThrough(t, kind, i)
				instructions += n
				states += changed
			}
			t.Logf("%d instructions, %d states of memory looked at", instructions, states)
			require.Greater(t, states, 200)
		})
	}
}

func stepThrough(t *testing.T, kind shmtx.Kind, index int) (instructions, states int) {
	op := crashOperations()[index]
	owner := newOwner(t)
	w, copied := newWorld(kind, owner), newWorld(kind, owner)
	defer w.close()
	defer copied.close()
	op.prepare(w)
	op.prepare(copied)
	op.run(copied)
	before, after := w.dump(op.level), copied.dump(op.level)

	segment, c := newControl(w)
	defer segment.Close()
	victim := crashtest.Spawn(t, fmt.Sprintf("step:%d", index), w.z.FD(), segment.FD())
	defer end(victim)
	stepper := attach(t, victim, c)
	size := int(w.shm.SizeBytes()) - int(shm.LockArea)
	now := w.shm.Bytes(shm.LockArea, size)
	last := bytes.Clone(now)
	for deadline := time.Now().Add(2 * time.Minute); atomic.LoadUint32(&c.Reached) != 2; instructions++ {
		require.True(t, time.Now().Before(deadline), op.name)
		stepper.step()
		if !bytes.Equal(now, last) {
			copy(last, now)
			states++
			recoverCopy(t, op, copied, last, uint32(stepper.tid), before, after)
		}
	}
	return instructions, states
}

// stepper makes one thread of a victim go on instruction by instruction.
type stepper struct {
	t      *testing.T
	tid    int
	others []int // the runtime's threads, stopped: they would interrupt the one that is stepped every 10 ms, which is a few hundred steps
}

// attach stops all threads of a victim that has reached its starting point, and lets it see that it may go on.
func attach(t *testing.T, victim *exec.Cmd, c *control) *stepper {
	require.True(t, crashtest.Wait(&c.Reached))
	s := &stepper{t: t, tid: int(atomic.LoadInt64(&c.Killed))}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", victim.Process.Pid))
	require.NoError(t, err)
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		require.NoError(t, err)
		if err := syscall.PtraceAttach(id); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			t.Skipf("ptrace(%d): %v", id, err)
		} else {
			require.NoError(t, err)
		}
		require.True(t, s.stopped(id, 10*time.Second))
		if id != s.tid {
			s.others = append(s.others, id)
		}
	}
	atomic.StoreUint32(&c.Waiting, 1)
	return s
}

// step lets the thread execute one instruction. When it does not come back, it waits for one of the others: then those are let go for a while.
func (s *stepper) step() {
	require.NoError(s.t, syscall.PtraceSingleStep(s.tid))
	for range 100 {
		if s.stopped(s.tid, 100*time.Millisecond) {
			return
		}
		for _, id := range s.others {
			syscall.PtraceCont(id, 0) // one that runs already is an error, and runs
		}
	}
	require.Fail(s.t, "the victim does not go on")
}

// stopped waits for the next stop of a thread that is traced. Signals to it are dropped.
func (s *stepper) stopped(id int, most time.Duration) bool {
	var status syscall.WaitStatus
	var deadline time.Time
	for n := 0; ; n++ {
		got, err := syscall.Wait4(id, &status, wall|syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		require.NoError(s.t, err)
		if got == id {
			require.True(s.t, status.Stopped(), "%#x", status)
			return true
		}
		switch {
		case n == 100:
			deadline = time.Now().Add(most)
		case n > 100 && time.Now().After(deadline):
			return false
		case n > 100:
			runtime.Gosched()
		}
	}
}

// end kills a victim whose threads are traced: each of them has to be waited for, before the process can be.
func end(victim *exec.Cmd) {
	victim.Process.Kill()
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", victim.Process.Pid))
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		for id != victim.Process.Pid {
			if _, err := syscall.Wait4(id, nil, wall, nil); err != nil && !errors.Is(err, syscall.EINTR) {
				break // gone
			}
		}
	}
	victim.Wait()
}

// wall is __WALL: wait for any kind of child, a single thread too.
const wall = 0x40000000

// recoverCopy makes the zone of w what memory says, as after the death of thread tid, and recovers it.
func recoverCopy(t *testing.T, op operation, w *world, memory []byte, tid uint32, before, after string) {
	copy(w.shm.Bytes(shm.LockArea, len(memory)), memory)
	word := shm.At[uint32](w.shm, shm.LockArea)
	if *word&sys.FutexTIDMask == tid { // what the kernel does
		*word = *word&sys.FutexWaiters | sys.FutexOwnerDied
	}
	w.mutex.Lock()
	w.mutex.Unlock()
	if !strings.HasPrefix(op.name, "rebuild") {
		require.Empty(t, w.check(op.level), op.name)
	}
	if op.again {
		op.run(w)
		before = after
	}
	if got := w.dump(op.level); got != before && got != after {
		require.Contains(t, []string{before, after}, got, op.name)
	}
	require.Empty(t, w.check(op.level), op.name)
}

// resumeWorld is the zone at descriptor 3 with what the control page at 4 says, in a process whose main thread takes the locks of slot 0.
func resumeWorld() (*world, *control) {
	runtime.LockOSThread()
	owner, err := shmtx.NewOwner()
	crashtest.Must(err)
	z, err := Attach(3, owner, 0)
	crashtest.Must(err)
	c := crashtest.AttachSegment[control](4)
	w := openWorld(z)
	c.resume(w)
	return w, c
}

// runCounted is the process whose instructions are counted: some pairs of Acquire and Release when all is warm.
func runCounted(argument string) {
	var pairs, other int
	_, err := fmt.Sscanf(argument, "%d,%d", &pairs, &other)
	crashtest.Must(err)
	w, c := resumeWorld()
	limits := []Limit{{Zone: w.z, Key: key4(0x01020304 + other), Max: 10}}
	holds := make([]Hold, 0, 1)
	pair := func() {
		holds, _, _ = Acquire(holds[:0], limits)
		Release(holds)
	}
	for range 70 - pairs { // the next acquisition that is timed is far away
		pair()
	}
	atomic.StoreInt64(&c.Killed, int64(sys.ThreadID()))
	crashtest.Signal(&c.Reached)
	for atomic.LoadUint32(&c.Waiting) == 0 {
	}
	for range pairs {
		pair()
	}
	atomic.StoreUint32(&c.Reached, 2)
	os.Exit(0)
}

// TestInstructions counts what the processor executes for one Acquire and one Release, beside 1,000 other keys.
func TestInstructions(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has instructions of its own")
	}
	count := func(pairs, other int) int {
		w := openWorld(newZone(t, 1<<20, shmtx.Atomic, 0))
		for n := range 1000 {
			take(t, w.z, 0, key4(0x01020304+n), 1)
		}
		segment, c := newControl(&world{})
		defer segment.Close()
		victim := crashtest.Spawn(t, fmt.Sprintf("count:%d,%d", pairs, other), w.z.FD(), segment.FD())
		defer end(victim)
		stepper := attach(t, victim, c)
		n := 0
		for ; atomic.LoadUint32(&c.Reached) != 2; n++ {
			stepper.step()
		}
		return n
	}
	for _, key := range []struct {
		name  string
		other int
		most  int
	}{{"a key with connections", 500, 1000}, {"a new key", -1, 2600}} {
		least := func(pairs int) int { // of some: on a busy machine the runtime now and then does something of its own
			return min(count(pairs, key.other), count(pairs, key.other), count(pairs, key.other))
		}
		perPair := (least(3) - least(1)) / 2
		t.Logf("%s: %d instructions", key.name, perPair)
		require.Less(t, perPair, key.most)
	}
}
