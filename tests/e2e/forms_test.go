// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// echoTarget answers with the request line it got.
func echoTarget(t testing.TB) *origin {
	return answering(t, func(r *request) string { return ok(r.line) })
}

func TestRequestForms(t *testing.T) {
	t.Parallel()
	o := echoTarget(t)
	p := start(t, site{origin: o.addr})
	for _, tt := range []struct {
		name, send, method string
		status             int
		line               string // what the origin gets; "": it gets nothing
		closes             bool
	}{
		{name: "origin form", send: "GET /a/b?c=d HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /a/b?c=d HTTP/1.1"},
		{name: "empty query kept", send: "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /a? HTTP/1.1"},
		{name: "escapes kept", send: "GET /a%20b%2Fc?x=%41 HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /a%20b%2Fc?x=%41 HTTP/1.1"},
		{name: "question mark in the query", send: "GET /?a?b HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /?a?b HTTP/1.1"},
		{name: "absolute form", send: "GET http://h/abs?q HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /abs?q HTTP/1.1"},
		{name: "absolute form without path", send: "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET / HTTP/1.1"},
		{name: "absolute form, port", send: "GET http://h:8080/p HTTP/1.1\r\nHost: h:8080\r\n\r\n", status: 200, line: "GET /p HTTP/1.1"},
		{name: "absolute form, upper-case scheme", send: "GET HTTP://h/up HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /up HTTP/1.1"},
		{name: "HTTP/1.0 with Host", send: "GET /old HTTP/1.0\r\nHost: h\r\n\r\n", status: 200, line: "GET /old HTTP/1.1", closes: true},
		{name: "HTTP/1.0 without Host", send: "GET /old HTTP/1.0\r\n\r\n", status: 200, line: "GET /old HTTP/1.1", closes: true},
		{name: "HTTP/1.0 keep-alive", send: "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", status: 200, line: "GET /old HTTP/1.1"},
		{name: "HTTP/1.1 close", send: "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", status: 200, line: "GET /c HTTP/1.1", closes: true},
		{name: "HTTP/1.1 close in a list", send: "GET /c HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n", status: 200, line: "GET /c HTTP/1.1", closes: true},
		{name: "leading CRLF", send: "\r\nGET /l HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "GET /l HTTP/1.1"},
		{name: "HEAD", method: "HEAD", send: "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "HEAD /h HTTP/1.1"},
		{name: "DELETE", method: "DELETE", send: "DELETE /d HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "DELETE /d HTTP/1.1"},
		{name: "PATCH with body", method: "PATCH", send: "PATCH /d HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", status: 200, line: "PATCH /d HTTP/1.1"},
		{name: "OPTIONS with a path", method: "OPTIONS", send: "OPTIONS /o HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "OPTIONS /o HTTP/1.1"},
		{name: "unknown method", method: "FROB", send: "FROB /x HTTP/1.1\r\nHost: h\r\n\r\n", status: 200, line: "FROB /x HTTP/1.1"},
		{name: "lone LF in the head", send: "GET /lf HTTP/1.1\nHost: h\nX: y\n\n", status: 200, line: "GET /lf HTTP/1.1"},
		{name: "LF and CRLF mixed", send: "GET /lf HTTP/1.1\r\nHost: h\nX: y\r\n\n", status: 200, line: "GET /lf HTTP/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			before := len(o.seen())
			c := dialTo(t, p.addr)
			c.send(tt.send)
			r := c.read(method)
			if r.status != tt.status {
				t.Fatalf("status %d, want %d", r.status, tt.status)
			}
			if got := o.last().line; got != tt.line || len(o.seen()) != before+1 {
				t.Fatalf("the origin got %q, want %q once", got, tt.line)
			}
			if method != "HEAD" && string(r.body) != tt.line {
				t.Fatalf("body %q, want %q", r.body, tt.line)
			}
			if tt.closes {
				c.wantClosed(ioDeadline)
				return
			}
			c.get("/again", 200)
		})
	}
}

// "OPTIONS *" asks about the server itself (RFC 9110 section 9.3.7): it is
// answered here, or goes on in the same form.
func TestAsteriskForm(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx answers 400 to every target that has neither "/" nor a scheme
	o := echoTarget(t)
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
	if r := c.read("OPTIONS"); r.status != 200 && r.status != 204 {
		t.Errorf("OPTIONS *: status %d", r.status)
	}
	for _, r := range o.seen() {
		if r.line != "OPTIONS * HTTP/1.1" {
			t.Errorf("OPTIONS *: the origin got %q", r.line)
		}
	}
	c.get("/next", 200)
}

// CONNECT and TRACE are not for a reverse proxy (nginx answers 405).
func TestMethodsNotServed(t *testing.T) {
	t.Parallel()
	o := echoTarget(t)
	p := start(t, site{origin: o.addr})
	for _, send := range []string{
		"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
		"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		if r := p.exchange("GET", send); r.status != 405 && !(useNginx() && r.status == 400) {
			t.Errorf("%q: status %d, want 405", send, r.status)
		}
	}
	if n := len(o.seen()); n != 0 {
		t.Errorf("the origin got %d requests", n)
	}
}

// The host of an absolute target wins over Host (RFC 9112 section 3.2.2).
func TestAbsoluteFormHostWins(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, location: `proxy_set_header = { X-Host = "$host" }`})
	p.exchange("GET", "GET http://one.example/ HTTP/1.1\r\nHost: two.example\r\n\r\n")
	if got := o.last().fields.get("X-Host"); got != "one.example" {
		t.Fatalf("$host is %q, want one.example", got)
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	o := echoTarget(t)
	p := start(t, site{origin: o.addr})
	const n = 50
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	c := p.dial()
	c.send(all.String())
	for i := range n {
		r, err := readResponse(c.br, "GET")
		if want := fmt.Sprintf("GET /%d HTTP/1.1", i); err != nil || string(r.body) != want {
			t.Fatalf("answer %d: %q, %v; want %q", i, r.body, err, want)
		}
	}
	c.get("/after", 200)
}

// Bodies between pipelined requests, and a close in the middle: what follows
// the closing request is not served.
func TestPipeliningWithBodies(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string { return ok(r.target + "=" + string(r.body)) })
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none" +
		"POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n" +
		"GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: h\r\n\r\n")
	for _, want := range []string{"/1=one", "/2=two", "/3="} {
		if r := c.read("GET"); string(r.body) != want {
			t.Fatalf("got %q, want %q", r.body, want)
		}
	}
	c.wantClosed(ioDeadline)
	if n := len(o.seen()); n != 3 {
		t.Fatalf("the origin got %d requests, want 3", n)
	}
}

// A request may arrive in any pieces.
func TestSplitAtEveryByte(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string { return ok(r.target + "=" + string(r.body)) })
	p := start(t, site{origin: o.addr})
	const one = "\r\nPOST http://h/s?q HTTP/1.1\r\nHost: h\r\nX-A:  b \r\nTransfer-Encoding: chunked\r\n\r\n3;e=\"x\"\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n"
	c := p.dial()
	_ = c.SetNoDelay(true)
	for i := range len(one) {
		c.send(one[:i])
		c.send(one[i:])
		if r := c.read("POST"); r.status != 200 || string(r.body) != "/s?q=abcd" {
			t.Fatalf("split at %d: %d %q", i, r.status, r.body)
		}
	}
	for i := range len(one) {
		c.send(one[i : i+1])
	}
	if r := c.read("POST"); r.status != 200 || string(r.body) != "/s?q=abcd" {
		t.Fatalf("byte by byte: %d %q", r.status, r.body)
	}
}

// A request whose body came along with its head goes on as a GET without it when an error page leads to an origin, and its connection stays.
func TestErrorPageAfterBody(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.method+r.target), r.method+r.target)
	})
	p := start(t, site{origin: o.addr, more: location("/gone", `error_page = [{ codes = [404], uri = "/page" }]`, "return = { code = 404 }")})
	c := p.dial()
	c.send("POST /gone HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\nHost: h\r\n\r\n")
	if r := c.read("POST"); r.status != 404 || string(r.body) != "GET/page" {
		t.Errorf("status %d, body %q", r.status, r.body)
	}
	if r := c.read("GET"); r.status != 200 || string(r.body) != "GET/next" {
		t.Errorf("the next one: status %d, body %q", r.status, r.body)
	}
}

// What return answers for codes without a page of their own, without a text, and in a location that shows an error.
func TestReturnForms(t *testing.T) {
	t.Parallel()
	p := start(t, site{proxyPass: "-", more: location("/418", "return = { code = 418 }") + location("/200", "return = { code = 200 }") +
		location("/505", "return = { code = 505 }") + location("/404", `error_page = [{ codes = [404], uri = "@n" }]`, "return = { code = 404 }") +
		location("@n", `return = { code = 200, text = "was $status" }`)})
	c := p.dial()
	if r := c.get("/418", 418); len(r.body) != 0 || r.fields.get("Content-Length") != "0" {
		t.Errorf("418: body %q, Content-Length %q", r.body, r.fields.get("Content-Length"))
	}
	if r := c.get("/200", 200); len(r.body) != 0 || r.fields.get("Content-Type") != "text/plain" {
		t.Errorf("200: body %q, Content-Type %q", r.body, r.fields.get("Content-Type"))
	}
	c.get("/505", 505) // and the connection stays
	if r := c.get("/404", 404); string(r.body) != "was 404" {
		t.Errorf("$status in an error page: %q", r.body)
	}
}
