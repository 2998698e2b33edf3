// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// RightsMax is how many descriptors one message may carry (SCM_MAX_FD of the kernel is 253).
const RightsMax = 64

// SeqpacketPair makes two connected sockets that keep message boundaries, both non-blocking and close-on-exec.
// socketpair(2), unix(7).
func SeqpacketPair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], wrap("socketpair", err)
}

// StreamPair makes two connected stream sockets, both non-blocking and close-on-exec. socketpair(2), unix(7).
func StreamPair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], wrap("socketpair", err)
}

// SendRights sends one message, with copies of the descriptors in fds. It never sleeps: EAGAIN when the
// peer's queue is full, EPIPE when the peer is gone. The caller keeps its own descriptors. unix(7), SCM_RIGHTS.
func SendRights(fd int, message []byte, fds []int) syscall.Errno {
	var control []byte
	if len(fds) > 0 {
		control = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(fd, message, control, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errno := errnoOf(err); errno != EINTR {
			return errno
		}
	}
}

// RecvRights takes one message and the descriptors that came with it; the caller owns those, and they are
// close-on-exec. It never sleeps: EAGAIN when nothing waits. n of 0 means that the peer has closed and that
// everything it had sent has been taken. A message that does not fit into buf, or carries more
// than RightsMax descriptors, is dropped as a whole with EMSGSIZE. recvmsg(2).
func RecvRights(fd int, buf []byte) (n int, fds []int, errno syscall.Errno) {
	control := make([]byte, unix.CmsgSpace(RightsMax*4))
	for {
		n, controlLen, flags, _, err := unix.Recvmsg(fd, buf, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch errno := errnoOf(err); errno {
		case 0:
			fds := parseRights(control[:controlLen])
			if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
				for _, f := range fds {
					Close(f)
				}
				return 0, nil, unix.EMSGSIZE
			}
			return n, fds, 0
		case EINTR, ECONNRESET:
			// ECONNRESET says that the peer closed before it had read all that we sent. It is told once;
			// what the peer had sent to us still waits behind it.
		default:
			return 0, nil, errno
		}
	}
}

func parseRights(control []byte) []int {
	var fds []int
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil // the kernel wrote it; without a whole header there is no descriptor in it
	}
	for i := range messages {
		if got, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

// PeerUser is the user that connected to a unix socket, as the kernel recorded it at connect(2).
// unix(7), SO_PEERCRED.
func PeerUser(fd int) (uid, pid int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, 0, wrapf(err, "getsockopt(%d, SO_PEERCRED)", fd)
	}
	return int(cred.Uid), int(cred.Pid), nil
}

// errnoOf is the number behind an error of package unix; nil is 0.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	panic(fmt.Sprintf("sys: an error that is not an errno: %v", err))
}
