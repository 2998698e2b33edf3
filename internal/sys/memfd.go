// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SharedFile makes a memory file of sizeBytes for memory shared between processes. Every page is reserved before it returns,
// and the size is sealed: a later touch of a mapping never finds the machine out of pages (SIGBUS) nor the file shorter. The
// name is only for /proc/PID/fd. Close-on-exec. memfd_create(2), fallocate(2), F_ADD_SEALS.
func SharedFile(name string, sizeBytes int64) (int, error) {
	return SharedFilePart(name, sizeBytes, sizeBytes)
}

// SharedFilePart is SharedFile with only the first reservedBytes reserved. Of the rest nothing may be touched that Reserve has not reserved.
func SharedFilePart(name string, sizeBytes, reservedBytes int64) (int, error) {
	if limit := fileSizeLimit(); sizeBytes > limit { // or the kernel would send SIGXFSZ
		return -1, fmt.Errorf("ftruncate(memfd %s, %d): the limit on file size (RLIMIT_FSIZE) is %d bytes", name, sizeBytes, limit)
	}
	if available, ok := MemoryAvailable(); ok && reservedBytes > available { // or the kernel would start to kill processes
		return -1, fmt.Errorf("fallocate(memfd %s): %d bytes needed, %d available", name, reservedBytes, available)
	}
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, wrapf(err, "memfd_create(%s)", name)
	}
	if err := reserve(fd, name, sizeBytes, reservedBytes); err != nil {
		Close(fd)
		return -1, err
	}
	return fd, nil
}

// reserveStep is how much is reserved at a time: some milliseconds, so that signals that keep coming do not make it begin again for ever.
const reserveStep = 16 << 20

func reserve(fd int, name string, sizeBytes, reservedBytes int64) error {
	if err := unix.Ftruncate(fd, sizeBytes); err != nil {
		return wrapf(err, "ftruncate(memfd %s, %d)", name, sizeBytes)
	}
	for at := int64(0); at < reservedBytes; {
		err := unix.Fallocate(fd, 0, at, min(reserveStep, reservedBytes-at))
		if err == unix.EINTR { // a signal: the kernel gave back what this call had reserved
			continue
		}
		if err != nil {
			available, _ := MemoryAvailable()
			return wrapf(err, "fallocate(memfd %s): %d bytes needed, about %d available", name, sizeBytes, available)
		}
		at += reserveStep
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return wrapf(err, "fcntl(memfd %s, F_ADD_SEALS)", name)
}

// Reserve reserves sizeBytes of a file made by SharedFilePart, from offset on. What is there already stays. fallocate(2).
func Reserve(fd int, offset, sizeBytes int64) error {
	if available, ok := MemoryAvailable(); ok && sizeBytes > available { // or the kernel would start to kill processes
		return fmt.Errorf("fallocate(%d, %d, %d): %d bytes available", fd, offset, sizeBytes, available)
	}
	for {
		err := unix.Fallocate(fd, 0, offset, sizeBytes)
		if err != unix.EINTR {
			return wrapf(err, "fallocate(%d, %d, %d)", fd, offset, sizeBytes)
		}
	}
}

// SharedFileSize is the size in bytes of a file made by SharedFile or SharedFilePart. A descriptor of anything else is an error: a file that
// could shrink would kill the process that maps it. F_GET_SEALS, fstat(2).
func SharedFileSize(fd int) (int64, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0, wrapf(err, "fcntl(%d, F_GET_SEALS)", fd)
	}
	if seals&unix.F_SEAL_SHRINK == 0 {
		return 0, fmt.Errorf("fcntl(%d, F_GET_SEALS): the file's size is not sealed", fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, wrapf(err, "fstat(%d)", fd)
	}
	return st.Size, nil
}

// Inode is the number of the file behind a descriptor: all processes that have a memory file open see the same one, and no two memory files that
// are open have the same. fstat(2).
func Inode(fd int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Ino, wrapf(err, "fstat(%d)", fd)
}

func fileSizeLimit() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil || limit.Cur > 1<<62 {
		return 1 << 62
	}
	return int64(limit.Cur)
}

// MemoryAvailable is how many bytes this process can still reserve without pushing the machine, or the control group it is
// in, out of memory; false when the kernel does not tell. proc_meminfo(5) MemAvailable, cgroups(7) memory.max.
func MemoryAvailable() (int64, bool) {
	available, ok := memAvailable()
	if group, grouped := groupMemoryAvailable(); grouped && (!ok || group < available) {
		return group, true
	}
	return available, ok
}

func memAvailable() (int64, bool) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// groupMemoryAvailable is the smallest room left in the control groups above this process, of either version.
func groupMemoryAvailable() (int64, bool) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	room, found := int64(1)<<62, false
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		root, limit, usage := "/sys/fs/cgroup", "memory.max", "memory.current"
		switch controllers {
		case "":
		case "memory":
			root, limit, usage = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		default:
			continue
		}
		for ; ; group = path.Dir(group) {
			maximum, errMax := readNumber(path.Join(root, group, limit))
			current, errCur := readNumber(path.Join(root, group, usage))
			if errors.Join(errMax, errCur) == nil { // "max", and a root group without the file, are errors
				room, found = min(room, max(maximum-current, 0)), true
			}
			if group == "/" || group == "." {
				break
			}
		}
	}
	return room, found
}

func readNumber(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
