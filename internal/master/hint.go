// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// bindError is why an address cannot be listened on.
type bindError struct {
	socket *socket
	cause  error
}

// Error is the call that failed and why.
func (e *bindError) Error() string { return e.cause.Error() }

// Unwrap is the cause.
func (e *bindError) Unwrap() error { return e.cause }

// explainBind adds to an error what a user can do about it, if it is a bindError. It looks through all processes: it
// is for an error that is about to be shown.
func explainBind(err error) error {
	var failed *bindError
	if !errors.As(err, &failed) {
		return err
	}
	s := failed.socket
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if s.protocol == "unix" {
			return fmt.Errorf("%w: another process listens on it", err)
		}
		return fmt.Errorf("%w: %s", err, portOwner(s.to.AddrPort().Port()))
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		if s.protocol == "unix" {
			return fmt.Errorf("%w: the directory must be writable for the user that starts weir", err)
		}
		return fmt.Errorf("%w: a port below 1024 needs root, the capability CAP_NET_BIND_SERVICE, "+
			"or the sysctl net.ipv4.ip_unprivileged_port_start", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine does not have the address", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: raise the limit on open files (ulimit -n)", err)
	}
	return err
}

// portOwner says who listens on a TCP port, as far as this process may know.
func portOwner(port uint16) string {
	inodes := listeningInodes(port)
	if len(inodes) == 0 {
		return "no process listens on it, but a socket is bound to it"
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("process %s (%s) listens on it", pid, strings.TrimSpace(string(name)))
	}
	return "a process of another user listens on it"
}

// listeningInodes finds the sockets that listen on a port, as /proc/PID/fd names them. proc_net_tcp(5).
func listeningInodes(port uint16) map[string]bool {
	const stateListen = "0A"
	inodes := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != stateListen {
				continue
			}
			_, hexPort, _ := strings.Cut(fields[1], ":")
			if n, err := strconv.ParseUint(hexPort, 16, 16); err == nil && uint16(n) == port {
				inodes["socket:["+fields[9]+"]"] = true
			}
		}
		file.Close()
	}
	return inodes
}
