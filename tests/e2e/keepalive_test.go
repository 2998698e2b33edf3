// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// One origin connection serves requests of many clients.
func TestOriginConnectionIsReused(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, more: location("/direct", `proxy_pass = "http://`+o.addr+`"`)})
	for range 20 {
		p.get("/")
	}
	c := p.dial()
	for range 20 {
		c.get("/", 200)
	}
	if n := o.accepted.Load(); n != 1 {
		t.Errorf("40 requests used %d origin connections, want 1", n)
	}
}

func TestOriginConnectionIsNotReused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, answer, upstream, location string
		want                             int64 // connections for 6 requests
	}{
		{name: "the origin says close", answer: ok("ok", "Connection: Close"), want: 6},
		{name: "the origin speaks HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", want: 6},
		{name: "keepalive = 0", answer: ok("ok"), upstream: "keepalive = 0", want: 6},
		{name: "keepalive_requests = 2", answer: ok("ok"), upstream: "keepalive_requests = 2", want: 3},
		{name: "proxy_http_version 1.0", answer: ok("ok"), location: `proxy_http_version = "1.0"` + "\n" + `proxy_set_header = { Connection = "close" }`, want: 6},
		{name: "keep-alive in HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", location: `proxy_http_version = "1.0"` + "\n" + `proxy_set_header = { Connection = "Keep-Alive" }`, want: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if useNginx() && (tt.upstream == "keepalive = 0" || tt.location != "") {
				t.Skip("nginx 1.22 does otherwise")
			}
			o := newOrigin(t, func(c *originConn) { // never closes by itself
				for r := c.request(); r != nil; r = c.request() {
					c.write(tt.answer)
				}
			})
			p := start(t, site{origin: o.addr, upstream: tt.upstream, location: tt.location})
			c := p.dial()
			for range 6 {
				c.get("/", 200)
			}
			if n := o.accepted.Load(); n != tt.want {
				t.Errorf("6 requests used %d origin connections, want %d", n, tt.want)
			}
			eventually(t, ioDeadline, "used connections to be closed", func() bool { return o.open.Load() <= 1 })
		})
	}
}

// At most keepalive idle connections stay, and they go after keepalive_timeout.
func TestOriginIdleConnections(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			c.await(gate)
			c.write(ok("ok"))
		}
	})
	p := start(t, site{origin: o.addr, upstream: "keepalive = 2\nkeepalive_timeout = \"1s\""})
	var clients []*client
	for range 6 {
		c := p.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		clients = append(clients, c)
	}
	eventually(t, ioDeadline, "6 origin connections", func() bool { return o.open.Load() == 6 })
	close(gate)
	for _, c := range clients {
		c.read("GET")
	}
	eventually(t, ioDeadline, "2 idle connections left", func() bool { return o.open.Load() == 2 })
	eventually(t, ioDeadline, "keepalive_timeout to end them", func() bool { return o.open.Load() == 0 })
}

func TestClientKeepalive(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: "keepalive_requests = 3"})
	c := p.dial()
	for i := range 3 {
		r := c.get("/", 200)
		if last := strings.EqualFold(r.fields.get("Connection"), "close"); last != (i == 2) {
			t.Errorf("answer %d: Connection %q", i, r.fields.get("Connection"))
		}
	}
	c.wantClosed(ioDeadline)

	q := start(t, site{origin: o.addr, http: `keepalive_timeout = 0`})
	c = q.dial()
	if r := c.get("/", 200); !strings.EqualFold(r.fields.get("Connection"), "close") {
		t.Errorf("keepalive_timeout = 0: Connection %q", r.fields.get("Connection"))
	}
	c.wantClosed(ioDeadline)
}

// tooLate is far more than the timeout of 1 s that these tests set, and far less than the default it replaces.
const tooLate = 8 * time.Second

// ends measures how long the proxy keeps c open while nothing is sent, and what it says. What it waits for cannot have begun before the last thing was sent.
func (c *client) ends(limit time.Duration) (time.Duration, string) {
	c.t.Helper()
	c.within(limit)
	text, err := io.ReadAll(c.br)
	if err != nil && !isHangUp(err) {
		c.t.Fatalf("not closed within %v: %v", limit, err)
	}
	return time.Since(c.last), string(text)
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: `keepalive_timeout = "1s"`})
	c := p.dial()
	c.get("/", 200)
	took, text := c.ends(ioDeadline)
	if took < 800*time.Millisecond || took > tooLate || text != "" {
		t.Errorf("closed after %v with %q, want 1s and nothing", took, text)
	}
}

// client_header_timeout bounds the whole head: a byte now and then does not
// prolong it. The answer, if one is sent, is a 408.
func TestHeaderTimeout(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: `client_header_timeout = "1s"`})
	slow := p.dial()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for _, b := range []byte("GET / HTTP/1.1\r\nHost: h\r\nX-Slow: " + strings.Repeat("a", 400)) {
			select {
			case <-stop:
				return
			case <-time.After(25 * time.Millisecond):
				if _, err := slow.Write([]byte{b}); err != nil {
					return
				}
			}
		}
	}()
	took, text := slow.ends(ioDeadline)
	if took < 800*time.Millisecond || took > tooLate {
		t.Errorf("a slow head is cut after %v, want 1s", took)
	}
	if text != "" && !strings.HasPrefix(text, "HTTP/1.1 408 ") {
		t.Errorf("it is told %q", text)
	}
	// The same on a kept-alive connection, from the first byte of the second head.
	c := p.dial()
	c.get("/", 200)
	c.send("GET / HT")
	if took, text := c.ends(ioDeadline); took < 800*time.Millisecond || took > tooLate {
		t.Errorf("a second head is cut after %v with %q, want 1s", took, text)
	}
	// And for a client that says nothing at all.
	if took, text := p.dial().ends(ioDeadline); took < 800*time.Millisecond || took > tooLate || text != "" {
		t.Errorf("a silent client is cut after %v with %q, want 1s and nothing", took, text)
	}
	eventually(t, ioDeadline, "a 408 in the access log", func() bool { return strings.Contains(p.readLog("access.log"), `" 408 `) })
	if n := o.accepted.Load(); n > 1 {
		t.Errorf("the origin got %d connections", n)
	}
}

// client_body_timeout counts between two reads, so a slow but steady body passes.
func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: `client_body_timeout = "1s"`})
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n")
	steady := time.NewTicker(200 * time.Millisecond)
	defer steady.Stop()
	for range 8 {
		<-steady.C
		c.send("x")
	}
	if r := c.read("POST"); r.status != 200 {
		t.Errorf("a steady body: status %d", r.status)
	}
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nxx")
	took, text := c.ends(ioDeadline)
	if took < 800*time.Millisecond || took > tooLate {
		t.Errorf("a body that stops is cut after %v, want 1s", took)
	}
	if text != "" && !strings.HasPrefix(text, "HTTP/1.1 408 ") {
		t.Errorf("it is told %q", text)
	}
	eventually(t, ioDeadline, "a 408 in the access log", func() bool { return strings.Contains(p.readLog("access.log"), `" 408 `) })
}

// send_timeout ends a client that takes nothing, and frees its origin.
func TestSendTimeout(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := fmt.Fprintf(c, "4000\r\n%s\r\n", strings.Repeat("x", 0x4000)); err != nil {
				return
			}
		}
	})
	p := start(t, site{origin: o.addr, http: `send_timeout = "1s"`, location: "proxy_buffering = false"})
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(t, ioDeadline, "the request at the origin", func() bool { return len(o.seen()) == 1 })
	eventually(t, ioDeadline, "the origin's connection to end", func() bool { return o.open.Load() == 0 })
	c.within(ioDeadline)
	if r, err := readResponse(c.br, "GET"); err == nil {
		t.Errorf("the client took %d bytes for the whole answer", len(r.body))
	}
}

// proxy_send_timeout ends an origin that takes nothing.
func TestProxySendTimeout(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		if c.requestHead() != nil {
			c.await(nil) // reads no more
		}
	})
	p := start(t, site{origin: o.addr, http: "client_max_body_size = 0\nproxy_send_timeout = \"500ms\""})
	body := strings.Repeat("x", 32<<20)
	r := p.exchange("POST", fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if r.status != 504 {
		t.Errorf("status %d, want 504", r.status)
	}
}

// All workers together keep no more than keepalive_total idle connections, and have those of a killed worker back.
func TestOriginIdleConnectionsOfAllWorkers(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, origin: g.addr, upstream: "keepalive = 8\nkeepalive_total = 3", more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`)})
	byWorker := p.spread(2, 5)
	burst := func(clients []*client, name string) {
		for i, c := range clients {
			g.hold(c, fmt.Sprint(name, i))
		}
		for i, c := range clients {
			g.letGo(c, fmt.Sprint(name, i))
		}
	}
	burst(inTurn(byWorker), "all")
	eventually(t, ioDeadline, "3 idle connections left", func() bool { return g.open.Load() == 3 })
	p.allow("exited on signal 9|killed")
	pids := sortedKeys(byWorker)
	burst(byWorker[pids[0]], "first") // it gives its own up for others at most: those of both stay 3
	eventually(t, ioDeadline, "3 idle connections left", func() bool { return g.open.Load() == 3 })
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "3 idle connections of the other worker", func() bool {
		burst(byWorker[pids[1]], fmt.Sprint("again", time.Now().UnixNano(), "-"))
		return within(100*time.Millisecond, func() bool { return g.open.Load() == 3 })
	})
	p.sound(places)
}
