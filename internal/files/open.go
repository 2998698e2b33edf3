// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package files

import (
	"bytes"
	"syscall"

	"weir/internal/sys"
)

// Links is what is thought of symbolic links on the way to a file: disable_symlinks.
type Links uint8

// The settings.
const (
	LinksAllowed  Links = iota
	LinksRefused        // none may be on the way
	LinksOfOwners       // one and what it leads to must have the same owner
)

// File is an open file.
type File struct {
	FD int
	sys.FileInfo
}

// Close closes it.
func (f *File) Close() {
	sys.Close(f.FD)
	f.FD = -1
}

// Open opens what has a name, which ends with a NUL, for reading, and looks at it; it may be anything. The first trusted bytes of the name may have links in
// any case; they end before a slash, or are all of it. With links that are not allowed name is written to for the time of the call.
func Open(name []byte, links Links, trusted int) (f File, errno syscall.Errno) {
	if allowed(name, links, trusted) {
		f.FD, errno = sys.OpenFile(sys.AtCwd, name)
	} else {
		f.FD, errno = walk(name, links, trusted)
	}
	if errno == 0 {
		if errno = sys.StatFile(f.FD, &f.FileInfo); errno != 0 {
			f.Close()
		}
	}
	return f, errno
}

// Stat is Open without opening, where links are allowed: it needs no right to read.
func Stat(name []byte, links Links, trusted int, info *sys.FileInfo) syscall.Errno {
	if allowed(name, links, trusted) {
		return sys.StatName(sys.AtCwd, name, true, info)
	}
	f, errno := Open(name, links, trusted)
	if errno == 0 {
		f.Close()
		*info = f.FileInfo
	}
	return errno
}

// allowed says whether links may be anywhere in a name.
func allowed(name []byte, links Links, trusted int) bool {
	return links == LinksAllowed || trusted == len(name)-1
}

var root = []byte("/\x00") // read-only

// walk opens name, which ends with a NUL, step by step.
func walk(name []byte, links Links, trusted int) (int, syscall.Errno) {
	dir, rest := sys.AtCwd, name
	var errno syscall.Errno
	switch {
	case trusted > 0 && trusted < len(name)-1 && name[trusted] == '/':
		rest = name[trusted:]
		rest[0] = 0
		dir, errno = sys.OpenPath(sys.AtCwd, name)
		rest[0] = '/'
	case name[0] == '/':
		dir, errno = sys.OpenPath(sys.AtCwd, root)
	}
	if errno != 0 {
		return -1, errno
	}
	for {
		for len(rest) > 1 && rest[0] == '/' {
			rest = rest[1:]
		}
		end := bytes.IndexByte(rest, '/')
		last := end < 0
		if last {
			end = len(rest) - 1
		}
		if end == 0 { // the name ends with a slash
			rest = here
			end, last = 1, true
		}
		step := rest[:end+1]
		kept := step[end]
		if kept != 0 {
			step[end] = 0
		}
		next, errno := enter(dir, step, links, last)
		if kept != 0 {
			step[end] = kept
		}
		if dir != sys.AtCwd {
			sys.Close(dir)
		}
		if errno != 0 || last {
			return next, errno
		}
		dir, rest = next, rest[end:]
	}
}

var here = []byte(".\x00") // read-only: it ends with a NUL already

// enter opens one name in a directory, unless it is a link that is not allowed.
func enter(dir int, name []byte, links Links, last bool) (int, syscall.Errno) {
	var own, led sys.FileInfo
	if errno := sys.StatName(dir, name, false, &own); errno != 0 {
		return -1, errno
	}
	if own.IsLink() && links == LinksRefused {
		return -1, sys.ELOOP
	}
	open := sys.OpenPath
	if last {
		open = sys.OpenFile
	}
	fd, errno := open(dir, name)
	if errno != 0 {
		return -1, errno
	}
	if errno = sys.StatFile(fd, &led); errno == 0 && !mayLead(links, &own, &led) {
		errno = sys.ELOOP
	}
	if errno != 0 {
		sys.Close(fd)
		return -1, errno
	}
	return fd, 0
}

// mayLead says whether what was opened may be what a name led to that was looked at before: itself, or what a link leads to that is allowed. In the place of what
// was no link another one may have come since, which nobody has looked at.
func mayLead(links Links, own, led *sys.FileInfo) bool {
	return own.Same(led) || links == LinksOfOwners && own.IsLink() && own.UID == led.UID
}
