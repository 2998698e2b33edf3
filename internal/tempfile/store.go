// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package tempfile

import (
	"fmt"
	"math/rand/v2"
	"syscall"

	"go.uber.org/zap"

	"weir/internal/logfile"
	"weir/internal/offload"
	"weir/internal/sys"
)

// Quota is the budget of all temporary files of the instance: quota.Account.
type Quota interface {
	// Acquire takes bytes for ordinary use. false: there are not enough left for that, and nothing was taken.
	Acquire(bytes int64) bool
	// Rescue takes bytes also out of the part that is kept for getting out of need.
	Rescue(bytes int64) bool
	// Release gives back what was taken.
	Release(bytes int64)
}

// Options say what a Store works with.
type Options struct {
	Dir    int             // descriptor of the directory, which stays the caller's
	Slot   int             // the worker's slot, for the names of files that need one for a moment
	Quota  Quota           // nil: no bound
	Thread *offload.Thread // does what may wait for the disk
	Log    *logfile.ErrorLog
}

// Stats are a store's counters. One writer: the loop.
type Stats struct {
	Open    int   // files at present, those that are being closed included
	Pending int   // of them, those with the thread
	Bytes   int64 // in them, of completed writes
	Created uint64
	Written uint64 // bytes ever written

	Now     uint64 // writes that the page cache took at once
	Handed  uint64 // writes that the thread did, or finished
	Refused uint64 // reservations that the quota refused
	Failed  uint64 // files that could not be made, and writes that failed
}

// Store makes the temporary files of one worker. Its loop owns it, but for what is marked as the thread's.
type Store struct {
	Options
	Stats

	now     func(fd int, pieces []sys.Iovec, offset int64) (int, syscall.Errno) // sys.PwritevNow; tests have others
	patient bool                                                                // the file system cannot say whether a write would wait: all writes are the thread's
	idle    *File                                                               // used before

	named bool   // the thread's: the file system knows no files without a name
	name  string // see sys.UnlinkedFile
	next  uint32 // the number that names the next file which has one
}

// NewStore makes a store.
func NewStore(o Options) *Store {
	return &Store{Options: o, now: sys.PwritevNow, name: fmt.Sprintf("weir-slot-%d", o.Slot), next: rand.Uint32()}
}

// Try makes a file and closes it, to find out whether that can be done. It waits for the disk, and must come before the first Create.
func (s *Store) Try() error {
	fd, errno := s.open()
	if errno != 0 {
		return fmt.Errorf("openat(temp_path, O_TMPFILE): %w", errno)
	}
	sys.Close(fd)
	return nil
}

// Create gives a file, empty and without a reservation. The caller owns it and calls Close. On the disk it begins with the first Append: making a
// file may wait for the disk, and so is the thread's to do.
func (s *Store) Create() *File {
	f := s.idle
	if f == nil {
		f = &File{store: s, fd: -1}
		f.job.Init(f)
	} else {
		s.idle = f.nextIdle
		f.nextIdle = nil
	}
	s.Open++
	s.Created++
	return f
}

// open makes a file on the disk. The thread's.
func (s *Store) open() (int, syscall.Errno) {
	if !s.named {
		fd, errno := sys.TempFile(s.Dir)
		if errno != sys.EOPNOTSUPP && errno != sys.EISDIR {
			return fd, errno
		}
		s.named = true
	}
	return sys.UnlinkedFile(s.Dir, s.name)
}

// namesTried is how many names are tried for a file before it is given up.
const namesTried = 1000

// openNamed makes a file that has a name: ten digits, as nginx's. The thread's.
func (s *Store) openNamed() (fd int, name string, errno syscall.Errno) {
	for range namesTried {
		s.next++
		name = fmt.Sprintf("%010d", s.next)
		if fd, errno = sys.NamedFile(s.Dir, name); errno != sys.EEXIST {
			return fd, name, errno
		}
	}
	return -1, "", errno
}

// removal takes a name away, on the thread.
type removal struct {
	offload.Job
	dir  int
	name string
}

// Work takes the name away; one that is gone already is no fault. See offload.Worker.
func (r *removal) Work() { sys.Unlink(r.dir, r.name) }

// OnWorked does nothing. See offload.Worker.
func (r *removal) OnWorked() {}

// Remove takes away the name of a file that has kept it.
func (s *Store) Remove(name string) {
	r := &removal{dir: s.Dir, name: name}
	r.Init(r)
	s.Thread.Do(&r.Job)
}

// complain counts a failure of the environment, and logs it at most once a second.
func (s *Store) complain(what string, errno syscall.Errno) {
	s.Failed++
	s.Log.Limited("tempfile", logfile.LevelCrit, what+": bodies wait in memory", zap.Error(errno))
}
