// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package slots

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func create(t *testing.T, n int) *Table {
	t.Helper()
	table, err := Create("test", n)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Empty(t, table.Check())
		require.NoError(t, table.Close())
	})
	return table
}

// as is the table as another process would use it.
func as(t *Table, p process) *Table { return &Table{zone: t.zone, slots: t.slots, own: p} }

// child is a process that lives until the test kills it.
func child(t *testing.T) (*exec.Cmd, process) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "read line")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { in.Close() })
	p := processOf(cmd.Process.Pid)
	require.NotZero(t, p.pid)
	return cmd, p
}

func TestLife(t *testing.T) {
	master := create(t, 3)
	cmd, p := child(t)
	worker := as(master, p)
	slot, ok := master.Claim(7)
	require.True(t, ok)
	require.Equal(t, Slot{Index: 0, State: Claimed, Generation: 7, PID: os.Getpid(), Owner: os.Getpid()}, master.Get(slot))
	require.True(t, master.Start(slot, cmd.Process.Pid))
	require.False(t, master.Start(slot, cmd.Process.Pid))
	require.False(t, worker.Drain(slot))
	require.True(t, worker.Ready(slot))
	require.True(t, master.Alive(slot))
	require.Zero(t, master.Sweep())
	require.True(t, worker.Drain(slot))
	require.Equal(t, []Slot{{Index: 0, State: Draining, Generation: 7, PID: cmd.Process.Pid, Owner: os.Getpid()}}, master.All())

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.False(t, master.Died(slot, cmd.Process.Pid+1), "another process")
	require.True(t, master.Died(slot, cmd.Process.Pid))
	require.False(t, master.Died(slot, cmd.Process.Pid), "known already")
	require.False(t, master.Alive(slot))
	require.False(t, worker.Ready(slot), "given up")

	freed, err := master.Reap(func(int) error { return errors.New("the zone is damaged") })
	require.EqualError(t, err, "reap of slot 0: the zone is damaged")
	require.Empty(t, freed)
	require.Equal(t, Dead, master.Get(slot).State, "what failed is tried again")
	freed, err = master.Reap(func(s int) error {
		require.Equal(t, slot, s)
		require.Equal(t, Reaping, master.Get(s).State)
		require.Zero(t, master.Sweep(), "this master lives")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []int{0}, freed)
	require.Empty(t, master.All())
}

// TestWorkerFaster: the worker says that it is ready before its master has said that it started it.
func TestWorkerFaster(t *testing.T) {
	master := create(t, 1)
	cmd, p := child(t)
	slot, _ := master.Claim(1)
	require.True(t, as(master, p).Ready(slot))
	require.False(t, master.Start(slot, cmd.Process.Pid))
	require.Equal(t, Slot{Index: 0, State: Ready, Generation: 1, PID: cmd.Process.Pid, Owner: os.Getpid()}, master.Get(slot))
	require.True(t, master.Died(slot, cmd.Process.Pid))
}

// TestRevoke: a worker is given up, or is ready, and never both.
func TestRevoke(t *testing.T) {
	master := create(t, 2)
	cmd, p := child(t)
	worker := as(master, p)
	slot, _ := master.Claim(1)
	require.True(t, master.Start(slot, cmd.Process.Pid))
	require.False(t, master.Revoke(slot, cmd.Process.Pid+1), "another process")
	require.True(t, master.Revoke(slot, cmd.Process.Pid))
	require.False(t, worker.Ready(slot))
	require.True(t, master.Alive(slot), "until it has ended")
	require.True(t, master.Died(slot, cmd.Process.Pid))
	require.False(t, master.Revoke(slot, cmd.Process.Pid))

	slot, _ = master.Claim(1)
	require.True(t, master.Start(slot, cmd.Process.Pid))
	require.True(t, worker.Ready(slot))
	require.False(t, master.Revoke(slot, cmd.Process.Pid), "it may have a client")
	require.Equal(t, Ready, master.Get(slot).State)
}

func TestClaim(t *testing.T) {
	master := create(t, 2)
	a, ok := master.Claim(4095)
	require.True(t, ok)
	b, ok := master.Claim(4096)
	require.True(t, ok)
	require.NotEqual(t, a, b)
	require.Zero(t, master.Get(b).Generation, "modulo 4096")
	_, ok = master.Claim(1)
	require.False(t, ok)
	require.True(t, master.Unclaim(a))
	require.False(t, master.Unclaim(a))
	a, ok = master.Claim(1)
	require.True(t, ok)
	require.True(t, master.Died(a, 12345), "it ended before Start")
	_, err := Create("test", 0)
	require.ErrorContains(t, err, "at least 1")
}

// TestSweep: processes that have ended unseen are found, also one whose number somebody else has now; the living are left alone.
func TestSweep(t *testing.T) {
	table := create(t, 5)
	deadMaster, masterProcess := child(t)
	deadWorker, workerProcess := child(t)
	_, livingProcess := child(t)
	reused := livingProcess
	reused.started ^= 1
	other := as(table, masterProcess)
	for i, p := range []process{workerProcess, livingProcess, reused} {
		slot, ok := other.Claim(1)
		require.True(t, ok)
		require.Equal(t, i, slot)
		require.True(t, as(table, p).Ready(slot))
	}
	_, ok := other.Claim(2) // slot 3: claimed by a master that dies
	require.True(t, ok)
	slot, ok := other.Claim(2) // slot 4: that master dies while it reaps it
	require.True(t, ok)
	require.True(t, other.Died(slot, 1))
	require.True(t, other.become(slot, other.load(slot), Reaping, masterProcess))

	require.Zero(t, table.Sweep(), "their master lives")
	require.Zero(t, other.Sweep(), "it waits for them itself")
	for _, cmd := range []*exec.Cmd{deadMaster, deadWorker} {
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	}
	require.Error(t, deadMaster.Wait())
	require.Error(t, deadWorker.Wait())
	require.Equal(t, 4, table.Sweep(), "the number of slot 2 belongs to another process")
	require.Equal(t, Ready, table.Get(1).State)
	freed, err := table.Reap(func(int) error { return nil })
	require.NoError(t, err)
	require.Equal(t, []int{0, 2, 3, 4}, freed)
}

// TestReapOnce: of several who reap at the same time one gets each slot, and no slot is claimed before it is free.
func TestReapOnce(t *testing.T) {
	table := create(t, 64)
	var reaped [64]atomic.Int32
	for round := range int32(20) {
		for range table.Slots() {
			slot, ok := table.Claim(1)
			require.True(t, ok)
			require.True(t, table.Died(slot, 1))
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := table.Reap(func(slot int) error { reaped[slot].Add(1); return nil })
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for slot := range reaped {
			require.Equal(t, round+1, reaped[slot].Load())
		}
	}
}

func TestAttach(t *testing.T) {
	table := create(t, 10)
	slot, _ := table.Claim(3)
	fd, err := syscall.Dup(table.FD())
	require.NoError(t, err)
	other, err := Attach(fd)
	require.NoError(t, err)
	require.Equal(t, 10, other.Slots())
	require.Equal(t, table.Get(slot), other.Get(slot))
	require.NoError(t, other.Close())
	require.Panics(t, func() { table.Get(10) })
	require.Equal(t, "State(9)", State(9).String())
	require.Equal(t, "reaping", Reaping.String())
}

// TestOwner: the slots of a master that lives are its own business; when it has ended, the other one sees to them.
func TestOwner(t *testing.T) {
	table := create(t, 2)
	cmd, p := child(t)
	other := as(table, p)
	slot, ok := other.Claim(1)
	require.True(t, ok)
	require.Equal(t, cmd.Process.Pid, table.Get(slot).Owner)
	require.True(t, table.OthersAlive())
	require.False(t, other.OthersAlive())
	require.True(t, other.Died(slot, 1))
	release := func(int) error { return nil }
	freed, err := table.Reap(release)
	require.NoError(t, err)
	require.Empty(t, freed, "its owner lives")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	freed, err = table.Reap(release)
	require.NoError(t, err)
	require.Equal(t, []int{slot}, freed)
}

func TestGenerations(t *testing.T) {
	table := create(t, 1)
	require.Equal(t, 1, table.NextGeneration())
	require.Equal(t, 2, table.NextGeneration())
	table.UndoGeneration(1)
	require.Equal(t, 3, table.NextGeneration(), "1 was not the highest")
	table.UndoGeneration(3)
	require.Equal(t, 3, table.NextGeneration())
	table.SkipGenerations(2)
	require.Equal(t, 4, table.NextGeneration())
	table.SkipGenerations(9)
	require.Equal(t, 10, table.NextGeneration())
}
