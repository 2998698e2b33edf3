// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package logfile

import (
	"container/list"
	"time"

	"weir/internal/sys"
)

// FileCache keeps files open that NamedFiles writes to: nginx's open_log_file_cache. A nil one keeps none. It belongs to the thread.
type FileCache struct {
	max      int           // files; the one that was used longest ago leaves
	inactive time.Duration // how long one stays that is not used
	valid    time.Duration // how long it is believed to be the file with its name
	minUses  int           // within inactive, to be kept open
	byPath   map[string]*list.Element
	recent   *list.List // of *cachedFile, used last comes first
}

// cachedFile is a name that has been written to.
type cachedFile struct {
	path    string
	fd      int // -1: it is not open
	info    sys.FileInfo
	uses    int
	used    time.Time
	checked time.Time
}

// NewFileCache makes a cache.
func NewFileCache(max int, inactive, valid time.Duration, minUses int) *FileCache {
	return &FileCache{max: max, inactive: inactive, valid: valid, minUses: minUses, byPath: map[string]*list.Element{}, recent: list.New()}
}

// open gives a descriptor to append to. keep: it stays the cache's; otherwise it is the caller's to close.
func (c *FileCache) open(path string, now time.Time) (fd int, keep bool, err error) {
	if c == nil {
		fd, err = sys.OpenAppend(path)
		return fd, false, err
	}
	c.expire(now)
	if fd = c.kept(path, now); fd >= 0 {
		return fd, true, nil
	}
	if fd, err = sys.OpenAppend(path); err != nil {
		c.forget(path) // what cannot be opened takes no place of what can, as with nginx
		return fd, false, err
	}
	f := c.entry(path, now)
	if f.uses < c.minUses || sys.StatFile(fd, &f.info) != 0 {
		return fd, false, nil
	}
	f.fd, f.checked = fd, now
	return fd, true, nil
}

// kept is the descriptor of a path that is open; -1: none.
func (c *FileCache) kept(path string, now time.Time) int {
	e := c.byPath[path]
	if e == nil {
		return -1
	}
	f := e.Value.(*cachedFile)
	if f.fd >= 0 && now.Sub(f.checked) >= c.valid {
		f.check(now)
	}
	if f.fd >= 0 {
		c.entry(path, now)
	}
	return f.fd
}

// entry notes a use of a path, of which there is an entry from now on.
func (c *FileCache) entry(path string, now time.Time) *cachedFile {
	e := c.byPath[path]
	if e == nil {
		if c.recent.Len() >= c.max {
			c.remove(c.recent.Back())
		}
		e = c.recent.PushFront(&cachedFile{path: path, fd: -1})
		c.byPath[path] = e
	}
	c.recent.MoveToFront(e)
	f := e.Value.(*cachedFile)
	f.uses++
	f.used = now
	return f
}

// forget removes the entry of a path, if there is one.
func (c *FileCache) forget(path string) {
	if e := c.byPath[path]; e != nil {
		c.remove(e)
	}
}

// expire removes what was not used for a while.
func (c *FileCache) expire(now time.Time) {
	for e := c.recent.Back(); e != nil && now.Sub(e.Value.(*cachedFile).used) >= c.inactive; e = c.recent.Back() {
		c.remove(e)
	}
}

func (c *FileCache) remove(e *list.Element) {
	f := c.recent.Remove(e).(*cachedFile)
	delete(c.byPath, f.path)
	f.close()
}

// closeAll forgets everything.
func (c *FileCache) closeAll() {
	for e := c.recent.Back(); e != nil; e = c.recent.Back() {
		c.remove(e)
	}
}

// check closes the file if its name is another one's now, or nobody's.
func (f *cachedFile) check(now time.Time) {
	f.checked = now
	var info sys.FileInfo
	if sys.StatName(sys.AtCwd, append([]byte(f.path), 0), true, &info) != 0 || !info.Same(&f.info) {
		f.close()
	}
}

func (f *cachedFile) close() {
	if f.fd >= 0 {
		sys.Close(f.fd)
		f.fd = -1
	}
}
