// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// process is one line of the process table.
type process struct {
	pid, parent, group int
	state              string
	began              string // with the pid it tells processes apart: pids are used again
}

// processes reads the process table.
func processes() []process {
	var all []process
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if q, ok := readProcess(pid); ok {
				all = append(all, q)
			}
		}
	}
	return all
}

// readProcess reads one line of it; false: there is no such process any more.
func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// pid (command) state ppid pgrp ...; the command may hold anything, so cut after its last ')'.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if err != nil || len(f) < 20 {
		return process{}, false
	}
	parent, _ := strconv.Atoi(f[1])
	group, _ := strconv.Atoi(f[2])
	return process{pid, parent, group, f[0], f[19]}, true
}

// children returns the pids of the master's live children, sorted, and remembers them.
func (p *proxy) children() []int {
	var pids []int
	for _, q := range processes() {
		if q.parent == p.cmd.Process.Pid && q.state != "Z" {
			pids = append(pids, q.pid)
			p.workers[q.pid] = q.began
		}
	}
	slices.Sort(pids)
	return pids
}

// leftBehind returns processes that belong to this proxy and still run without
// its master being waited for: remembered workers, and members of its group.
func (p *proxy) leftBehind() []int {
	var pids []int
	for _, q := range processes() {
		if q.state != "Z" && (q.group == p.cmd.Process.Pid || p.workers[q.pid] == q.began) {
			pids = append(pids, q.pid)
		}
	}
	return pids
}

// alive says whether pid runs.
func alive(pid int) bool {
	q, ok := readProcess(pid)
	return ok && q.state != "Z"
}

// bind makes a TCP socket bound to a port of the kernel's choice on loopback; shared, somebody else can listen there.
func bind(t testing.TB, shared bool) (fd int, addr string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if shared {
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// deadAddress is an address that refuses connections: its port is bound, so
// that no one else gets it, and never listened on.
func deadAddress(t testing.TB) string {
	t.Helper()
	_, addr := bind(t, false)
	return addr
}

// silentAddress is an address where connecting neither succeeds nor fails: the
// accept queue is full, so the kernel drops what comes.
func silentAddress(t testing.TB) string {
	t.Helper()
	fd, addr := bind(t, false)
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, _ := syscall.Getsockname(fd)
	for range 8 {
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(c) })
		if err := syscall.Connect(c, sa); err != nil && err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
	}
	return addr
}

// needsIPv6 skips a test where there is no IPv6.
func needsIPv6(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	ln.Close()
}

// unixListener listens on a unix socket that every user may connect to.
func unixListener(t testing.TB) (net.Listener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-e2e-sock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, name: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return ln, name
}
