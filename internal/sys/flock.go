// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenAgain opens the file behind fd once more: a descriptor with an open file description of its own. flock(2) locks
// belong to open file descriptions, so processes that share an inherited one do not exclude each other. It needs /proc.
// Close-on-exec; the caller owns it. proc_pid_fd(5).
func OpenAgain(fd int) (int, error) {
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	again, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, wrapf(err, "open(%s)", name)
	}
	return again, nil
}

// FlockTry takes the lock of fd's open file description when it is free; EAGAIN when it is not. Raw. flock(2), LOCK_EX|LOCK_NB.
func FlockTry(fd int) syscall.Errno {
	for {
		_, _, errno := syscall.RawSyscall(unix.SYS_FLOCK, uintptr(fd), unix.LOCK_EX|unix.LOCK_NB, 0)
		if errno != EINTR {
			return errno
		}
	}
}

// Flock takes the lock of fd's open file description and waits for it as long as it takes. The Go scheduler is told.
// flock(2), LOCK_EX.
func Flock(fd int) syscall.Errno {
	for {
		_, _, errno := syscall.Syscall(unix.SYS_FLOCK, uintptr(fd), unix.LOCK_EX, 0)
		if errno != EINTR {
			return errno
		}
	}
}

// Funlock gives the lock back. Raw. flock(2), LOCK_UN.
func Funlock(fd int) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_FLOCK, uintptr(fd), unix.LOCK_UN, 0)
	return errno
}
