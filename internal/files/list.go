// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"weir/internal/offload"
	"weir/internal/static"
)

// EntriesMax bounds the entries of a folder that are listed.
const EntriesMax = 100_000

// Reader is told of a listing.
type Reader interface {
	// OnListed gets the page, which is its own, or why there is none. It runs on the loop.
	OnListed(page []byte, errno syscall.Errno)
}

// Lister reads folders on a thread.
type Lister struct{ thread *offload.Thread }

// NewLister makes a lister that has its work done by a thread.
func NewLister(t *offload.Thread) *Lister { return &Lister{t} }

// Listing is one folder that is being read.
type Listing struct {
	job    offload.Job
	reader Reader
	folder string
	look   static.Listing
	page   []byte
	err    error
}

// List has the page of a folder made, and told to the reader.
func (l *Lister) List(folder string, look static.Listing, r Reader) *Listing {
	j := &Listing{reader: r, folder: folder, look: look}
	j.job.Init(j)
	l.thread.Do(&j.job)
	return j
}

// Format is what is made of the folder.
func (j *Listing) Format() static.Format { return j.look.Format }

// Forget has the reader not told any more.
func (j *Listing) Forget() { j.reader = nil }

// Work reads the folder. See offload.Worker.
func (j *Listing) Work() {
	var entries []static.Entry
	if entries, j.err = read(j.folder, EntriesMax); j.err == nil {
		j.page = j.look.Append(nil, entries)
	}
}

// OnWorked tells the reader. See offload.Worker.
func (j *Listing) OnWorked() {
	if j.reader != nil {
		j.reader.OnListed(j.page, errnoOf(j.err))
	}
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return syscall.EIO
	}
	return errno
}

// read looks at a folder's entries, but for those whose names begin with a dot and those that may not be looked at.
func read(folder string, most int) ([]static.Entry, error) {
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(most)
	if err != nil && len(names) == 0 && !errors.Is(err, io.EOF) {
		return nil, err
	}
	entries := make([]static.Entry, 0, len(names))
	for _, name := range names {
		if name[0] == '.' {
			continue
		}
		path := filepath.Join(folder, name)
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
			info, err = os.Lstat(path)
		}
		if err != nil {
			continue // nobody could get it either, or it has gone
		}
		e := static.Entry{Name: name, MtimeSec: info.ModTime().Unix(), Size: info.Size(), Kind: static.KindOther}
		switch {
		case info.IsDir():
			e.Kind = static.KindDir
		case info.Mode().IsRegular():
			e.Kind = static.KindFile
		}
		entries = append(entries, e)
	}
	return entries, nil
}
