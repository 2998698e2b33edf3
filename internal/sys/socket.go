// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SockaddrMax is the room of a socket address: 2 bytes of family and at most 126 more.
const SockaddrMax = 128

// Sockaddr is an address as the kernel has it, kept in that form so that accepting and
// connecting convert nothing. The zero value is the unspecified address.
type Sockaddr struct {
	raw [SockaddrMax]byte
	len uint32
}

// SockaddrTCP makes the kernel's form of an IP address and port.
func SockaddrTCP(ap netip.AddrPort) Sockaddr {
	var s Sockaddr
	addr := ap.Addr()
	binary.BigEndian.PutUint16(s.raw[2:], ap.Port())
	if addr.Is4() || addr.Is4In6() {
		binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET)
		a := addr.Unmap().As4()
		copy(s.raw[4:], a[:])
		s.len = unix.SizeofSockaddrInet4
		return s
	}
	binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_INET6)
	a := addr.As16()
	copy(s.raw[8:], a[:])
	s.len = unix.SizeofSockaddrInet6
	return s
}

// SockaddrUnix makes the kernel's form of a unix socket's path; a leading '@' names an abstract socket.
// A path longer than 107 bytes is an error.
func SockaddrUnix(path string) (Sockaddr, error) {
	var s Sockaddr
	if path == "" || len(path) > 107 {
		return s, fmt.Errorf("sockaddr(unix:%s): path of %d bytes, 1 to 107 wanted", path, len(path))
	}
	binary.NativeEndian.PutUint16(s.raw[0:], unix.AF_UNIX)
	copy(s.raw[2:], path)
	s.len = uint32(2 + len(path) + 1)
	if path[0] == '@' {
		s.raw[2] = 0
		s.len--
	}
	return s, nil
}

// IsUnix says whether the address is a unix socket's.
func (s *Sockaddr) IsUnix() bool {
	return binary.NativeEndian.Uint16(s.raw[0:]) == unix.AF_UNIX
}

// AddrPort is the IP address and port; the zero AddrPort for a unix socket. An IPv4 address that came
// in on an IPv6 socket (::ffff:a.b.c.d) is given as IPv4, as nginx prints it.
func (s *Sockaddr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.raw[2:])
	switch binary.NativeEndian.Uint16(s.raw[0:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.raw[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

// Accept is accept4(2): a connection from the queue of a listening socket, non-blocking and close-on-exec.
// from receives the client's address. EAGAIN when the queue is empty.
func Accept(fd int, from *Sockaddr) (int, syscall.Errno) {
	for {
		from.len = SockaddrMax
		nfd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd),
			uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.len)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno != EINTR {
			return int(nfd), errno
		}
	}
}

// ConnectOptions are what a connection needs besides the address that it leads to.
type ConnectOptions struct {
	From        Sockaddr // where it comes from; the zero value: the kernel chooses
	Transparent bool     // From need not be an address of this machine (IP_TRANSPARENT, which takes a privilege)
	Keepalive   bool     // SO_KEEPALIVE
}

// ConnectStart makes a non-blocking socket and begins to connect it; o may be nil. 0 means connected, EINPROGRESS
// that the socket will become writable; on any other error the socket is closed and fd is -1.
// TCP sockets get TCP_NODELAY: a request's last packet must not wait for an acknowledgement.
func ConnectStart(to *Sockaddr, o *ConnectOptions) (fd int, errno syscall.Errno) {
	family := int(binary.NativeEndian.Uint16(to.raw[0:]))
	r, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	fd = int(r)
	if family != unix.AF_UNIX {
		SetNoDelay(fd)
		if o != nil {
			errno = o.set(fd, family)
		}
	}
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	}
	if errno != 0 && errno != EINPROGRESS {
		Close(fd)
		return -1, errno
	}
	return fd, errno
}

// ConnectDatagram makes a non-blocking UDP socket that talks to one address only, from a port of the kernel's choice. udp(7), connect(2).
func ConnectDatagram(to *Sockaddr) (fd int, errno syscall.Errno) {
	family := uintptr(binary.NativeEndian.Uint16(to.raw[0:]))
	r, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, r, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	if errno != 0 {
		Close(int(r))
		return -1, errno
	}
	return int(r), 0
}

// set readies the socket fd of an IP family. ip(7), bind(2).
func (o *ConnectOptions) set(fd, family int) syscall.Errno {
	if o.Keepalive {
		switchOn(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
	}
	if o.From.len == 0 {
		return 0
	}
	if o.Transparent {
		level, opt := unix.IPPROTO_IP, unix.IP_TRANSPARENT
		if family == unix.AF_INET6 {
			level, opt = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
		}
		if errno := switchOn(fd, level, opt); errno != 0 {
			return errno
		}
	}
	if o.From.AddrPort().Port() == 0 {
		// The port is chosen when it is known where the connection leads, so that one may serve for many.
		switchOn(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&o.From.raw)), uintptr(o.From.len))
	return errno
}

// SetNoDelay switches Nagle's algorithm off. tcp(7).
func SetNoDelay(fd int) {
	switchOn(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
}

// SetLingerReset makes the next close of fd send a reset instead of what is still queued. socket(7), SO_LINGER.
func SetLingerReset(fd int) {
	l := unix.Linger{Onoff: 1}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
}

// switchOn sets an option of a socket to 1.
func switchOn(fd, level, opt int) syscall.Errno {
	v := int32(1)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&v)), 4, 0)
	return errno
}

// SocketError takes the pending error of a socket, 0 if there is none: the outcome of a connect. socket(7), SO_ERROR.
func SocketError(fd int) syscall.Errno {
	var v, l = int32(0), uint32(4)
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&l)), 0)
	if errno != 0 {
		return errno
	}
	return syscall.Errno(v)
}

// TCPInfo is what the kernel knows of a TCP connection. tcp(7), TCP_INFO.
type TCPInfo struct {
	RTTMicros    uint32 // smoothed round trip time
	RTTVarMicros uint32 // its variation
	SndCwnd      uint32 // congestion window, in segments
	RcvSpace     uint32 // room for what is received, in bytes
}

// GetTCPInfo reads a TCP connection's state. False: the descriptor is none.
func GetTCPInfo(fd int, to *TCPInfo) bool {
	var info unix.TCPInfo
	size := uint32(unix.SizeofTCPInfo)
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	*to = TCPInfo{RTTMicros: info.Rtt, RTTVarMicros: info.Rttvar, SndCwnd: info.Snd_cwnd, RcvSpace: info.Rcv_space}
	return errno == 0
}

// LocalAddr is getsockname(2).
func LocalAddr(fd int, to *Sockaddr) syscall.Errno {
	to.len = SockaddrMax
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(unsafe.Pointer(&to.len)))
	return errno
}

// ShutdownWrite tells the peer that nothing more comes. shutdown(2).
func ShutdownWrite(fd int) {
	syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// Shutdown ends both directions: the peer cannot send any more, and what it has sent can still be read. shutdown(2).
func Shutdown(fd int) {
	syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_RDWR, 0)
}

// Unread is how much of what was sent into a socket, by whoever has it too, its peer has not read yet: in the kernel's measure, 0 only when there is
// nothing. unix(7), SIOCOUTQ.
func Unread(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Peek looks whether a byte or an end of file waits in a socket, and takes nothing.
// EAGAIN: nothing; 0 with n of 0: the peer has closed; n of 1: bytes wait.
func Peek(fd int) (int, syscall.Errno) {
	var b [1]byte
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
