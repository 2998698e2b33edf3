// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package logfile writes logs: access logs in the workers (Writer), the error log (errlog.go).
//
// # The access log
//
//	line := w.Begin()                  the free end of the buffer
//	line = format.Append(line, request)
//	w.Commit(line)                     adds the line feed; writes if the buffer is full
//	...
//	w.Tick(clock.Ms())                 once per turn of the loop: writes what is old enough
//
//	buf  [ line\n line\n line\n |                 slack: room for one more line ]
//	     0                     len   ...  limit                              cap
//
// A line is rendered where it will be written from; nothing is copied. A line that outgrows the
// room is moved to the heap by append and still comes out whole.
//
// # Lines are never torn
//
// All workers append to one file. The master opens it with O_APPEND, so one write(2) to a regular
// file is one piece in it; a Writer only writes whole lines. To a pipe a write is one piece up to
// PIPE_BUF bytes, so there it writes whole lines up to that size (a single longer line
// goes out as it is: it is the only thing that can be torn).
//
// # On failure
//
// Nothing here blocks or stops the loop. A write that fails or is cut short leaves whole lines
// in the buffer, to be tried again: after a second, or soon if a pipe was full. While the buffer is full
// new lines are dropped and counted; whoever made the Writer is told at most once a second. If
// a line was cut, the next write begins with a line feed and has that line again, whole: a fragment
// may stay in a file, but no line is glued to another of the same worker.
//
// Reopening is an exchange of descriptors: what the old file did not take goes to the new one.
//
// # Other logs
//
// Lines also go to a syslog server (Syslog), and to files whose names are known with the line only (NamedFiles, FileCache): a thread opens and writes those. Neither
// waits; what is not taken is dropped and counted.
//
// # Who owns what
//
// The caller owns descriptors, and closes them; a Writer only writes. A Writer belongs to one thread.
// One path has one Writer in a process (Writers), so that two logs to a file keep the order of lines.
//
// A pipe, socket or terminal must not block: give it an open file description of its own with
// O_NONBLOCK (opened anew through /proc/self/fd), as the flag is shared with whoever else holds it.
//
// # Not here
//
// Formats (package vars), opening and naming of files (the master), rotation (the operator's tools,
// with the signal USR1).
package logfile
