// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// What is added to a body comes from files, origins and texts, however long it takes; it is compressed with the body. What cannot be had is left out.
func TestAddition(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 60000)
	dir := tree(t, map[string]string{"head.html": large, "too.html": strings.Repeat("y", 70000)})
	asked, release := make(chan struct{}, 4), make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			switch r.target {
			case "/slow":
				c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
				asked <- struct{}{}
				<-release
				c.write("3\r\ndef\r\n0\r\n\r\n")
			case "/dies":
				c.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
				return
			default:
				c.write(ok("body", "Content-Type: text/html", "Content-Language: a"))
			}
		}
	})
	p := start(t, site{origin: o.addr, http: fmt.Sprintf("root = %q\nadd_before_body = \"/head.html\"\ngzip_min_length = 1\n", dir), location: `add_after_body = "/slow"`, more: "" +
		location("/gzip", `proxy_pass = "http://app"`, `add_after_body = "/text"`, `gzip = true`) +
		location("/text", `return = { code = 200, text = "text" }`) + location("/head.html", ``) + location("/too.html", ``) +
		location("/slow", `proxy_pass = "http://app"`) + location("/dies", `proxy_pass = "http://app"`) +
		location("/large", `proxy_pass = "http://app"`, `add_before_body = "/too.html"`, `add_after_body = "/dies"`) +
		location("/types", `return = { code = 200, text = "b" }`, `add_after_body = "/text"`, `default_type = "text/x"`, `addition_types = ["text/x"]`) +
		location("/other", `return = { code = 200, text = "b" }`, `default_type = "text/x"`)})
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	release <- struct{}{}
	if r := c.read("GET"); string(r.body) != large+"bodyabcdef" || r.fields.has("Content-Length") || !r.fields.has("Content-Language") {
		t.Errorf("%d bytes, %v", len(r.body), r.fields)
	}
	r := p.exchange("GET", "GET /gzip HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
	if got := unpack(t, r.body); got != large+"bodytext" {
		t.Errorf("gzip: %d bytes", len(got))
	}
	if got := string(p.get("/types").body); got != large+"btext" {
		t.Errorf("addition_types: %d bytes", len(got))
	}
	if got := string(p.get("/other").body); got != "b" {
		t.Errorf("another type: %q", got)
	}
	p.allow("is too large to be added")
	p.allow("origin closed|upstream prematurely closed")
	if got := string(p.get("/large").body); got != "body" {
		t.Errorf("what cannot be added: %q", got)
	}
	for range 3 { // clients that go away while something is waited for
		gone := p.dial()
		gone.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-asked
		gone.Close()
		release <- struct{}{}
	}
	if got := string(p.get("/types").body); got != large+"btext" {
		t.Errorf("afterwards: %d bytes", len(got))
	}
}

// What was to be added to an answer that cannot be given is not added to the error page.
func TestAdditionOfAnotherAnswer(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"sorry.html": "sorry"})
	o := newOrigin(t, func(c *originConn) {
		c.request()
		c.write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
	})
	p := start(t, site{origin: o.addr, http: fmt.Sprintf("root = %q\nadd_before_body = \"/text\"\nadd_after_body = \"/text\"\n", dir),
		location: `error_page = [{ codes = [502], uri = "/sorry.html" }]`, more: "" +
			location("/text", `return = { code = 200, text = "text" }`) + location("/sorry.html", ``) +
			location("/plain", `proxy_pass = "http://app"`, `add_trailer = [{ name = "X-T", value = "t", always = true }]`)})
	p.allow("malformed chunked body")
	c := p.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if r := c.read("GET"); r.status != 502 || string(r.body) != "sorry" {
			t.Errorf("error page: %d %q", r.status, r.body)
		}
	}
	if r := p.get("/plain"); r.status != 502 || !r.fields.has("Transfer-Encoding") || !strings.HasPrefix(string(r.body), "<html>") || !strings.HasSuffix(string(r.body), "</html>\r\n") {
		t.Errorf("built-in page: %d %v %q", r.status, r.fields, r.body)
	}
}
