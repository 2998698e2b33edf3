// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"bytes"
	"fmt"
	"math"
	"syscall"

	"weir/internal/sys"
)

const (
	// slackBytes is the room that Begin has at least. Longer lines cost an allocation.
	slackBytes = 8 << 10
	// pipeBufBytes is PIPE_BUF: what a pipe takes in one piece (pipe(7)).
	pipeBufBytes = 4096

	retryMs      = 1000 // after an error
	retrySoonMs  = 20   // after EAGAIN: the reader of a pipe is slow
	complaintMs  = 1000 // between two complaints
	neverMs      = math.MaxInt64
	lineFeedByte = '\n'
)

// Options say where and how a Writer writes.
type Options struct {
	// Path names the file in messages, and is what Writers tells files apart by.
	Path string
	// FD is open for writing: a file with O_APPEND, or something that does not block. The caller keeps it.
	FD int
	// BufferBytes is how much is gathered before a write; 0 is a write per line (nginx: access_log ... buffer).
	BufferBytes int
	// FlushMs is how old a buffered line gets; 0 is any age (nginx: access_log ... flush).
	FlushMs int64
	// Complain is told of writes that fail and lines that are dropped, at most once a second.
	// Nil is nobody.
	Complain func(error)
}

// Writer is the buffered end of one access log. Make it with NewWriter; not for several goroutines.
type Writer struct {
	buf    []byte // whole lines; after a cut line a line feed first, see mended
	mended bool   // buf starts with a line feed that ends a cut line in the file
	limit  int    // bytes in buf that make it full
	fd     int
	piece  int // most bytes per write, if a line allows; 0 is any number

	nowMs   int64 // of the last Tick
	wakeMs  int64 // when Tick has to do something; neverMs if nothing
	flushMs int64
	dueMs   int64 // when the oldest line is old enough
	retryMs int64 // no write before this, after a failed one; else 0

	dropped    uint64        // lines, ever
	unreported uint64        // of them, those that Complain has not heard of
	failure    syscall.Errno // the last one
	untold     bool          // something happened that Complain has to hear of
	quietMs    int64         // but not before this

	path     string
	complain func(error)
	write    func(fd int, b []byte) (int, syscall.Errno) // sys.Write, or a test's
}

// NewWriter returns a Writer with an empty buffer. It fails if the descriptor is not open or the
// numbers are negative.
func NewWriter(o Options) (*Writer, error) {
	if o.BufferBytes < 0 || o.FlushMs < 0 {
		return nil, fmt.Errorf("log %s: buffer of %d bytes, flush after %d ms: neither can be negative", o.Path, o.BufferBytes, o.FlushMs)
	}
	w := &Writer{
		buf:      make([]byte, 0, o.BufferBytes+slackBytes+1),
		limit:    o.BufferBytes,
		flushMs:  o.FlushMs,
		wakeMs:   neverMs,
		path:     o.Path,
		complain: o.Complain,
		write:    sys.Write,
	}
	if err := w.setDescriptor(o.FD); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Writer) setDescriptor(fd int) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat(%d) of log %s: %w", fd, w.path, err)
	}
	w.fd, w.piece = fd, pipeBufBytes
	if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
		w.piece = 0
	}
	return nil
}

// Path returns the path that the Writer was made with.
func (w *Writer) Path() string { return w.path }

// Begin returns the free end of the buffer, of length 0, for a line to be appended to. It is good until
// Commit, which must be the next call.
func (w *Writer) Begin() []byte { return w.room()[:0] }

// room is the free part of the buffer without its last byte, which keep may need.
func (w *Writer) room() []byte { return w.buf[len(w.buf) : cap(w.buf)-1 : cap(w.buf)-1] }

// Commit takes the line that was appended to what Begin returned, without a line feed, and adds one.
// It writes if the buffer is full.
func (w *Writer) Commit(line []byte) {
	line = append(line, lineFeedByte)
	room := w.room()
	if len(line) > len(room) || &line[0] != &room[0] {
		w.commitMoved(line)
		return
	}
	if len(w.buf) == 0 {
		w.dueMs = w.nowMs + w.flushMs
		if w.flushMs > 0 {
			w.wakeMs = min(w.wakeMs, w.dueMs)
		}
	}
	w.buf = w.buf[:len(w.buf)+len(line)]
	if len(w.buf) > w.limit {
		w.makeRoom(len(line))
	}
}

// makeRoom brings a buffer that is too full below its limit: by writing, else by dropping
// the last line, which has lineBytes.
func (w *Writer) makeRoom(lineBytes int) {
	w.flush()
	held := len(w.buf)
	if w.mended {
		held--
	}
	if held > w.limit && held >= lineBytes {
		w.buf = w.buf[:len(w.buf)-lineBytes]
		w.drop(1)
	}
	w.settle()
}

// commitMoved takes a line that append moved out of the buffer because it was too long for the room.
func (w *Writer) commitMoved(line []byte) {
	w.flush()
	switch {
	case len(line) <= len(w.room()):
		if len(w.buf) == 0 {
			w.dueMs = w.nowMs + w.flushMs
		}
		w.buf = append(w.buf, line...)
		if len(w.buf) > w.limit {
			w.makeRoom(len(line))
		}
	case len(w.buf) > 0 || w.nowMs < w.retryMs:
		w.drop(1)
	default:
		w.writeMoved(line)
	}
	w.settle()
}

// writeMoved writes a line that is longer than the whole buffer, which is empty.
func (w *Writer) writeMoved(line []byte) {
	done, errno := w.writeLines(line)
	if errno == 0 {
		return
	}
	w.failed(errno)
	if done < len(line)-1 {
		w.drop(1)
	}
	if done > 0 {
		w.buf, w.mended = append(w.buf, lineFeedByte), true
	}
}

// Tick tells the time, in milliseconds of a clock that does not go back, and does what is due. Once per
// turn of the loop.
func (w *Writer) Tick(nowMs int64) {
	w.nowMs = nowMs
	if nowMs >= w.wakeMs {
		w.wake()
	}
}

func (w *Writer) wake() {
	if len(w.buf) > 0 && (w.retryMs > 0 || w.flushMs > 0 && w.nowMs >= w.dueMs) {
		w.flush()
	}
	w.settle()
}

// NextMs returns when Tick will have something to do, or -1 if nothing is due: for the loop's wait.
func (w *Writer) NextMs() int64 {
	if w.wakeMs == neverMs {
		return -1
	}
	return w.wakeMs
}

// settle ends whatever may have written: it complains if it must, and works out when Tick has to act next.
func (w *Writer) settle() {
	if w.untold && w.nowMs >= w.quietMs {
		w.report()
	}
	w.wakeMs = neverMs
	if len(w.buf) > 0 {
		switch {
		case w.retryMs > 0:
			w.wakeMs = w.retryMs
		case w.flushMs > 0:
			w.wakeMs = w.dueMs
		}
	}
	if w.untold {
		w.wakeMs = min(w.wakeMs, w.quietMs)
	}
}

// Flush tries to write everything now, even soon after an error. It returns whether nothing is left.
func (w *Writer) Flush() bool {
	w.retryMs = 0
	w.flush()
	w.settle()
	return len(w.buf) == 0
}

// Reopen flushes, goes on with fd, which the caller keeps as it kept the one before, and returns
// that one for the caller to close. What it did not take goes to fd. If fd is no good, nothing
// changes but for an error.
func (w *Writer) Reopen(fd int) (old int, err error) {
	w.Flush()
	old = w.fd
	if err := w.setDescriptor(fd); err != nil {
		return -1, err
	}
	if w.mended { // what it ends is in the old file
		w.buf, w.mended = append(w.buf[:0], w.buf[1:]...), false
	}
	w.Flush()
	return old, nil
}

// Close flushes. What cannot be written is dropped and counted. The descriptor stays open.
func (w *Writer) Close() {
	if !w.Flush() {
		lines := bytes.Count(w.buf, []byte{lineFeedByte})
		if w.mended {
			lines--
		}
		w.buf, w.mended = w.buf[:0], false
		w.drop(lines)
	}
	w.quietMs = w.nowMs // the last chance to tell
	w.settle()
}

// Dropped returns how many lines were never written.
func (w *Writer) Dropped() uint64 { return w.dropped }
