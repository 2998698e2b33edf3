// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import "golang.org/x/sys/unix"

// AdviseDontNeed gives the pages of anonymous memory back to the kernel; the next touch finds zeroes. b starts and
// ends on page borders and stays mapped. madvise(2), MADV_DONTNEED.
func AdviseDontNeed(b []byte) error {
	return wrapf(unix.Madvise(b, unix.MADV_DONTNEED), "madvise(%d bytes, MADV_DONTNEED)", len(b))
}

// PageSize is the size of a page of memory in bytes.
func PageSize() int { return unix.Getpagesize() }
