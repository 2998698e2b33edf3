// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"syscall"

	"weir/internal/sys"
)

// The ways of bytes that do not go through a buffer of the process. A call that moved fewer bytes than it was asked to says nothing about
// the socket: a kernel pipe has a limit of pieces besides that of bytes, and a file may be read in parts. Only Again does.

// Sendfile sends n bytes of a file, more than 0, from offset on. A file that has none there makes it Failed (EIO).
func (c *Conn) Sendfile(file int, offset int64, n int) (int, Status) {
	n, errno := sys.Sendfile(int(c.fd), file, offset, n)
	if errno == 0 && n == 0 {
		errno = sys.EIO
	}
	return c.moved(n, errno)
}

// SpliceOut sends n bytes that are in a kernel pipe, more than 0.
func (c *Conn) SpliceOut(pipe, n int) (int, Status) {
	n, errno := sys.Splice(pipe, int(c.fd), n)
	return c.moved(n, errno)
}

// moved is wrote for a call whose count says nothing about room.
func (c *Conn) moved(n int, errno syscall.Errno) (int, Status) {
	return c.wrote(n, n, errno)
}

// SpliceIn receives up to n bytes into a kernel pipe. holds says whether the pipe has bytes in it: Again may then mean that it has no room,
// and the connection still counts as readable. Refused: the kernel splices no such sockets.
func (c *Conn) SpliceIn(pipe, n int, holds bool) (int, Status) {
	got, errno := sys.Splice(int(c.fd), pipe, n)
	switch {
	case errno == sys.EAGAIN && holds:
		return 0, Again
	case errno == syscall.EINVAL || errno == syscall.ENOSYS:
		return 0, Refused
	}
	return c.read(got, got, errno)
}

// WritevMore is Writev, and says that more is written at once: the kernel need not send a packet that is not full.
func (c *Conn) WritevMore(iov []sys.Iovec, total int) (int, Status) {
	n, errno := sys.WritevMore(int(c.fd), iov)
	return c.wrote(n, total, errno)
}

// Peek reads into b, and leaves the bytes where they are: the next Peek begins with them again. See Discard.
func (c *Conn) Peek(b []byte) (int, Status) {
	n, errno := sys.PeekBytes(int(c.fd), b)
	return c.read(n, n, errno)
}

// Discard takes the first len(b) bytes out of the connection that a Peek has seen; b is memory that may be written to. The number of bytes
// taken is less only if the connection has failed meanwhile.
func (c *Conn) Discard(b []byte) (int, Status) {
	n, errno := sys.Discard(int(c.fd), b)
	return c.read(n, n, errno)
}
