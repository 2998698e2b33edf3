// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/sys"
)

// How long the start tries an address that is in use, as nginx does, and how often; see mayComeFree.
const (
	bindPatience = 2500 * time.Millisecond
	bindInterval = 10 * time.Millisecond
)

// unixSocketMode lets every local user connect, as nginx does; the directory decides who can reach the file.
const unixSocketMode = 0o666

// socket is one listening address. Generations that listen on the same address have the same descriptors.
type socket struct {
	protocol, address string // as in ipc.Listener
	to                sys.Sockaddr
	options           sys.ListenOptions
	fds               []int  // one; with reuseport at least one for each worker
	passed            bool   // opened by the service manager, which owns its file
	name              string // the service manager's for it
	file              ownFile
}

// sockets are the listening sockets of a generation.
type sockets []*socket

// openSockets opens the addresses that a config listens on. Those among present are kept: the same descriptors, with the
// connections that wait in their queues. On an error what was
// opened is closed, and present is as it was.
func openSockets(config *conf.Config, present sockets) (sockets, error) {
	var opened sockets
	for i := range config.Listeners {
		l := &config.Listeners[i]
		if l.Via != i {
			continue // accepted by the wildcard's socket
		}
		s, err := newSocket(l)
		if err != nil {
			opened.close(present)
			return nil, err
		}
		if kept := present.find(s); kept != nil {
			s.fds, s.file, s.passed, s.name = slices.Clone(kept.fds), kept.file, kept.passed, kept.name
		}
		opened = append(opened, s)
		count := 1
		if s.options.ReusePort {
			count = Workers(config)
		}
		for len(s.fds) < count {
			if err := s.bind(present); err != nil {
				opened.close(present)
				return nil, err
			}
		}
	}
	return opened, nil
}

// newSocket works out what a listener of the config asks for; nothing is opened.
func newSocket(l *conf.Listener) (*socket, error) {
	s := &socket{options: sys.ListenOptions{
		Backlog: l.Backlog, IPv6Only: l.IPv6Only, Rcvbuf: int(l.Rcvbuf), Sndbuf: int(l.Sndbuf),
		// Unix sockets have no such option; one socket serves all workers.
		ReusePort:         l.Reuseport && l.Address.Path == "",
		KeepAliveIdle:     seconds(l.SoKeepalive.Idle),
		KeepAliveInterval: seconds(l.SoKeepalive.Interval),
		KeepAliveCount:    l.SoKeepalive.Count,
		Deferred:          l.Deferred,
		FastOpen:          l.FastOpen,
		UnixMode:          unixSocketMode,
	}}
	switch l.SoKeepalive.Switch {
	case conf.On:
		s.options.KeepAlive = 1
	case conf.Off:
		s.options.KeepAlive = -1
	case conf.Unset:
	}
	s.protocol, s.address = ipc.AddressKey(l.Address.IP, l.Address.Path)
	s.options.IPv6Only = s.options.IPv6Only && s.protocol == "tcp6"
	if s.protocol != "unix" {
		s.to = sys.SockaddrTCP(l.Address.IP)
		return s, nil
	}
	var err error
	s.to, err = sys.SockaddrUnix(l.Address.Path)
	return s, err
}

// seconds rounds up: a fraction of a second must not become the kernel's choice.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// find returns the socket among those present that a new one may go on with: the same address, and the options that
// are fixed once a socket is bound. A unix socket whose file somebody has removed cannot be reached any more.
func (list sockets) find(want *socket) *socket {
	for _, s := range list {
		if s.serves(want) {
			return s
		}
		if s.protocol == want.protocol && s.address == want.address && s.options.IPv6Only == want.options.IPv6Only && s.file.there() {
			return s
		}
	}
	return nil
}

// bind opens one more descriptor for the address.
func (s *socket) bind(present sockets) error {
	for _, fd := range s.fds { // it was opened without reuseport by the generation before
		if err := sys.AllowReusePort(fd, &s.to); err != nil {
			return err
		}
	}
	fd, err := s.tryBind(present)
	if err != nil {
		return &bindError{s, err}
	}
	s.fds = append(s.fds, fd)
	return nil
}

func (s *socket) tryBind(present sockets) (int, error) {
	if s.protocol == "unix" {
		return s.tryBindUnix()
	}
	fd, err := sys.Listen(&s.to, &s.options)
	if !errors.Is(err, syscall.EADDRINUSE) || !present.allowOverlap(s) {
		return fd, err
	}
	overlapping := s.options
	overlapping.ReusePort = true
	return sys.Listen(&s.to, &overlapping)
}

// allowOverlap lets an address be bound that a socket of ours covers in part, such as *:80 after 127.0.0.1:80: the kernel
// allows that only to sockets with SO_REUSEPORT. Both are open until the change is decided. It says whether there
// is such a socket.
func (list sockets) allowOverlap(want *socket) bool {
	found := false
	for _, s := range list {
		if s.protocol == "unix" || s.to.AddrPort().Port() != want.to.AddrPort().Port() {
			continue
		}
		for _, fd := range s.fds {
			if sys.AllowReusePort(fd, &s.to) == nil {
				found = true
			}
		}
	}
	return found
}

// tryBindUnix binds a unix socket; a file that nobody listens on any more is removed first.
func (s *socket) tryBindUnix() (int, error) {
	if s.address[0] == '@' {
		return sys.Listen(&s.to, &s.options)
	}
	if err := clearStaleSocket(s.address); err != nil {
		return -1, err
	}
	fd, err := sys.Listen(&s.to, &s.options)
	if err == nil {
		s.file = ownFileAt(s.address)
	}
	return fd, err
}

// clearStaleSocket removes the file of a unix socket that a dead process left behind. A live one is EADDRINUSE.
func clearStaleSocket(path string) error {
	alive, err := sys.UnixSocketAlive(path)
	if err != nil {
		return err
	}
	if alive {
		return fmt.Errorf("bind(unix:%s): %w", path, syscall.EADDRINUSE)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// tune sets the options that can be changed while a socket listens.
func (list sockets) tune() []error {
	var faults []error
	for _, s := range list {
		for _, fd := range s.fds {
			if err := sys.SetListenOptions(fd, &s.to, &s.options); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return faults
}

// close closes the sockets that are not also in keep, and removes the files of unix sockets among them.
func (list sockets) close(keep sockets) {
	used := make(map[int]bool)
	files := make(map[ownFile]bool)
	for _, s := range keep {
		files[s.file] = true
		for _, fd := range s.fds {
			used[fd] = true
		}
	}
	for _, s := range list {
		if !files[s.file] {
			s.file.remove()
		}
		for _, fd := range s.fds {
			if !used[fd] {
				sys.Close(fd)
			}
		}
	}
}

// ownFile is a file that this process made, by its name and its identity. The zero value is no file.
type ownFile struct {
	path          string
	device, inode uint64
}

// ownFileAt notes the identity of a file that was just made.
func ownFileAt(path string) ownFile {
	device, inode, err := sys.FileID(path)
	if err != nil {
		return ownFile{}
	}
	return ownFile{path, device, inode}
}

// there says whether the name still stands for the file. It does for no file.
func (f ownFile) there() bool {
	return f.path == "" || ownFileAt(f.path) == f
}

// remove removes the file, unless its name stands for somebody else's by now.
func (f ownFile) remove() {
	if f.path != "" && f.there() {
		os.Remove(f.path)
	}
}
