// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package files opens the files that are served, with the rights of the worker.
//
//	Open, Stat     one file, by the way that disable_symlinks allows
//	Lister         a folder's entries, read on a thread (autoindex)
//
// Open and Stat are system calls on the loop, as in nginx: opening, looking and closing take about 5 microseconds where the name is in the kernel's cache
// (BenchmarkOpen), and a hop to a thread and back would add 10. A name that is not in the cache waits for the disk; so does the loop, as sendfile(2) does for
// bytes that are not in the page cache. A folder with many entries is another matter: it is read and looked at on a thread.
//
// # Symbolic links
//
// With disable_symlinks the way to a file is gone name by name, each opened from the directory before it, so that nobody can change a part of the way
// between the look and the step: the link is looked at, then what was opened, and a link is refused, or one whose owner is not that of what it leads
// to. The part of the way that is trusted (from=) is opened in one step.
//
// # Failure
//
// An errno; ELOOP for a link that is not allowed. No descriptor stays open then.
//
// # Not here
//
// What the name of a file is (package static), and which status a fault is answered with (request).
package files
