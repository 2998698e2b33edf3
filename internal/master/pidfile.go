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

	pending string // the name that the file has until write gives it path, over that of another master; "": it has path
	aside   bool   // it has the name with oldSuffix too
}

// Names beside that of the pid file: of an old master's while a new one has the name, as with nginx, and of a new master's before that.
const (
	oldSuffix = ".oldbin"
	newSuffix = ".new"
)

// lockPidFile takes the pid file, or says which process has it. A file that is there keeps its content until write; one that is not gets
// its name then, so that who waits for a pid file to connect, as one does with nginx, finds sockets that listen. An empty path means that there is none.
func lockPidFile(path string) (*pidFile, error) {
	if path == "" {
		return &pidFile{}, nil
	}
	if err := makeParent(path); err != nil {
		return nil, err
	}
	removeUnlocked(path + oldSuffix)
	removeUnlocked(path + newSuffix)
	for {
		file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if errors.Is(err, os.ErrNotExist) {
			p, err := lockNewPidFile(path)
			if err != nil {
				return nil, err
			}
			if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
				return p, nil // and nobody takes the name from now on: it leads over the other one
			}
			p.remove()
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := lockFile(file, path); err != nil {
			file.Close()
			return nil, err
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

// lockFile takes the lock of an open file, or says who has it.
func lockFile(file *os.File, path string) error {
	switch errno := sys.FlockTry(int(file.Fd())); errno {
	case 0:
		return nil
	case sys.EAGAIN:
		return fmt.Errorf("weir is running already%s: pid file %s is locked", readPid(file).text(), path)
	default:
		return fmt.Errorf("flock(%s): %w", path, errno)
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
	if err := p.put(); err != nil || p.pending == "" {
		return err
	}
	err := os.Rename(p.pending, p.path)
	p.pending, p.own = "", ownFileAt(p.path)
	return err
}

// put writes the number.
func (p *pidFile) put() error {
	text := strconv.Itoa(os.Getpid()) + "\n"
	if _, err := p.file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return p.file.Truncate(int64(len(text)))
}

// lockNewPidFile makes a pid file that takes its name, also over that of an old master, when it is written: there is no moment in which a new master has the name and does not serve,
// and none without one in an upgrade.
func lockNewPidFile(path string) (*pidFile, error) {
	p := &pidFile{path: path, pending: path + newSuffix}
	removeUnlocked(p.pending)
	var err error
	if p.file, err = os.OpenFile(p.pending, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o644); errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("weir is starting already: pid file %s is locked", p.pending)
	}
	if err != nil {
		return nil, err
	}
	p.own = ownFileAt(p.pending)
	if err := lockFile(p.file, p.pending); err != nil {
		p.file.Close()
		return nil, err
	}
	if !p.own.there() { // another start took it for one that was left behind
		p.file.Close()
		return nil, fmt.Errorf("weir is starting already: pid file %s was taken away", p.pending)
	}
	if err := p.put(); err != nil { // a full disk is found out before the upgrade is decided
		p.remove()
		return nil, err
	}
	return p, nil
}

// removeUnlocked removes a pid file that a dead master has left behind.
func removeUnlocked(path string) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer file.Close()
	if sys.FlockTry(int(file.Fd())) == 0 {
		os.Remove(path)
	}
}

// stepAside gives the file its second name, so that a new master can take the first one. A file system without links gets it renamed.
func (p *pidFile) stepAside() error {
	if p.file == nil || p.aside {
		return nil
	}
	temporary := p.path + oldSuffix + ".tmp" // the name may be that of a still older master, who is about to leave: rename replaces it, link does not
	os.Remove(temporary)
	from := temporary
	if os.Link(p.path, temporary) != nil {
		from = p.path
	}
	if err := os.Rename(from, p.path+oldSuffix); err != nil {
		return err
	}
	p.aside = true
	return nil
}

// stepBack takes the name back from a new master that has gone, and gives the second one up.
func (p *pidFile) stepBack() error {
	if p.file == nil || !p.aside {
		return nil
	}
	removeUnlocked(p.path + newSuffix)
	p.aside = false
	if p.own.there() { // the new one had not taken it: two names of one file, which rename would leave as they are
		return os.Remove(p.path + oldSuffix)
	}
	return os.Rename(p.path+oldSuffix, p.path)
}

// unlock gives the lock back; the file stays.
func (p *pidFile) unlock() {
	if p != nil && p.file != nil {
		p.file.Close()
	}
}

// leave gives the lock back and removes the second name, for a master whose successor has the first one.
func (p *pidFile) leave() {
	if p == nil || p.file == nil {
		return
	}
	p.own.remove() // unless the new master has the name
	if p.aside {
		ownFile{p.path + oldSuffix, p.own.device, p.own.inode}.remove()
	}
	p.file.Close()
}

// remove removes the file and gives the lock back, in this order: nobody can take the file in between.
func (p *pidFile) remove() {
	if p == nil || p.file == nil {
		return
	}
	p.own.remove()
	p.file.Close()
}
