// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package tempfile

import (
	"syscall"

	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/sys"
)

// Status is what came of a write.
type Status uint8

// The outcomes of Append.
const (
	Written Status = iota // it is in the file: in the page cache
	Pending               // the thread writes it; Writer.OnWritten comes later
	Failed                // the disk is full or broken; see File.Errno
)

// String names the status.
func (s Status) String() string { return [...]string{"written", "pending", "failed"}[s] }

// Writer is told how a write that was Pending has ended.
type Writer interface {
	// OnWritten runs on the loop, once for each Pending. With errno 0 all n bytes are in the file, else none of them counts. From now on the
	// memory is the caller's again. The file may be used, and closed, from within.
	OnWritten(n int, errno syscall.Errno)
}

// PiecesMax is how many pieces one Append may have.
const PiecesMax = 64

// File is a temporary file. It is written at its end and read from anywhere. All of it belongs to the loop, but while a write is Pending the
// thread has the pieces.
type File struct {
	store    *Store
	fd       int
	size     int64
	reserved int64
	errno    syscall.Errno

	job     offload.Job
	work    work
	pending int // bytes that the thread writes
	closing bool
	writer  Writer

	pieces [PiecesMax]sys.Iovec // of the pending write
	left   []sys.Iovec          // those of them that the thread has to write
	at     int64                // where
	result syscall.Errno        // the thread's

	sharers int // who else has the file: see Share

	named bool   // the file gets a name
	name  string // the thread's until the first write is over
	kept  bool   // the name stays when the file is closed

	nextIdle *File
}

// work is what the thread does with a file.
type work uint8

const (
	atNothing work = iota
	atWrite
	atClose
)

// SetNamed has the file get a name in the store's directory when it is made. Before the first Append.
func (f *File) SetNamed() { f.named = true }

// Name is the name of the file once something has been written. Close takes it away, unless it has been asked to be kept.
func (f *File) Name(keep bool) string {
	f.kept = f.kept || keep
	return f.name
}

// FD is the descriptor, for sendfile(2) and pread(2), once something has been written. It stays the file's.
func (f *File) FD() int { return f.fd }

// Size is the number of bytes in the file, those of a write that is pending not counted.
func (f *File) Size() int64 { return f.size }

// Busy says whether a write is pending: no Append may be made.
func (f *File) Busy() bool { return f.pending > 0 }

// Errno is why the last Append failed.
func (f *File) Errno() syscall.Errno { return f.errno }

// Reserve makes sure that n more bytes may be written, out of the quota's part for ordinary use. What an earlier Reserve took and no Append used
// counts. false: the quota is reached.
func (f *File) Reserve(n int) bool { return f.reserve(n, false) }

// Rescue is Reserve for when memory is short: it may use the whole quota.
func (f *File) Rescue(n int) bool { return f.reserve(n, true) }

func (f *File) reserve(n int, rescue bool) bool {
	more := f.size + int64(f.pending) + int64(n) - f.reserved
	if more <= 0 {
		return true
	}
	if q := f.store.Quota; q != nil && !(rescue && q.Rescue(more) || !rescue && q.Acquire(more)) {
		f.store.Refused++
		f.store.Log.Limited("temp_quota", logfile.LevelWarn, "temp_quota is used up: bodies wait in memory")
		return false
	}
	f.reserved += more
	return true
}

// Append writes the pieces, n bytes altogether and at most PiecesMax, at the end of the file. They must have been reserved. The pieces' array stays the
// caller's; the memory they point to must stay as it is and where it is until the write is over: with Pending, until w.OnWritten. With Failed
// nothing has been added, and another Append may be tried later.
func (f *File) Append(pieces []sys.Iovec, n int, w Writer) Status {
	switch {
	case f.pending > 0 || f.closing || f.sharers > 0:
		panic("tempfile: append to a file that is being written or closed, or shared")
	case f.size+int64(n) > f.reserved:
		panic("tempfile: append of bytes that have not been reserved")
	}
	left := f.pieces[:len(pieces)]
	copy(left, pieces)
	done := 0
	if !f.store.patient && f.fd >= 0 {
		got, errno := f.store.now(f.fd, left, f.size)
		switch errno {
		case 0, sys.EAGAIN:
		case sys.EOPNOTSUPP, sys.EINVAL, sys.ENOSYS:
			f.store.patient = true
		default:
			clear(left)
			f.fail(errno)
			return Failed
		}
		if done = got; done == n {
			f.store.Now++
			clear(left)
			f.added(n)
			return Written
		}
		left = sys.Skip(left, done)
	}
	f.store.Handed++
	f.pending, f.writer = n, w
	f.left, f.at = left, f.size+int64(done)
	f.begin(atWrite)
	return Pending
}

// Redirect has the end of a pending write told to another writer: to one that only takes back the memory, when who wrote has no more use for
// the file.
func (f *File) Redirect(w Writer) { f.writer = w }

// Share makes one more the owner of a file that is not written any more: it is closed by the last Close.
func (f *File) Share() {
	if f.pending > 0 || f.closing {
		panic("tempfile: a file that is being written or closed cannot be shared")
	}
	f.sharers++
}

// Close has the thread close the file, which takes time in proportion to its size, and gives its part of the quota back when its bytes are off
// the disk. A write that is pending goes on, and its OnWritten
// still comes, since the thread has the memory; the file is closed after that. The file must not be used any more, but for Redirect
// until OnWritten.
func (f *File) Close() {
	if f.closing {
		panic("tempfile: close of a closed file")
	}
	if f.sharers > 0 {
		f.sharers--
		return
	}
	f.closing = true
	switch {
	case f.pending > 0: // OnWorked goes on
	case f.fd < 0:
		f.closed()
	default:
		f.begin(atClose)
	}
}

func (f *File) begin(w work) {
	f.work = w
	f.store.Pending++
	f.store.Thread.Do(&f.job)
}

// Work writes or closes, on the thread. See offload.Worker.
func (f *File) Work() {
	if f.work == atClose {
		if f.named && !f.kept {
			sys.Unlink(f.store.Dir, f.name)
		}
		sys.CloseSlowly(f.fd)
		return
	}
	f.result = 0
	if f.fd < 0 {
		if f.named {
			f.fd, f.name, f.result = f.store.openNamed()
		} else {
			f.fd, f.result = f.store.open()
		}
		if f.result != 0 {
			return
		}
	}
	for len(f.left) > 0 {
		n, errno := sys.Pwritev(f.fd, f.left, f.at)
		if errno == 0 && n == 0 {
			errno = sys.EIO
		}
		if errno != 0 {
			f.result = errno
			return
		}
		f.at += int64(n)
		f.left = sys.Skip(f.left, n)
	}
}

// OnWorked takes what the thread has done. See offload.Worker.
func (f *File) OnWorked() {
	work := f.work
	f.work = atNothing
	f.store.Pending--
	if work == atClose {
		f.closed()
		return
	}
	n, w := f.pending, f.writer
	f.pending, f.writer, f.left = 0, nil, nil
	clear(f.pieces[:]) // the memory may be unmapped from now on, and the garbage collector looks at pointers
	if f.result == 0 {
		f.added(n)
	} else {
		f.fail(f.result)
	}
	closing := f.closing
	w.OnWritten(n, f.result)
	if closing {
		f.closing = false
		f.Close()
	}
}

func (f *File) added(n int) {
	f.size += int64(n)
	f.store.Bytes += int64(n)
	f.store.Written += uint64(n)
}

func (f *File) fail(errno syscall.Errno) {
	f.errno = errno
	what := "writing to a temporary file failed"
	if f.fd < 0 {
		what = "temporary file could not be made"
	}
	f.store.complain(what, errno)
}

// closed gives back what the file had, once it is closed.
func (f *File) closed() {
	s := f.store
	if s.Quota != nil && f.reserved > 0 {
		s.Quota.Release(f.reserved)
	}
	s.Open--
	s.Bytes -= f.size
	f.fd, f.size, f.reserved, f.errno, f.closing = -1, 0, 0, 0, false
	f.named, f.name, f.kept = false, "", false
	f.nextIdle = s.idle
	s.idle = f
}
