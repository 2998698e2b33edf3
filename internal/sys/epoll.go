// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bits of an epoll event mask, epoll_ctl(2).
const (
	EpollIn        uint32 = unix.EPOLLIN
	EpollOut       uint32 = unix.EPOLLOUT
	EpollErr       uint32 = unix.EPOLLERR
	EpollHup       uint32 = unix.EPOLLHUP
	EpollRdHup     uint32 = unix.EPOLLRDHUP
	EpollEdge      uint32 = 1 << 31 // EPOLLET
	EpollExclusive uint32 = unix.EPOLLEXCLUSIVE
)

// EpollCreate makes an epoll instance, close-on-exec. epoll_create1(2).
func EpollCreate() (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return fd, wrap("epoll_create1", err)
}

// EpollAdd registers fd for the events in mask; data comes back with each event.
func EpollAdd(ep, fd int, mask uint32, data [2]uint32) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, mask, data)
}

// EpollDel removes fd from the instance.
func EpollDel(ep, fd int) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_DEL, fd, 0, [2]uint32{})
}

func epollCtl(ep, op, fd int, mask uint32, data [2]uint32) syscall.Errno {
	ev := EpollEvent{Events: mask, Data: data}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// EpollNap takes the events that are ready, and sleeps until one is or timeoutMs have passed (0: it does not sleep). It tells the Go scheduler
// nothing: a raw system call, for short sleeps while no goroutine waits for this processor. A garbage collection may have to wait for its end.
func EpollNap(ep int, events []EpollEvent, timeoutMs int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeoutMs), 0, 0)
	return int(n), errno
}

// EpollWait is EpollNap for as long as it takes (timeoutMs of -1: for ever). It lets go of the processor (syscall.Syscall6), so that helper
// goroutines and the garbage collector can run on it meanwhile.
func EpollWait(ep int, events []EpollEvent, timeoutMs int) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeoutMs), 0, 0)
	return int(n), errno
}

// Eventfd makes a non-blocking, close-on-exec event counter. eventfd(2).
func Eventfd() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	return fd, wrap("eventfd", err)
}

var one = [8]byte{1} // read-only: an increment of 1 in little endian

// EventfdSignal adds one to the counter; a full counter is as good as a signalled one.
func EventfdSignal(fd int) {
	Write(fd, one[:])
}

// EventfdDrain sets the counter back to zero.
func EventfdDrain(fd int) {
	var b [8]byte
	Read(fd, b[:])
}
