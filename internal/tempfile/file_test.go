// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package tempfile

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/sys"
)

// world is a store with a loop whose turns a test makes, and a budget that is a number.
type world struct {
	dir    string
	calls  offload.Queue
	woken  chan struct{}
	thread *offload.Thread
	store  *Store
	limit  int64 // 0: none
	used   int64
	log    string
}

func (w *world) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

func (w *world) Acquire(bytes int64) bool { return w.take(bytes, w.limit/2) }
func (w *world) Rescue(bytes int64) bool  { return w.take(bytes, w.limit) }
func (w *world) Release(bytes int64)      { w.used -= bytes }

func (w *world) take(bytes, bound int64) bool {
	if w.limit > 0 && w.used+bytes > bound {
		return false
	}
	w.used += bytes
	return true
}

func newWorld(tb testing.TB, dir string, limit int64) *world {
	tb.Helper()
	w := &world{dir: dir, limit: limit, woken: make(chan struct{}, 1), log: tb.TempDir() + "/error.log"}
	at, err := os.Open(dir)
	require.NoError(tb, err)
	log, err := os.Create(w.log)
	require.NoError(tb, err)
	w.calls.Bind(w)
	w.thread = w.calls.NewThread()
	w.store = NewStore(Options{Dir: int(at.Fd()), Slot: 3, Quota: w, Thread: w.thread,
		Log: logfile.OpenErrorLog(logfile.ErrorLogOptions{FD: int(log.Fd())})})
	tb.Cleanup(func() {
		for w.store.Open > 0 {
			w.turn(tb)
		}
		require.Zero(tb, w.used, "the quota is given back")
		require.Zero(tb, w.store.Bytes)
		w.thread.End()
		left, err := os.ReadDir(dir)
		require.NoError(tb, err)
		require.Empty(tb, left, "files without names")
		at.Close()
		log.Close()
	})
	return w
}

// wait waits until the thread has done something.
func (w *world) wait(tb testing.TB) {
	select {
	case <-w.woken:
	case <-time.After(20 * time.Second):
		require.Fail(tb, "nothing came from the thread")
	}
}

// turn takes what the thread has done.
func (w *world) turn(tb testing.TB) {
	w.wait(tb)
	w.calls.Drain()
}

func (w *world) errors(tb testing.TB) string {
	text, err := os.ReadFile(w.log)
	require.NoError(tb, err)
	return string(text)
}

// ear remembers how writes ended.
type ear struct {
	n      int
	errnos []syscall.Errno
}

func (e *ear) OnWritten(n int, errno syscall.Errno) {
	e.n += n
	e.errnos = append(e.errnos, errno)
}

func pieces(texts ...string) (iov []sys.Iovec, n int) {
	for _, text := range texts {
		var v sys.Iovec
		v.Set([]byte(text))
		iov = append(iov, v)
		n += len(text)
	}
	return iov, n
}

// write appends to the end of it, and returns how that went.
func (w *world) write(tb testing.TB, f *File, texts ...string) (Status, syscall.Errno) {
	iov, n := pieces(texts...)
	var e ear
	st := f.Append(iov, n, &e)
	if st != Pending {
		return st, f.Errno()
	}
	require.True(tb, f.Busy())
	for f.Busy() {
		w.turn(tb)
	}
	require.Equal(tb, n, e.n)
	require.Len(tb, e.errnos, 1)
	return st, e.errnos[0]
}

func content(tb testing.TB, f *File) string {
	if f.Size() == 0 {
		return "" // it may not be there yet
	}
	text := make([]byte, f.Size())
	n, err := unix.Pread(f.FD(), text, 0)
	require.NoError(tb, err)
	return string(text[:n])
}

func TestWriteAndRead(t *testing.T) {
	for _, named := range []bool{false, true} {
		for _, patient := range []bool{false, true} {
			t.Run(fmt.Sprintf("named=%v,patient=%v", named, patient), func(t *testing.T) {
				w := newWorld(t, t.TempDir(), 1000)
				w.store.named, w.store.patient = named, patient
				f := w.store.Create()
				require.True(t, f.Reserve(11))
				_, errno := w.write(t, f, "Hello", ", ", "", "you")
				require.Zero(t, errno)
				require.Equal(t, "Hello, you", content(t, f))
				require.Equal(t, int64(11), w.used)
				require.True(t, f.Reserve(1), "reserved already")
				require.Equal(t, int64(11), w.used)
				_, errno = w.write(t, f, "!")
				require.Zero(t, errno)
				require.Equal(t, "Hello, you!", content(t, f))
				require.Equal(t, int64(11), w.store.Bytes)
				f.Close()
				w.turn(t)
				require.Zero(t, w.store.Open)
				require.Zero(t, w.used)
				again := w.store.Create()
				require.Same(t, f, again, "objects are used again")
				require.Zero(t, again.Size())
				again.Close()
			})
		}
	}
}

// TestLeftoverName: a worker killed between two calls leaves a name; the next one of its slot takes it away.
func TestLeftoverName(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/weir-slot-3", []byte("left behind"), 0o600))
	w := newWorld(t, dir, 0)
	w.store.named = true
	f := w.store.Create()
	require.True(t, f.Reserve(1))
	_, errno := w.write(t, f, "x")
	require.Zero(t, errno)
	require.Equal(t, "x", content(t, f))
	f.Close()
}

func TestReserve(t *testing.T) {
	w := newWorld(t, t.TempDir(), 100)
	f := w.store.Create()
	require.True(t, f.Reserve(50))
	require.False(t, f.Reserve(51), "more than half")
	require.Equal(t, uint64(1), w.store.Refused)
	require.True(t, f.Rescue(100))
	require.False(t, f.Rescue(101))
	require.Equal(t, int64(100), w.used)
	require.Panics(t, func() { f.Append(nil, 101, nil) }, "not reserved")
	f.Close()
}

// TestDiskFull: what does not fit leaves the file as it was, is logged once, and can be tried again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("needs root: a small tmpfs: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	w := newWorld(t, dir, 0)
	f := w.store.Create()
	other := w.store.Create()
	part := strings.Repeat("x", 100<<10)
	for _, f := range []*File{f, other} {
		require.True(t, f.Reserve(2*len(part)))
		_, errno := w.write(t, f, part)
		require.Zero(t, errno)
	}
	for range 3 {
		_, errno := w.write(t, f, strings.Repeat("y", 100<<10))
		require.Equal(t, syscall.ENOSPC, errno)
		require.Equal(t, syscall.ENOSPC, f.Errno())
		require.Equal(t, int64(len(part)), f.Size())
	}
	require.Equal(t, 1, strings.Count(w.errors(t), "no space left on device"), "once a second")
	require.Contains(t, w.errors(t), "[crit]")
	require.Equal(t, uint64(3), w.store.Failed)
	other.Close()
	_, errno := w.write(t, f, "and now it fits")
	require.Zero(t, errno)
	require.Equal(t, part+"and now it fits", content(t, f))
	f.Close()
}

// TestFileTooLarge: any error of the system is one; here the limit on the size of files.
func TestFileTooLarge(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	f := w.store.Create()
	require.True(t, f.Reserve(1<<20))
	_, errno := w.write(t, f, "x")
	require.Zero(t, errno)
	f.size, f.reserved = 1<<62, 1<<62+1<<20 // beyond what any file system has
	_, errno = w.write(t, f, "x")
	require.Equal(t, syscall.EFBIG, errno)
	f.size, f.reserved = 1, 1<<20
	f.Close()
}

// TestCloseWhileWriting: the thread has the memory, so the end of the write is told, and the quota comes back after it.
func TestCloseWhileWriting(t *testing.T) {
	w := newWorld(t, t.TempDir(), 1<<20)
	w.store.patient = true
	f := w.store.Create()
	require.True(t, f.Reserve(4))
	iov, n := pieces("abcd")
	var first, second ear
	require.Equal(t, Pending, f.Append(iov, n, &first))
	f.Redirect(&second)
	f.Close()
	require.Panics(t, f.Close, "closed twice")
	require.Equal(t, int64(4), w.used)
	for w.store.Open > 0 {
		w.turn(t)
	}
	require.Empty(t, first.errnos)
	require.Equal(t, []syscall.Errno{0}, second.errnos)
	require.Zero(t, w.used)
}

// TestQuotaComesBackWithTheDisk: the thread closes files, and their quota comes back after that.
func TestQuotaComesBackWithTheDisk(t *testing.T) {
	w := newWorld(t, t.TempDir(), 8<<20)
	f := w.store.Create()
	require.True(t, f.Reserve(1<<20))
	_, errno := w.write(t, f, strings.Repeat("z", 1<<20))
	require.Zero(t, errno)
	f.Close()
	require.Equal(t, 1, w.store.Open)
	require.Equal(t, int64(1<<20), w.used)
	w.turn(t)
	require.Zero(t, w.store.Open)
	require.Zero(t, w.used)
}

// TestShare: a file that is shared is closed by the last Close, and its quota comes back then.
func TestShare(t *testing.T) {
	w := newWorld(t, t.TempDir(), 100)
	f := w.store.Create()
	require.True(t, f.Reserve(6))
	_, errno := w.write(t, f, "shared")
	require.Zero(t, errno)
	f.Share()
	require.Panics(t, func() { f.Append(nil, 0, nil) })
	f.Close()
	require.Equal(t, "shared", content(t, f))
	require.Equal(t, int64(6), w.used)
	f.Close()
	w.turn(t)
	require.Zero(t, w.store.Open)
	require.Zero(t, w.used)
	require.Panics(t, func() { f.closing = true; f.Share() })
	f.closing = false
}

// TestNoDirectory: a directory that is gone is an error of the write, and of the try at the start.
func TestNoDirectory(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	require.NoError(t, w.store.Try())
	require.NoError(t, os.Remove(w.dir))
	t.Cleanup(func() { os.MkdirAll(w.dir, 0o700) })
	require.ErrorContains(t, w.store.Try(), "openat(temp_path, O_TMPFILE): ")
	f := w.store.Create()
	require.True(t, f.Reserve(1))
	for range 2 {
		st, errno := w.write(t, f, "x")
		require.Equal(t, Pending, st)
		require.NotZero(t, errno)
	}
	require.Equal(t, 1, strings.Count(w.errors(t), "temporary file could not be made"))
	require.Equal(t, uint64(2), w.store.Failed)
	f.Close()
	require.Zero(t, w.store.Open)
}

// hasty is a sys.PwritevNow for file systems that have none: it writes as much as it is told, in all pieces together, or fails.
func hasty(most func(n int) int, errno func() syscall.Errno) func(int, []sys.Iovec, int64) (int, syscall.Errno) {
	return func(fd int, iov []sys.Iovec, offset int64) (int, syscall.Errno) {
		if errno := errno(); errno != 0 {
			return 0, errno
		}
		var whole [1 << 15]byte
		n := 0
		for i := range iov {
			n += copy(whole[n:], iov[i].Bytes())
		}
		n = most(n)
		got, err := unix.Pwrite(fd, whole[:n], offset)
		if err != nil {
			return 0, err.(syscall.Errno)
		}
		return got, 0
	}
}

// TestWriteNow: what the file system takes at once is written at once, the thread does the rest, and an error that says nothing about
// waiting is the write's.
func TestWriteNow(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	most, errno := 100, syscall.Errno(0)
	w.store.now = hasty(func(n int) int { return min(n, most) }, func() syscall.Errno { return errno })
	f := w.store.Create()
	require.True(t, f.Reserve(1000))
	st, _ := w.write(t, f, "first ")
	require.Equal(t, Pending, st, "the file has to be made")
	st, _ = w.write(t, f, "at ", "", "once ")
	require.Equal(t, Written, st)
	for most = range 12 {
		st, _ = w.write(t, f, "in ", "two", " parts ")
		require.Equal(t, Pending, st)
	}
	errno = sys.EAGAIN
	st, _ = w.write(t, f, "later ")
	require.Equal(t, Pending, st)
	errno = syscall.ENOSPC
	st, failed := w.write(t, f, "never ")
	require.Equal(t, [2]any{Failed, syscall.ENOSPC}, [2]any{st, failed})
	require.False(t, f.Busy())
	errno = sys.EOPNOTSUPP
	w.write(t, f, "by the thread ")
	errno = syscall.EIO // nobody asks any more
	w.write(t, f, "from now on")
	require.Equal(t, "first at once "+strings.Repeat("in two parts ", 12)+"later by the thread from now on", content(t, f))
	require.Equal(t, uint64(1), w.store.Now)
	f.Close()
}

// TestModel compares files with byte slices, over random writes at once, by the thread, refused and failed, and closings at any time.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, dir, 100<<10)
		w.store.patient = rapid.Bool().Draw(rt, "patient")
		w.store.named = rapid.Bool().Draw(rt, "named")
		w.store.now = hasty(func(n int) int { return rapid.IntRange(0, n).Draw(rt, "now") }, func() syscall.Errno { return 0 })
		type entry struct {
			f        *File
			want     []byte
			reserved int64
			ear      ear
			pending  []byte
		}
		var files []*entry
		pick := func(rt *rapid.T) *entry {
			if len(files) == 0 {
				rt.Skip()
			}
			return files[rapid.IntRange(0, len(files)-1).Draw(rt, "file")]
		}
		settle := func(e *entry) {
			for e.f.Busy() {
				w.turn(t)
			}
			e.want, e.pending = append(e.want, e.pending...), nil
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				f := w.store.Create()
				files = append(files, &entry{f: f})
			},
			"append": func(rt *rapid.T) {
				e := pick(rt)
				settle(e)
				data := bytes.Repeat([]byte{byte(len(e.want))}, rapid.IntRange(1, 20<<10).Draw(rt, "n"))
				more := max(int64(len(e.want)+len(data))-e.reserved, 0)
				rescue := rapid.Bool().Draw(rt, "rescue")
				bound := w.limit / 2
				if rescue {
					bound = w.limit
				}
				ok := more == 0 || w.used+more <= bound
				if rescue {
					require.Equal(rt, ok, e.f.Rescue(len(data)))
				} else {
					require.Equal(rt, ok, e.f.Reserve(len(data)))
				}
				if !ok {
					return
				}
				e.reserved += more
				cut := rapid.IntRange(0, len(data)).Draw(rt, "cut")
				iov, n := pieces(string(data[:cut]), string(data[cut:]))
				if e.f.Append(iov, n, &e.ear) == Pending {
					e.pending = data
				} else {
					e.want = append(e.want, data...)
				}
			},
			"close": func(rt *rapid.T) {
				e := pick(rt)
				e.f.Close()
				for i := range files {
					if files[i] == e {
						files = append(files[:i], files[i+1:]...)
						break
					}
				}
			},
			"read": func(rt *rapid.T) {
				e := pick(rt)
				settle(e)
				require.Equal(rt, string(e.want), content(t, e.f))
				require.Equal(rt, int64(len(e.want)), e.f.Size())
			},
		})
		for _, e := range files {
			settle(e)
			require.Equal(rt, string(e.want), content(t, e.f))
			e.f.Close()
		}
		for w.store.Open > 0 {
			w.turn(t)
		}
		require.Zero(rt, w.used)
	})
}
