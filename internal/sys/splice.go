// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// KernelPipe makes a pipe whose ends do not block: bytes that go from one socket to another through it never enter the process.
// Close-on-exec. pipe2(2).
func KernelPipe() (readEnd, writeEnd int, errno syscall.Errno) {
	var ends [2]int32
	_, _, errno = syscall.RawSyscall(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&ends)), unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errno != 0 {
		return -1, -1, errno
	}
	return int(ends[0]), int(ends[1]), 0
}

// SetPipeSize has the pipe behind fd hold about n bytes, and gives how many it holds then. EPERM: the user's pipes hold too much
// already (/proc/sys/fs/pipe-user-pages-soft), or n is above /proc/sys/fs/pipe-max-size. fcntl(2), F_SETPIPE_SZ.
func SetPipeSize(fd, n int) (int, syscall.Errno) {
	got, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETPIPE_SZ, uintptr(n))
	return int(got), errno
}

// Splice moves up to n bytes from one descriptor to another without copying them, where the kernel can; one of the two is an end of a
// pipe. 0 bytes: the end of what is read. EAGAIN: nothing to read, or no room to write, and the call does not say which. splice(2).
func Splice(from, to, n int) (int, syscall.Errno) {
	for {
		got, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(got), 0
		}
	}
}

// Sendfile sends up to n bytes of a file, from offset on, to a socket that does not block. 0 bytes: the file ends there. It waits for
// the disk where the bytes are not in the page cache. sendfile(2).
func Sendfile(socket, file int, offset int64, n int) (int, syscall.Errno) {
	for {
		got, _, errno := syscall.RawSyscall6(unix.SYS_SENDFILE, uintptr(socket), uintptr(file), uintptr(unsafe.Pointer(&offset)), uintptr(n), 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(got), 0
		}
	}
}

// WritevMore is Writev to a stream socket, with the promise that more follows at once: a packet that is not full waits for it.
// sendmsg(2), MSG_MORE.
func WritevMore(socket int, iov []Iovec) (int, syscall.Errno) {
	msg := unix.Msghdr{Iov: (*unix.Iovec)(unsafe.Pointer(unsafe.SliceData(iov)))}
	msg.SetIovlen(len(iov))
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(socket), uintptr(unsafe.Pointer(&msg)),
			unix.MSG_MORE|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// PeekBytes copies what waits in a socket into b, and leaves it there. 0 bytes: the peer has closed. recv(2), MSG_PEEK.
func PeekBytes(socket int, b []byte) (int, syscall.Errno) {
	return receive(socket, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
}

// Discard takes up to len(b) bytes out of a socket; TCP drops them without writing to b, other sockets use it. recv(2), tcp(7), MSG_TRUNC.
func Discard(socket int, b []byte) (int, syscall.Errno) {
	return receive(socket, b, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
}

// Recv is Read on a socket. The kernel has less to do for recv(2) than for read(2), which asks the file system first: some 4 % of the call.
func Recv(socket int, b []byte) (int, syscall.Errno) {
	return receive(socket, b, unix.MSG_DONTWAIT)
}

// Send is Write on a socket, as Recv is Read. send(2).
func Send(socket int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(socket), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

func receive(socket int, b []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(socket), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}
