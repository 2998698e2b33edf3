// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"weir/internal/sys"
)

// pidFile is the file with the master's process number. Who holds its lock (flock(2)) owns it: the lock ends with
// the process, however that ends, so a file without one is stale, whatever number is in it and whoever has that number now.
type pidFile struct {
	path  string
	file  *os.File
	own   ownFile
	stale int // the number that was found in it; 0: none
}

// lockPidFile takes the pid file, or says which process has it. The file keeps its content until write. An empty
// path means that there is none.
func lockPidFile(path string) (*pidFile, error) {
	if path == "" {
		return &pidFile{}, nil
	}
	if err := makeParent(path); err != nil {
		return nil, err
	}
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, err
		}
		if errno := sys.FlockTry(int(file.Fd())); errno != 0 {
			owner := readPid(file)
			file.Close()
			if errno == sys.EAGAIN {
				return nil, fmt.Errorf("weir is running already%s: pid file %s is locked", owner.text(), path)
			}
			return nil, fmt.Errorf("flock(%s): %w", path, errno)
		}
		p := &pidFile{path: path, file: file, own: ownFileAt(path), stale: int(readPid(file))}
		held, err1 := file.Stat()
		named, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(held, named) {
			return p, nil
		}
		file.Close() // it was removed by its owner, who was just leaving
	}
}

// pidNumber is a process number; 0 is none.
type pidNumber int

func (n pidNumber) text() string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", int(n))
}

func readPid(file *os.File) pidNumber {
	var text [32]byte
	n, err := file.ReadAt(text[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || number < 1 {
		return 0
	}
	return pidNumber(number)
}

// write puts this process's number into the file.
func (p *pidFile) write() error {
	if p.file == nil {
		return nil
	}
	text := strconv.Itoa(os.Getpid()) + "\n"
	if _, err := p.file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return p.file.Truncate(int64(len(text)))
}

// remove removes the file and gives the lock back, in this order: nobody can take the file in between.
func (p *pidFile) remove() {
	if p == nil || p.file == nil {
		return
	}
	p.own.remove()
	p.file.Close()
}
