// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"os"

	"weir/internal/files"
	"weir/internal/offload"
	"weir/internal/sys"
)

// fileTest is a file that a condition asks for: looked at beside the loop, because a disk may have to be waited for.
type fileTest struct {
	offload.Job
	request *Request // nil: nobody waits for it any more
	test    Test
	name    []byte // with a NUL behind it
	links   files.Links
	trusted int
	away    bool // the goroutine has it
	done    bool
	holds   bool
}

// Work looks at the file. See offload.Worker.
func (f *fileTest) Work() {
	info, err := os.Stat(string(f.name[:len(f.name)-1]))
	switch {
	case err != nil || !f.reachable():
		f.holds = false
	case f.test == TestFile:
		f.holds = info.Mode().IsRegular()
	case f.test == TestDirectory:
		f.holds = info.IsDir()
	case f.test == TestExecutable:
		f.holds = info.Mode().Perm()&0o100 != 0
	default:
		f.holds = info.Mode().IsRegular() || info.IsDir()
	}
}

// reachable says whether disable_symlinks allows the way to the file. For a condition one that may not be reached is not there, as with nginx; what serves it answers 403.
func (f *fileTest) reachable() bool {
	var info sys.FileInfo
	return f.links == files.LinksAllowed || files.Stat(f.name, f.links, f.trusted, &info) == 0
}

// OnWorked goes on with the request. See offload.Worker.
func (f *fileTest) OnWorked() {
	f.away, f.done = false, true
	if f.request != nil {
		f.request.drive()
	}
}

// testFile asks whether a condition about a file holds. known is false as long as that is being found out.
func (r *Request) testFile(c *If) (holds, known bool) {
	f := r.program.file
	if f == nil {
		f = &fileTest{request: r}
		f.Init(f)
		r.program.file = f
	}
	switch {
	case f.away:
		return false, false
	case f.done:
		f.done = false
		return f.holds, true
	}
	f.test, f.name = c.Test, append(append(f.name[:0], r.renderScratch(c.Operand)...), 0)
	f.links, f.trusted = files.LinksAllowed, 0
	if fs := r.loc.Files; fs != nil && fs.Links != files.LinksAllowed {
		f.links, f.trusted = fs.Links, r.trusted(f.name)
	}
	f.away = true
	e := r.engine
	if e.fileThread == nil {
		e.fileThread = e.Calls.NewThread()
	}
	e.fileThread.Do(&f.Job)
	return false, false
}
