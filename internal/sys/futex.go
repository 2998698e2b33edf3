// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The parts of a robust futex word, as the kernel reads and writes it when a thread dies. futex(2), set_robust_list(2).
const (
	FutexWaiters   = 0x80000000 // somebody sleeps: whoever gives the word back must wake
	FutexOwnerDied = 0x40000000 // set by the kernel: the owner died with the word
	FutexTIDMask   = 0x3fffffff // the owner's thread number, 0 when free
)

const (
	futexWait = 0 // FUTEX_WAIT without FUTEX_PRIVATE_FLAG: the word is shared between processes
	futexWake = 1 // FUTEX_WAKE
)

// FutexWait sleeps while *word is value, at most timeoutNs. 0: woken; EAGAIN: *word was not value; ETIMEDOUT; EINTR. The Go
// scheduler is told, because this waits. futex(2), FUTEX_WAIT.
func FutexWait(word *uint32, value uint32, timeoutNs int64) syscall.Errno {
	timeout := unix.NsecToTimespec(timeoutNs)
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	return errno
}

// FutexWake wakes up to n of those who sleep on word, and says how many it woke. futex(2), FUTEX_WAKE.
func FutexWake(word *uint32, n int) (woken int) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0 // only a word that is not mapped or not aligned gets here, and nobody sleeps on that
	}
	return int(r)
}

// ThreadID is the kernel's number of the calling thread, in the process's own PID namespace: what a robust futex
// word holds. The caller is locked to its thread. gettid(2).
func ThreadID() uint32 {
	tid, _, _ := syscall.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	return uint32(tid)
}

// robustHead is struct robust_list_head of the kernel.
type robustHead struct {
	next    uintptr // 0: list of held locks; weir keeps it empty: it points to itself
	offset  int     // 8: from an entry to its futex word; an entry of weir is the word itself
	pending uintptr // 16: the lock that is being taken, held or given back, or 0
}

// RobustList tells the kernel which lock a thread is busy with, so that the kernel can mark the lock when the thread dies.
//
// The kernel walks a list of held locks and looks at one more, list_op_pending, which exists for the moments when a lock is taken
// but not yet in the list. A thread that holds one lock at a time needs only that one field. The list head stands in a
// shared mapping, because the out-of-memory killer strips a process of its private pages, possibly before it looks here.
type RobustList struct {
	head *robustHead
	page []byte
}

// NewRobustList makes a list; Register gives it to a thread. It lives as long as the process: a thread that has it
// registered may end at any time.
func NewRobustList() (*RobustList, error) {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, wrapf(err, "mmap(robust list)")
	}
	r := &RobustList{head: (*robustHead)(unsafe.Pointer(&page[0])), page: page}
	r.head.next = uintptr(unsafe.Pointer(r.head))
	return r, nil
}

// Register makes this the list of the calling thread, in place of any other. The Go runtime has none. The caller is locked
// to its thread. set_robust_list(2).
func (r *RobustList) Register() error {
	_, _, errno := syscall.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(r.head)), unsafe.Sizeof(*r.head), 0)
	if errno != 0 {
		return wrapf(errno, "set_robust_list(%d bytes)", unsafe.Sizeof(*r.head))
	}
	return nil
}

// Registered says whether this is the calling thread's list. get_robust_list(2).
func (r *RobustList) Registered() bool {
	var head, size uintptr
	_, _, errno := syscall.RawSyscall(unix.SYS_GET_ROBUST_LIST, 0, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&size)))
	return errno == 0 && head == uintptr(unsafe.Pointer(r.head))
}

// SetPending names the lock that the thread is about to take. The word must stay mapped until ClearPending. It is a plain store:
// the only other reader is the kernel, on this same thread.
func (r *RobustList) SetPending(word *uint32) {
	r.head.pending = uintptr(unsafe.Pointer(word))
}

// ClearPending says that the thread has given the lock back, and has woken whom it had to wake.
func (r *RobustList) ClearPending() {
	r.head.pending = 0
}

// Pending says whether a lock is named.
func (r *RobustList) Pending() bool {
	return r.head.pending != 0
}
