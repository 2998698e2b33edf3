// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server listens on IPv4, IPv6 and a unix socket, with a socket per worker if asked.
func TestListenAddresses(t *testing.T) {
	t.Parallel()
	weirOnly(t) // the tables of listen are weir's
	needsIPv6(t)
	p := start(t, site{workers: 2, proxyPass: "-", location: answer("$server_addr $remote_addr"), server: `listen = [
  { address = "127.0.0.1:@PORT1@", reuseport = true, backlog = 100 },
  "[::1]:@PORT2@",
  "unix:run/front.sock",
]`})
	for network, tt := range map[string][2]string{
		"tcp4": {p.addr, "127.0.0.1 127.0.0.1"},
		"tcp6": {"[::1]:" + p.ports[1], "::1 ::1"},
		"unix": {p.path("run", "front.sock"), ""},
	} {
		conn, err := net.Dial(network, tt[0])
		if err != nil {
			t.Errorf("%s: %v", network, err)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(ioDeadline))
		fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
		text, _ := io.ReadAll(conn)
		conn.Close()
		if got := string(text); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, tt[1]) {
			t.Errorf("%s: %q", network, got)
		}
	}
	p.signal(syscall.SIGQUIT)
	p.wait(stopDeadline)
	if _, err := os.Stat(p.path("run", "front.sock")); err == nil {
		t.Error("the unix socket's file is left")
	}
}

// Started by root, the workers run as the user of the config, without a way back.
func TestWorkersDropPrivileges(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || useNginx() {
		t.Skip("needs weir and root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	o := okOrigin(t)
	p := start(t, site{workers: 2, origin: o.addr})
	p.get("/")
	for _, pid := range p.children() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		status := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			status[name] = strings.TrimSpace(value)
		}
		uid := strings.Join([]string{nobody.Uid, nobody.Uid, nobody.Uid, nobody.Uid}, "\t")
		if status["Uid"] != uid || strings.Contains("\t"+status["Gid"]+"\t", "\t0\t") || strings.Contains(" "+status["Groups"]+" ", " 0 ") {
			t.Errorf("worker %d: Uid %q, Gid %q, Groups %q", pid, status["Uid"], status["Gid"], status["Groups"])
		}
		if status["NoNewPrivs"] != "1" || strings.Trim(status["CapEff"], "0") != "" || strings.Trim(status["CapPrm"], "0") != "" {
			t.Errorf("worker %d: NoNewPrivs %s, CapEff %s, CapPrm %s", pid, status["NoNewPrivs"], status["CapEff"], status["CapPrm"])
		}
	}
}

// The error log in a file, as JSON, moved away and reopened.
func TestErrorLogFile(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, main: `error_log = { path = "logs/error.log", level = "info", format = "json" }`})
	p.exchange("GET", "BAD\r\n\r\n")
	eventually(t, ioDeadline, "a line on the bad request", func() bool { return strings.Contains(p.readLog("error.log"), "invalid request") })
	if err := os.Rename(p.path("logs", "error.log"), p.path("logs", "error.moved")); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1)
	eventually(t, ioDeadline, "the new error.log", func() bool {
		_, err := os.Stat(p.path("logs", "error.log"))
		return err == nil
	})
	eventually(t, ioDeadline, "a worker's line in the new error.log", func() bool {
		p.exchange("GET", "BAD\r\n\r\n")
		return strings.Contains(p.readLog("error.log"), "invalid request")
	})
	for line := range strings.Lines(p.readLog("error.moved") + p.readLog("error.log")) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] == nil {
			t.Errorf("line %q: %v", line, err)
		}
	}
}

// More clients than worker_connections: who is in is served, and when others
// have left there is room again.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, main: "worker_connections = 32"})
	p.allow(`worker_connections`) // nginx calls it an alert
	in := p.dial()
	in.get("/", 200)
	var crowd []*client
	for range 60 {
		c := p.dial()
		if _, err := fmt.Fprint(c.TCPConn, "GET / HTTP/1.1\r\nHost: h\r\n"); err != nil {
			break
		}
		crowd = append(crowd, c)
	}
	for _, c := range crowd {
		c.Close()
	}
	eventually(t, ioDeadline, "service to go on", func() bool {
		c := p.dial()
		defer c.Close()
		_, _ = fmt.Fprint(c.TCPConn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		r, err := readResponse(c.br, "GET")
		return err == nil && r.status == 200
	})
}
