// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errno values that writers of temporary files tell apart.
const (
	EEXIST     = syscall.EEXIST
	EINVAL     = syscall.EINVAL
	EIO        = syscall.EIO
	EISDIR     = syscall.EISDIR
	ENOSPC     = syscall.ENOSPC
	ENOSYS     = syscall.ENOSYS
	EOPNOTSUPP = syscall.EOPNOTSUPP
)

// TempFile makes a file for reading and writing in a directory, which has no name and never gets one. Close-on-exec. A file system or
// kernel without it says EOPNOTSUPP or EISDIR: see UnlinkedFile. open(2), O_TMPFILE.
func TempFile(dir int) (int, syscall.Errno) {
	return openat(dir, ".", unix.O_TMPFILE|unix.O_EXCL|unix.O_RDWR|unix.O_LARGEFILE|unix.O_CLOEXEC)
}

// UnlinkedFile is TempFile by two calls: the file has the name for a moment. A process killed in that moment leaves the
// name behind; the next call with it takes it away. No two processes may use one name at a time.
func UnlinkedFile(dir int, name string) (int, syscall.Errno) {
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_RDWR | unix.O_LARGEFILE | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, errno := openat(dir, name, flags)
	if errno == EEXIST {
		if err := unix.Unlinkat(dir, name, 0); err != nil {
			return -1, err.(syscall.Errno)
		}
		fd, errno = openat(dir, name, flags)
	}
	if errno != 0 {
		return -1, errno
	}
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		Close(fd)
		return -1, err.(syscall.Errno)
	}
	return fd, 0
}

// NamedFile makes a file for reading and writing in a directory, which keeps its name; EEXIST if the name is in use. Close-on-exec. open(2).
func NamedFile(dir int, name string) (int, syscall.Errno) {
	return openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_LARGEFILE|unix.O_NOFOLLOW|unix.O_CLOEXEC)
}

// Unlink takes a name out of a directory. Not raw, like Pwritev. unlinkat(2).
func Unlink(dir int, name string) syscall.Errno {
	if err := unix.Unlinkat(dir, name, 0); err != nil {
		return err.(syscall.Errno)
	}
	return 0
}

func openat(dir int, name string, flags int) (int, syscall.Errno) {
	for {
		fd, err := unix.Openat(dir, name, flags, 0o600)
		if err == nil {
			return fd, 0
		}
		if errno := err.(syscall.Errno); errno != EINTR {
			return -1, errno
		}
	}
}

// PwritevNow writes pieces at an offset as far as that needs no waiting: EAGAIN, or fewer bytes, when it would; EOPNOTSUPP,
// EINVAL or ENOSYS when the file system or kernel cannot tell. Raw. pwritev2(2), RWF_NOWAIT.
func PwritevNow(fd int, iov []Iovec, offset int64) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_PWRITEV2, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)),
			uintptr(offset), uintptr(offset>>32), unix.RWF_NOWAIT)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// Pwritev writes pieces at an offset. It may wait for the disk, and is not raw: it is for goroutines beside the loop. Fewer bytes than asked
// for are possible. pwritev(2).
func Pwritev(fd int, iov []Iovec, offset int64) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.Syscall6(unix.SYS_PWRITEV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)),
			uintptr(offset), uintptr(offset>>32), 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}

// CloseSlowly is Close for a file whose closing gives back much of a disk, which takes its time. Not raw, like Pwritev.
func CloseSlowly(fd int) {
	syscall.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Bytes is what the vector points at.
func (v *Iovec) Bytes() []byte { return unsafe.Slice(v.base, v.len) }

// Skip takes n bytes off the front of pieces, in place, and gives what is left of them.
func Skip(iov []Iovec, n int) []Iovec {
	for len(iov) > 0 && uint64(n) >= iov[0].len {
		n -= int(iov[0].len)
		iov = iov[1:]
	}
	if len(iov) > 0 && n > 0 {
		v := &iov[0]
		v.base = (*byte)(unsafe.Add(unsafe.Pointer(v.base), n))
		v.len -= uint64(n)
	}
	return iov
}
