// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import "fmt"

// Writers are the access logs of a process: one Writer per path. The zero value has none.
type Writers struct {
	all []*Writer
}

// Share returns the Writer for the options' path: the one that is there, or a new one. Two logs to one
// path must agree in buffer and flush, as in nginx; the descriptor and the rest of the options are then
// those of the first.
func (s *Writers) Share(o Options) (*Writer, error) {
	if w := s.Find(o.Path); w != nil {
		if w.limit != o.BufferBytes || w.flushMs != o.FlushMs {
			return nil, fmt.Errorf("access log %s has a buffer of %d bytes and flush after %d ms in one place, %d bytes and %d ms in another",
				o.Path, w.limit, w.flushMs, o.BufferBytes, o.FlushMs)
		}
		return w, nil
	}
	w, err := NewWriter(o)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, w)
	return w, nil
}

// Find returns the Writer of a path, or nil.
func (s *Writers) Find(path string) *Writer {
	for _, w := range s.all {
		if w.path == path {
			return w
		}
	}
	return nil
}

// Tick is Writer.Tick for all. It returns when the next has something to do, or -1: see NextMs.
func (s *Writers) Tick(nowMs int64) (nextMs int64) {
	nextMs = neverMs
	for _, w := range s.all {
		w.Tick(nowMs)
		nextMs = min(nextMs, w.wakeMs)
	}
	if nextMs == neverMs {
		return -1
	}
	return nextMs
}

// Flush is Writer.Flush for all.
func (s *Writers) Flush() {
	for _, w := range s.all {
		w.Flush()
	}
}

// Close is Writer.Close for all: the last thing before a worker leaves.
func (s *Writers) Close() {
	for _, w := range s.all {
		w.Close()
	}
}

// Dropped returns the lines that were never written, of all.
func (s *Writers) Dropped() (lines uint64) {
	for _, w := range s.all {
		lines += w.dropped
	}
	return lines
}
