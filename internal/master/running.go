// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"weir/internal/sys"
)

// Running says which process owns a pid file: 0 when there is no file, or nobody has its lock and it is what a dead process left behind. The
// path may be a link. An error says why that cannot be told.
func Running(path string) (pid int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	// Only a process that lives can have the lock; so a weir that starts this moment finds its stale file unlocked.
	number := readPid(file)
	if number != 0 && errors.Is(syscall.Kill(int(number), 0), syscall.ESRCH) {
		return 0, nil
	}
	switch errno := sys.FlockTry(int(file.Fd())); errno {
	case 0:
		return 0, nil // closing the file gives the lock back
	case sys.EAGAIN:
		if number == 0 {
			return 0, fmt.Errorf("pid file %s is locked and empty: weir is starting", path)
		}
		return int(number), nil
	default:
		return 0, fmt.Errorf("flock(%s): %w", path, errno)
	}
}
