// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sizedOrigin answers /FRAMING/SIZE with that many bytes of pattern.
func sizedOrigin(t testing.TB) *origin {
	return newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			parts := strings.Split(r.target, "/")
			size, _ := strconv.Atoi(parts[2])
			body := pattern(size)
			switch parts[1] {
			case "length":
				c.write(ok(string(body)))
			case "chunked":
				c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body))
			case "close":
				c.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + string(body))
				return
			case "http10":
				c.write("HTTP/1.0 200 OK\r\n\r\n" + string(body))
				return
			}
		}
	})
}

func TestResponseBodies(t *testing.T) {
	t.Parallel()
	o := sizedOrigin(t)
	for _, buffering := range []bool{true, false} {
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_buffering = %v", buffering)})
		c := p.dial()
		for _, size := range bodySizes {
			for _, kind := range []string{"length", "chunked", "close", "http10"} {
				r := c.get(fmt.Sprintf("/%s/%d", kind, size), 200)
				if d := differ(r.body, pattern(size)); d != "" {
					t.Fatalf("buffering %v, %s, size %d: the client got %s", buffering, kind, size, d)
				}
				if kind == "length" && r.fields.get("Content-Length") != strconv.Itoa(size) {
					t.Errorf("size %d: Content-Length %q", size, r.fields.all("Content-Length"))
				}
			}
		}
	}
}

// A client that speaks HTTP/1.0 gets no chunks: only the end of the connection
// ends what has no length (RFC 9112 section 6.1).
func TestChunkedOriginForHTTP10(t *testing.T) {
	t.Parallel()
	o := sizedOrigin(t)
	p := start(t, site{origin: o.addr})
	for _, line := range []string{"", "Connection: keep-alive\r\n"} {
		for _, size := range []int{0, 1, 100000} {
			r := p.exchange("GET", fmt.Sprintf("GET /chunked/%d HTTP/1.0\r\n%s\r\n", size, line))
			if d := differ(r.body, pattern(size)); d != "" || r.fields.has("Transfer-Encoding") {
				t.Errorf("size %d: %s; head %q", size, d, r.raw)
			}
		}
		r := p.exchange("GET", "GET /length/5 HTTP/1.0\r\n"+line+"\r\n")
		if d := differ(r.body, pattern(5)); d != "" {
			t.Errorf("with a length: %s", d)
		}
	}
}

// Answers without a body leave the connection usable on both sides.
func TestBodilessAnswers(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"HEAD /length":  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
		"HEAD /chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HEAD /none":    "HTTP/1.1 200 OK\r\n\r\n",
		"HEAD /404":     "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n",
		"GET /204":      "HTTP/1.1 204 No Content\r\n\r\n",
		"GET /304":      "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
		"GET /304cl":    "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n",
		"GET /0":        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"DELETE /0":     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	}
	o := answering(t, func(r *request) string {
		if text, ok := answers[r.method+" "+r.target]; ok {
			return text
		}
		return ok("next")
	})
	p := start(t, site{origin: o.addr})
	for line, text := range answers {
		method, target, _ := strings.Cut(line, " ")
		c := p.dial()
		c.send(method + " " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		r := c.read(method)
		if want := text[9:12]; strconv.Itoa(r.status) != want || len(r.body) != 0 {
			t.Errorf("%s: status %d with %d body bytes", line, r.status, len(r.body))
		}
		if r.status == 204 && (r.fields.has("Content-Length") || r.fields.has("Transfer-Encoding")) {
			t.Errorf("%s: a 204 with framing: %q", line, r.raw)
		}
		if line == "HEAD /length" && r.fields.get("Content-Length") != "1000" {
			t.Errorf("%s: Content-Length %q", line, r.fields.all("Content-Length"))
		}
		if next := c.get("/next", 200); string(next.body) != "next" {
			t.Errorf("after %s: %q", line, next.body)
		}
	}
	if n := o.accepted.Load(); n != 1 {
		t.Errorf("the origin got %d connections, want 1 kept alive", n)
	}
}

// Chunk extensions and trailers of the origin do not disturb what follows.
func TestResponseTrailers(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		return "HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b;c\"\r\nabc\r\n0;x\r\nX-T: v\r\nContent-Length: 9\r\n\r\n"
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	for range 3 {
		if r := c.get("/", 200); string(r.body) != "abc" || !r.chunked {
			t.Fatalf("got %q %q", r.raw, r.body)
		}
	}
	if n := o.accepted.Load(); n != 1 {
		t.Errorf("the origin got %d connections, want 1", n)
	}
}

// 1xx answers are not the answer (RFC 9110 section 15.2).
func TestInterimAnswers(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx 1.22 takes any 1xx for the answer
	o := answering(t, func(r *request) string {
		return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok(r.target)
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	for _, target := range []string{"/1", "/2"} {
		if r := c.get(target, 200); string(r.body) != target {
			t.Fatalf("%s: %q", target, r.body)
		}
	}
	// No interim answer may reach a client of HTTP/1.0: it would be taken for the answer.
	r := p.exchange("GET", "GET /old HTTP/1.0\r\n\r\n")
	if r.status != 200 || len(r.interim) != 0 || string(r.body) != "/old" {
		t.Fatalf("HTTP/1.0: status %d after %d interim answers, %q", r.status, len(r.interim), r.body)
	}
}

// early_hints says when 103 is passed on; without it, it always is.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	weirOnly(t) // Debian's nginx is older than the directive
	o := answering(t, func(r *request) string {
		return "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok("abc")
	})
	p := start(t, site{origin: o.addr, more: location("/if", `proxy_pass = "http://app"`, `early_hints = ["$arg_a", "$arg_b"]`)})
	for target, want := range map[string]int{"/": 2, "/if": 1, "/if?a=0&b=": 1, "/if?a=1": 2, "/if?a=0&b=x": 2} {
		r := p.get(target)
		if r.status != 200 || string(r.body) != "abc" || len(r.interim) != want {
			t.Errorf("%s: status %d, %d interim answers, want %d", target, r.status, len(r.interim), want)
		}
	}
}

// Without buffering, what the origin has sent reaches the client although the
// origin sends no more.
func TestUnbufferedResponseStreams(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			line := ""
			if strings.HasPrefix(r.target, "/accel") {
				line = "X-Accel-Buffering: no\r\n"
			}
			if strings.HasSuffix(r.target, "chunked") {
				c.write("HTTP/1.1 200 OK\r\n" + line + "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
				c.await(next)
				c.write("4\r\nlast\r\n0\r\n\r\n")
				continue
			}
			c.write("HTTP/1.1 200 OK\r\n" + line + "Content-Length: 9\r\n\r\nfirst")
			c.await(next)
			c.write("last")
		}
	})
	p := start(t, site{origin: o.addr, location: "proxy_buffering = false", more: location("/accel", `proxy_pass = "http://app"`)})
	for _, target := range []string{"/length", "/chunked", "/accel/length", "/accel/chunked"} {
		c := p.dial()
		c.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		c.within(ioDeadline)
		r, err := readResponseHead(c.br)
		if err != nil {
			t.Fatalf("%s: head: %v", target, err)
		}
		// The first part, in whatever framing, has come when its last letter has.
		part, err := c.br.ReadString('t')
		if err != nil || !strings.HasSuffix(part, "first") {
			t.Errorf("%s: the first part is %q, %v", target, part, err)
		}
		if strings.HasPrefix(target, "/accel") && r.fields.has("X-Accel-Buffering") {
			t.Errorf("%s: the client got X-Accel-Buffering", target)
		}
		select {
		case next <- struct{}{}:
		case <-time.After(ioDeadline):
			t.Fatalf("%s: the origin does not wait", target)
		}
		if rest, err := c.br.ReadString('t'); err != nil || !strings.HasSuffix(rest, "last") {
			t.Errorf("%s: the rest is %q, %v", target, rest, err)
		}
	}
}

// A client that reads slowly gets everything; so does one next to it.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	o := sizedOrigin(t)
	for buffering, size := range map[bool]int{true: 1 << 20, false: 1 << 18} {
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_buffering = %v", buffering)})
		slow := p.dial()
		_ = slow.SetReadBuffer(16 << 10)
		slow.send(fmt.Sprintf("GET /length/%d HTTP/1.1\r\nHost: h\r\n\r\n", size))
		if r := p.get("/length/100000"); len(r.body) != 100000 {
			t.Errorf("the client next to it got %d bytes", len(r.body))
		}
		slow.within(time.Minute)
		slow.br = bufio.NewReaderSize(oneByte{slow.TCPConn}, 16)
		got := slow.readSlow()
		if d := differ(got, pattern(size)); d != "" {
			t.Errorf("buffering %v: the slow client got %s", buffering, d)
		}
	}
}

// oneByte reads single bytes from the socket.
type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }

// readSlow reads an answer with the client's deadline as it is.
func (c *client) readSlow() []byte {
	c.t.Helper()
	r, err := readResponse(c.br, "GET")
	if err != nil {
		c.t.Fatalf("after %d bytes of the body: %v", len(r.body), err)
	}
	return r.body
}

// With proxy_ignore_client_abort a client that half-closes after its request
// still gets its answer, whether its end comes with the request or while the
// origin works.
func TestHalfCloseAfterRequest(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	p := start(t, site{origin: o.addr, location: "proxy_ignore_client_abort = true"})
	halfClose := func(c *client) {
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		c := p.dial()
		if i%2 == 1 {
			c.get("/first", 200)
		}
		c.send(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", i))
		halfClose(c)
		c.within(ioDeadline)
		r, err := readResponse(c.br, "POST")
		if err != nil || r.status != 200 {
			t.Fatalf("connection %d: status %d, %v", i, r.status, err)
		}
		c.wantClosed(ioDeadline)
	}
	c := p.dial()
	p.held(o, c, "x")
	halfClose(c)
	p.get("/other") // the worker has seen the end by now
	close(release)
	if r := c.read("GET"); r.status != 200 || string(r.body) != "/held/x" {
		t.Fatalf("status %d %q", r.status, r.body)
	}
	c.wantClosed(ioDeadline)
}

// Without it the end of the client is an abort: the origin's connection is
// closed and the request is logged with 499, as nginx has it.
func TestClientGoneWhileOriginWorks(t *testing.T) {
	t.Parallel()
	asked, gone := make(chan struct{}), make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		if c.request() != nil {
			close(asked)
			c.request() // nil: the end of the connection
			close(gone)
		}
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n")
	for _, step := range []chan struct{}{asked, gone} {
		select {
		case <-step:
		case <-time.After(ioDeadline):
			t.Fatal("the request does not reach the origin, or the end of its client does not")
		}
		if step == asked {
			c.Close()
		}
	}
	if line := p.waitLines("access.log", 1)[0]; !strings.Contains(line, `" 499 `) {
		t.Errorf("logged as %s", line)
	}
}

// A client that goes away in the middle takes its origin connection with it,
// and nothing else.
func TestClientAborts(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			if r.target != "/endless" {
				c.write(ok("ok"))
				continue
			}
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				if _, err := c.Write([]byte("1000\r\n" + strings.Repeat("x", 4096) + "\r\n")); err != nil {
					return
				}
			}
		}
	})
	p := start(t, site{origin: o.addr})
	for range 5 {
		c := p.dial()
		c.send("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
		c.within(ioDeadline)
		if _, err := readResponseHead(c.br); err != nil {
			t.Fatal(err)
		}
		if _, err := c.br.Discard(100000); err != nil {
			t.Fatal(err)
		}
		_ = c.SetLinger(0) // a reset
		c.Close()
	}
	half := p.dial()
	half.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
	half.Close()
	eventually(t, ioDeadline, "the origin's connections to end", func() bool { return o.open.Load() == 0 })
	p.get("/", "X: y")
}
