// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package htpasswd

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Outcome is what came of a check.
type Outcome uint8

// The outcomes. Only Match lets somebody in.
const (
	Match      Outcome = iota
	Mismatch           // the password is another one
	NoUser             // the file has no such user
	Unknown            // the user's line has a hash of a kind that is not known
	NoFile             // there is no such file
	Unreadable         // the file cannot be read
)

// Files are password files that have been read. The zero value is not ready: use New.
type Files struct {
	byPath   map[string]*file
	secret   [32]byte
	verified map[[sha256.Size]byte]struct{} // of a hash and a password that fits
	slow     int                            // hashes worked out that take long
}

type file struct {
	modified time.Time
	size     int64
	inode    uint64
	settled  bool // the file's time is so far back that a change would show in it
	users    map[string]string
}

const (
	// maxFiles and maxVerified bound what is kept; beyond them it is begun anew.
	maxFiles    = 256
	maxVerified = 4096
	// settleTime is how old a file has to be before its time tells whether it has changed.
	settleTime = 2 * time.Second
)

// New makes a Files that knows no file yet.
func New() *Files {
	f := &Files{byPath: map[string]*file{}, verified: map[[sha256.Size]byte]struct{}{}}
	rand.Read(f.secret[:]) // it does not fail
	return f
}

// Check looks the user up in the file and checks the password. err belongs to NoFile and Unreadable.
func (f *Files) Check(path string, user, password []byte) (Outcome, error) {
	now, err := f.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return NoFile, err
	}
	if err != nil {
		return Unreadable, err
	}
	hash, ok := now.users[string(user)]
	if !ok {
		return NoUser, nil
	}
	return f.verify(hash, password), nil
}

// open gives the file as it is now.
func (f *Files) open(path string) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		delete(f.byPath, path)
		return nil, err
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	known := f.byPath[path]
	if known != nil && known.settled && known.modified.Equal(info.ModTime()) && known.size == info.Size() && known.inode == inode {
		return known, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(f.byPath) >= maxFiles {
		clear(f.byPath)
	}
	read := &file{modified: info.ModTime(), size: info.Size(), inode: inode, settled: time.Since(info.ModTime()) > settleTime, users: parse(text)}
	f.byPath[path] = read
	return read, nil
}

// parse reads lines "user:hash[:comment]"; those that begin with "#" say nothing, and of several for one user the first counts.
func parse(text []byte) map[string]string {
	users := map[string]string{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		name, hash, ok := bytes.Cut(line, colon)
		if !ok || line[0] == '#' {
			continue
		}
		hash, _, _ = bytes.Cut(hash, colon)
		if _, there := users[string(name)]; !there {
			users[string(name)] = string(hash)
		}
	}
	return users
}

var colon = []byte(":") // read-only

// verify checks a password against a hash. What took long to find is remembered.
func (f *Files) verify(hash string, password []byte) Outcome {
	check, slow := kindOf(hash)
	if check == nil {
		return Unknown
	}
	if !slow {
		return outcome(check(hash, password))
	}
	mac := hmac.New(sha256.New, f.secret[:])
	mac.Write([]byte(hash))
	mac.Write([]byte{0})
	mac.Write(password)
	var id [sha256.Size]byte
	mac.Sum(id[:0])
	if _, ok := f.verified[id]; ok {
		return Match
	}
	f.slow++
	if !check(hash, password) {
		return Mismatch
	}
	if len(f.verified) >= maxVerified {
		clear(f.verified)
	}
	f.verified[id] = struct{}{}
	return Match
}

func outcome(fits bool) Outcome {
	if fits {
		return Match
	}
	return Mismatch
}
