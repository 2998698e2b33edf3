// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// openLog opens a file as the master does.
func openLog(t testing.TB, path string) int {
	t.Helper()
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_APPEND|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return fd
}

func newWriter(t testing.TB, o Options) *Writer {
	t.Helper()
	w, err := NewWriter(o)
	require.NoError(t, err)
	return w
}

func commit(w *Writer, line string) { w.Commit(append(w.Begin(), line...)) }

func content(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestWriterBuffersAndFlushes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := newWriter(t, Options{Path: path, FD: openLog(t, path), BufferBytes: 20, FlushMs: 100})
	require.Equal(t, path, w.Path())
	require.EqualValues(t, -1, w.NextMs())

	w.Tick(1000)
	commit(w, "first")
	require.EqualValues(t, 1100, w.NextMs(), "the oldest line decides")
	w.Tick(1050)
	commit(w, "second")
	require.EqualValues(t, 1100, w.NextMs())
	w.Tick(1099)
	require.Empty(t, content(t, path))
	w.Tick(1100)
	require.Equal(t, "first\nsecond\n", content(t, path))
	require.EqualValues(t, -1, w.NextMs())

	commit(w, "0123456789012345678") // with its line feed just full
	require.Equal(t, "first\nsecond\n", content(t, path))
	commit(w, "") // one byte more
	require.Equal(t, "first\nsecond\n0123456789012345678\n\n", content(t, path))
	require.EqualValues(t, -1, w.NextMs())
	require.Zero(t, w.Dropped())
}

func TestWriterWithoutBuffer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := newWriter(t, Options{Path: path, FD: openLog(t, path)})
	commit(w, "a")
	require.Equal(t, "a\n", content(t, path))
	commit(w, "b")
	require.Equal(t, "a\nb\n", content(t, path))
}

func TestWriterWithoutFlushTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := newWriter(t, Options{Path: path, FD: openLog(t, path), BufferBytes: 100})
	commit(w, "a")
	w.Tick(1 << 40)
	require.EqualValues(t, -1, w.NextMs())
	require.Empty(t, content(t, path))
	require.True(t, w.Flush())
	require.Equal(t, "a\n", content(t, path))
}

// Lines that append moves out of the buffer: longer than what is left of it, than the slack, than all.
func TestWriterLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := newWriter(t, Options{Path: path, FD: openLog(t, path), BufferBytes: 1000, FlushMs: 10})
	var want strings.Builder
	for _, n := range []int{1, 990, slackBytes - 1, slackBytes, slackBytes + 1, 500, slackBytes + 900, slackBytes + 999, slackBytes + 1000, 3, 100_000, 7} {
		line := strings.Repeat(fmt.Sprint(n%10), n)
		commit(w, line)
		want.WriteString(line + "\n")
	}
	w.Close()
	require.Equal(t, want.String(), content(t, path))
	require.Zero(t, w.Dropped())
}

func TestWriterReopen(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	oldFD, newFD := openLog(t, before), openLog(t, after)
	w := newWriter(t, Options{Path: before, FD: oldFD, BufferBytes: 100})
	commit(w, "a")
	commit(w, "b")
	got, err := w.Reopen(newFD)
	require.NoError(t, err)
	require.Equal(t, oldFD, got)
	commit(w, "c")
	w.Close()
	require.Equal(t, "a\nb\n", content(t, before))
	require.Equal(t, "c\n", content(t, after))

	_, err = w.Reopen(-1)
	require.ErrorIs(t, err, syscall.EBADF)
	commit(w, "d")
	w.Close()
	require.Equal(t, "c\nd\n", content(t, after), "a bad descriptor changes nothing")
}

// What the old file refuses goes to the new one: a full disk is left by pointing the log elsewhere.
func TestWriterReopenAfterFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	w := newWriter(t, Options{Path: "/dev/full", FD: openLog(t, "/dev/full"), BufferBytes: 100})
	commit(w, "a")
	_, err := w.Reopen(openLog(t, path))
	require.NoError(t, err)
	require.Equal(t, "a\n", content(t, path))
	require.Zero(t, w.Dropped())
}

func TestWriterFullDisk(t *testing.T) {
	var complaints []string
	w := newWriter(t, Options{
		Path: "access.log", FD: openLog(t, "/dev/full"), BufferBytes: 8, FlushMs: 100,
		Complain: func(err error) {
			require.ErrorIs(t, err, syscall.ENOSPC)
			complaints = append(complaints, err.Error())
		},
	})
	calls := 0
	write := w.write
	w.write = func(fd int, b []byte) (int, syscall.Errno) { calls++; return write(fd, b) }

	w.Tick(5000)
	for range 10 {
		commit(w, "abc")
	}
	require.Equal(t, 1, calls, "no second try within a second")
	require.EqualValues(t, 8, w.Dropped(), "two lines fit")
	require.Equal(t, []string{"write(access.log): no space left on device; 1 lines dropped"}, complaints)
	require.EqualValues(t, 6000, w.NextMs())
	w.Tick(5999)
	require.Len(t, complaints, 1)
	w.Tick(6000)
	require.Equal(t, 2, calls)
	require.Equal(t, "write(access.log): no space left on device; 7 lines dropped", complaints[1])

	require.False(t, w.Flush())
	require.Equal(t, 3, calls)
	w.Close()
	require.EqualValues(t, 10, w.Dropped())
	require.Equal(t, "write(access.log): no space left on device; 2 lines dropped", complaints[len(complaints)-1])
	require.EqualValues(t, -1, w.NextMs())
}

// A pipe whose reader sleeps: lines wait in the buffer, then are dropped, and go on when it wakes up.
func TestWriterSlowPipe(t *testing.T) {
	var ends [2]int
	require.NoError(t, syscall.Pipe2(ends[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	defer func() { _ = syscall.Close(ends[0]); _ = syscall.Close(ends[1]) }()

	complaints := 0
	w := newWriter(t, Options{Path: "pipe", FD: ends[1], BufferBytes: 10_000, FlushMs: 10, Complain: func(err error) {
		require.ErrorIs(t, err, syscall.EAGAIN)
		complaints++
	}})
	longest := 0
	write := w.write
	w.write = func(fd int, b []byte) (int, syscall.Errno) { longest = max(longest, len(b)); return write(fd, b) }

	line := strings.Repeat("x", 99)
	committed := 0
	for ; w.Dropped() < 10; committed++ {
		commit(w, line)
		require.Less(t, committed, 10_000)
	}
	require.Equal(t, 1, complaints)
	require.LessOrEqual(t, longest, pipeBufBytes)
	require.Greater(t, w.NextMs(), int64(0))

	var got strings.Builder
	buf := make([]byte, 1<<16)
	for now := int64(1000); w.NextMs() > 0; now += 1000 {
		for {
			n, err := syscall.Read(ends[0], buf)
			if err != nil {
				break
			}
			got.Write(buf[:n])
		}
		w.Tick(now)
		require.Less(t, now, int64(100_000))
	}
	for {
		n, err := syscall.Read(ends[0], buf)
		if err != nil {
			break
		}
		got.Write(buf[:n])
	}
	require.Equal(t, strings.Repeat(line+"\n", committed-int(w.Dropped())), got.String())
	require.Equal(t, 2, complaints, "the rest of the dropped lines is told of too")
}

// blockingWrite is sys.Write for descriptors that block: sys.Write would keep the processor from the reader.
func blockingWrite(fd int, b []byte) (int, syscall.Errno) {
	n, err := syscall.Write(fd, b)
	if err != nil {
		return 0, err.(syscall.Errno)
	}
	return n, 0
}

// Several workers, each with its own descriptor, write one file, or one pipe: no line is torn.
func TestWritersNeverTearLines(t *testing.T) {
	const workers, lines = 4, 2000
	write := func(fds []int) {
		var group sync.WaitGroup
		for id, fd := range fds {
			w := newWriter(t, Options{Path: "shared", FD: fd, BufferBytes: []int{0, 100, 5000, 64 << 10}[id]})
			w.write = blockingWrite
			group.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(id)))
				for n := range lines {
					commit(w, fmt.Sprintf("%d %d %s", id, n, strings.Repeat(fmt.Sprint(id), random.IntN(700))))
				}
				w.Close()
			})
		}
		group.Wait()
	}
	check := func(text string) {
		var next [workers]int
		for line := range strings.Lines(text) {
			var id, n int
			var filler string
			_, _ = fmt.Sscan(line, &id, &n, &filler) // an empty filler is missing
			require.Equal(t, fmt.Sprintf("%d %d %s\n", id, next[id], strings.Repeat(fmt.Sprint(id), len(filler))), line)
			next[id]++
		}
		require.Equal(t, [workers]int{lines, lines, lines, lines}, next)
	}

	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "access.log")
		var fds []int
		for range workers {
			fds = append(fds, openLog(t, path))
		}
		write(fds)
		check(content(t, path))
	})
	t.Run("pipe", func(t *testing.T) {
		var ends [2]int
		require.NoError(t, syscall.Pipe2(ends[:], syscall.O_CLOEXEC)) // blocks: here the reader is there
		text := make(chan string)
		go func() {
			var got strings.Builder
			buf := make([]byte, 1<<16)
			for {
				n, err := syscall.Read(ends[0], buf)
				if err != nil || n == 0 {
					text <- got.String()
					return
				}
				got.Write(buf[:n])
			}
		}()
		write([]int{ends[1], ends[1], ends[1], ends[1]})
		require.NoError(t, syscall.Close(ends[1]))
		check(<-text)
		require.NoError(t, syscall.Close(ends[0]))
	})
}

func TestNewWriterRefuses(t *testing.T) {
	_, err := NewWriter(Options{Path: "x", FD: -1})
	require.EqualError(t, err, "fstat(-1) of log x: bad file descriptor")
	_, err = NewWriter(Options{Path: "x", BufferBytes: -1})
	require.EqualError(t, err, "log x: buffer of -1 bytes, flush after 0 ms: neither can be negative")
	_, err = NewWriter(Options{Path: "x", FlushMs: -1})
	require.EqualError(t, err, "log x: buffer of 0 bytes, flush after -1 ms: neither can be negative")
}

func TestWritersShare(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	var all Writers
	require.EqualValues(t, -1, all.Tick(0))
	first, err := all.Share(Options{Path: a, FD: openLog(t, a), BufferBytes: 100, FlushMs: 50})
	require.NoError(t, err)
	again, err := all.Share(Options{Path: a, FD: -1, BufferBytes: 100, FlushMs: 50})
	require.NoError(t, err)
	require.Same(t, first, again)
	_, err = all.Share(Options{Path: a, FD: -1, BufferBytes: 200, FlushMs: 50})
	require.EqualError(t, err, "access log "+a+" has a buffer of 100 bytes and flush after 50 ms in one place, 200 bytes and 50 ms in another")
	_, err = all.Share(Options{Path: b, FD: -1})
	require.ErrorIs(t, err, syscall.EBADF)
	require.Nil(t, all.Find(b))
	second, err := all.Share(Options{Path: b, FD: openLog(t, b), BufferBytes: 100, FlushMs: 20})
	require.NoError(t, err)
	require.Same(t, second, all.Find(b))

	commit(first, "1")
	commit(again, "2")
	commit(second, "3")
	require.EqualValues(t, 20, all.Tick(0))
	require.EqualValues(t, 50, all.Tick(20))
	require.Equal(t, "3\n", content(t, b))
	commit(second, "4")
	all.Flush()
	require.Equal(t, "1\n2\n", content(t, a))
	require.Equal(t, "3\n4\n", content(t, b))
	commit(first, "5")
	all.Close()
	require.Equal(t, "1\n2\n5\n", content(t, a))
	require.Zero(t, all.Dropped())
}

func TestWriterDoesNotAllocate(t *testing.T) {
	w := newWriter(t, Options{Path: "null", FD: openLog(t, "/dev/null"), BufferBytes: 1000, FlushMs: 5})
	now := int64(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		commit(w, "192.0.2.1 - - [21/Nov/2026:22:50:15 +0000] \"GET / HTTP/1.1\" 200 28 \"-\" \"-\"")
		now++
		w.Tick(now)
	}))
}

func BenchmarkWriter(b *testing.B) {
	w := newWriter(b, Options{Path: "null", FD: openLog(b, "/dev/null"), BufferBytes: 32 << 10, FlushMs: 1000})
	line := []byte("192.0.2.1 - - [21/Nov/2026:22:50:15 +0000] \"GET / HTTP/1.1\" 200 28 \"-\" \"Mozilla/5.0\"")
	b.ReportAllocs()
	for b.Loop() {
		w.Commit(append(w.Begin(), line...))
		w.Tick(1)
	}
}
