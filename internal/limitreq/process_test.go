// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package limitreq

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/crashtest"
	"weir/internal/shm"
	"weir/internal/shmtx"
)

// The tests of this file run real processes: this test binary, started again in one of these roles.
func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string){"victim": runVictim, "flood": runFlood})
}

func attachInherited() *Zone {
	owner, err := shmtx.NewOwner()
	crashtest.Must(err)
	z, err := Attach(3, owner)
	crashtest.Must(err)
	return z
}

// crashOperations are what is killed at each of its stores, with the time at which it runs. The zone is full, and key "00" is its newest.
var crashOperations = map[string]func(z *Zone){
	"let through again":      func(z *Zone) { Charge(one(z, "30", 9, 0), second, false) },
	"let the newest through": func(z *Zone) { Charge(one(z, "00", 9, 0), second, false) },
	"refuse":                 func(z *Zone) { Charge(one(z, "31", 0, 0), second, false) },
	"a new key, one leaves":  func(z *Zone) { Charge(one(z, "new", 0, 0), second, false) },
	"a new key, idle leave":  func(z *Zone) { Charge(one(z, "new", 0, 0), 9*second, false) },
	"give back what was let": func(z *Zone) { z.refund(&one(z, "32", 0, 0)[0]) },
	"delete":                 func(z *Zone) { z.Delete([]byte("33")) },
}

func runVictim(argument string) {
	name, at, _ := strings.Cut(argument, ":")
	k, err := strconv.Atoi(at)
	crashtest.Must(err)
	z := attachInherited()
	n := 0
	z.mutex.HookStores(func() {
		if n++; n == k {
			crashtest.Must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
			select {}
		}
	})
	crashOperations[name](z)
}

// state is what a zone says about its keys, in the order of use.
func state(t *testing.T, z *Zone) string {
	t.Helper()
	list, err := z.Newest(newestMax)
	require.NoError(t, err)
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s %d\n", e.Key, e.FreeNs)
	}
	return b.String()
}

// A process killed before any of its stores leaves the zone as it was before its operation or as it is after it, or, where
// old keys leave first, between two of its transactions; and sound. What stands under the lock does not know its kind, so with flock every
// fifth store is tried, or all with WEIR_LONG=1; -short: every tenth with both.
func TestKilledAtEveryStore(t *testing.T) {
	owner, err := shmtx.NewSharedOwner()
	require.NoError(t, err)
	for _, mutex := range []shmtx.Kind{shmtx.Atomic, shmtx.Flock} {
		points, every := 0, 1
		if mutex == shmtx.Flock && os.Getenv("WEIR_LONG") != "1" {
			every = 5
		}
		if testing.Short() {
			every = 10
		}
		for name, run := range crashOperations {
			fresh := func() *Zone {
				z, err := Create(Options{Name: "crash", Key: "$k", SizeBytes: 32 << 10, Mutex: mutex}, owner)
				require.NoError(t, err)
				for i := range Capacity(32<<10, 2) {
					Charge(one(z, fmt.Sprintf("%02d", i), 0, 0), second, false)
				}
				Charge(one(z, "00", 5, 0), second, false)
				return z
			}
			z := fresh()
			before := state(t, z)
			run(z)
			after := state(t, z)
			require.NoError(t, z.Close())
			for k := 1; ; k += every {
				z := fresh()
				err := crashtest.Spawn(t, fmt.Sprintf("victim:%s:%d", name, k), z.FD()).Wait()
				now := state(t, z)
				require.Empty(t, z.Check(), "%s, killed at store %d, %v", name, k, mutex)
				if now != before && now != after && !strings.HasSuffix(name, "leave") && !strings.HasSuffix(name, "leaves") {
					require.Fail(t, "neither before nor after", "%s, killed at store %d, %v:\n%s", name, k, mutex, now)
				}
				run(z) // everybody else goes on
				require.Empty(t, z.Check())
				require.NoError(t, z.Close())
				if err == nil {
					require.Equal(t, after, now)
					break
				}
				require.Contains(t, err.Error(), "killed")
				points++
			}
		}
		t.Logf("%v: %d points", mutex, points)
		require.Greater(t, points, 100/every)
	}
}

const (
	floodRate, floodBurst, floodCount = 1000, 50, 20_000
	floodKind                         = "flood"
)

// runFlood charges one key as fast as it can, at times that all processes take from one counter in the zone, and adds how many passed to the word at descriptor 4.
func runFlood(string) {
	z := attachInherited()
	segment, err := shm.Attach(4, floodKind, 0)
	crashtest.Must(err)
	limits := []Limit{{Zone: z, Key: []byte("flood"), PeriodNs: Period(floodRate, second), Burst: floodBurst, Delay: NoDelay}}
	passed := uint64(0)
	for i := range uint64(floodCount) {
		now := second + i*(second/floodCount) // one second in all
		if Charge(limits, now, false).Verdict == Passed {
			passed++
		}
	}
	atomic.AddUint64(shm.At[uint64](segment, shm.DataArea), passed)
}

// Several processes that flood one key together let through what one alone would: the rate of the time and the burst.
func TestFlood(t *testing.T) {
	z := newZone(t, 1<<20)
	segment, err := shm.Create(shm.Options{Name: "flood", Kind: floodKind, SizeBytes: shm.MinBytes})
	require.NoError(t, err)
	defer segment.Close()
	cmds := make([]*exec.Cmd, 4)
	for i := range cmds {
		cmds[i] = crashtest.Spawn(t, "flood", z.FD(), segment.FD())
	}
	for _, cmd := range cmds {
		require.NoError(t, cmd.Wait())
	}
	sum := *shm.At[uint64](segment, shm.DataArea)
	require.LessOrEqual(t, sum, uint64(floodRate+1+floodBurst))
	require.Equal(t, sum, z.Status().Passed)
	require.GreaterOrEqual(t, sum, uint64(floodRate), "and no fewer than one alone would have let through")
}
