// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package sys

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CloseOnExecFrom marks lowest and every descriptor above it close-on-exec. close_range(2), CLOSE_RANGE_CLOEXEC.
func CloseOnExecFrom(lowest int) error {
	err := unix.CloseRange(uint(lowest), 1<<32-1, unix.CLOSE_RANGE_CLOEXEC)
	if err != unix.ENOSYS && err != unix.EINVAL { // Linux before 5.11
		return wrapf(err, "close_range(%d, CLOEXEC)", lowest)
	}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd >= lowest {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// Spawn starts a program with files[i] as its descriptor i and nothing else open; everything in this process
// must therefore be close-on-exec. The calling thread becomes its parent in the sense of PR_SET_PDEATHSIG, so the caller
// is locked to one that lives as long as the process. The caller reaps the child with Reap. fork(2), execve(2).
func Spawn(path string, args, env []string, files []uintptr) (pid int, err error) {
	pid, err = syscall.ForkExec(path, args, &syscall.ProcAttr{Env: env, Files: files})
	return pid, wrapf(err, "execve(%s)", path)
}

// Exit is how a process ended.
type Exit struct {
	Code   int            // exit status, when Signal is 0
	Signal syscall.Signal // the signal that killed it, or 0
	Core   bool           // a core file was written
}

// String is "exited with code 2" or "killed by signal 9 (killed)".
func (e Exit) String() string {
	if e.Signal == 0 {
		return fmt.Sprintf("exited with code %d", e.Code)
	}
	core := ""
	if e.Core {
		core = ", core dumped"
	}
	return fmt.Sprintf("killed by signal %d (%s%s)", int(e.Signal), e.Signal, core)
}

// Reap asks whether a child has ended, without waiting, and if so gives its process number back to the kernel.
// A child that is not ours is an error. waitpid(2), WNOHANG.
func Reap(pid int) (how Exit, ended bool, err error) {
	var status unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Exit{}, false, wrapf(err, "wait4(%d)", pid)
		}
		if got == 0 {
			return Exit{}, false, nil
		}
		break
	}
	if status.Signaled() {
		return Exit{Signal: status.Signal(), Core: status.CoreDump()}, true, nil
	}
	return Exit{Code: status.ExitStatus()}, true, nil
}

// Kill sends a signal. kill(2).
func Kill(pid int, signal syscall.Signal) error {
	return wrapf(unix.Kill(pid, signal), "kill(%d, %s)", pid, unix.SignalName(signal))
}

// SetParentDeathSignal has the kernel send signal to this process when the thread that started it ends. Changing the
// user clears it, so it is set after that; and the parent may have died before: the caller compares os.Getppid
// with the parent it knows. prctl(2), PR_SET_PDEATHSIG.
func SetParentDeathSignal(signal syscall.Signal) error {
	err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(signal), 0, 0, 0)
	return wrapf(err, "prctl(PR_SET_PDEATHSIG, %s)", unix.SignalName(signal))
}

// NoNewPrivileges makes sure that neither this process nor what it starts ever gains rights by execve.
// It holds for all threads. prctl(2), PR_SET_NO_NEW_PRIVS.
func NoNewPrivileges() error {
	// AllThreadsSyscall: the attribute is per thread, and the runtime has made threads already.
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == syscall.ENOTSUP { // linked with cgo: the runtime does not know all threads
		return wrapf(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
	}
	if errno != 0 {
		return wrapf(errno, "prctl(PR_SET_NO_NEW_PRIVS)")
	}
	return nil
}

// DropPrivileges changes all threads to the given user and group with these supplementary groups, for good. With keepRaw the calling thread alone,
// which must be locked, keeps the right to connections from addresses that are not this machine's (IP_TRANSPARENT).
// setgroups(2), setresgid(2), setresuid(2), capabilities(7).
func DropPrivileges(uid, gid int, groups []int, keepRaw bool) error {
	if keepRaw {
		if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
			return wrapf(err, "prctl(PR_SET_KEEPCAPS)")
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return wrapf(err, "setgroups(%v)", groups)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return wrapf(err, "setresgid(%d)", gid)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil || !keepRaw {
		return wrapf(err, "setresuid(%d)", uid)
	}
	const raw = 1 << unix.CAP_NET_RAW
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := [2]unix.CapUserData{{Effective: raw, Permitted: raw}}
	return wrapf(unix.Capset(&header, &sets[0]), "capset(CAP_NET_RAW)")
}

// LookUpAccount finds the numbers of a user and a group, each given by name or number; without a group, the user's own. Numbers need no entry
// in the system's files, which an image may not have: the group of such a user has the same number.
func LookUpAccount(name, group string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	switch {
	case err == nil:
		uid, gid, err = numbers(u.Uid, u.Gid)
	case isNumber(name):
		uid, gid, err = numbers(name, name)
	default:
		err = fmt.Errorf("user = %q: no such user", name)
	}
	if err != nil || group == "" {
		return uid, gid, err
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		g, err = user.LookupGroupId(group)
	}
	switch {
	case err == nil:
		_, gid, err = numbers("0", g.Gid)
	case isNumber(group):
		_, gid, err = numbers("0", group)
	default:
		err = fmt.Errorf("group = %q: no such group", group)
	}
	return uid, gid, err
}

// isNumber says whether a name is the number of a user or a group.
func isNumber(name string) bool {
	_, err := strconv.ParseUint(name, 10, 31)
	return err == nil
}

func numbers(user, group string) (uid, gid int, err error) {
	uid, err1 := strconv.Atoi(user)
	gid, err2 := strconv.Atoi(group)
	return uid, gid, errors.Join(err1, err2)
}

// TerminalForeground says whether the process is in the foreground of a controlling terminal, where the kernel
// sends SIGWINCH at every change of the window's size. tty_ioctl(4), TIOCGPGRP.
func TerminalForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer runtime.KeepAlive(tty)
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// ResidentBytes is how much memory of a process is resident, what it shares with others included; 0 when there is no such process. proc_pid_statm(5).
func ResidentBytes(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on all machines that Go runs on.
const tick = 10 * time.Millisecond

// ProcessAge is how long ago a process was started; false when there is no such process. proc_pid_stat(5), field 22.
func ProcessAge(pid int) (time.Duration, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	at := strings.LastIndex(string(text), ") ") // before it stands the program's name, which may hold anything
	fields := strings.Fields(string(text[at+1:]))
	if at < 0 || len(fields) < 20 {
		return 0, false
	}
	started, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return 0, false
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, false
	}
	return time.Duration(now.Nano()) - time.Duration(started)*tick, true
}

// SetName names the calling thread, which on the main thread is the process, as ps and killall see it: at most
// 15 bytes. prctl(2), PR_SET_NAME.
func SetName(name string) error {
	b, err := unix.BytePtrFromString(name)
	if err != nil {
		return wrapf(err, "prctl(PR_SET_NAME)")
	}
	err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0)
	return wrapf(err, "prctl(PR_SET_NAME, %s)", name)
}
