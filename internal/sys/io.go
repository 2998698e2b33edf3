// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errno values that the hot path tells apart.
const (
	EAGAIN       = syscall.EAGAIN
	EINTR        = syscall.EINTR
	EINPROGRESS  = syscall.EINPROGRESS
	EMFILE       = syscall.EMFILE
	ENFILE       = syscall.ENFILE
	ENOBUFS      = syscall.ENOBUFS
	ENOMEM       = syscall.ENOMEM
	ECONNRESET   = syscall.ECONNRESET
	EPIPE        = syscall.EPIPE
	ETOOMANYREFS = syscall.ETOOMANYREFS
	EMSGSIZE     = syscall.EMSGSIZE
	ENOTCONN     = syscall.ENOTCONN
)

// wrap names the call in an error; nil stays nil.
func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	return os.NewSyscallError(call, err)
}

// wrapf is wrap with the call's arguments spelled out.
func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// Read is read(2) on a descriptor that does not block. Raw: the caller keeps its processor.
// It repeats the call when a signal interrupted it. n is 0 at end of file.
func Read(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// Write is write(2) on a descriptor that does not block; else as Read. A closed peer is EPIPE: weir's
// processes ignore SIGPIPE.
func Write(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// Iovec is struct iovec: one piece of a scattering read or gathering write.
type Iovec struct {
	base *byte
	len  uint64
}

// Set points the vector at b; b must stay where it is (off the Go heap, or otherwise alive) until the call is made.
func (v *Iovec) Set(b []byte) {
	v.base = unsafe.SliceData(b)
	v.len = uint64(len(b))
}

// Readv is readv(2): one system call that fills several pieces, in order. At most 1,024 pieces (IOV_MAX).
func Readv(fd int, iov []Iovec) (int, syscall.Errno) {
	return vector(unix.SYS_READV, fd, iov)
}

// Writev is writev(2): one system call for several pieces, in order. At most 1,024 pieces (IOV_MAX).
func Writev(fd int, iov []Iovec) (int, syscall.Errno) {
	return vector(unix.SYS_WRITEV, fd, iov)
}

func vector(call uintptr, fd int, iov []Iovec) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// Close is close(2). On Linux the descriptor is gone even when an error is returned, so there is nothing to do about one.
func Close(fd int) {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Dup3 makes newfd a copy of oldfd in one step, close-on-exec: whoever writes to newfd meanwhile
// writes to the old file or to the new one, never to none.
func Dup3(oldfd, newfd int) error {
	return wrapf(unix.Dup3(oldfd, newfd, unix.O_CLOEXEC), "dup3(%d, %d)", oldfd, newfd)
}
