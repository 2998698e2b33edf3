// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"path/filepath"

	"weir/internal/static"
	"weir/internal/vars"
)

// appendFolder appends the place that f is for this request. False: a variable would lead out of it.
func (r *Request) appendFolder(dst []byte, f *Folder) ([]byte, bool) {
	if f.Template == nil {
		return append(dst, f.Text...), true
	}
	from := len(dst)
	dst = f.Template.Append(dst, r)
	if len(dst) == from || dst[from] != '/' {
		value := len(dst) - from
		dst = append(append(append(dst, f.Prefix...), '/'), dst[from:]...)
		copy(dst[from:], dst[from+value:])
		dst = dst[:len(dst)-value]
	}
	return dst, f.Above || static.Inside(dst[from:])
}

// appendFileName appends the name of the file that a path stands for in the request's location. False: it stands for none.
func (r *Request) appendFileName(dst, path []byte) ([]byte, bool) {
	f := r.loc.Files
	dst, ok := r.appendFolder(dst, &f.Root)
	if !ok || f.Skip < 0 && !r.belowAlias {
		return dst, ok
	}
	if f.Skip > 0 && !bytes.HasPrefix(path, []byte(f.Replaced)) {
		r.logError("alias cannot be used in a location whose path was rewritten")
		return dst, false
	}
	path = path[max(f.Skip, 0):]
	return append(dst, path...), static.Inside(path)
}

// fileName is the name of the file of a path, with a NUL behind it, in the request's arena. Empty: it has none; nil: there is no memory.
func (r *Request) fileName(path []byte) []byte {
	name, ok := r.appendFileName(r.engine.takeScratch(), path)
	if !ok {
		name = name[:0]
	}
	return r.endScratch(append(name, 0))
}

// trusted is how much of a file's name, from its start, may have symbolic links in it.
func (r *Request) trusted(name []byte) int {
	f := r.loc.Files
	if f.Trusted == nil {
		return 0
	}
	part, _ := r.appendFolder(r.engine.takeScratch(), &Folder{Template: f.Trusted, Prefix: f.Root.Prefix, Above: true})
	r.engine.putScratch(part)
	part = bytes.TrimRight(part, "/")
	if rest, ok := bytes.CutPrefix(name, part); ok && len(part) > 0 && (rest[0] == '/' || rest[0] == 0) {
		return len(part)
	}
	return 0
}

// appendCandidate appends the text of a file to look for.
func (r *Request) appendCandidate(dst []byte, c *Candidate) []byte {
	if c.Template == nil {
		return append(dst, c.Text...)
	}
	return c.Template.Append(dst, r)
}

// addFiles adds the variables of files.
func (t *variables) addFiles() {
	t[vars.DocumentRoot] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Files == nil {
			return dst, false
		}
		return r.appendFolder(dst, &r.loc.Files.Root)
	}
	t[vars.RealpathRoot] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Files == nil {
			return dst, false
		}
		root, ok := r.appendFolder(nil, &r.loc.Files.Root)
		if !ok {
			return dst, false
		}
		real, err := filepath.EvalSymlinks(string(root))
		return append(dst, real...), err == nil
	}
	t[vars.RequestFilename] = func(r *Request, dst []byte, _ string) ([]byte, bool) {
		if r.loc.Files == nil {
			return dst, false
		}
		from := len(dst)
		dst, ok := r.appendFileName(dst, r.path)
		if !ok {
			dst = dst[:from]
		}
		return dst, ok
	}
}
