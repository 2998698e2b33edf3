// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// The trailer section of a response that is compressed on its way stands behind its last chunk, as without compression.
func TestGzipWithTrailers(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx's gzip comes behind the trailers that are passed on as well, but 1.22 passes none on
	page := strings.Repeat("some text. ", 5000)
	o := answering(t, func(*request) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-End: reached\r\n\r\n", len(page), page)
	})
	p := start(t, site{origin: o.addr, location: "gzip = true\nproxy_pass_trailers = true"})
	c := p.dial()
	for range 2 { // the connection goes on
		c.send("GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nAccept-Encoding: gzip\r\n\r\n")
		r := c.read("GET")
		if text := unpack(t, r.body); text != page || r.trailer.get("X-End") != "reached" {
			t.Errorf("%d bytes of body, %d of them unpacked are right, trailer %q", len(r.body), len(text), r.trailer)
		}
	}
}

// What one request has asked of a file is not in the answer to another.
func TestContentRangeIsOfItsRequest(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a.txt": "0123456789"})
	p := start(t, site{proxyPass: "-", http: fmt.Sprintf("root = %q", dir), more: location("= /none", "return = 416")})
	c := p.dial()
	c.send("GET /a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=50-\r\n\r\n")
	if r := c.read("GET"); r.status != 416 || r.fields.get("Content-Range") != "bytes */10" {
		t.Errorf("status %d, Content-Range %q", r.status, r.fields.get("Content-Range"))
	}
	if r := c.get("/none", 416); r.fields.has("Content-Range") {
		t.Errorf("another request's Content-Range: %q", r.fields.get("Content-Range"))
	}
}

// A mirrored request whose origin is silent keeps no worker beyond worker_shutdown_timeout.
func TestMirrorDoesNotHoldAWorker(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	never := make(chan struct{})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			if r.target == "/copy" {
				c.await(never)
				return
			}
			c.write(ok("here"))
		}
	})
	p := start(t, site{origin: o.addr, main: `worker_shutdown_timeout = "200ms"`, location: `mirror = ["/copy"]`, more: location("= /copy", `proxy_pass = "http://app"`)})
	p.dial().get("/", 200)
	eventually(t, ioDeadline, "the copy at the origin", func() bool {
		for _, r := range o.seen() {
			if r.target == "/copy" {
				return true
			}
		}
		return false
	})
	p.signal(syscall.SIGQUIT)
	p.wait(stopDeadline)
	if strings.Contains(p.stderr.String(), "killed") {
		t.Errorf("the worker had to be killed:\n%s", p.stderr)
	}
}

// The name of one request's body file is not told with another request, of whoever comes next.
func TestBodyFileIsOfItsRequest(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string { return ok("", "X-Got: "+r.fields.get("X-File")) })
	p := start(t, site{origin: o.addr, http: `proxy_set_header = { X-File = "$request_body_file" }`, location: `client_body_in_file_only = "on"`})
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
	if r := c.read("POST"); !strings.HasPrefix(r.fields.get("X-Got"), p.path("tmp")) {
		t.Errorf("the body's file: %q", r.fields.get("X-Got"))
	}
	for _, c := range []*client{c, p.dial()} {
		if r := c.get("/", 200); r.fields.get("X-Got") != "" {
			t.Errorf("a request without a body has the file %q", r.fields.get("X-Got"))
		}
	}
}

// Where one request was passed to is not told of another one, that is refused before that is worked out.
func TestTargetIsOfItsRequest(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{proxyPass: "http://" + o.addr + "$request_uri", server: "client_max_body_size = 1\n" + `listen = ["127.0.0.1:@PORT1@"]`,
		location: `add_header = { X-Host = { value = "($proxy_host)", always = true } }`})
	c := p.dial()
	if r := c.get("/", 200); r.fields.get("X-Host") != "("+o.addr+")" {
		t.Errorf("passed to %q", r.fields.get("X-Host"))
	}
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
	if r := c.read("POST"); r.status != 413 || r.fields.get("X-Host") != "()" {
		t.Errorf("status %d, passed to %q", r.status, r.fields.get("X-Host"))
	}
}

// How well one answer could be compressed is not said of another.
func TestGzipRatioIsOfItsRequest(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string {
		if r.target == "/small" {
			return ok("x")
		}
		return ok(strings.Repeat("some text ", 1000), "Content-Type: text/html")
	})
	p := start(t, site{origin: o.addr, location: "gzip = true", http: `access_log = [{ path = "logs/access.log", format = "ratio" }]` + "\n[http.log_format]\nratio = '$uri $gzip_ratio;'"})
	c := p.dial()
	c.send("GET /large HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
	c.read("GET")
	c.get("/small", 200)
	eventually(t, ioDeadline, "both in the log", func() bool { return strings.Contains(p.readLog("access.log"), "/small") })
	if log := p.readLog("access.log"); strings.Contains(log, "/large -;") || !strings.Contains(log, "/small -;") {
		t.Errorf("the log: %q", log)
	}
}
