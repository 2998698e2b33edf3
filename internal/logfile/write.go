// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"bytes"
	"fmt"
	"syscall"

	"weir/internal/sys"
)

// flush writes the buffer, unless a write failed a moment ago, and keeps what was not taken.
func (w *Writer) flush() {
	if len(w.buf) == 0 || w.nowMs < w.retryMs {
		return
	}
	done, errno := w.writeLines(w.buf)
	if errno == 0 {
		w.buf, w.mended, w.retryMs = w.buf[:0], false, 0
		return
	}
	w.keep(done)
	w.failed(errno)
}

// writeLines writes all of lines, a piece at a time, and goes on after a short write. It returns how far
// it came and what stopped it.
func (w *Writer) writeLines(lines []byte) (done int, errno syscall.Errno) {
	for done < len(lines) {
		piece := lines[done:]
		if w.piece > 0 && len(piece) > w.piece {
			piece = wholeLines(piece, w.piece)
		}
		n, failure := w.write(w.fd, piece)
		if failure == 0 && n == 0 {
			failure = syscall.EIO // nothing says what this means; it is no progress
		}
		if failure != 0 {
			return done, failure
		}
		done += n
	}
	return done, 0
}

// wholeLines returns as many lines from the start of lines as fit in most bytes, at least one.
func wholeLines(lines []byte, most int) []byte {
	if end := bytes.LastIndexByte(lines[:most], lineFeedByte); end >= 0 {
		return lines[:end+1]
	}
	return lines[:most+bytes.IndexByte(lines[most:], lineFeedByte)+1]
}

// keep moves what is to be written again to the front of the buffer, after a write that took the
// first done bytes. If that cut a line, the line feed that ends it in the file comes first, and then
// the line again; unless nothing but its line feed was missing.
func (w *Writer) keep(done int) {
	if done == 0 {
		return
	}
	if w.buf[done-1] == lineFeedByte {
		w.buf, w.mended = append(w.buf[:0], w.buf[done:]...), false
		return
	}
	from := done + 1
	if w.buf[done] != lineFeedByte {
		from = bytes.LastIndexByte(w.buf[:done], lineFeedByte) + 1
	}
	kept := copy(w.buf[1:cap(w.buf)], w.buf[from:])
	w.buf[0] = lineFeedByte
	w.buf, w.mended = w.buf[:1+kept], true
}

// failed notes an error and when to try again. A full pipe is nothing to tell of until a line is lost.
func (w *Writer) failed(errno syscall.Errno) {
	w.failure = errno
	if errno == sys.EAGAIN {
		w.retryMs = w.nowMs + retrySoonMs
		return
	}
	w.retryMs = w.nowMs + retryMs
	w.untold = true
}

// drop counts lines that will not be written.
func (w *Writer) drop(lines int) {
	w.dropped += uint64(lines)
	w.unreported += uint64(lines)
	w.untold = true
}

// report tells what went wrong last, and how much was lost since the last time.
func (w *Writer) report() {
	if w.complain != nil {
		w.complain(fmt.Errorf("write(%s): %w; %d lines dropped", w.path, w.failure, w.unreported))
	}
	w.untold, w.unreported = false, 0
	w.quietMs = w.nowMs + complaintMs
}
