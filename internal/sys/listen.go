// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ListenOptions are the options of a listening socket. Accepted connections inherit the buffer sizes, the
// keep-alive settings and TCP_NODELAY, so no call per connection is needed for them.
type ListenOptions struct {
	Backlog   int // connections queued until they are accepted; the kernel caps it at net.core.somaxconn
	IPv6Only  bool
	ReusePort bool // several sockets on one address, connections spread over them
	Rcvbuf    int  // bytes; 0: the kernel's choice
	Sndbuf    int  // bytes; 0: the kernel's choice

	KeepAlive         int // TCP keep-alive: 1 on, -1 off, 0 the kernel's choice
	KeepAliveIdle     int // seconds; 0: the kernel's choice
	KeepAliveInterval int // seconds; 0: the kernel's choice
	KeepAliveCount    int // probes; 0: the kernel's choice

	Deferred bool // connections are handed over when their first bytes have come
	FastOpen int  // queue of TCP Fast Open; 0: the kernel's choice

	UnixMode uint32 // permissions of a unix socket's file
}

// String is the address as in a config: "127.0.0.1:80", "[::]:80", "unix:/run/x.sock".
func (s *Sockaddr) String() string {
	if !s.IsUnix() {
		return s.AddrPort().String()
	}
	return "unix:" + s.UnixPath()
}

// UnixPath is the path of a unix socket's address, with a leading '@' for an abstract one.
func (s *Sockaddr) UnixPath() string {
	path := s.raw[2:max(s.len, 2)]
	if len(path) > 0 && path[0] == 0 {
		return "@" + string(path[1:])
	}
	if n := len(path); n > 0 && path[n-1] == 0 {
		path = path[:n-1]
	}
	return string(path)
}

// Listen makes a listening stream socket, non-blocking and close-on-exec. The error names the call that failed
// and the address, and wraps the errno. For a unix socket the file must not exist; it has its final permissions from the
// moment it appears. socket(2), bind(2), listen(2), ip(7), tcp(7), unix(7).
func Listen(to *Sockaddr, o *ListenOptions) (int, error) {
	family := int(binary.NativeEndian.Uint16(to.raw[0:]))
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, wrapf(err, "socket(%s)", to)
	}
	if err := listenOn(fd, family, to, o); err != nil {
		Close(fd)
		return -1, err
	}
	return fd, nil
}

func listenOn(fd, family int, to *Sockaddr, o *ListenOptions) error {
	if family == unix.AF_UNIX {
		// The file's mode is that of the socket's own inode at bind: there is no moment with a wider one.
		if err := unix.Fchmod(fd, o.UnixMode); err != nil {
			return wrapf(err, "fchmod(%s)", to)
		}
	} else if err := setBeforeBind(fd, family, to, o); err != nil {
		return err
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	if errno != 0 {
		return wrapf(errno, "bind(%s)", to)
	}
	if family == unix.AF_UNIX && to.raw[2] != 0 {
		// Again, because bind took the umask off.
		if err := unix.Chmod(to.UnixPath(), o.UnixMode); err != nil {
			return wrapf(err, "chmod(%s)", to)
		}
	}
	return SetListenOptions(fd, to, o)
}

func setBeforeBind(fd, family int, to *Sockaddr, o *ListenOptions) error {
	if err := setsockopt(fd, to, "SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if family == unix.AF_INET6 {
		only := 0
		if o.IPv6Only {
			only = 1
		}
		if err := setsockopt(fd, to, "IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return err
		}
	}
	if o.ReusePort {
		return AllowReusePort(fd, to)
	}
	return nil
}

// AllowReusePort lets further sockets be bound to the address of a socket that is bound already. socket(7), SO_REUSEPORT.
func AllowReusePort(fd int, to *Sockaddr) error {
	return setsockopt(fd, to, "SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// SetListenOptions sets what can be changed while the socket listens: backlog, buffer sizes, keep-alive. An option that is
// 0 is left as it is. It also makes the socket listen if it does not yet.
func SetListenOptions(fd int, to *Sockaddr, o *ListenOptions) error {
	type option struct {
		name              string
		level, opt, value int
	}
	options := []option{
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, o.Rcvbuf},
		{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, o.Sndbuf},
	}
	if !to.IsUnix() {
		options = append(options,
			option{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			option{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, o.KeepAliveIdle},
			option{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, o.KeepAliveInterval},
			option{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepAliveCount},
			option{"TCP_FASTOPEN", unix.IPPROTO_TCP, unix.TCP_FASTOPEN, o.FastOpen})
		deferred := 0
		if o.Deferred {
			deferred = 1
		}
		if err := setsockopt(fd, to, "TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferred); err != nil {
			return err
		}
		if o.KeepAlive != 0 {
			on := max(o.KeepAlive, 0)
			if err := setsockopt(fd, to, "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, on); err != nil {
				return err
			}
		}
	}
	for _, s := range options {
		if s.value == 0 {
			continue
		}
		if err := setsockopt(fd, to, s.name, s.level, s.opt, s.value); err != nil {
			return err
		}
	}
	return wrapf(unix.Listen(fd, o.Backlog), "listen(%s, %d)", to, o.Backlog)
}

func setsockopt(fd int, to *Sockaddr, name string, level, opt, value int) error {
	return wrapf(unix.SetsockoptInt(fd, level, opt, value), "setsockopt(%s, %s, %d)", to, name, value)
}

// UnixSocketAlive says whether somebody listens on the unix socket file at path: false for a file that a dead process left
// behind, and when there is none. A file that is not a socket is an error. connect(2).
func UnixSocketAlive(path string) (bool, error) {
	to, err := SockaddrUnix(path)
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return false, fmt.Errorf("lstat(%s): there is a file that is not a socket", path)
	}
	fd, errno := ConnectStart(&to, nil)
	if fd >= 0 {
		Close(fd)
	}
	switch errno {
	case 0, EINPROGRESS, EAGAIN, unix.EPROTOTYPE: // EAGAIN: its queue is full
		return true, nil
	case unix.ECONNREFUSED, unix.ENOENT:
		return false, nil
	}
	return false, wrapf(errno, "connect(%s)", to.String())
}
