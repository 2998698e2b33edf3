// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell starts a shell command by Spawn, with a pipe as its standard output, and returns how it ended and what it wrote.
func shell(t *testing.T, command string) (Exit, string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	pid, err := Spawn(sh, []string{"sh", "-c", command}, []string{"PATH=" + os.Getenv("PATH")}, []uintptr{null.Fd(), w.Fd(), 2})
	require.NoError(t, err)
	w.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		exit, ended, err := Reap(pid)
		require.NoError(t, err)
		if ended {
			_, _, err = Reap(pid)
			require.ErrorIs(t, err, syscall.ECHILD, "reaped once")
			return exit, string(text)
		}
		require.True(t, time.Now().Before(deadline), "the shell did not end")
	}
}

func TestSpawnAndReap(t *testing.T) {
	require.NoError(t, CloseOnExecFrom(3)) // what the test was started with
	exit, text := shell(t, "for f in /proc/$$/fd/*; do [ -e $f ] && echo ${f##*/}; done; exit 3")
	require.Equal(t, []string{"0", "1", "2"}, strings.Fields(text), "only those that were given")
	require.Equal(t, Exit{Code: 3}, exit)
	require.Equal(t, "exited with code 3", exit.String())
	exit, _ = shell(t, "kill -TERM $$")
	require.Equal(t, syscall.SIGTERM, exit.Signal)
	require.Equal(t, "killed by signal 15 (terminated)", exit.String())
}

func TestSpawnErrorNamesTheFile(t *testing.T) {
	_, err := Spawn("/no/such/file", []string{"x"}, nil, nil)
	require.EqualError(t, err, "execve(/no/such/file): no such file or directory")
}

func TestKillErrorNamesTheSignal(t *testing.T) {
	above := 1<<22 + 1 // the largest process number there can be
	require.EqualError(t, Kill(above, syscall.SIGTERM), "kill(4194305, SIGTERM): no such process")
}

func TestCloseOnExecFrom(t *testing.T) {
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	high, err := DupAbove(int(f.Fd()), 900)
	require.NoError(t, err)
	defer Close(high)
	require.GreaterOrEqual(t, high, 900)
	_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(high), syscall.F_SETFD, 0)
	require.Zero(t, errno)
	require.NoError(t, CloseOnExecFrom(900))
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(high), syscall.F_GETFD, 0)
	require.Zero(t, errno)
	require.EqualValues(t, syscall.FD_CLOEXEC, flags)
}

func TestOpenAppendNeverWaits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	for range 2 {
		fd, err := OpenAppend(path)
		require.NoError(t, err)
		n, errno := Write(fd, []byte("line\n"))
		require.Zero(t, errno)
		require.Equal(t, 5, n)
		Close(fd)
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "line\nline\n", string(text))

	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	_, err = OpenAppend(fifo)
	require.ErrorIs(t, err, syscall.ENXIO)
	_, err = OpenAppend(dir)
	require.EqualError(t, err, "open("+dir+"): is a directory")
}

func TestOpenAgainNonblocking(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	again, ok := OpenAgainNonblocking(int(w.Fd())) // Fd makes it blocking
	require.True(t, ok)
	defer Close(again)
	block := make([]byte, 1<<16)
	for {
		if _, errno := Write(again, block); errno != 0 {
			require.Equal(t, EAGAIN, errno, "a full pipe does not block")
			break
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer file.Close()
	_, ok = OpenAgainNonblocking(int(file.Fd()))
	require.False(t, ok, "a regular file keeps its shared offset")
}

func TestFileID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	id := func() string {
		device, inode, err := FileID(path)
		require.NoError(t, err)
		return fmt.Sprint(device, inode)
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close() // keeps the inode in use
	first := id()
	require.Equal(t, first, id())
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NotEqual(t, first, id())
}

func TestPeerUser(t *testing.T) {
	a, b, err := SeqpacketPair()
	require.NoError(t, err)
	defer Close(a)
	defer Close(b)
	uid, pid, err := PeerUser(a)
	require.NoError(t, err)
	require.Equal(t, os.Getuid(), uid)
	require.Equal(t, os.Getpid(), pid)
}
