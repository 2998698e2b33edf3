// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package eventpipe

import (
	"os"
	"slices"
	"syscall"

	"weir/internal/sys"
	"weir/internal/tempfile"
)

// disk makes real files whose writes wait and fail as a schedule wants.
type disk struct {
	folder string
	spare  []*os.File
	s      *sim
	open   int
	taken  int // bytes of the quota
	jobs   []*simFile
}

func (d *disk) close() {
	for _, f := range d.spare {
		_ = f.Close()
	}
}

// create makes a file. See files.
func (d *disk) create() file {
	var f *os.File
	if n := len(d.spare); n > 0 {
		f = d.spare[n-1]
		d.spare = d.spare[:n-1]
	} else {
		var err error
		if f, err = os.CreateTemp(d.folder, "spill"); err != nil {
			d.s.fail("%v", err)
		}
	}
	d.open++
	return &simFile{disk: d, file: f}
}

// work ends up to n pending writes, in any order, and says how many.
func (d *disk) work(n int) (done int) {
	for ; n > 0 && len(d.jobs) > 0; n-- {
		i := d.s.rng.IntN(len(d.jobs))
		f := d.jobs[i]
		d.jobs = slices.Delete(d.jobs, i, i+1)
		f.finish()
		done++
	}
	return done
}

// simFile is one file. See tempfile.File.
type simFile struct {
	disk     *disk
	file     *os.File
	size     int64
	reserved int
	pieces   []sys.Iovec
	n        int
	writer   tempfile.Writer
	closed   bool
}

func (f *simFile) SetNamed()          {}
func (f *simFile) Name(bool) string   { return "" }
func (f *simFile) Share()             { f.disk.s.fail("no schedule shares a file") }
func (f *simFile) Reserve(n int) bool { return f.reserve(n, f.disk.s.plan.quota/2) }
func (f *simFile) Rescue(n int) bool  { return f.reserve(n, f.disk.s.plan.quota) }

func (f *simFile) reserve(n, limit int) bool {
	more := int(f.size) + n - f.reserved
	if more <= 0 {
		return true
	}
	if f.disk.taken+more > limit {
		return false
	}
	f.disk.taken += more
	f.reserved += more
	return true
}

func (f *simFile) Append(pieces []sys.Iovec, n int, w tempfile.Writer) tempfile.Status {
	s := f.disk.s
	if f.n > 0 || f.closed || int(f.size)+n > f.reserved || len(pieces) > tempfile.PiecesMax {
		s.fail("append of %d bytes in %d pieces to a file of %d, %d reserved, %d pending, closed %v", n, len(pieces), f.size, f.reserved, f.n, f.closed)
	}
	f.pieces, f.n, f.writer = slices.Clone(pieces), n, w
	if f.size == 0 || s.odds(s.plan.pending) {
		f.disk.jobs = append(f.disk.jobs, f)
		return tempfile.Pending
	}
	if f.put() != 0 {
		return tempfile.Failed
	}
	return tempfile.Written
}

// put writes now what was asked for, or fails.
func (f *simFile) put() syscall.Errno {
	s, n := f.disk.s, f.n
	f.n = 0
	if s.odds(s.plan.failing) {
		return syscall.ENOSPC
	}
	if got, errno := sys.Pwritev(int(f.file.Fd()), f.pieces, f.size); errno != 0 || got != n {
		s.fail("pwritev: %d of %d bytes, %v", got, n, errno)
	}
	f.size += int64(n)
	s.note("%d bytes into the file", n)
	return 0
}

// finish is the end of a pending write.
func (f *simFile) finish() {
	n := f.n
	errno := f.put()
	f.disk.s.moved++
	f.writer.OnWritten(n, errno)
	if f.closed {
		f.giveBack()
	}
}

func (f *simFile) Size() int64          { return f.size }
func (f *simFile) FD() int              { return int(f.file.Fd()) }
func (f *simFile) Errno() syscall.Errno { return syscall.ENOSPC }

func (f *simFile) Close() {
	if f.closed {
		f.disk.s.fail("a file is closed twice")
	}
	f.closed = true
	if f.n == 0 {
		f.giveBack()
	}
}

func (f *simFile) giveBack() {
	d := f.disk
	d.open--
	d.taken -= f.reserved
	f.reserved = 0
	if err := f.file.Truncate(0); err != nil {
		d.s.fail("%v", err)
	}
	d.spare = append(d.spare, f.file)
	f.file = nil
}

// share makes what the pipe shares with others.
func (s *sim) share() {
	s.shared = NewShared(SharedOptions{Pool: s.pool, Clock: s.w})
	s.w.disk.s = s
	if s.plan.spillMax > 0 {
		s.shared.files = &s.w.disk
	}
	if s.plan.splice {
		s.splicer = s.w.splicers[s.rng.IntN(len(s.w.splicers))]
		s.splicer.least = int64(s.pick(1, 1000, 20_000))
		s.shared.splicer = s.splicer
	}
}
