// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var bodySizes = []int{0, 1, 16383, 16384, 16385, 1 << 20, 20 << 20}

// pattern is n bytes that no two offsets share a run of.
func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

// chunks writes body as chunks of changing sizes, with the last chunk.
func chunks(body []byte) string {
	var b strings.Builder
	sizes := []int{1, 2, 100, 4096, 16384, 16385, 70000}
	for i := 0; len(body) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// differ says where two bodies part.
func differ(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	return fmt.Sprintf("%d bytes, want %d; they differ at %d", len(got), len(want), n)
}

func TestRequestBodies(t *testing.T) {
	t.Parallel()
	for _, buffering := range []bool{true, false} {
		o := okOrigin(t)
		p := start(t, site{origin: o.addr, http: "client_max_body_size = \"64m\"", location: fmt.Sprintf("proxy_request_buffering = %v", buffering)})
		c := p.dial()
		for _, size := range bodySizes {
			body := pattern(size)
			for _, text := range []string{
				fmt.Sprintf("POST /cl HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, body),
				"POST /te HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body),
			} {
				c.send(text)
				if r := c.read("POST"); r.status != 200 {
					t.Fatalf("buffering %v, size %d, %.9s: status %d", buffering, size, text, r.status)
				}
				if d := differ(o.last().body, body); d != "" {
					t.Fatalf("buffering %v, size %d, %.9s: the origin got %s", buffering, size, text, d)
				}
			}
		}
	}
}

// A body may come in single bytes.
func TestSlowRequestBody(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	for _, buffering := range []bool{true, false} {
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_request_buffering = %v", buffering)})
		c := p.dial()
		_ = c.SetNoDelay(true)
		body := pattern(300)
		for _, text := range []string{
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n" + string(body),
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body),
		} {
			for i := range len(text) {
				c.send(text[i : i+1])
			}
			c.read("POST")
			if d := differ(o.last().body, body); d != "" {
				t.Errorf("buffering %v: the origin got %s", buffering, d)
			}
		}
	}
}

// proxy_request_buffering = false: the origin sees the first bytes before the
// client has sent the last.
func TestRequestBodyStreams(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 2)
	o := newOrigin(t, func(c *originConn) {
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			first, _ := c.br.Peek(1)
			_, chunked, _ := framing(r.fields)
			if chunked {
				first, _ = c.br.Peek(len("5\r\nfirst"))
				first = first[3:]
			}
			arrived <- string(first[:1])
			if err := r.readBody(c.br); err != nil {
				return
			}
			c.write(ok(string(r.body)))
		}
	})
	p := start(t, site{origin: o.addr, location: "proxy_request_buffering = false"})
	for _, parts := range [][2]string{
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nfirst", "last"},
		{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n"},
	} {
		c := p.dial()
		c.send(parts[0])
		select {
		case got := <-arrived:
			if got != "f" {
				t.Errorf("the first byte is %q", got)
			}
		case <-time.After(ioDeadline):
			t.Fatalf("the origin saw nothing of %q", parts[0])
		}
		c.send(parts[1])
		if r := c.read("POST"); string(r.body) != "firstlast" {
			t.Errorf("the origin read %q", r.body)
		}
	}
}

// proxy_request_buffering = true: a slow client holds no origin connection.
func TestRequestBodyIsReadFirst(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
	p.get("/other") // served after the part above has been read: one worker
	if n := len(o.seen()); n != 1 {
		t.Fatalf("the origin got %d requests while a body was incomplete, want 1", n)
	}
	c.send("cd")
	if r := c.read("POST"); r.status != 200 || string(o.last().body) != "abcd" {
		t.Fatalf("status %d, the origin got %q", r.status, o.last().body)
	}
}

// Trailers of a request are not part of its body, and do not become fields.
func TestRequestTrailers(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	for _, buffering := range []bool{true, false} {
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_request_buffering = %v", buffering)})
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n3;name=\"v;\"\r\nabc\r\n000\r\nX-T: v\r\nContent-Length: 7\r\n\r\n")
		c.read("POST")
		r := o.last()
		if string(r.body) != "abc" || r.fields.has("X-T") {
			t.Errorf("the origin got %q with body %q", r.raw, r.body)
		}
		c.get("/next", 200)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	for _, buffering := range []bool{true, false} {
		p := start(t, site{origin: o.addr, location: fmt.Sprintf("proxy_request_buffering = %v", buffering)})
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
		c.within(ioDeadline)
		h, err := readHead(c.br)
		if err != nil || !strings.HasPrefix(h.line, "HTTP/1.1 100 ") {
			t.Fatalf("buffering %v: got %q, %v; want a 100", buffering, h.line, err)
		}
		c.send("hello")
		if r := c.read("POST"); r.status != 200 || len(r.interim) != 0 {
			t.Fatalf("buffering %v: status %d after %d more interim answers", buffering, r.status, len(r.interim))
		}
		if r := o.last(); string(r.body) != "hello" {
			t.Errorf("buffering %v: the origin got %q", buffering, r.body)
		}
		c.get("/next", 200)
	}
}

// No 100 for who would not understand it (RFC 9110 section 10.1.1).
func TestNoContinue(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	r := p.exchange("POST", "POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
	if r.status != 200 || len(r.interim) != 0 {
		t.Errorf("HTTP/1.0: status %d after %d interim answers", r.status, len(r.interim))
	}
}

func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: "client_max_body_size = \"1k\"\nlingering_timeout = \"2s\"",
		more: location("/any", `proxy_pass = "http://app"`, "client_max_body_size = 0")})
	exact := strings.Repeat("x", 1024)
	for _, body := range []string{
		"Content-Length: 1024\r\n\r\n" + exact,
		"Transfer-Encoding: chunked\r\n\r\n400\r\n" + exact + "\r\n0\r\n\r\n",
	} {
		if r := p.exchange("POST", "POST / HTTP/1.1\r\nHost: h\r\n"+body); r.status != 200 {
			t.Errorf("a body of exactly the limit: status %d", r.status)
		}
	}
	if r := p.exchange("POST", "POST /any HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("x", 2000)); r.status != 200 {
		t.Errorf("client_max_body_size = 0: status %d", r.status)
	}
	served := len(o.seen())
	big := strings.Repeat("x", 4<<20)
	tooLarge := map[string]string{
		"length":                 fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
		"length, one too many":   "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1025\r\n\r\n" + exact + "x",
		"chunked":                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks([]byte(big)),
		"chunked, one too many":  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n" + exact + "x\r\n0\r\n\r\n",
		"length, body not sent":  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n",
		"expect, body not sent":  "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
		"one chunk, huge, begun": "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nx",
	}
	t.Run("too large", func(t *testing.T) {
		for name, text := range tooLarge {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := dialTo(t, p.addr)
				c.send(text) // all of it: lingering close keeps reading
				if r := c.read("POST"); r.status != 413 || len(r.interim) != 0 {
					t.Fatalf("status %d after %d interim answers, want 413", r.status, len(r.interim))
				}
				c.wantClosed(ioDeadline)
			})
		}
	})
	if n := len(o.seen()); n != served {
		t.Errorf("the origin got %d requests with too large bodies", n-served)
	}
}

// An origin may answer before it has read the body, and hang up.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, func(c *originConn) {
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			if r.method == "POST" {
				c.write(reply(403, "Forbidden", "no", "Connection: close"))
				_, _ = io.Copy(io.Discard, io.LimitReader(c.br, 1<<20))
				return
			}
			c.write(ok("ok"))
		}
	})
	p := start(t, site{origin: o.addr, http: `client_max_body_size = "64m"`, location: "proxy_request_buffering = false"})
	c := p.dial()
	go func() {
		_, _ = fmt.Fprintf(c.TCPConn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", 8<<20, make([]byte, 8<<20))
	}()
	if r := c.read("POST"); r.status != 403 || string(r.body) != "no" {
		t.Fatalf("status %d %q, want the origin's 403", r.status, r.body)
	}
	if r := p.get("/next"); r.status != 200 {
		t.Fatalf("the next client gets %d", r.status)
	}
}
