// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"strings"
	"testing"
	"time"
)

// refusal is bad input and what it gets. The connection must be closed and the
// origin must have seen nothing of it.
type refusal struct {
	name string
	send string
	want []int // acceptable status codes; the first is the one to expect
	weir bool  // nginx 1.22, which the suite is checked with, lets it pass or answers otherwise
}

var bad = []int{400}

// post is a request with extra field lines (each with its CRLF) and a body.
func post(lines, body string) string {
	return "POST /bad HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" + body
}

// TestBadRequestLine: RFC 9112 section 3.
func TestBadRequestLine(t *testing.T) {
	t.Parallel()
	host := " HTTP/1.1\r\nHost: h\r\n\r\n"
	refuse(t, []refusal{
		{name: "garbage", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", want: bad},
		{name: "no target", send: "GET" + host, want: bad},
		{name: "empty line with spaces", send: "   \r\nHost: h\r\n\r\n", want: bad},
		{name: "leading space", send: " GET /" + host, want: bad},
		{name: "control byte in the method", send: "G\x01T /" + host, want: bad},
		{name: "bracket in the method", send: "G(T /" + host, want: bad},
		{name: "target without slash", send: "GET abc" + host, want: bad},
		{name: "NUL in the target", send: "GET /a\x00b" + host, want: bad},
		{name: "control byte in the target", send: "GET /a\x01b" + host, want: bad},
		{name: "tab in the target", send: "GET /a\tb" + host, want: bad},
		{name: "DEL in the target", send: "GET /a\x7fb" + host, want: bad},
		{name: "space in the target", send: "GET /a b" + host, want: bad},
		{name: "bare CR in the target", send: "GET /a\rb" + host, want: bad},
		{name: "bare CR ends the line", send: "GET / HTTP/1.1\rHost: h\r\n\r\n", want: bad},
		{name: "broken escape", send: "GET /%zz" + host, want: bad},
		{name: "escape cut off", send: "GET /%4" + host, want: bad},
		{name: "escaped NUL", send: "GET /%00" + host, want: bad},
		{name: "above the root", send: "GET /../etc/passwd" + host, want: bad},
		{name: "above the root, escaped", send: "GET /a/%2e%2e/%2e%2e/x" + host, want: bad},
		{name: "absolute form without host", send: "GET http:///x" + host, want: bad},
		{name: "absolute form, user information", send: "GET http://u:p@h/x" + host, want: bad},
		{name: "absolute form, bad port", send: "GET http://h:80x/x" + host, want: bad},
		{name: "asterisk with GET", send: "GET *" + host, want: bad},
		{name: "lower-case HTTP", send: "GET / http/1.1\r\nHost: h\r\n\r\n", want: bad},
		{name: "no protocol name", send: "GET / XTTP/1.1\r\nHost: h\r\n\r\n", want: bad},
		{name: "no minor version", send: "GET / HTTP/1\r\nHost: h\r\n\r\n", want: bad},
		{name: "version 1.10", send: "GET / HTTP/1.10\r\nHost: h\r\n\r\n", want: []int{400, 505}, weir: true},
		{name: "version 2.0", send: "GET / HTTP/2.0\r\nHost: h\r\n\r\n", want: []int{505}},
		{name: "version 3.1", send: "GET / HTTP/3.1\r\nHost: h\r\n\r\n", want: []int{505}},
		{name: "version 0.9 spelt out", send: "GET / HTTP/0.9\r\nHost: h\r\n\r\n", want: []int{400, 505}},
		{name: "HTTP/0.9", send: "GET /\r\n", want: bad, weir: true},
		{name: "something after the version", send: "GET / HTTP/1.1 x\r\nHost: h\r\n\r\n", want: bad},
		{name: "HTTP/2 preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: []int{400, 505}},
	})
}

// TestBadFields: RFC 9112 section 5, RFC 9110 section 5.
func TestBadFields(t *testing.T) {
	t.Parallel()
	get := func(lines string) string { return "GET /bad HTTP/1.1\r\n" + lines + "\r\n" }
	refuse(t, []refusal{
		{name: "no Host", send: get("X: y\r\n"), want: bad},
		{name: "two Hosts", send: get("Host: a\r\nHost: b\r\n"), want: bad},
		{name: "two equal Hosts", send: get("Host: a\r\nHost: a\r\n"), want: bad},
		{name: "two Hosts with HTTP/1.0", send: "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", want: bad},
		{name: "empty Host", send: get("Host:\r\n"), want: bad},
		{name: "Host with a space", send: get("Host: a b\r\n"), want: bad},
		{name: "Host with a slash", send: get("Host: a/b\r\n"), want: bad},
		{name: "Host with user information", send: get("Host: u@h\r\n"), want: bad, weir: true},
		{name: "Host with a bad port", send: get("Host: a:port\r\n"), want: bad, weir: true},
		{name: "Host with an unclosed bracket", send: get("Host: [::1\r\n"), want: bad, weir: true},
		{name: "Host with a control byte", send: get("Host: a\x01\r\n"), want: bad},
		{name: "no colon", send: get("Host: h\r\nnocolon\r\n"), want: bad, weir: true},
		{name: "empty name", send: get("Host: h\r\n: v\r\n"), want: bad, weir: true},
		{name: "space before the colon", send: get("Host: h\r\nX : v\r\n"), want: bad},
		{name: "tab before the colon", send: get("Host: h\r\nX\t: v\r\n"), want: bad},
		{name: "space in the name", send: get("Host: h\r\nX Y: v\r\n"), want: bad},
		{name: "control byte in the name", send: get("Host: h\r\nX\x01Y: v\r\n"), want: bad},
		{name: "NUL in the name", send: get("Host: h\r\nX\x00: v\r\n"), want: bad},
		{name: "NUL in a value", send: get("Host: h\r\nX: a\x00b\r\n"), want: bad},
		{name: "bare CR in a value", send: get("Host: h\r\nX: a\rb\r\n"), want: bad, weir: true},
		{name: "CR CR LF", send: get("Host: h\r\r\n"), want: bad, weir: true},
		{name: "bare CR before the end", send: "GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n", want: bad},
		{name: "line folding", send: get("Host: h\r\nX: a\r\n b\r\n"), want: bad},
		{name: "line folding with a tab", send: get("Host: h\r\nX: a\r\n\tb\r\n"), want: bad},
		{name: "space before the first field", send: get(" Host: h\r\n"), want: bad},
	})
}

// TestAmbiguousFraming: RFC 9112 sections 6.1 to 6.3: what two parsers could
// read differently is refused.
func TestAmbiguousFraming(t *testing.T) {
	t.Parallel()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	chunked := "0\r\n\r\n" + smuggled
	refuse(t, []refusal{
		{name: "CL.TE", send: post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked), want: bad},
		{name: "TE.CL", send: post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked), want: bad},
		{name: "CL 0 and TE", send: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunked), want: bad},
		{name: "two lengths", send: post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), want: bad},
		{name: "two equal lengths", send: post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: bad},
		{name: "list of lengths", send: post("Content-Length: 5, 5\r\n", "hello"), want: bad},
		{name: "length with plus", send: post("Content-Length: +5\r\n", "hello"), want: bad},
		{name: "length with minus", send: post("Content-Length: -5\r\n", "hello"), want: bad},
		{name: "length in hex", send: post("Content-Length: 0x5\r\n", "hello"), want: bad},
		{name: "length with a space in it", send: post("Content-Length: 1 0\r\n", "hello"), want: bad},
		{name: "length with a letter", send: post("Content-Length: 5a\r\n", "hello"), want: bad},
		{name: "empty length", send: post("Content-Length:\r\n", ""), want: bad},
		{name: "length with a fraction", send: post("Content-Length: 5.0\r\n", "hello"), want: bad},
		{name: "length beyond 64 bits", send: post("Content-Length: 99999999999999999999\r\n", ""), want: []int{400, 413}},
		{name: "length 2^64+5", send: post("Content-Length: 18446744073709551621\r\n", "hello"), want: []int{400, 413}},
		{name: "length in a folded line", send: post("Content-Length:\r\n 5\r\n", "hello"), want: bad},
		{name: "length, space before colon", send: post("Content-Length : 5\r\n", "hello"), want: bad},
		{name: "TE with a vertical tab", send: post("Transfer-Encoding: \x0bchunked\r\n", chunked), want: []int{400, 501}},
		{name: "TE with a form feed", send: post("Transfer-Encoding: chunked\x0c\r\n", chunked), want: []int{400, 501}},
		{name: "TE misspelt", send: post("Transfer-Encoding: xchunked\r\n", chunked), want: []int{501, 400}},
		{name: "TE identity", send: post("Transfer-Encoding: identity\r\n", chunked), want: []int{501, 400}, weir: true},
		{name: "TE in quotes", send: post("Transfer-Encoding: \"chunked\"\r\n", chunked), want: []int{501, 400}},
		{name: "TE twice chunked", send: post("Transfer-Encoding: chunked, chunked\r\n", chunked), want: []int{400, 501}},
		{name: "TE chunked not last", send: post("Transfer-Encoding: chunked, gzip\r\n", chunked), want: []int{400, 501}},
		{name: "TE gzip, chunked", send: post("Transfer-Encoding: gzip, chunked\r\n", chunked), want: []int{501, 400}},
		{name: "TE with a parameter", send: post("Transfer-Encoding: chunked;q=1\r\n", chunked), want: []int{400, 501}},
		{name: "TE on two lines", send: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked), want: []int{400, 501}},
		{name: "TE on two lines, one unknown", send: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", chunked), want: []int{400, 501}},
		{name: "TE, space before colon", send: post("Transfer-Encoding : chunked\r\n", chunked), want: bad},
		{name: "TE in a folded line", send: post("Transfer-Encoding:\r\n chunked\r\n", chunked), want: bad},
		{name: "TE behind a bare CR", send: post("X: y\rTransfer-Encoding: chunked\r\n", chunked), want: bad, weir: true},
		{name: "TE behind a NUL", send: post("X: y\x00Transfer-Encoding: chunked\r\n", chunked), want: bad},
		{name: "TE empty", send: post("Transfer-Encoding:\r\n", chunked), want: []int{400, 501}},
		{name: "TE with HTTP/1.0", send: "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, want: bad},
	})
}

// TestBadChunks: RFC 9112 section 7.1. A body is read first, so the origin must
// not even see the head.
func TestBadChunks(t *testing.T) {
	t.Parallel()
	chunks := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	refuse(t, []refusal{
		{name: "empty size", send: chunks("\r\n\r\n"), want: bad},
		{name: "not hex", send: chunks("g\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "size with 0x", send: chunks("0x5\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "size with plus", send: chunks("+5\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "size with minus", send: chunks("-5\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "size with an underscore", send: chunks("1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), want: bad},
		{name: "space before the size", send: chunks(" 5\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "size beyond 64 bits", send: chunks("ffffffffffffffff1\r\nhello\r\n0\r\n\r\n"), want: []int{400, 413}},
		{name: "size 2^64", send: chunks("10000000000000000\r\nhello\r\n0\r\n\r\n"), want: []int{400, 413}},
		{name: "size 2^63", send: chunks("8000000000000000\r\nhello\r\n0\r\n\r\n"), want: []int{400, 413}},
		{name: "data longer than the size", send: chunks("4\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "no CRLF after the data", send: chunks("5\r\nhello0\r\n\r\n"), want: bad},
		{name: "size line ends with LF", send: chunks("5\nhello\r\n0\r\n\r\n"), want: bad, weir: true},
		{name: "data ends with LF", send: chunks("5\r\nhello\n0\r\n\r\n"), want: bad, weir: true},
		{name: "last chunk ends with LF", send: chunks("5\r\nhello\r\n0\n\r\n"), want: bad, weir: true},
		{name: "bare LF in an extension", send: chunks("5;a\nhello\r\n0\r\n\r\n"), want: bad, weir: true},
		{name: "bare CR in an extension", send: chunks("5;a\rb\r\nhello\r\n0\r\n\r\n"), want: bad, weir: true},
		{name: "bare CR after the size", send: chunks("5\rX\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "NUL in an extension", send: chunks("5;\x00\r\nhello\r\n0\r\n\r\n"), want: bad, weir: true},
		{name: "NUL after the size", send: chunks("5\x00\r\nhello\r\n0\r\n\r\n"), want: bad},
		{name: "text after the size", send: chunks("5 x\r\nhello\r\n0\r\n\r\n"), want: bad, weir: true},
		{name: "malformed trailer", send: chunks("0\r\nno colon\r\n\r\n"), want: bad, weir: true},
		{name: "space in a trailer's name", send: chunks("0\r\nA b: c\r\n\r\n"), want: bad, weir: true},
		{name: "bare CR in the trailer", send: chunks("0\r\nA: b\rc\r\n\r\n"), want: bad, weir: true},
	})
}

// TestTooLarge: what does not fit large_client_header_buffers.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	get := func(target, lines string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n"
	}
	long := func(n int) string { return strings.Repeat("a", n) }
	refuse(t, []refusal{
		{name: "URI", send: get("/"+long(9000), ""), want: []int{414}},
		{name: "URI without end", send: "GET /" + long(40000), want: []int{414}},
		{name: "query", send: get("/?"+long(9000), ""), want: []int{414}},
		{name: "method without end", send: strings.Repeat("A", 40000), want: []int{414, 400}},
		{name: "field", send: get("/", "X: "+long(9000)+"\r\n"), want: []int{400, 431}},
		{name: "field name", send: get("/", long(9000)+": x\r\n"), want: []int{400, 431}},
		{name: "field without end", send: "GET / HTTP/1.1\r\nX: " + long(70000), want: []int{400, 431}},
		{name: "all fields", send: get("/", strings.Repeat("X: "+long(4000)+"\r\n", 12)), want: []int{400, 431}},
		{name: "chunk extension", send: post("Transfer-Encoding: chunked\r\n", "1;"+long(300000)), want: []int{400, 413, 431}, weir: true},
		{name: "chunk extensions in all", send: post("Transfer-Encoding: chunked\r\n", strings.Repeat("1;"+long(1000)+"\r\nx\r\n", 2000)), want: []int{400, 413, 431}, weir: true},
		{name: "trailer field", send: post("Transfer-Encoding: chunked\r\n", "0\r\nX: "+long(300000)), want: []int{400, 413, 431}, weir: true},
		{name: "trailer fields in all", send: post("Transfer-Encoding: chunked\r\n", "0\r\n"+strings.Repeat("X: "+long(1000)+"\r\n", 2000)), want: []int{400, 413, 431}, weir: true},
		{name: "very many fields", send: get("/", strings.Repeat("X:y\r\n", 20000)), want: []int{400, 431}},
	})
}

// refuse sends every case to one proxy, each on its own connection.
func refuse(t *testing.T, cases []refusal) {
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			if tt.weir && useNginx() {
				t.Skip("nginx 1.22 does otherwise")
			}
			tt.check(t, p, o)
		})
	}
	if n := o.received.Load(); n != 0 {
		t.Errorf("the origin got %d bytes", n)
	}
	if r := p.get("/"); r.status != 200 {
		t.Errorf("afterwards a good request gets %d", r.status)
	}
}

func (tt refusal) check(t *testing.T, p *proxy, o *origin) {
	before := o.received.Load()
	c := dialTo(t, p.addr)
	// The answer may come, and the connection end, before all is sent.
	_, _ = c.Write([]byte(tt.send))
	c.within(5 * time.Second)
	r, err := readResponse(c.br, "GET")
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	found := false
	for _, status := range tt.want {
		found = found || r.status == status
	}
	if !found {
		t.Errorf("status %d, want %v", r.status, tt.want)
	}
	if got := r.fields.get("Connection"); !strings.EqualFold(got, "close") && r.proto == "HTTP/1.1" {
		t.Errorf("Connection: %q, want close", got)
	}
	c.wantClosed(5 * time.Second)
	if n := o.received.Load(); n != before {
		t.Errorf("the origin got %d bytes", n-before)
	}
}
