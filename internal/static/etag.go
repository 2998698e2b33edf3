// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import "strconv"

// AppendETag appends a file's entity tag as nginx makes it: the time of the last change and the size, in hexadecimal.
func AppendETag(dst []byte, mtimeSec, size int64) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, mtimeSec, 16)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, size, 16)
	return append(dst, '"')
}
