// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/files"
	"weir/internal/static"
	"weir/internal/vars"
)

// Files is how a location answers with files, where nothing else answers.
type Files struct {
	Root Folder
	// Skip is the length of the part of the path that Root takes the place of (alias); 0 with root; negative: Root is the whole name.
	Skip int
	// Replaced is that part of the path, where Skip is more than 0: the path of the location, or of one around it, with the alias.
	Replaced string

	Index     []Candidate  // index
	Etag      bool         // etag
	Since     static.Since // if_modified_since
	MaxRanges int          // max_ranges; 0: no ranges
	// Autoindex is how folders without an index file are shown; nil: not at all.
	RandomIndex bool // random_index
	Autoindex   *static.Listing

	Links   files.Links    // disable_symlinks
	Trusted *vars.Template // the part of the way that may have links; nil: none

	LogNotFound bool // log_not_found
}

// Folder is a place in the file system that may depend on the request.
type Folder struct {
	Text     string         // unless there is a template
	Template *vars.Template // nil: Text
	Prefix   string         // where it begins if it is relative, which only a template can be; without a slash at its end
	// Above says that it is written with a segment "..": else none may come in by a variable.
	Above bool
}

// Candidate is a file of index or try_files.
type Candidate struct {
	Text     string         // unless there is a template
	Template *vars.Template // nil: Text
	Dir      bool           // it is to be a folder (try_files): the slash at its end is taken off
}

// TryFiles are files that are looked for before a request is answered.
type TryFiles struct {
	List []Candidate
	// What to do when none is there: exactly one of these.
	Code  int
	Named string // "@name"
	URI   *vars.Template
}

// ExpiresRule is how long answers may be kept.
type ExpiresRule struct {
	Fixed    static.Expires
	Template *vars.Template // gives the text for each request; nil: Fixed
}
