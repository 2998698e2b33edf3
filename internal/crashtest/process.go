// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package crashtest

import (
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

// roleVariable tells a process of the test binary that it is not to run tests.
const roleVariable = "WEIR_TEST_ROLE"

// Main is TestMain: it runs the tests or, in a process made by Spawn, its role. It does not return.
func Main(m *testing.M, roles map[string]func(argument string)) {
	name, argument, _ := strings.Cut(os.Getenv(roleVariable), ":")
	if name == "" {
		os.Exit(m.Run())
	}
	roles[name](argument)
	os.Exit(0)
}

// Spawn starts this binary in a role, "name:argument"; copies of the files become its descriptors 3, 4, ... The caller waits for the process.
func Spawn(tb testing.TB, role string, files ...int) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1") // cheap to start
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it may have no end of its own
	for _, fd := range files {
		copied, err := syscall.Dup(fd)
		require.NoError(tb, err)
		f := os.NewFile(uintptr(copied), "zone")
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	require.NoError(tb, cmd.Start())
	return cmd
}

// Wait sleeps until *word, in a zone, is not 0. False: it still was after 20 s.
func Wait(word *uint32) bool {
	deadline := time.Now().Add(20 * time.Second)
	for atomic.LoadUint32(word) == 0 {
		if time.Now().After(deadline) {
			return false
		}
		sys.FutexWait(word, 0, int64(100*time.Millisecond))
	}
	return true
}

// Signal ends Wait in whichever process.
func Signal(word *uint32) {
	atomic.StoreUint32(word, 1)
	sys.FutexWake(word, 1)
}

// Must panics with an error: for roles, which have no test that could fail.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}
