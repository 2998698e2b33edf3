// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// heldOrigin answers at once, but what is below /held/ only when release is closed.
func heldOrigin(t testing.TB) (o *origin, release chan struct{}) {
	release = make(chan struct{})
	return newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			if strings.HasPrefix(r.target, "/held/") {
				c.await(release)
			}
			c.write(ok(r.target))
		}
	}), release
}

// held sends a request that the origin will not answer before release, and
// waits until the origin has it.
func (p *proxy) held(o *origin, c *client, name string) {
	p.t.Helper()
	c.send("GET /held/" + name + " HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(p.t, ioDeadline, "the held request at the origin", func() bool {
		return slices.ContainsFunc(o.seen(), func(r *request) bool { return r.target == "/held/"+name })
	})
}

func (p *proxy) pidFile() string {
	text, _ := os.ReadFile(p.path("run", "weir.pid"))
	return strings.TrimSpace(string(text))
}

// refuses waits until addr refuses connections.
func refuses(t testing.TB, addr string) {
	t.Helper()
	eventually(t, ioDeadline, addr+" to refuse connections", func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// TERM and INT stop at once, whatever is in flight.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		o, _ := heldOrigin(t)
		p := start(t, site{workers: 2, origin: o.addr})
		c := p.dial()
		p.held(o, c, "x")
		l := startLoad(p.addr, 8)
		l.progress(p, 50)
		begun := time.Now()
		p.signal(sig)
		if code := p.wait(stopDeadline); code != 0 {
			t.Errorf("%v: exit code %d, want 0", sig, code)
		}
		if took := time.Since(begun); took > tooLate {
			t.Errorf("%v: it took %v", sig, took)
		}
		l.end()
		c.within(ioDeadline)
		if r, err := readResponse(c.br, "GET"); err == nil && r.status == 200 {
			t.Errorf("%v: the held request was answered", sig)
		}
		if pid := p.pidFile(); pid != "" {
			t.Errorf("%v: the pid file is left: %s", sig, pid)
		}
		refuses(t, p.addr)
	}
}

// QUIT takes no new connection and loses no request.
func TestQuitLosesNothing(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	p := start(t, site{workers: 2, origin: o.addr})
	l := startLoad(p.addr, 32)
	l.progress(p, 200)
	get, post := p.dial(), p.dial()
	p.held(o, get, "get")
	post.send("POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nha")
	p.get("/passed") // by now the worker has the half body
	p.signal(syscall.SIGQUIT)
	refuses(t, p.addr)
	select {
	case <-p.exited:
		t.Fatal("the master left while requests were in flight")
	default:
	}
	post.send("lf")
	r := post.read("POST")
	got := slices.IndexFunc(o.seen(), func(r *request) bool { return r.target == "/post" && string(r.body) == "half" })
	if r.status != 200 || got < 0 {
		t.Errorf("the half-sent request: status %d, found at the origin: %v", r.status, got >= 0)
	}
	post.Close() // who has got "Connection: close" closes
	close(release)
	if r := get.read("GET"); r.status != 200 || string(r.body) != "/held/get" {
		t.Errorf("the held request: status %d", r.status)
	}
	get.Close()
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.end()
	// nginx closes idle connections without looking whether a request is on the way.
	if lost := l.losses(); len(lost) > 0 && !useNginx() {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
	t.Logf("sent %d, served %d", l.sent.Load(), l.served.Load())
	if pid := p.pidFile(); pid != "" {
		t.Errorf("the pid file is left: %s", pid)
	}
}

// A worker that leaves closes the connections that it keeps to origins at once, whatever else it still has to do.
func TestQuitLeavesOrigins(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := start(t, site{origin: l.Addr().String()})
	serve := func(target string) (client *client, origin net.Conn) {
		client = p.dial()
		client.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		if origin, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { origin.Close() })
		origin.SetDeadline(time.Now().Add(ioDeadline))
		origin.Read(make([]byte, 4096))
		return client, origin
	}
	first, busy := serve("/busy")
	second, kept := serve("/kept")
	io.WriteString(kept, "HTTP/1.1 204 No Content\r\n\r\n")
	if r := second.read("GET"); r.status != 204 {
		t.Fatalf("status %d", r.status)
	}
	p.signal(syscall.SIGQUIT)
	if n, err := kept.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the kept connection: %d bytes, %v; want its end", n, err)
	}
	io.WriteString(busy, "HTTP/1.1 204 No Content\r\n\r\n")
	if n, err := busy.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the connection of the last answer: %d bytes, %v; want its end", n, err)
	}
	if r := first.read("GET"); r.status != 204 {
		t.Errorf("the request that was in work: status %d", r.status)
	}
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// worker_shutdown_timeout cuts what does not end.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	o, _ := heldOrigin(t)
	p := start(t, site{origin: o.addr, main: `worker_shutdown_timeout = "1s"`})
	c := p.dial()
	p.held(o, c, "x")
	begun := time.Now()
	p.signal(syscall.SIGQUIT)
	p.wait(stopDeadline)
	if took := time.Since(begun); took < 800*time.Millisecond || took > tooLate {
		t.Errorf("it left after %v, want 1s", took)
	}
	p.allow(`open socket #\d+ left`) // nginx says so
}

// versioned answers /version itself, so that one can see which config is at work.
func versioned(addr, version, more string) site {
	return site{workers: 2, origin: addr, more: location("= /version", answer(version)) + more}
}

func (p *proxy) waitVersion(want string) {
	p.t.Helper()
	eventually(p.t, ioDeadline, "config "+want+" at work", func() bool { return string(p.get("/version").body) == want })
}

// HUP brings the new config, the old workers finish what they have, and no request is lost.
func TestReload(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	master, old := p.pidFile(), p.children()
	l := startLoad(p.addr, 16)
	l.progress(p, 100)
	c := p.dial()
	p.held(o, c, "x")
	p.writeConfig(versioned(o.addr, "2", "[[http.server]]\nlisten = [\"127.0.0.1:@PORT2@\"]\n"+location("/", answer("second"))).toml())
	p.signal(syscall.SIGHUP)
	p.waitVersion("2")
	d := dialTo(t, "127.0.0.1:"+p.ports[1])
	if r := d.get("/", 200); string(r.body) != "second" {
		t.Errorf("the new port: %q", r.body)
	}
	l.progress(p, 100)
	p.children()
	close(release)
	if r := c.read("GET"); r.status != 200 {
		t.Errorf("the held request: status %d", r.status)
	}
	p.writeConfig(versioned(o.addr, "3", "").toml())
	p.signal(syscall.SIGHUP)
	p.waitVersion("3")
	refuses(t, "127.0.0.1:"+p.ports[1])
	l.progress(p, 100)
	l.end()
	if lost := l.losses(); len(lost) > 0 && !useNginx() {
		t.Errorf("%d of %d requests lost, the first: %s", len(lost), l.sent.Load(), lost[0])
	}
	eventually(t, ioDeadline, "the old workers to leave", func() bool {
		now := p.children()
		return len(now) == 2 && !slices.ContainsFunc(old, func(pid int) bool { return slices.Contains(now, pid) })
	})
	if p.pidFile() != master {
		t.Errorf("the master's pid changed from %s to %s", master, p.pidFile())
	}
}

// A config that cannot be used changes nothing and is explained.
func TestReloadOfBadConfig(t *testing.T) {
	t.Parallel()
	o := targetOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	p.allow(`.*`) // nginx says [emerg]
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := p.children()
	l := startLoad(p.addr, 8)
	for _, tt := range []struct{ more, log string }{
		{"[[http.server]]\nlisten = [\"127.0.0.1:@PORT2@\"]\n" + location("/", `proxy_past = "http://app"`), "proxy_past"},
		{"[[http.server]]\nlisten = [\"" + taken.Addr().String() + "\"]\n" + location("/", answer("x")), "(?i)address already in use"},
	} {
		p.writeConfig(versioned(o.addr, "2", tt.more).toml())
		p.signal(syscall.SIGHUP)
		p.waitLog(tt.log)
		l.progress(p, 50)
		if r := p.get("/version"); string(r.body) != "1" {
			t.Errorf("%s: version %q", tt.log, r.body)
		}
	}
	if now := p.children(); !useNginx() && !slices.Equal(before, now) {
		t.Errorf("workers were %v, now %v", before, now)
	}
	l.end()
	if lost := l.losses(); len(lost) > 0 {
		t.Errorf("%d requests lost, the first: %s", len(lost), lost[0])
	}
	p.writeConfig(versioned(o.addr, "4", "").toml())
	p.signal(syscall.SIGHUP)
	p.waitVersion("4")
}

// WINCH drains the workers and keeps the master; HUP brings workers back.
func TestWinch(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx knows WINCH only as a daemon
	o := targetOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	p.signal(syscall.SIGWINCH)
	eventually(t, ioDeadline, "the workers to leave", func() bool { return len(p.children()) == 0 })
	p.signal(syscall.SIGHUP)
	eventually(t, ioDeadline, "workers to come back", func() bool { return len(p.children()) == 2 })
	p.waitVersion("1")
}

func TestPidFile(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	if got, want := p.pidFile(), strconv.Itoa(p.cmd.Process.Pid); got != want {
		t.Errorf("the pid file says %q, want %s", got, want)
	}
	if useNginx() {
		return
	}
	// A second master of the same prefix is refused, and does no harm.
	out, code := weirCommand(t, p.dir)
	if code != 1 || !strings.Contains(out, p.pidFile()) {
		t.Errorf("a second start: exit %d, %q; want 1 and the pid that runs", code, out)
	}
	p.get("/", "X: y")
	if got, want := p.pidFile(), strconv.Itoa(p.cmd.Process.Pid); got != want {
		t.Errorf("then the pid file says %q, want %s", got, want)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newProxy(t)
	p.writeConfig("[[http.server]]\nlisten = [\"" + ln.Addr().String() + "\"]\n" + location("/", answer("x")))
	out, code := weirCommand(t, p.dir)
	if code != 1 || !strings.Contains(out, ln.Addr().String()) || !strings.Contains(out, "in use") {
		t.Errorf("exit %d, %q; want 1 and the address that is in use", code, out)
	}
	if pid := p.pidFile(); pid != "" {
		t.Errorf("a pid file is left: %s", pid)
	}
}
