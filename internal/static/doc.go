// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package static is what serving files comes to without the files: which of them a request is about, whether the client has it already,
// which bytes of it are wanted, and the texts that are made of it. It has nginx's rules, and makes no system call.
//
//	path.go      root or alias and a path make the name of a file
//	condition.go If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since
//	ranges.go    Range, one part or several
//	etag.go      ETag; date.go  dates of HTTP
//	types.go     Content-Type by the name's extension
//	expires.go   Expires and Cache-Control
//	listing.go   the page of a folder (autoindex)
//	encoding.go  whether a client takes gzip
//
// # Invariants
//
//   - The name of a file is the root with the path behind it. A path that would lead out of it (a segment "..", a NUL) has no name.
//   - What a Ranges gives lies within the file, and is no more in all than the file, so that a client cannot make an answer larger by asking.
//
// # Not here
//
// Opening and reading files (packages sys, worker), the answer itself (request, eventpipe). Whether a symbolic link leads elsewhere is the
// kernel's business: see disable_symlinks in sys.
package static
