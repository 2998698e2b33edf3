// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conn

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/sys"
)

func received(fd, most int) string {
	b := make([]byte, most)
	n, errno := sys.Read(fd, b)
	if errno != 0 {
		return ""
	}
	return string(b[:n])
}

func TestSendfile(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("0123456789"), 1<<17), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()

	n, st := c.Sendfile(int(f.Fd()), 13, 5)
	require.Equal(t, OK, st)
	require.Equal(t, 5, n)
	require.Equal(t, "34567", received(far, 100))
	for st == OK {
		_, st = c.Sendfile(int(f.Fd()), 0, 1<<20)
	}
	require.Equal(t, Again, st, "a socket takes only so much")
	require.False(t, c.Writable())

	c.Close()
	sys.Close(far)
	c, far = r.open()
	_, st = c.Sendfile(int(f.Fd()), 10<<17, 1)
	require.Equal(t, Failed, st, "behind the end of the file")
	require.Equal(t, sys.EIO, c.Errno())
	c.Close()
	sys.Close(far)
}

func TestSplice(t *testing.T) {
	r := newRig(t, 2)
	from, source := r.open()
	to, sink := r.open()
	out, in, errno := sys.KernelPipe()
	require.Zero(t, errno)
	size, errno := sys.SetPipeSize(in, 4096)
	require.Zero(t, errno)
	require.Equal(t, 4096, size)

	from.Mark(sys.EpollIn)
	_, st := from.SpliceIn(in, 100, false)
	require.Equal(t, Again, st)
	require.False(t, from.Readable(), "the pipe is empty, so it is the socket that has nothing")

	_, errno = sys.Write(source, []byte("hello"))
	require.Zero(t, errno)
	from.Mark(sys.EpollIn)
	n, st := from.SpliceIn(in, 100, false)
	require.Equal(t, OK, st)
	require.Equal(t, 5, n)
	require.True(t, from.Readable(), "fewer bytes than asked for say nothing")
	_, st = from.SpliceIn(in, 100, true)
	require.Equal(t, Again, st)
	require.True(t, from.Readable(), "it may be the pipe that is full")

	n, st = to.SpliceOut(out, 5)
	require.Equal(t, OK, st)
	require.Equal(t, 5, n)
	require.Equal(t, "hello", received(sink, 100))

	sys.Close(source)
	_, st = from.SpliceIn(in, 100, false)
	require.Equal(t, EOF, st)
	sys.Close(sink)
	_, errno = sys.Write(in, []byte("x"))
	require.Zero(t, errno)
	_, st = to.SpliceOut(out, 1)
	require.Equal(t, Failed, st)
	require.Equal(t, sys.EPIPE, to.Errno())
	for _, fd := range []int{out, in} {
		sys.Close(fd)
	}
	from.Close()
	to.Close()
}

func TestPeekAndDiscard(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	b := make([]byte, 8)
	c.Mark(sys.EpollIn)
	_, st := c.Peek(b)
	require.Equal(t, Again, st)
	require.False(t, c.Readable())

	_, errno := sys.Write(far, []byte("abcdef"))
	require.Zero(t, errno)
	c.Mark(sys.EpollIn)
	for range 2 {
		n, st := c.Peek(b)
		require.Equal(t, OK, st)
		require.Equal(t, "abcdef", string(b[:n]))
	}
	n, st := c.Discard(b[:4])
	require.Equal(t, OK, st)
	require.Equal(t, 4, n)
	n, st = c.Peek(b)
	require.Equal(t, OK, st)
	require.Equal(t, "ef", string(b[:n]))
	require.True(t, c.Readable(), "until a call finds nothing")
	sys.Close(far)
	_, st = c.Discard(b[:2])
	require.Equal(t, OK, st)
	_, st = c.Peek(b)
	require.Equal(t, EOF, st)
	c.Close()
}

func TestWritevMore(t *testing.T) {
	r := newRig(t, 1)
	c, far := r.open()
	var iov [2]sys.Iovec
	iov[0].Set([]byte("ab"))
	iov[1].Set([]byte("cd"))
	n, st := c.WritevMore(iov[:], 4)
	require.Equal(t, OK, st)
	require.Equal(t, 4, n)
	require.Equal(t, "abcd", received(far, 100))
	sys.Close(far)
	_, st = c.WritevMore(iov[:], 4)
	require.Equal(t, Failed, st)
	c.Close()
}
