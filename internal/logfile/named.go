// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"weir/internal/offload"
	"weir/internal/sys"
)

// NamedFiles writes lines to files whose names are known only when there is a line. Opening and writing may wait for a disk and so are a thread's: the
// loop hands it copies of lines. The thread opens a file for each line, unless a FileCache keeps it open.
type NamedFiles struct {
	thread   *offload.Thread
	complain func(error)
	now      func() time.Time

	idle    *namedLine // to be used again
	waiting int        // bytes of lines that the thread has

	dropped    uint64
	unreported uint64
	failure    error
	quiet      time.Time // nothing is reported before
}

// namedWaiting bounds the bytes of lines that wait for the thread, with what each takes besides.
const (
	namedWaiting = 1 << 20
	namedExtra   = 512
)

// closeWait is how long Close waits for a disk.
const closeWait = time.Second

// NewNamedFiles makes NamedFiles whose disk is the thread's. complain is told of lines that are lost, at most once a second.
func NewNamedFiles(thread *offload.Thread, complain func(error)) *NamedFiles {
	return &NamedFiles{thread: thread, complain: complain, now: time.Now}
}

// namedLine is a line on its way to its file.
type namedLine struct {
	offload.Job
	files      *NamedFiles
	next       *namedLine
	root, path []byte
	line       []byte
	cache      *FileCache
	err        error
	done       chan struct{} // of the mark behind the last line: see Close
}

// Write has a line written, without its line feed, to the file at path, if root is a directory: so the requests for a site that is not there make no files, as with nginx. An
// empty root is not looked at. cache may be nil. Nothing of what is passed is kept.
func (f *NamedFiles) Write(root, path, line []byte, cache *FileCache) {
	size := len(root) + len(path) + len(line) + namedExtra
	if f.waiting+size > namedWaiting {
		f.drop(fmt.Errorf("write(%s): the disk is too slow", path))
		return
	}
	f.waiting += size
	l := f.take()
	l.root, l.path, l.cache = append(l.root[:0], root...), append(l.path[:0], path...), cache
	l.line = append(append(l.line[:0], line...), lineFeedByte)
	f.thread.Do(&l.Job)
}

// take gives a line that is not in use.
func (f *NamedFiles) take() *namedLine {
	l := f.idle
	if l == nil {
		l = &namedLine{files: f}
		l.Init(l)
		return l
	}
	f.idle, l.next = l.next, nil
	return l
}

// Forget has a cache close its files, because they may have been moved away.
func (f *NamedFiles) Forget(cache *FileCache) {
	l := &namedLine{files: f, cache: cache}
	l.Init(l)
	f.thread.Do(&l.Job)
}

// Close waits a moment until all lines have been written.
func (f *NamedFiles) Close() {
	l := &namedLine{files: f, done: make(chan struct{})}
	l.Init(l)
	f.thread.Do(&l.Job)
	select {
	case <-l.done:
	case <-time.After(closeWait):
	}
}

// Work writes the line. See offload.Worker.
func (l *namedLine) Work() {
	switch {
	case l.done != nil:
		close(l.done)
	case l.line == nil:
		l.cache.closeAll()
	default:
		l.err = l.write()
	}
}

func (l *namedLine) write() error {
	if len(l.root) > 0 {
		info, err := os.Stat(string(l.root))
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			return fmt.Errorf("testing \"%s\" existence failed %s", l.root, ErrnoText(errno))
		}
	}
	path := string(l.path)
	fd, keep, err := l.cache.open(path, l.files.now())
	if err != nil {
		return err
	}
	n, err := syscall.Write(fd, l.line) // not sys.Write: that is for what does not wait
	if !keep {
		sys.Close(fd)
	}
	if err == nil && n < len(l.line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write(%s): %w", path, err)
	}
	return nil
}

// OnWorked takes the line back. See offload.Worker.
func (l *namedLine) OnWorked() {
	if l.line == nil {
		return
	}
	f := l.files
	f.waiting -= len(l.root) + len(l.path) + len(l.line) - 1 + namedExtra
	if l.err != nil {
		f.drop(l.err)
	}
	l.err, l.cache = nil, nil
	l.next, f.idle = f.idle, l
}

// drop counts a line that is lost.
func (f *NamedFiles) drop(why error) {
	f.dropped++
	f.unreported++
	f.failure = why
	if now := f.now(); now.After(f.quiet) {
		f.quiet = now.Add(complaintMs * time.Millisecond)
		f.complain(fmt.Errorf("%w; %d lines dropped", f.failure, f.unreported))
		f.unreported = 0
	}
}

// Dropped returns how many lines were lost.
func (f *NamedFiles) Dropped() uint64 { return f.dropped }
