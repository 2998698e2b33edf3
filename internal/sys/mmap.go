// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import "golang.org/x/sys/unix"

// MapShared maps the first lengthBytes of a memory file, readable and writable, wherever the kernel puts it. A page is entered into the page table with
// its first touch: what a process does not use is not its own, and what nobody has reserved (SharedFilePart) stays away. The mapping is the caller's until
// Unmap, and the memory survives the descriptor. mmap(2), MAP_SHARED.
func MapShared(fd int, lengthBytes int) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, lengthBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return b, wrapf(err, "mmap(%d, %d bytes)", fd, lengthBytes)
}

// MapAnonymous maps zeroed memory that belongs to this process only and that the garbage collector does not see; a page
// costs memory from its first touch on. It is the caller's until Unmap. mmap(2), MAP_PRIVATE, MAP_ANONYMOUS.
func MapAnonymous(lengthBytes int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, lengthBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return b, wrapf(err, "mmap(%d bytes)", lengthBytes)
}

// MapSparse is MapAnonymous for much more than will ever be touched: the kernel does not ask whether there is memory for all of it. MAP_NORESERVE.
func MapSparse(lengthBytes int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, lengthBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	return b, wrapf(err, "mmap(%d bytes)", lengthBytes)
}

// Unmap gives back what MapShared or MapAnonymous returned: the whole slice, once. munmap(2).
func Unmap(b []byte) error {
	return wrapf(unix.Munmap(b), "munmap(%d bytes)", len(b))
}
