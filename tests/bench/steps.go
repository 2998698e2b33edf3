// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// ptraceSeize is PTRACE_SEIZE and ptraceInterrupt PTRACE_INTERRUPT of ptrace(2); package syscall names neither.
const (
	ptraceSeize     = 0x4206
	ptraceInterrupt = 0x4207
)

// A single-stepped measurement ends after stepRequests requests or after its time, whichever comes first; it takes at least
// stepLeast requests to say something. A step costs from 2 to 50 microseconds, by how a machine is virtual.
const (
	stepRequests = 400
	stepLeast    = 4
)

// stepClients ask at the same time, so that a turn of the worker's loop has several events. CLIENTS says otherwise.
const stepClients = 8

// instructionsPerRequest counts the user instructions that the busiest thread of the process executes for one request, by
// stepping it through some of them while clients keep asking. It stands in for instructions:u where the machine has no counters.
// A repeated string instruction counts once, as the hardware counts it. Needs the right to trace: root, or the same user and a
// dumpable process. The tracer runs on core, the tracee's, and goes back to home.
func instructionsPerRequest(ctx context.Context, pid int, address string, clients int, limit time.Duration, core, home int, profile map[uint64]int64) (instructions float64, err error) {
	asking, err := askForEver(ctx, address, clients)
	if err != nil {
		return 0, err
	}
	defer asking.finish()
	thread, others, err := busiestThread(pid, 300*time.Millisecond)
	if err != nil {
		return 0, err
	}
	// ptrace(2) ties the tracee to the tracing thread. On one processor the two hand over to each other without waking another
	// processor, which takes a hundred times as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pin(syscall.Gettid(), core); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pin(syscall.Gettid(), home)) }()
	// The other threads stand still meanwhile: a runtime's monitor would take the slow thread for one that runs too long.
	for _, other := range others {
		if frozen := (&stepper{pid: pid, thread: other}); frozen.attach() == nil {
			defer frozen.detach()
		}
	}
	s := stepper{pid: pid, thread: thread, profile: profile}
	if err := s.attach(); err != nil {
		return 0, err
	}
	defer s.detach()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// Without clients the worker waits for ever, and wait4 with it: a signal that means nothing stops it for the tracer.
	stopWaking := context.AfterFunc(ctx, s.wake)
	defer stopWaking()
	return s.perRequest(ctx, &asking.answered)
}

// pin binds one thread to a processor.
func pin(thread, core int) error {
	if out, err := exec.Command("taskset", "-cp", strconv.Itoa(core), strconv.Itoa(thread)).CombinedOutput(); err != nil {
		return fmt.Errorf("taskset(%d): %w: %s", thread, err, out)
	}
	return nil
}

// busiestThread is the thread of a process that uses the most processor time while it is watched, and the others.
func busiestThread(pid int, watch time.Duration) (busiest int, others []int, err error) {
	before, err := threadTimes(pid)
	if err != nil {
		return 0, nil, err
	}
	time.Sleep(watch)
	after, err := threadTimes(pid)
	if err != nil {
		return 0, nil, err
	}
	busiest, most := pid, int64(-1)
	for thread, running := range after {
		if spent := running - before[thread]; spent > most {
			busiest, most = thread, spent
		}
	}
	for thread := range after {
		if thread != busiest {
			others = append(others, thread)
		}
	}
	return busiest, others, nil
}

// threadTimes is how long each thread of a process has run, in nanoseconds.
func threadTimes(pid int) (map[int]int64, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return nil, err
	}
	times := make(map[int]int64, len(threads))
	for _, folder := range threads {
		thread, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(filepath.Join(folder, "schedstat"))
		if err != nil {
			continue // the thread has ended
		}
		var running int64
		if _, err := fmt.Sscan(string(text), &running); err != nil {
			return nil, fmt.Errorf("schedstat(%d): %w", thread, err)
		}
		times[thread] = running
	}
	return times, nil
}

// stepper steps one thread.
type stepper struct {
	pid      int
	thread   int
	profile  map[uint64]int64 // instructions by address; nil: not asked for
	attached bool
}

func ptrace(request, thread int, data uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(thread), 0, data, 0, 0); errno != 0 {
		return fmt.Errorf("ptrace(%#x, %d): %w", request, thread, errno)
	}
	return nil
}

// attach stops the thread.
func (s *stepper) attach() error {
	if err := ptrace(ptraceSeize, s.thread, 0); err != nil {
		return err
	}
	s.attached = true
	if err := ptrace(ptraceInterrupt, s.thread, 0); err != nil {
		return err
	}
	_, err := s.wait()
	return err
}

// detach lets the thread run on. It must be stopped, as it is between two steps.
func (s *stepper) detach() {
	if s.attached {
		_ = ptrace(syscall.PTRACE_DETACH, s.thread, 0) // it fails when the process has ended: then there is nothing to let go
	}
}

// wait waits until the thread has stopped and returns the signal that it is about to get, or 0.
func (s *stepper) wait() (syscall.Signal, error) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(s.thread, &status, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("wait4(%d): %w", s.thread, err)
		}
		break
	}
	if !status.Stopped() {
		s.attached = false
		return 0, fmt.Errorf("wait4(%d): the worker ended", s.thread)
	}
	if signal := status.StopSignal(); signal != syscall.SIGTRAP {
		return signal, nil
	}
	return 0, nil
}

// wake makes a thread that waits in the kernel stop with SIGCONT, which is then not passed on.
func (s *stepper) wake() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(s.pid), uintptr(s.thread), uintptr(syscall.SIGCONT))
}

// perRequest steps until enough requests have been answered or the time is up. It counts between two moments at which an answer
// was just seen, so that no request is counted in part.
func (s *stepper) perRequest(ctx context.Context, answered *atomic.Int64) (float64, error) {
	const look = 64 // steps between two looks at the clients
	var (
		signal       syscall.Signal
		registers    syscall.PtraceRegs
		instructions int64
		lastPC       uint64
		seen         = answered.Load()
		first        = int64(-1) // answers at the first moment
		from         int64       // instructions at the first moment
		to           int64       // instructions at the last one
	)
	for steps := 0; ; steps++ {
		if steps%look == 0 || signal == syscall.SIGCONT {
			if now := answered.Load(); now != seen {
				if seen = now; first < 0 {
					first, from = now, instructions
				}
				to = instructions
			}
			requests := seen - first
			if first >= 0 && (requests >= stepRequests || ctx.Err() != nil && requests >= stepLeast) {
				return float64(to-from) / float64(requests), nil
			}
			if ctx.Err() != nil {
				return 0, fmt.Errorf("single-stepping: %d requests in %d steps, too slow: %w", max(0, requests), steps, ctx.Err())
			}
		}
		if signal == syscall.SIGCONT {
			signal = 0
		}
		if err := ptrace(syscall.PTRACE_SINGLESTEP, s.thread, uintptr(signal)); err != nil {
			return 0, err
		}
		var err error
		if signal, err = s.wait(); err != nil {
			return 0, err
		}
		if err := syscall.PtraceGetRegs(s.thread, &registers); err != nil {
			return 0, fmt.Errorf("ptrace(PTRACE_GETREGS, %d): %w", s.thread, err)
		}
		if at := registers.PC(); at != lastPC {
			instructions++
			lastPC = at
			if s.profile != nil && first >= 0 {
				s.profile[at]++
			}
		}
	}
}
