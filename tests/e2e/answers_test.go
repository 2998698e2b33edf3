// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sameWorkers fails the test unless the workers are still those of before.
func (p *proxy) sameWorkers(before []int) {
	p.t.Helper()
	if now := p.children(); !slices.Equal(now, before) {
		p.t.Errorf("workers %v, were %v", now, before)
	}
}

// A response that error_page replaces gives its origin connection back or closes it.
func TestInterceptedResponseLeaksNoConnection(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		if r.target == "/missing" {
			return reply(404, "Not Found", "none")
		}
		return ok("page")
	})
	p := start(t, site{origin: o.addr, upstream: "keepalive = 2",
		location: "proxy_intercept_errors = true\nerror_page = [{ codes = [404], uri = \"/page\" }]",
		more:     location("= /page", `proxy_pass = "http://app"`)})
	workers, c := p.children(), p.dial()
	for range 20 {
		if r := c.get("/missing", 404); string(r.body) != "page" {
			t.Fatalf("body %q", r.body)
		}
	}
	eventually(t, ioDeadline, "at most 2 origin connections open", func() bool { return o.open.Load() <= 2 })
	o.closeConns()
	eventually(t, ioDeadline, "no origin connection open", func() bool { return o.open.Load() == 0 })
	c.get("/other", 200)
	p.sameWorkers(workers)
}

// dialNarrow connects with a receive buffer as small as the kernel allows.
func (p *proxy) dialNarrow() *client {
	p.t.Helper()
	d := net.Dialer{Timeout: ioDeadline, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
		})
		return errors.Join(err, failed)
	}}
	conn, err := d.DialContext(p.t.Context(), "tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	return newClient(p.t, conn)
}

// A client that goes while two answers wait for it takes nothing down with it.
func TestClientLeavesWithAnswersWaiting(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	asked := make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for {
			r := c.request()
			switch {
			case r == nil:
				return
			case r.target == "/big":
				c.tell(asked)
				c.write(ok(strings.Repeat("x", size)))
			default:
				c.write(ok(strings.Repeat("y", 6000)))
			}
		}
	})
	p := start(t, site{origin: o.addr, server: `listen = [{ address = "127.0.0.1:@PORT1@", sndbuf = "4k" }]`})
	workers := p.children()
	// Blocks that were used before make what is left in them visible.
	var warm []*client
	for range 20 {
		c := p.dial()
		c.send("GET /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		warm = append(warm, c)
	}
	for _, c := range warm {
		c.read("GET")
	}
	for range 4 {
		c := p.dialNarrow()
		c.send("GET /small HTTP/1.1\r\nHost: h\r\n\r\nGET /big HTTP/1.1\r\nHost: h\r\n\r\n")
		select {
		case <-asked:
		case <-time.After(ioDeadline):
			t.Fatal("the second request did not reach the origin")
		}
		time.Sleep(100 * time.Millisecond) // not a wait for luck: the longer, the more is stuck
		c.Close()
		p.get("/small")
	}
	p.sameWorkers(workers)
}

// What a variable brings into a request to the origin cannot end a line there.
func TestVariablesCannotSplitRequests(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	user := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("bob\r\n\r\nGET /admin HTTP/1.0\r\n\r\n:"))
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, location: `proxy_set_header = { X-User = "$remote_user", X-Path = "$uri" }`,
		more: location("/gone/", "return = 410", `error_page = [{ codes = [410], uri = "/err2?o=$uri", response = 0 }]`)})
	for _, tt := range []struct{ name, target, line string }{
		{"remote_user", "/", user},
		{"uri in a field", "/a%0d%0aX-Evil:%201%0d%0a%0d%0aGET%20/admin%20HTTP/1.1", ""},
		{"uri in the arguments", "/gone/a%20HTTP/1.1%0d%0aX-Evil:%201%0d%0aX:", ""},
		{"uri in the arguments, whole request", "/gone/a%20HTTP/1.1%0d%0a%0d%0aGET%20/admin%20HTTP/1.1%0d%0a%0d%0a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(o.seen())
			text := "GET " + tt.target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
			if tt.line != "" {
				text += tt.line + "\r\n"
			}
			p.exchange("GET", text+"\r\n")
			p.get("/after")
			seen := o.seen()[before:]
			if n := len(seen); n == 0 || n > 2 || seen[n-1].target != "/after" {
				t.Errorf("the origin got %d requests", n)
			}
			for _, r := range seen {
				// The name may come as a part of a value; a line of its own it must not be.
				if r.fields.has("X-Evil") || r.target == "/admin" || r.proto != "HTTP/1.1" && r.proto != "HTTP/1.0" {
					t.Errorf("the origin got %q", r.raw)
				}
			}
		})
	}
}

// Behind a head of two large buffers and its body, pipelined requests keep their bytes and order.
func TestLargeHeadThenManyRequests(t *testing.T) {
	t.Parallel()
	const many = 160
	o := answering(t, func(r *request) string { return ok(string(r.body)) })
	p := start(t, site{origin: o.addr, http: "keepalive_requests = 10000",
		more: location("= /n", `return = { code = 200, text = "$arg_n" }`)})
	long := strings.Repeat("a", 7700)
	var b strings.Builder
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-0: %s\r\nX-1: %s\r\nX-2: %s\r\n\r\n", long, long, long[:500])
	b.WriteString("1\r\nX\r\n0\r\n\r\n")
	for i := range many {
		fmt.Fprintf(&b, "GET /n?n=%05d HTTP/1.1\r\nHost: h\r\nX-P: %s\r\n\r\n", i, long[:60])
	}
	for _, cut := range []int{0, 1000, 15000, 15990, 20000} {
		t.Run(strconv.Itoa(cut), func(t *testing.T) {
			c := dialTo(t, p.addr)
			c.send(b.String()[:cut])
			c.send(b.String()[cut:])
			if r := c.read("POST"); r.status != 200 || string(r.body) != "X" {
				t.Fatalf("the POST: status %d, body %q", r.status, r.body)
			}
			for i := range many {
				if r := c.read("GET"); r.status != 200 || string(r.body) != fmt.Sprintf("%05d", i) {
					t.Fatalf("request %d: status %d, body %q", i, r.status, r.body)
				}
			}
		})
	}
}

// A code that allows no body has none on the wire, whatever text is configured (RFC 9110, 15.3.5).
func TestTextForBodylessCodes(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, site{proxyPass: "-", location: `return = { code = 200, text = "fine" }`,
		more: location("= /204", `return = { code = 204, text = "EVIL" }`) +
			location("= /304", `return = { code = 304, text = "EVIL" }`) +
			location("= /page", "return = 410", `error_page = [{ codes = [410], text = "EVIL", response = 204 }]`)})
	c := p.dial()
	for target, status := range map[string]int{"/204": 204, "/304": 304, "/page": 204} {
		for _, text := range []string{"", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"} {
			c.send("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" + text)
			r := c.read("GET")
			if r.status != status || status == 204 && (r.fields.has("Content-Length") || r.fields.has("Transfer-Encoding")) {
				t.Errorf("%s: %q", target, r.raw)
			}
			if text == "" {
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			}
			if r := c.read("GET"); r.status != 200 || string(r.body) != "fine" {
				t.Fatalf("after %s: status %d, body %q", target, r.status, r.body)
			}
		}
	}
}

// The status of an error outlives its page, unless the page or the config says otherwise.
func TestProxiedErrorPageStatus(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		if strings.HasPrefix(r.target, "/missing") {
			return reply(404, "Not Found", "none")
		}
		return ok("page")
	})
	page := func(name, uri, more string) string {
		return location("/missing/"+name, `proxy_pass = "http://app"`, "proxy_intercept_errors = true",
			fmt.Sprintf("error_page = [{ codes = [404], uri = %q%s }]", uri, more))
	}
	p := start(t, site{origin: o.addr, more: page("kept", "/page", "") + page("set", "/page", ", response = 200") +
		page("other", "/page", ", response = 410") + page("own", "/page", ", response = 0") +
		page("dead", "/dead", "") + page("deadset", "/dead", ", response = 200") +
		location("/dead", `proxy_pass = "http://`+deadAddress(t)+`"`)})
	for _, tt := range []struct {
		name   string
		status int
		body   string
	}{
		{"kept", 404, "page"},
		{"set", 200, "page"},
		{"other", 410, "page"},
		{"own", 200, "page"},
		{"dead", 502, "502 Bad Gateway"},
		{"deadset", 502, "502 Bad Gateway"},
	} {
		if r := p.get("/missing/" + tt.name); r.status != tt.status || !strings.Contains(string(r.body), tt.body) {
			t.Errorf("%s: status %d, body %q", tt.name, r.status, r.body)
		}
	}
}

// To a client that knows no chunks only a reset says that the body is not whole.
func TestCutChunkedBodyToOldClient(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newOrigin(t, func(c *originConn) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(c.br); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v after %q, want a reset", err, text)
	}
}
