// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// More clients than blocks: everyone waits for a turn and gets one.
func TestFewBuffersManyClients(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			time.Sleep(10 * time.Millisecond) // an origin that takes its time holds buffers
			c.write(ok(r.method + string(r.body)))
		}
	})
	p := start(t, site{origin: o.addr, main: "worker_connections = 1024\n[buffers]\nlimit = 16\nreserve = 2\n"})
	workers := p.children()
	var clients []*client
	for i := range 60 {
		c := p.dial()
		if i%2 == 0 {
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		} else {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
		}
		clients = append(clients, c)
	}
	end := time.Now().Add(ioDeadline)
	for i, c := range clients {
		_ = c.SetDeadline(end)
		want := []string{"GET", "POSThello"}[i%2]
		if r, err := readResponse(c.br, "GET"); err != nil || r.status != 200 || string(r.body) != want {
			t.Fatalf("client %d: status %d, body %q, %v", i, r.status, r.body, err)
		}
	}
	p.dial().get("/", 200)
	p.sameWorkers(workers)
}

// An origin that only ever sends interim responses neither holds its own client nor the others.
func TestEndlessInterimResponses(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	hints := strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 400)
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			for r.target == "/flood" {
				if _, err := io.WriteString(c.Conn, hints); err != nil {
					return
				}
			}
			c.write(ok("ok"))
		}
	})
	p := start(t, site{origin: o.addr})
	c, other := p.dial(), p.dial()
	c.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
	begun := time.Now()
	for range 5 {
		other.get("/", 200)
	}
	if took := time.Since(begun); took > tooLate {
		t.Errorf("five requests of another client took %v", took)
	}
	if r := c.read("GET"); r.status != 502 {
		t.Errorf("status %d, want 502", r.status)
	}
	eventually(t, ioDeadline, "the flooding connection to be closed", func() bool { return o.open.Load() <= 1 })
}

// Kept origin connections give way to clients when connections run out.
func TestKeptConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	var groups, places strings.Builder
	for i := range 5 {
		o := newOrigin(t, func(c *originConn) {
			for r := c.request(); r != nil; r = c.request() {
				time.Sleep(50 * time.Millisecond) // so that four are open at once
				c.write(ok("ok"))
			}
		})
		fmt.Fprintf(&groups, "[http.upstream.g%d]\nkeepalive = 8\nserver = [%s]\n", i, peer(o.addr))
		places.WriteString(location(fmt.Sprintf("/%d", i), fmt.Sprintf(`proxy_pass = "http://g%d"`, i)))
	}
	p := start(t, site{main: "worker_connections = 16", http: groups.String(), proxyPass: "-", location: "return = 404", more: places.String()})
	p.allow(`worker_connections are not enough`)
	for i := range 5 {
		var clients []*client
		for range 4 {
			c := p.dial()
			c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", i))
			clients = append(clients, c)
		}
		for _, c := range clients {
			if r := c.read("GET"); r.status != 200 {
				t.Errorf("group %d: status %d", i, r.status)
			}
			c.Close()
		}
	}
	for i := range 5 {
		if r := p.get(fmt.Sprintf("/%d", i)); r.status != 200 {
			t.Errorf("a new client in group %d: status %d", i, r.status)
		}
	}
}

// The time for a head starts when its first byte is there, not when the worker was born.
func TestPipelinedHeadInHalves(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string { return ok(r.target) })
	p := start(t, site{origin: o.addr, http: `client_header_timeout = "3s"`})
	time.Sleep(3200 * time.Millisecond) // a deadline counted from the worker's start is over now
	c := p.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHo")
	if r := c.read("GET"); r.status != 200 || string(r.body) != "/1" {
		t.Fatalf("the first: status %d, body %q", r.status, r.body)
	}
	c.within(300 * time.Millisecond)
	if text, err := c.br.Peek(1); err == nil {
		rest, _ := c.br.Peek(c.br.Buffered())
		t.Fatalf("before the rest was sent came %q%q", text, rest)
	}
	c.send("st: h\r\n\r\n")
	if r := c.read("GET"); r.status != 200 || string(r.body) != "/2" {
		t.Errorf("the second: status %d, body %q", r.status, r.body)
	}
}

// nextRequest is what a client may send while it waits, byte by byte, without end.
const nextRequest = "GET /next HTTP/1.1\r\nHost: h\r\nX-Long: "

// Bytes from the client are no sign of life of the origin.
func TestReadTimeoutWhileClientSends(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		c.request()
		c.request()
	})
	p := start(t, site{origin: o.addr, location: `proxy_read_timeout = "1s"`})
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	begun := time.Now()
	for i := 0; time.Since(begun) < 6*time.Second; i++ {
		c.send(nextRequest[i : i+1])
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.br.Peek(1); err == nil {
			break
		}
	}
	if took := time.Since(begun); took < 900*time.Millisecond || took > 5*time.Second {
		t.Errorf("something came after %v, want 1s", took)
	}
	if r := c.read("GET"); r.status != 504 {
		t.Errorf("status %d, want 504", r.status)
	}
}

// Bytes from the client do not say that it reads.
func TestSendTimeoutWhileClientSends(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string { return ok(strings.Repeat("x", 30<<20)) })
	p := start(t, site{origin: o.addr, location: `send_timeout = "1s"`})
	for _, sends := range []bool{false, true} {
		t.Run(fmt.Sprintf("sends=%v", sends), func(t *testing.T) {
			before := strings.Count(p.readLog("access.log"), "\n")
			c := p.dialNarrow()
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			begun, last, i := time.Now(), time.Now(), 0
			ended := within(7*time.Second, func() bool {
				if sends && i < len(nextRequest) && time.Since(last) > 200*time.Millisecond {
					_, _ = io.WriteString(c.TCPConn, nextRequest[i:i+1]) // fails once it is closed
					last, i = time.Now(), i+1
				}
				return strings.Count(p.readLog("access.log"), "\n") > before
			})
			if took := time.Since(begun); !ended || took < 900*time.Millisecond || took > 6*time.Second {
				t.Errorf("ended: %v, after %v, want 1s", ended, took)
			}
		})
	}
}

// A client that waits for the origin is not a slow client.
func TestBodyTimeoutWhileOriginIsSlow(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	o := newOrigin(t, func(c *originConn) {
		if r := c.requestHead(); r != nil {
			time.Sleep(2500 * time.Millisecond) // more than client_body_timeout, twice
			n, _ := io.CopyN(io.Discard, c.br, size)
			c.write(ok(fmt.Sprint(n), "Connection: close"))
		}
	})
	p := start(t, site{origin: o.addr, location: "client_body_timeout = \"1s\"\nproxy_request_buffering = false\nclient_max_body_size = 0"})
	c := p.dial()
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size))
	var sender sync.WaitGroup
	sender.Go(func() { _, _ = io.WriteString(c.TCPConn, strings.Repeat("b", size)) })
	if r := c.read("POST"); r.status != 200 || string(r.body) != fmt.Sprint(size) {
		t.Errorf("status %d, body %.40q", r.status, r.body)
	}
	c.Close()
	sender.Wait()
}

// A head near the limit with long fields added stays whole, and its body comes after it.
func TestLongResponseHead(t *testing.T) {
	t.Parallel()
	a, b, z := strings.Repeat("a", 7000), strings.Repeat("b", 7900), strings.Repeat("z", 2000)
	o := answering(t, func(*request) string { return ok("OK", "X-A: "+a, "X-B: "+b) })
	p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_buffer_size = \"16k\"\nproxy_buffers = { number = 8, size = \"16k\" }\nadd_header = { X-Long = %q }", z)})
	c := p.dial()
	for range 3 {
		r := c.get("/", 200)
		if r.fields.get("X-A") != a || r.fields.get("X-B") != b || r.fields.get("X-Long") != z || string(r.body) != "OK" {
			t.Errorf("head of %d bytes is not whole, or body %q", len(r.raw), r.body)
		}
	}
}

// A drain that begins between a head that promised keep-alive and the end of its body still ends.
func TestQuitBehindSentHead(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	finish := make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
			c.await(finish)
			c.write("cd")
		}
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := c.br.Peek(10); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGQUIT)
	eventually(t, ioDeadline, "the port to be closed", func() bool {
		conn, err := net.Dial("tcp", p.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	if r := c.read("GET"); r.status != 200 || string(r.body) != "abcd" {
		t.Errorf("status %d, body %q", r.status, r.body)
	}
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("the master left with %d", code)
	}
	c.wantClosed(ioDeadline)
}
