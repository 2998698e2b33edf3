// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options of Linux's TCP that package syscall does not name; tcp(7), pidfd_getfd(2).
const (
	tcpDeferAccept = 9
	tcpFastopen    = 23
	pidfdOpen      = 434
	pidfdGetfd     = 438
)

// What a listen asks for is what its socket has.
func TestListenOptions(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, site{proxyPass: "-", location: answer("ok"), server: `listen = [
  { address = "127.0.0.1:@PORT1@" },
  { address = "127.0.0.1:@PORT2@", rcvbuf = "48k", sndbuf = "128k", deferred = true, fastopen = 7, so_keepalive = "on" },
]`})
	plain, set := p.listener(p.ports[0]), p.listener(p.ports[1])
	for _, option := range []struct {
		name         string
		level, which int
		want         int // 0: more than 0
	}{
		{"rcvbuf", syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2 * 48 << 10}, // the kernel doubles it, socket(7)
		{"sndbuf", syscall.SOL_SOCKET, syscall.SO_SNDBUF, 2 * 128 << 10},
		{"so_keepalive", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{"deferred", syscall.IPPROTO_TCP, tcpDeferAccept, 0},
		{"fastopen", syscall.IPPROTO_TCP, tcpFastopen, 7},
	} {
		got, err := syscall.GetsockoptInt(set, option.level, option.which)
		if err != nil || got != option.want && (option.want != 0 || got == 0) {
			t.Errorf("%s is %d (%v), want %d", option.name, got, err, option.want)
		}
		if other, _ := syscall.GetsockoptInt(plain, option.level, option.which); other == got {
			t.Errorf("%s is %d without it, too", option.name, other)
		}
	}
}

// listener is a copy of the descriptor of the master's socket that listens on a port.
func (p *proxy) listener(port string) int {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	handle, _, errno := syscall.Syscall(pidfdOpen, uintptr(pid), 0, 0)
	if errno != 0 {
		p.t.Skipf("pidfd_open: %v", errno)
	}
	defer syscall.Close(int(handle))
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, entry := range entries {
		n, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		fd, _, errno := syscall.Syscall(pidfdGetfd, handle, uintptr(n), 0)
		if errno == syscall.EPERM || errno == syscall.ENOSYS {
			p.t.Skipf("pidfd_getfd: %v", errno)
		}
		if errno != 0 {
			continue
		}
		name, err := syscall.Getsockname(int(fd))
		if a, ok := name.(*syscall.SockaddrInet4); err == nil && ok && strconv.Itoa(a.Port) == port {
			p.t.Cleanup(func() { syscall.Close(int(fd)) })
			return int(fd)
		}
		syscall.Close(int(fd))
	}
	p.t.Fatalf("no socket of process %d listens on %s", pid, port)
	return -1
}

// A client's connection is closed after the response to a request, once it is older than keepalive_time.
func TestKeepaliveTime(t *testing.T) {
	t.Parallel()
	p := start(t, site{proxyPass: "-", location: answer("ok"), http: `keepalive_time = "1ms"`})
	c := p.dial()
	r := c.get("/", 200) // it may be accepted only now, and be young
	if r.fields.get("Connection") != "close" {
		time.Sleep(50 * time.Millisecond) // its age, not a wait for anything
		r = c.get("/", 200)
	}
	if r.fields.get("Connection") != "close" {
		t.Errorf("an old connection is kept: %v", r.fields)
	}
	c.wantClosed(ioDeadline)
}

// More fields than max_headers are refused.
func TestMaxHeaders(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx has it since 1.29
	p := start(t, site{proxyPass: "-", location: answer("ok"), server: `max_headers = 3`})
	for fields, want := range map[int]int{3: 200, 4: 400} {
		text := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: b\r\n", fields-1) + "\r\n"
		if r := p.exchange("GET", text); r.status != want {
			t.Errorf("%d fields: %d, want %d", fields, r.status, want)
		}
	}
}

// How long a connection with an unread body lingers, and whether it does.
func TestLingering(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, site{proxyPass: "-", location: answer("ok"), server: "client_max_body_size = 1\nlingering_timeout = \"20s\"\nlingering_time = \"20s\"", more: strings.Join([]string{
		location("/off", `return = { code = 413 }`, `lingering_close = "off"`),
		location("/timeout", `return = { code = 413 }`, `lingering_timeout = "100ms"`),
		location("/time", `return = { code = 413 }`, `lingering_time = "100ms"`),
		location("/always", `return = { code = 413 }`),
	}, "\n")})
	// A write to a connection that is closed is answered with a reset; one that lingers takes it.
	isClosed := func(path string, d time.Duration) bool {
		t.Helper()
		c := p.dial()
		c.send("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
		if r := c.read("POST"); r.status != 413 {
			t.Fatalf("%s: %d", path, r.status)
		}
		return within(d, func() bool {
			_, err := c.Write([]byte("x"))
			return err != nil
		})
	}
	if !isClosed("/off", ioDeadline) || !isClosed("/time", ioDeadline) {
		t.Error("a connection lingers that should not, or longer than its time")
	}
	if isClosed("/always", 300*time.Millisecond) {
		t.Error("a connection does not linger")
	}
	c := p.dial()
	c.send("POST /timeout HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
	c.read("POST")
	eventually(t, ioDeadline, "a connection to linger no longer than its timeout", func() bool {
		time.Sleep(time.Second) // says nothing for longer than lingering_timeout
		_, err := c.Write([]byte("x"))
		_, again := c.Write([]byte("x")) // the first one's answer is a reset
		return err != nil || again != nil
	})
}

// Temporary files are made in temp_path.
func TestTempPath(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, site{proxyPass: "-", location: answer("ok"), more: "[buffers]\ntemp_path = \"spool\""})
	if info, err := os.Stat(p.path("spool")); err != nil || !info.IsDir() {
		t.Errorf("temp_path: %v", err)
	}
}
