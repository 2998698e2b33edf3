// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestOriginUnreachable: no answer can be had.
func TestOriginUnreachable(t *testing.T) {
	t.Parallel()
	silent := newOrigin(t, func(c *originConn) { _, _ = io.Copy(io.Discard, c.br) })
	p := start(t, site{
		origin: deadAddress(t),
		http:   "proxy_connect_timeout = \"300ms\"\nproxy_read_timeout = \"300ms\"\n",
		more: location("/silent", `proxy_pass = "http://`+silentAddress(t)+`"`) +
			location("/hang", `proxy_pass = "http://`+silent.addr+`"`),
	})
	for target, want := range map[string]int{"/": 502, "/silent": 504, "/hang": 504} {
		begun := time.Now()
		if r := p.get(target); r.status != want {
			t.Errorf("%s: status %d, want %d", target, r.status, want)
		}
		if took := time.Since(begun); took > ioDeadline || (want == 504 && took < 250*time.Millisecond) {
			t.Errorf("%s: answered after %v", target, took)
		}
	}
	c := p.dial()
	c.get("/", 502)
	c.get("/", 502) // an origin's fault does not end the client's connection
}

// TestOriginTalksNonsense: what is no answer becomes a 502.
func TestOriginTalksNonsense(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40000)
	for _, tt := range []struct {
		name, answer string
		weir         bool // nginx 1.22 lets it pass
	}{
		{name: "nothing", answer: ""},
		{name: "half a status line", answer: "HTTP/1.1 20"},
		{name: "half a head", answer: "HTTP/1.1 200 OK\r\nContent-Le"},
		{name: "garbage", answer: "hello world\r\n\r\n", weir: true},
		{name: "TLS alert", answer: "\x15\x03\x01\x00\x02\x02\x28", weir: true},
		{name: "HTTP/2.0", answer: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "status of four digits", answer: "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "status of two digits", answer: "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "status below 100", answer: "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "status in letters", answer: "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "leading space", answer: " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", weir: true},
		{name: "space before the colon", answer: "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"},
		{name: "space in a name", answer: "HTTP/1.1 200 OK\r\nX Y: z\r\nContent-Length: 2\r\n\r\nok"},
		{name: "no colon", answer: "HTTP/1.1 200 OK\r\nnocolon\r\nContent-Length: 2\r\n\r\nok", weir: true},
		{name: "NUL in a value", answer: "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok"},
		{name: "bare CR in a value", answer: "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", weir: true},
		{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", weir: true},
		{name: "negative length", answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", weir: true},
		{name: "length no number", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok", weir: true},
		{name: "length beyond 64 bits", answer: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", weir: true},
		{name: "length and chunked", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", weir: true},
		{name: "unknown coding", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok", weir: true},
		{name: "chunked twice", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", weir: true},
		{name: "a field too long", answer: "HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 2\r\n\r\nok"},
		{name: "head without end", answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 10000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.weir && useNginx() {
				t.Skip("nginx 1.22 does otherwise")
			}
			o := newOrigin(t, func(c *originConn) {
				if c.request() != nil {
					c.write(tt.answer)
				}
			})
			p := start(t, site{origin: o.addr})
			c := p.dial()
			c.get("/", 502)
			c.get("/", 502)
		})
	}
}

// cut is an answer that ends before its body does. A client must be able to tell.
type cut struct {
	name, answer string
	reset        bool // the origin resets instead of closing
	hang         bool // the origin goes silent
	weir         bool
}

func TestOriginCutsBody(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 300000)
	const length, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	cases := []cut{
		{name: "length, no byte", answer: length},
		{name: "length, some bytes", answer: length + big},
		{name: "length, reset", answer: length + big, reset: true},
		{name: "length, silence", answer: length + big, hang: true},
		{name: "chunked, no byte", answer: chunked},
		{name: "chunked, in a size", answer: chunked + "5\r\nhello\r\n1"},
		{name: "chunked, in a chunk", answer: chunked + "493e1\r\n" + big},
		{name: "chunked, no last chunk", answer: chunked + "493e0\r\n" + big + "\r\n"},
		{name: "chunked, half the last chunk", answer: chunked + "5\r\nhello\r\n0\r\n"},
		{name: "chunked, silence", answer: chunked + "5\r\nhello\r\n", hang: true},
		{name: "chunked, bad size", answer: chunked + "5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n"},
		{name: "chunked, bad first size", answer: chunked + "-1\r\nhello\r\n0\r\n\r\n"},
		{name: "chunked, no CRLF after data", answer: chunked + "5\r\nhelloXX0\r\n\r\n"},
		{name: "chunked, size ends with LF", answer: chunked + "5\nhello\r\n0\r\n\r\n", weir: true},
		{name: "chunked, size beyond 64 bits", answer: chunked + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
	}
	for _, buffering := range []bool{true, false} {
		answers := map[string]cut{}
		for i, tt := range cases {
			answers[fmt.Sprintf("/%d", i)] = tt
		}
		o := newOrigin(t, func(c *originConn) {
			r := c.request()
			if r == nil {
				return
			}
			tt := answers[r.target]
			c.write(tt.answer)
			if tt.reset {
				_ = c.Conn.(*net.TCPConn).SetLinger(0)
			}
			if tt.hang {
				_, _ = io.Copy(io.Discard, c.br)
			}
		})
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_buffering = %v\nproxy_read_timeout = \"400ms\"", buffering)})
		for i, tt := range cases {
			if tt.weir && useNginx() {
				continue
			}
			c := p.dial()
			c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i))
			c.within(ioDeadline)
			r, err := readResponse(c.br, "GET")
			// Before anything was sent to the client, a 502 or 504 is as good as a cut.
			if err == nil && r.status != 502 && r.status != 504 {
				t.Errorf("buffering %v, %s: the client took it for whole: %d, %d bytes", buffering, tt.name, r.status, len(r.body))
			}
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !isHangUp(err) {
				t.Errorf("buffering %v, %s: %v", buffering, tt.name, err)
			}
		}
	}
}

const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

// What an origin sends beyond its answer is never taken for the next one, and
// the connection is not used again.
func TestExtraBytesFromOrigin(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"GET /length":  ok("ok"),
		"GET /chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"GET /204":     "HTTP/1.1 204 No Content\r\n\r\n",
		"GET /304":     "HTTP/1.1 304 Not Modified\r\n\r\n",
		"HEAD /head":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
	}
	for _, late := range []bool{false, true} {
		idle, ended := make(chan struct{}), make(chan struct{})
		o := newOrigin(t, func(c *originConn) {
			for r := c.request(); r != nil; r = c.request() {
				answer, poisoned := answers[r.method+" "+r.target]
				switch {
				case !poisoned:
					c.write(ok("clean"))
				case !late:
					c.write(answer + poison)
				default:
					c.write(answer)
					c.await(idle)
					c.write(poison)
					_, _ = io.Copy(io.Discard, c.br)
					c.tell(ended)
					return
				}
			}
		})
		p := start(t, site{origin: o.addr})
		for line := range answers {
			method, target, _ := strings.Cut(line, " ")
			c := p.dial()
			c.send(method + " " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")
			if r := c.read(method); bytes.Contains(r.body, []byte("poison")) {
				t.Fatalf("late %v, %s: got %q", late, line, r.body)
			}
			if late {
				idle <- struct{}{} // the client has its answer
				select {
				case <-ended:
				case <-time.After(ioDeadline):
					t.Fatalf("%s: the origin's connection with unasked bytes stays open", line)
				}
			}
			for range 2 {
				if r := c.get("/next", 200); string(r.body) != "clean" {
					t.Fatalf("late %v, after %s the next got %q", late, line, r.body)
				}
			}
		}
	}
}

// A kept-alive connection that the origin has closed costs no client an error,
// whether the end comes before the next request or crosses it on the wire.
func TestStaleKeepalive(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		for n := 0; ; n++ {
			r := c.request()
			if r == nil || (n == 1 && r.target == "/crossing") {
				return // the request is read, and the connection ends without a word
			}
			c.write(ok("ok"))
			if r.target == "/ends" {
				return
			}
		}
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	for range 5 {
		c.get("/ends", 200)
		eventually(t, ioDeadline, "the origin's connection to end", func() bool { return o.open.Load() == 0 })
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
		if r := c.read("POST"); r.status != 200 {
			t.Fatalf("POST after the end of an idle connection: status %d", r.status)
		}
		c.get("/ends", 200)
		c.get("/", 200)
		c.get("/crossing", 200)
	}
}
