// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"

	"weir/internal/files"
	"weir/internal/http1"
	"weir/internal/logfile"
	"weir/internal/static"
	"weir/internal/sys"
)

// Answers from files: which one it is, and what becomes of those that are not there. sendfile.go sends it.

// served is the file that a request is answered with.
type served struct {
	files.File
	open bool

	listing *files.Listing // a folder that is being read

	packed      bool // it is gzip of what was asked for
	contentType string
	etagText    [40]byte
	etagLen     int

	from, length int64         // the part of it that is sent, unless parts of it are
	ranges       static.Ranges // ranges.Count > 0: a range; > 1: several
	parts        static.Parts
	next         int   // where the next of them begins, see static.Ranges
	left         bool  // parts of the body have not been handed to the pipe
	outside      int64 // the size of a file that has nothing of what was asked for, plus 1
}

func (s *served) etag() []byte { return s.etagText[:s.etagLen] }

// close gives back what it holds.
func (s *served) close() {
	if s.open {
		s.File.Close()
		s.open = false
	}
	if s.listing != nil {
		s.listing.Forget()
		s.listing = nil
	}
}

// answerFile answers with a file: nginx's static and index handlers.
func (r *Request) answerFile() verdict {
	switch r.methodID {
	case http1.MethodGet, http1.MethodHead, http1.MethodPost:
	default:
		return r.answer(405)
	}
	if n := len(r.path); n > 0 && r.path[n-1] == '/' {
		return r.answerFolder()
	}
	f := r.loc.Files
	name := r.fileName(r.path)
	if v, ok := r.checkName(name); !ok {
		return v
	}
	r.file.packed = false
	r.newOut()
	if r.loc.Packed != nil && r.methodID != http1.MethodPost && r.openPacked(name) {
		return r.sendFile()
	}
	file, errno := files.Open(name, f.Links, r.trusted(name))
	if errno != 0 {
		return r.fileFault("open", name, errno)
	}
	switch {
	case file.IsDir():
		file.Close()
		return r.answerSlash()
	case !file.IsRegular():
		file.Close()
		r.logFile(logfile.LevelError, "%q is not a regular file", name)
		return r.answer(404)
	case r.methodID == http1.MethodPost:
		file.Close()
		return r.answer(405)
	}
	r.file.File, r.file.open = file, true
	return r.sendFile()
}

// checkName answers where a path has no name.
func (r *Request) checkName(name []byte) (v verdict, ok bool) {
	switch {
	case name == nil:
		return r.noMemory(), false
	case len(name) == 1:
		r.logError("the path leads out of the folder that it is in")
		return r.answer(404), false
	}
	return again, true
}

// fileFault answers for a file that cannot be served.
func (r *Request) fileFault(call string, name []byte, errno syscall.Errno) verdict {
	level, status := logfile.LevelError, 404
	switch errno {
	case sys.ENOENT, sys.ENOTDIR, sys.ENAMETOOLONG:
		if !r.loc.Files.LogNotFound {
			return r.answer(404)
		}
	case sys.EACCES, sys.EPERM, sys.ELOOP:
		status = 403
	case sys.ENXIO: // a socket, or a pipe: nginx has 404 for what is no file
	default:
		level, status = logfile.LevelCrit, 500
	}
	if r.errorLog().Enabled(level) {
		r.logFile(level, call+"() %q failed ("+errnoText(errno)+")", name)
	}
	return r.answer(status)
}

// errnoText is an error as nginx's log has it: "2: No such file or directory".
func errnoText(errno syscall.Errno) string {
	text := errno.Error()
	return fmt.Sprintf("%d: %s%s", int(errno), strings.ToUpper(text[:1]), text[1:])
}

// logFile writes about a file; name ends with a NUL.
func (r *Request) logFile(level logfile.Level, format string, name []byte) {
	if r.errorLog().Enabled(level) {
		message := fmt.Sprintf(format, name[:len(name)-1])
		if level == logfile.LevelCrit {
			r.errorLog().Crit(message, r.logFields()...)
		} else {
			r.errorLog().Error(message, r.logFields()...)
		}
	}
}

// answerFolder answers for a path that ends with a slash: with one of the files by chance, with an index file, with a list, or not at all.
func (r *Request) answerFolder() verdict {
	if r.loc.Files.RandomIndex {
		return r.list(static.Listing{Format: static.FormatOne, Chance: rand.Uint32()})
	}
	return r.answerIndex()
}

// answerIndex answers with an index file, with a list, or not at all.
func (r *Request) answerIndex() verdict {
	f := r.loc.Files
	looked := false
	for i := range f.Index {
		c := &f.Index[i]
		if c.Template == nil && len(c.Text) > 0 && c.Text[0] == '/' {
			return r.redirectPath(r.arena.Copy([]byte(c.Text)), r.args)
		}
		path := r.endScratch(r.appendCandidate(append(r.engine.takeScratch(), r.path...), c))
		if path == nil {
			return r.noMemory()
		}
		if tail := path[len(r.path):]; len(tail) > 0 && tail[0] == '/' {
			return r.redirectPath(tail, r.args)
		}
		name := r.indexName(path[len(r.path):])
		if v, ok := r.checkName(name); !ok {
			return v
		}
		var info sys.FileInfo
		errno := files.Stat(name, f.Links, r.trusted(name), &info)
		switch errno {
		case 0:
			return r.redirectPath(path, r.args)
		case sys.ENOENT:
		default:
			return r.fileFault("stat", name, errno)
		}
		if !looked {
			looked = true
			if v, ok := r.checkFolder(); !ok {
				return v
			}
		}
	}
	if f.Autoindex != nil && r.methodID != http1.MethodPost {
		return r.list(*f.Autoindex)
	}
	name := r.fileName(r.path)
	if v, ok := r.checkName(name); !ok {
		return v
	}
	r.logFile(logfile.LevelError, "directory index of %q is forbidden", name)
	return r.answer(403)
}

// indexName is the name of a file in the folder that the path stands for, as fileName.
func (r *Request) indexName(file []byte) []byte {
	name, ok := r.appendFileName(r.engine.takeScratch(), r.path)
	if ok = ok && static.Inside(file); ok {
		name = append(name, file...)
	} else {
		name = name[:0]
	}
	return r.endScratch(append(name, 0))
}

// checkFolder answers where the folder itself is not there.
func (r *Request) checkFolder() (v verdict, ok bool) {
	name := r.fileName(r.path)
	if v, ok := r.checkName(name); !ok {
		return v, false
	}
	var info sys.FileInfo
	switch errno := files.Stat(name, r.loc.Files.Links, r.trusted(name), &info); {
	case errno == sys.ENOENT:
		if r.loc.Files.LogNotFound {
			r.logFile(logfile.LevelError, "%q is not found (2: No such file or directory)", name)
		}
		return r.answer(404), false
	case errno != 0:
		return r.fileFault("stat", name, errno), false
	}
	return again, true
}

// list has the folder read, on a thread.
func (r *Request) list(look static.Listing) verdict {
	name := r.fileName(r.path)
	if v, ok := r.checkName(name); !ok {
		return v
	}
	if v, ok := r.refuseBody(); !ok {
		return v
	}
	look.Path = string(r.path)
	if look.Format == static.FormatJSONP {
		callback, _ := appendArg(nil, r.args, "callback")
		if !static.IsCallback(callback) {
			r.logError("the name of the callback is none")
			return r.answer(400)
		}
		look.Callback = string(callback)
	}
	r.answerPage.reset()
	r.answerPage.contentType = look.ContentType()
	if f := r.loc.Filters; f != nil && look.Format == static.FormatHTML {
		charset, _ := r.targetCharset(f.Charset, []byte(r.answerPage.contentType), nil)
		look.UTF8 = equalFold(charset, "utf-8")
	}
	r.file.listing = r.engine.Lister.List(string(name[:len(name)-1]), look, r)
	return r.become(StateList)
}

// OnListed answers with the list of a folder. See files.Reader.
func (r *Request) OnListed(page []byte, errno syscall.Errno) {
	one := r.file.listing.Format() == static.FormatOne
	r.file.listing = nil
	switch {
	case errno != 0:
		r.fileFault("opendir", r.fileName(r.path), errno)
	case one:
		r.answerOne(page)
	default:
		r.status = 200
		r.answerPage.body = page
		r.sendAnswer()
	}
	r.drive()
}

// answerOne answers with a file of the folder that chance has chosen; without one as if random_index was off.
func (r *Request) answerOne(file []byte) verdict {
	if len(file) == 0 {
		return r.answerIndex()
	}
	path := r.endScratch(append(append(r.engine.takeScratch(), r.path...), file...))
	if path == nil {
		return r.noMemory()
	}
	return r.redirectPath(path, r.args)
}

// tryFiles looks for files, and has the path be that of the first that is there. It is the phase precontent.
func (r *Request) tryFiles() (v verdict, pass bool) {
	t := r.loc.TryFiles
	r.belowAlias = r.loc.Files.Skip < 0
	for i := range t.List {
		c := &t.List[i]
		path := r.endScratch(r.appendCandidate(r.engine.takeScratch(), c))
		if path == nil {
			return r.noMemory(), false
		}
		name, path := r.candidateName(path, c.Template != nil)
		if name == nil {
			return r.noMemory(), false
		}
		if len(name) == 1 {
			continue
		}
		var info sys.FileInfo
		f := r.loc.Files
		if errno := files.Stat(name, f.Links, r.trusted(name), &info); errno != 0 || info.IsDir() != c.Dir {
			continue
		}
		if r.belowAlias = r.belowAlias && !c.Dir; r.belowAlias || r.loc.Files.Skip >= 0 {
			r.path = path
		}
		return again, true
	}
	r.belowAlias = false
	switch {
	case t.Code != 0:
		return r.answer(t.Code), false
	case t.Named != "":
		return r.redirectToNamed(t.Named), false
	}
	return r.redirectTo(r.render(t.URI)), false
}

// candidateName is the name of the file of a candidate's path, as fileName, and what the path is from now on if it is there. Below an alias only a path
// with variables may begin with the location's own path, as with nginx.
func (r *Request) candidateName(path []byte, variable bool) (name, after []byte) {
	skip := r.loc.Files.Skip
	if skip > 0 && !(variable && len(r.path) >= skip && bytes.HasPrefix(path, r.path[:skip])) {
		path = r.arena.End(append(append(r.arena.Begin(skip+len(path)), r.loc.Files.Replaced...), path...)) // it is below the alias
		if path == nil {
			return nil, nil
		}
	}
	return r.fileName(path), path
}
