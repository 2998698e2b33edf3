// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func sharedWord(t *testing.T) (fd int, word *uint32) {
	t.Helper()
	fd, err := SharedFile("test", 4096)
	require.NoError(t, err)
	t.Cleanup(func() { Close(fd) })
	size, err := SharedFileSize(fd)
	require.NoError(t, err)
	require.Equal(t, int64(4096), size)
	mem, err := MapShared(fd, 4096)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, Unmap(mem)) })
	return fd, (*uint32)(unsafe.Pointer(&mem[0]))
}

func TestFutex(t *testing.T) {
	_, word := sharedWord(t)
	require.Equal(t, syscall.EAGAIN, FutexWait(word, 1, 1e9), "the word is not 1")
	require.Equal(t, syscall.ETIMEDOUT, FutexWait(word, 0, 1e6))
	require.Zero(t, FutexWake(word, 1), "nobody sleeps")
	woken := make(chan syscall.Errno)
	go func() { woken <- FutexWait(word, 0, 20e9) }()
	deadline := time.Now().Add(10 * time.Second)
	for FutexWake(word, 1) == 0 {
		require.True(t, time.Now().Before(deadline))
		time.Sleep(time.Millisecond)
	}
	require.Zero(t, <-woken)
}

// TestRobustList lets a thread end while it holds a futex, and wants the kernel to have marked the word: of a pending lock that holds the thread's number, not of
// one that holds another.
func TestRobustList(t *testing.T) {
	for name, held := range map[string]bool{"its own": true, "another's": false} {
		_, word := sharedWord(t)
		done := make(chan struct{})
		var holdAndEnd func()
		holdAndEnd = func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if int(ThreadID()) == os.Getpid() {
				go holdAndEnd() // the main thread never ends: leave it to another, and keep this one busy
				<-done
				runtime.UnlockOSThread()
				return
			}
			defer close(done)
			list, err := NewRobustList()
			if err == nil {
				err = list.Register()
			}
			if err != nil || !list.Registered() {
				t.Errorf("registered %v, %v", list.Registered(), err)
				return
			}
			list.SetPending(word)
			*word = ThreadID() | FutexWaiters
			if !held {
				*word++
			}
		}
		go holdAndEnd()
		<-done
		deadline := time.Now().Add(10 * time.Second)
		if !held {
			time.Sleep(50 * time.Millisecond)
			require.Zero(t, atomic.LoadUint32(word)&FutexOwnerDied, name)
			continue
		}
		for atomic.LoadUint32(word) != FutexWaiters|FutexOwnerDied {
			require.True(t, time.Now().Before(deadline), "%s: %#x", name, atomic.LoadUint32(word))
			time.Sleep(time.Millisecond)
		}
	}
}

// TestFlock: two descriptors of one open file description do not exclude each other, one opened again does.
func TestFlock(t *testing.T) {
	fd, _ := sharedWord(t)
	copied, err := syscall.Dup(fd)
	require.NoError(t, err)
	defer Close(copied)
	again, err := OpenAgain(fd)
	require.NoError(t, err)
	defer Close(again)
	require.Zero(t, Flock(fd))
	require.Zero(t, FlockTry(copied))
	require.Equal(t, syscall.EAGAIN, FlockTry(again))
	require.Zero(t, Funlock(fd))
	require.Zero(t, FlockTry(again))
	_, err = OpenAgain(99999)
	require.ErrorContains(t, err, "open(/proc/self/fd/99999)")
}

func TestSharedFileRefuses(t *testing.T) {
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 8192, Max: before.Max}))
	_, err := SharedFile("big", 1<<20)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
	require.ErrorContains(t, err, "RLIMIT_FSIZE")

	available, ok := MemoryAvailable()
	require.True(t, ok)
	require.Positive(t, available)
	_, err = SharedFile("huge", available*2)
	require.ErrorContains(t, err, "bytes needed")

	fds, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0)
	require.NoError(t, err)
	defer Close(fds)
	_, err = SharedFileSize(fds)
	require.Error(t, err)
}
