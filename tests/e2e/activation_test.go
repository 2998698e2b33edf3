// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// passedListener is a listening socket as a service manager opens it before it starts the service.
func passedListener(t testing.TB, network, address string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		if err := os.Chmod(u.Addr().String(), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr()
	l.Close()
	t.Cleanup(func() { file.Close() })
	return file, at
}

// activated makes a proxy that is given files as a service manager gives them: descriptors 3, 4, ..., meant for this very process.
func activated(t testing.TB, names string, files ...*os.File) *proxy {
	t.Helper()
	p := newProxy(t)
	p.prepare = func(cmd *exec.Cmd) {
		cmd.ExtraFiles = files
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+names)
	}
	return p
}

// Sockets that a service manager has opened are used, with the connections that waited in them; what the config does not name is closed and said.
func TestActivation(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	needsIPv6(t)
	o := targetOrigin(t)
	tcp, addr := passedListener(t, "tcp4", "127.0.0.1:0")
	tcp6, addr6 := passedListener(t, "tcp6", "[::1]:0")
	unixDir, err := os.MkdirTemp("", "weir-e2e-sock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(unixDir) })
	if err := os.Chmod(unixDir, 0o755); err != nil {
		t.Fatal(err)
	}
	unix, path := passedListener(t, "unix", filepath.Join(unixDir, "front"))
	stranger, nobody := passedListener(t, "tcp4", "127.0.0.1:0")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()

	var early []*client
	for range 8 {
		c := dialTo(t, addr.String())
		c.send("GET /early HTTP/1.1\r\nHost: h\r\n\r\n")
		early = append(early, c)
	}
	p := activated(t, "web:web6:front:stray:null", tcp, tcp6, unix, stranger, null)
	s := site{workers: 2, origin: o.addr, server: fmt.Sprintf("listen = [%q, %q, %q, \"127.0.0.1:@PORT1@\"]", addr, addr6, "unix:"+path.String())}
	p.start(s.toml())
	for _, c := range early {
		if r := c.read("GET"); r.status != 200 {
			t.Errorf("a connection that waited before the start: %d", r.status)
		}
	}
	dialTo(t, addr.String()).get("/", 200)
	dialTo(t, addr6.String()).get("/", 200)
	throughUnix(t, path.String())
	p.waitLog(`taken over from the service manager.*name=web\b`)
	p.waitLog(regexp.QuoteMeta(nobody.String()) + `, passed by the service manager, is in no listen of the config: closed.*name=stray`)
	p.waitLog(`a descriptor passed by the service manager is closed.*name=null`)
	for _, pid := range append(p.children(), p.cmd.Process.Pid) {
		if pid == p.cmd.Process.Pid {
			continue
		}
		for _, variable := range environment(t, pid) {
			if strings.HasPrefix(variable, "LISTEN_") {
				t.Errorf("a worker's environment has %s", variable)
			}
		}
	}
	stranger.Close() // the last of it: weir has closed its own
	refuses(t, nobody.String())

	// A reload keeps them, and so does the service manager over a restart.
	p.reload()
	dialTo(t, addr.String()).get("/", 200)
	p.signal(syscall.SIGQUIT)
	p.wait(stopDeadline)
	if _, err := os.Stat(path.String()); err != nil {
		t.Errorf("the file of the service manager's socket: %v", err)
	}
	between := dialTo(t, addr.String())
	between.send("GET /between HTTP/1.1\r\nHost: h\r\n\r\n")
	q := activated(t, "web:web6:front", tcp, tcp6, unix)
	q.start(s.toml())
	if r := between.read("GET"); r.status != 200 {
		t.Errorf("a connection made while weir was restarted: %d", r.status)
	}
	throughUnix(t, path.String())
}

// throughUnix asks once over a unix socket.
func throughUnix(t testing.TB, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(ioDeadline))
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(conn); !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
		t.Errorf("over %s: %q, %v", path, text, err)
	}
}

// Descriptors that are meant for another process are not touched, and a count that makes no sense ends the start.
func TestActivationIsForItsProcess(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	file, addr := passedListener(t, "tcp4", "127.0.0.1:0")
	p := newProxy(t)
	p.writeConfig("[[http.server]]\nlisten = [\"" + addr.String() + "\"]\n" + location("/", answer("x")))
	for pid, want := range map[string]string{"1": "address already in use", "$$": "LISTEN_FDS=.many."} {
		cmd := exec.Command("sh", "-c", `LISTEN_PID=`+pid+` exec "$0" "$@"`, weirBinary, "-p", p.dir)
		cmd.ExtraFiles = []*os.File{file}
		cmd.Env = append(os.Environ(), "LISTEN_FDS="+map[string]string{"1": "1", "$$": "many"}[pid])
		out, err := cmd.CombinedOutput()
		if err == nil || !regexp.MustCompile(want).Match(out) {
			t.Errorf("LISTEN_PID=%s: %v, %s; want %s", pid, err, out, want)
		}
	}
}

// A passed socket with reuseport: each worker has a socket of its own, and the passed one's queue is served too.
func TestActivationWithReuseport(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	tcp, addr := passedListener(t, "tcp4", "127.0.0.1:0")
	early := dialTo(t, addr.String())
	early.send("GET /early HTTP/1.1\r\nHost: h\r\n\r\n")
	p := activated(t, "", tcp)
	p.start(site{workers: 3, origin: o.addr, server: fmt.Sprintf("listen = [{ address = %q, reuseport = true }, \"127.0.0.1:@PORT1@\"]", addr)}.toml())
	if r := early.read("GET"); r.status != 200 {
		t.Errorf("the connection that waited: %d", r.status)
	}
	for range 32 {
		dialTo(t, addr.String()).get("/", 200)
	}
}
