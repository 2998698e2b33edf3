// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// unpack is what a body of gzip unpacks to.
func unpack(t *testing.T, body []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Errorf("gzip: %v", err)
		return ""
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Errorf("gzip: %v", err)
	}
	return string(plain)
}

func TestGzip(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>some text of a page</p>\n", 3000)
	dir := tree(t, map[string]string{"a.html": page, "b.css": "body{}", "c.bin": page, "p.html": page, "p.html.gz": "not really gzip"})
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			head := "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\nETag: \"tag\"\r\nAccept-Ranges: bytes\r\n"
			switch {
			case strings.HasSuffix(r.target, "encoded"):
				head += "Content-Encoding: br\r\n"
			case strings.HasSuffix(r.target, "created"):
				head = strings.Replace(head, "200 OK", "201 Created", 1)
			}
			if strings.HasPrefix(r.target, "/chunked") {
				c.write(head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(page), page))
			} else {
				c.write(head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(page), page))
			}
		}
	})
	p := start(t, site{origin: o.addr, http: fmt.Sprintf("root = %q\ngzip = true\ngzip_vary = true\ngzip_proxied = ['expired', 'auth']\ngzip_disable = ['^old']\n", dir), more: "" +
		location("/f/", fmt.Sprintf("alias = %q", dir+"/")) +
		location("/small/", fmt.Sprintf("alias = %q\ngzip_proxied = 'off'\ngzip_types = ['text/css']\ngzip_min_length = 6\ngzip_comp_level = 9", dir+"/")) +
		location("/big/", fmt.Sprintf("alias = %q\ngzip_types = ['text/css']\ngzip_min_length = 7", dir+"/")) +
		location("/packed/", fmt.Sprintf("alias = %q\ngzip = false\ngzip_static = 'on'", dir+"/")) +
		location("/always/", fmt.Sprintf("alias = %q\ngzip_static = 'always'", dir+"/")) +
		location("/old/", fmt.Sprintf("alias = %q\ngzip_http_version = '1.0'\ncharset = 'utf-8'\nexpires = '-1'", dir+"/")) +
		location("/return/", `return = { code = 200, text = "a text that is long enough to be compressed" }`, "default_type = 'text/html'")})
	for _, c := range []struct {
		target, head, want string
		packed             bool
		version            string
	}{
		{"/f/a.html", "Accept-Encoding: gzip\r\n", page, true, "1.1"}, {"/f/a.html", "", page, false, "1.1"}, {"/f/a.html", "Accept-Encoding: gzip;q=0\r\n", page, false, "1.1"},
		{"/f/a.html", "Accept-Encoding: gzip\r\n", page, false, "1.0"}, {"/old/a.html", "Accept-Encoding: gzip\r\n", page, true, "1.0"},
		{"/f/a.html", "Accept-Encoding: gzip\r\nUser-Agent: Older\r\n", page, false, "1.1"},
		{"/f/a.html", "Accept-Encoding: gzip\r\nVia: 1.1 x\r\n", page, true, "1.1"}, {"/small/a.html", "Accept-Encoding: gzip\r\nVia: 1.1 x\r\n", page, false, "1.1"},
		{"/f/a.html", "Accept-Encoding: gzip\r\nVia: 1.1 x\r\nAuthorization: Basic YTpi\r\n", page, true, "1.1"},
		{"/old/a.html", "Accept-Encoding: gzip\r\nVia: 1.1 x\r\n", page, true, "1.1"},
		{"/f/a.html", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n", page, true, "1.1"}, {"/f/c.bin", "Accept-Encoding: gzip\r\n", page, false, "1.1"},
		{"/small/b.css", "Accept-Encoding: gzip\r\n", "body{}", true, "1.1"}, {"/big/b.css", "Accept-Encoding: gzip\r\n", "body{}", false, "1.1"},
		{"/return/", "Accept-Encoding: gzip\r\n", "a text that is long enough to be compressed", true, "1.1"},
		{"/length", "Accept-Encoding: gzip\r\n", page, true, "1.1"}, {"/chunked", "Accept-Encoding: gzip\r\n", page, true, "1.1"}, {"/length", "", page, false, "1.1"},
		{"/created", "Accept-Encoding: gzip\r\n", page, false, "1.1"},
		{"/packed/a.html", "Accept-Encoding: gzip\r\n", page, false, "1.1"}, {"/packed/p.html", "", page, false, "1.1"},
	} {
		r := p.exchange("GET", "GET "+c.target+" HTTP/"+c.version+"\r\nHost: a\r\n"+c.head+"Connection: close\r\n\r\n")
		name := c.target + " " + c.version + " " + c.head
		got := string(r.body)
		if packed := r.fields.get("Content-Encoding") == "gzip"; packed != c.packed {
			t.Errorf("%s: gzip is %v", name, packed)
			continue
		} else if packed {
			got = unpack(t, r.body)
			if r.fields.get("Content-Length") != "" || r.fields.get("Accept-Ranges") != "" || r.fields.get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: %v", name, r.fields)
			}
			if etag := r.fields.get("ETag"); etag != "" && !strings.HasPrefix(etag, "W/") {
				t.Errorf("%s: ETag is %s", name, etag)
			}
		}
		if got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(c.want))
		}
	}
	p.asks(t, []asks{
		{path: "/packed/p.html", head: "Accept-Encoding: gzip\r\n", status: 200, body: "not really gzip", fields: map[string]string{"Content-Encoding": "gzip", "Content-Type": "text/html"}},
		{path: "/always/p.html", status: 200, body: "not really gzip", fields: map[string]string{"Content-Encoding": "gzip"}},
		{path: "/encoded", head: "Accept-Encoding: gzip\r\n", status: http.StatusOK, body: page, fields: map[string]string{"Content-Encoding": "br"}},
		{path: "/f/nope", head: "Accept-Encoding: gzip\r\n", status: 404, fields: map[string]string{"Content-Encoding": "gzip"}},
		{path: "/f/a.html", method: "HEAD", head: "Accept-Encoding: gzip\r\n", status: 200, fields: map[string]string{"Content-Encoding": "gzip", "Content-Length": ""}},
		{path: "/old/a.html", status: 200, fields: map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"}},
	})
}

// Each piece of a stream can be unpacked when it has come, before the next one is sent.
func TestGzipStream(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	piece := strings.Repeat("a piece of a stream ", 20)
	const pieces = 5
	o := newOrigin(t, func(c *originConn) {
		if c.request() == nil {
			return
		}
		c.write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range pieces {
			c.write(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
			<-next
		}
		c.write("0\r\n\r\n")
	})
	p := start(t, site{origin: o.addr, http: "gzip = true"})
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
	r, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(piece))
	for range pieces {
		if _, err := io.ReadFull(z, got); err != nil || string(got) != piece {
			t.Fatalf("%q, %v", got, err)
		}
		next <- struct{}{}
	}
	if n, err := z.Read(got); n != 0 || err != io.EOF {
		t.Errorf("behind the last piece: %d bytes, %v", n, err)
	}
}
