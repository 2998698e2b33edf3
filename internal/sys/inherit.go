// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Why InspectListener refuses a descriptor that somebody else has opened.
var (
	ErrNotListening = errors.New("not a listening stream socket")
	ErrFamily       = errors.New("a socket of another family than IPv4, IPv6 and unix")
)

// InspectListener reads what a descriptor listens on, and whether it is an IPv6 socket that takes no IPv4 clients. The socket is
// made non-blocking and close-on-exec. A descriptor that is not open, or not a listening stream socket, is an error. socket(7),
// SO_ACCEPTCONN.
func InspectListener(fd int) (at Sockaddr, ipv6Only bool, err error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return at, false, wrapf(err, "getsockopt(%d, SO_TYPE)", fd)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return at, false, wrapf(err, "getsockopt(%d, SO_ACCEPTCONN)", fd)
	}
	if kind != unix.SOCK_STREAM || listens == 0 {
		return at, false, ErrNotListening
	}
	if errno := LocalAddr(fd, &at); errno != 0 {
		return at, false, wrapf(errno, "getsockname(%d)", fd)
	}
	switch binary.NativeEndian.Uint16(at.raw[0:]) {
	case unix.AF_INET, unix.AF_UNIX:
	case unix.AF_INET6:
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		if err != nil {
			return at, false, wrapf(err, "getsockopt(%d, IPV6_V6ONLY)", fd)
		}
		ipv6Only = only != 0
	default:
		return at, false, ErrFamily
	}
	unix.CloseOnExec(fd)
	return at, ipv6Only, wrapf(unix.SetNonblock(fd, true), "fcntl(%d, O_NONBLOCK)", fd)
}

// SendDatagram sends one datagram to the unix socket at path, where a leading '@' names an abstract one. It never waits:
// EAGAIN when the receiver's queue is full. The error wraps the errno. unix(7).
func SendDatagram(path string, text []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return wrapf(err, "socket(unix)")
	}
	defer Close(fd)
	err = unix.Sendto(fd, text, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: path})
	return wrapf(err, "sendto(%s)", path)
}

// MonotonicUsec is MonotonicNs in microseconds.
func MonotonicUsec() int64 { return MonotonicNs() / 1000 }

// MonotonicNs is the kernel's monotonic clock, one for all processes, in nanoseconds. clock_gettime(2), CLOCK_MONOTONIC.
func MonotonicNs() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // it exists on every Linux
	}
	return now.Nano()
}

// Processors is the number of processors that this thread may run on: its affinity mask, which a cpuset narrows. It is read anew each
// time, where runtime.NumCPU has what was true at the start. sched_getaffinity(2).
func Processors() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 1 // more processors than the set has room for: a machine that nobody leaves to "auto"
	}
	return max(set.Count(), 1)
}

// ReapsStrangers says whether the kernel gives this process the orphans of others to reap: as process 1 of its pid namespace, or
// as what prctl(2), PR_SET_CHILD_SUBREAPER has made it.
func ReapsStrangers() bool {
	if os.Getpid() == 1 {
		return true
	}
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}

// childInfo is siginfo_t as waitid fills it: three integers, and then, aligned as a pointer is, the process number. sigaction(2).
type childInfo struct {
	_   [3]int32
	_   [0]uintptr
	pid int32
	_   [128]byte
}

// EndedChild returns a child that has ended and is not reaped yet, and leaves it so; 0 when there is none. waitid(2), WNOWAIT.
func EndedChild() (pid int, err error) {
	var info childInfo
	for {
		_, _, errno := syscall.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), nil
		case unix.EINTR:
		case unix.ECHILD: // no child at all
			return 0, nil
		default:
			return 0, wrapf(errno, "waitid(P_ALL)")
		}
	}
}
