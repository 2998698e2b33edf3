// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import "bytes"

// Inside says whether a path leads nowhere but below the folder that it is appended to: it has no segment "..", and no NUL, at which the kernel
// would end it. What a client sent has been normalized already; this is about what rewrites, variables and an alias without its slash make
// of it.
func Inside(path []byte) bool {
	if bytes.IndexByte(path, 0) >= 0 {
		return false
	}
	for len(path) > 0 {
		segment := path
		if i := bytes.IndexByte(path, '/'); i >= 0 {
			segment, path = path[:i], path[i+1:]
		} else {
			path = nil
		}
		if len(segment) == 2 && segment[0] == '.' && segment[1] == '.' {
			return false
		}
	}
	return true
}

// Extension is what follows the last dot of a path's last segment, as nginx has it: not where the dot begins the segment. Empty: there
// is none.
func Extension(path []byte) []byte {
	for i := len(path) - 1; i > 1; i-- {
		switch {
		case path[i] == '/':
			return nil
		case path[i] == '.' && path[i-1] != '/':
			return path[i+1:]
		}
	}
	return nil
}
