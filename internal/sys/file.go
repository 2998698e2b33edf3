// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// SealedFile puts content into a new memory file that nobody can change any more, not even through a copy of
// the descriptor in another process. The name is only for /proc/PID/fd. Close-on-exec. memfd_create(2), F_ADD_SEALS.
func SealedFile(name string, content []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, wrapf(err, "memfd_create(%s)", name)
	}
	for rest := content; len(rest) > 0; {
		n, errno := Write(fd, rest)
		if errno != 0 {
			Close(fd)
			return -1, wrapf(errno, "write(memfd %s, %d bytes)", name, len(content))
		}
		rest = rest[n:]
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		Close(fd)
		return -1, wrapf(err, "fcntl(memfd %s, F_ADD_SEALS)", name)
	}
	return fd, nil
}

// ReadSealedFile returns the whole content of a file made by SealedFile, wherever the shared file offset stands. A file
// that could still change, or is larger than maxBytes, is refused.
func ReadSealedFile(fd int, maxBytes int64) ([]byte, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, wrapf(err, "fcntl(%d, F_GET_SEALS)", fd)
	}
	if seals&unix.F_SEAL_WRITE == 0 {
		return nil, fmt.Errorf("fcntl(%d, F_GET_SEALS): the file is not sealed", fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, wrapf(err, "fstat(%d)", fd)
	}
	if st.Size > maxBytes {
		return nil, fmt.Errorf("fstat(%d): %d bytes, at most %d wanted", fd, st.Size, maxBytes)
	}
	content := make([]byte, st.Size)
	for n := 0; n < len(content); {
		got, err := unix.Pread(fd, content[n:], int64(n))
		if err == nil && got == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != unix.EINTR {
			return nil, wrapf(err, "pread(%d)", fd)
		}
		n += max(got, 0)
	}
	return content, nil
}

// DupAbove makes a copy of fd whose number is at least lowest, close-on-exec. fcntl(2), F_DUPFD_CLOEXEC.
func DupAbove(fd, lowest int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, lowest)
	return n, wrapf(err, "fcntl(%d, F_DUPFD_CLOEXEC, %d)", fd, lowest)
}

// FileID tells files apart, also when one has taken the name of the other. A symbolic link is itself a file. lstat(2).
func FileID(path string) (device, inode uint64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, wrapf(err, "lstat(%s)", path)
	}
	return st.Dev, st.Ino, nil
}

// OpenAppend opens a file for writing at its end, whoever else writes to it, and makes it with permissions 0644 if it
// is not there. It never waits: a named pipe that nobody reads is an error (ENXIO). Close-on-exec. open(2).
func OpenAppend(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o644)
	return fd, wrapf(err, "open(%s)", path)
}

// OpenAgainNonblocking opens the pipe or device behind fd once more for writing, without blocking: the flag belongs to the
// open file description, which fd shares with other programs. Anything else is not opened again, and false is returned: a
// regular file does not block, and its offset must stay shared; a socket cannot be opened. Close-on-exec. It needs /proc.
func OpenAgainNonblocking(fd int) (again int, ok bool) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, false
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFCHR {
		return -1, false
	}
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	return again, err == nil
}
