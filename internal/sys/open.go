// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errno values that who serves files tells apart.
const (
	EACCES       = syscall.EACCES
	EPERM        = syscall.EPERM
	ELOOP        = syscall.ELOOP
	ENOENT       = syscall.ENOENT
	ENOTDIR      = syscall.ENOTDIR
	ENAMETOOLONG = syscall.ENAMETOOLONG
	ENXIO        = syscall.ENXIO
)

// AtCwd stands for the working directory where a directory's descriptor is asked for.
const AtCwd = unix.AT_FDCWD

// FileInfo is what serving a file needs to know of it.
type FileInfo struct {
	Size     int64
	MtimeSec int64
	UID      uint32
	mode     uint32

	device, inode uint64
}

// Same says whether both are about one file.
func (f *FileInfo) Same(o *FileInfo) bool { return f.device == o.device && f.inode == o.inode }

// IsRegular says whether it is a plain file.
func (f *FileInfo) IsRegular() bool { return f.mode&unix.S_IFMT == unix.S_IFREG }

// IsDir says whether it is a directory.
func (f *FileInfo) IsDir() bool { return f.mode&unix.S_IFMT == unix.S_IFDIR }

// IsLink says whether it is a symbolic link.
func (f *FileInfo) IsLink() bool { return f.mode&unix.S_IFMT == unix.S_IFLNK }

func (f *FileInfo) set(st *unix.Stat_t) {
	f.Size, f.MtimeSec, f.UID, f.mode = st.Size, st.Mtim.Sec, st.Uid, st.Mode
	f.device, f.inode = st.Dev, st.Ino
}

// OpenFile opens a file for reading by a name that ends with a NUL, from a directory or AtCwd. It does not wait for the other end of a pipe, but
// may for the disk. Raw, close-on-exec. openat(2).
func OpenFile(dir int, name []byte) (int, syscall.Errno) {
	return openRaw(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
}

// OpenPath opens a place in the file system by a name that ends with a NUL, to look at it or to go on from there. Raw, close-on-exec. openat(2),
// O_PATH.
func OpenPath(dir int, name []byte) (int, syscall.Errno) {
	return openRaw(dir, name, unix.O_PATH|unix.O_CLOEXEC)
}

func openRaw(dir int, name []byte, flags uintptr) (int, syscall.Errno) {
	for {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.SliceData(name))), flags, 0, 0, 0)
		if errno == 0 {
			return int(fd), 0
		}
		if errno != EINTR {
			return -1, errno
		}
	}
}

// StatFile looks at what is open. Raw. fstat(2).
func StatFile(fd int, info *FileInfo) syscall.Errno {
	var st unix.Stat_t
	_, _, errno := syscall.RawSyscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(&st)), 0)
	info.set(&st)
	return errno
}

// StatName looks at what has a name that ends with a NUL, from a directory or AtCwd; follow: where a symbolic link leads, not at the link. Raw.
// newfstatat(2).
func StatName(dir int, name []byte, follow bool, info *FileInfo) syscall.Errno {
	var st unix.Stat_t
	flags := uintptr(unix.AT_SYMLINK_NOFOLLOW)
	if follow {
		flags = 0
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_NEWFSTATAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.SliceData(name))),
		uintptr(unsafe.Pointer(&st)), flags, 0, 0)
	info.set(&st)
	return errno
}

// Pread reads from a place in a file. 0 bytes: the file ends there. It may wait for the disk. Raw. pread(2).
func Pread(fd int, b []byte, offset int64) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(offset), 0, 0)
		if errno != EINTR {
			if errno != 0 {
				return 0, errno
			}
			return int(n), 0
		}
	}
}
