// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"os"

	"weir/internal/offload"
)

// fileTest is a file that a condition asks for: looked at beside the loop, because a disk may have to be waited for.
type fileTest struct {
	offload.Job
	request *Request // nil: nobody waits for it any more
	test    Test
	path    string
	away    bool // the goroutine has it
	done    bool
	holds   bool
}

// Work looks at the file. See offload.Worker.
func (f *fileTest) Work() {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
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
	f.test, f.path = c.Test, string(r.renderScratch(c.Operand))
	f.away = true
	e := r.engine
	if e.fileThread == nil {
		e.fileThread = e.Calls.NewThread()
	}
	e.fileThread.Do(&f.Job)
	return false, false
}
