// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

// packed is gzip of a text.
func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

// inPieces is an answer in chunks of n bytes.
func inPieces(fields, body string, n int) string {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		piece := body[:min(n, len(body))]
		body = body[len(piece):]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(piece), piece)
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// sub_filter finds what it looks for wherever the body is cut, in bodies of any size, from files and origins.
func TestSubFilter(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>some NEEDLE of a page, needl needle</p>\n", 6000)
	want := strings.ReplaceAll(strings.ReplaceAll(page, "NEEDLE", "[/a.html]"), "needle", "[/a.html]")
	dir := tree(t, map[string]string{"a.html": page, "b.css": "needle needle"})
	o := answering(t, func(r *request) string {
		switch {
		case strings.HasPrefix(r.target, "/pieces"):
			return inPieces("", page, 7)
		case strings.HasPrefix(r.target, "/packed"):
			return inPieces("Content-Encoding: gzip\r\n", packed(page), 1000)
		}
		return ok(page, "Content-Type: text/html", `ETag: "tag"`, "Last-Modified: Sun, 22 Nov 2026 08:00:00 GMT")
	})
	p := start(t, site{origin: o.addr, http: fmt.Sprintf("root = %q\nsub_filter = [{ string = \"needle\", replacement = \"[/a.html]\" }]\nsub_filter_once = false\n", dir), more: "" +
		location("/f/", fmt.Sprintf("alias = %q", dir+"/"), `sub_filter = [{ string = "$arg_x", replacement = "[$uri]" }]`) +
		location("/once", `proxy_pass = "http://app"`, `sub_filter_once = true`) +
		location("/kept", `proxy_pass = "http://app"`, `sub_filter_last_modified = true`) +
		location("/packed", `proxy_pass = "http://app"`, `gunzip = true`, `gzip_http_version = "1.0"`) +
		location("/types/", fmt.Sprintf("alias = %q", dir+"/"), `sub_filter_types = ["text/css"]`)})
	for _, version := range []string{"1.1", "1.0"} {
		for target, want := range map[string]string{
			"/": want, "/pieces": want, "/packed": want, "/once": strings.Replace(page, "NEEDLE", "[/a.html]", 1), "/f/a.html?x=NEEDLE": strings.ReplaceAll(want, "/a.html", "/f/a.html"),
			"/f/a.html": page, "/types/b.css": "[/a.html] [/a.html]", "/f/b.css?x=needle": "needle needle",
		} {
			r := p.exchange("GET", "GET "+target+" HTTP/"+version+"\r\nHost: a\r\nConnection: close\r\n\r\n")
			if string(r.body) != want {
				t.Errorf("%s, %s: %d bytes, want %d", target, version, len(r.body), len(want))
			}
			if r.fields.has("Content-Encoding") {
				t.Errorf("%s: %v", target, r.fields)
			}
		}
	}
	if fs := p.get("/").fields; fs.has("Last-Modified") || fs.has("ETag") || fs.has("Content-Length") {
		t.Errorf("fields of another body were kept: %v", fs)
	}
	if fs := p.get("/kept").fields; !fs.has("Last-Modified") || fs.get("ETag") != `W/"tag"` || fs.has("Content-Length") {
		t.Errorf("sub_filter_last_modified: %v", fs)
	}
	r := p.exchange("GET", "GET /packed HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
	if r.fields.get("Content-Encoding") != "gzip" || unpack(t, r.body) != page {
		t.Errorf("a client that takes gzip: %v", r.fields)
	}
}

// What should be gzip and is none, or ends too early, never looks complete.
func TestGunzipOfGarbage(t *testing.T) {
	t.Parallel()
	text := packed(strings.Repeat("text ", 100000))
	o := answering(t, func(r *request) string {
		if r.target == "/cut" {
			return inPieces("Content-Encoding: gzip\r\n", text[:len(text)-20], 300)
		}
		return inPieces("Content-Encoding: gzip\r\n", "no gzip", 300)
	})
	p := start(t, site{origin: o.addr, http: "gunzip = true"})
	p.allow(`inflate\(\) failed`)
	for _, target := range []string{"/cut", "/garbage"} {
		c := p.dial()
		c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if r, err := readResponse(c.br, "GET"); err == nil {
			t.Errorf("%s: %d bytes as if complete", target, len(r.body))
		}
	}
	p.waitLog(`inflate\(\) failed`)
}

// Bodies are recoded by charset_map, whatever they come from.
func TestCharsetMap(t *testing.T) {
	t.Parallel()
	plain, utf8 := strings.Repeat("a\xc1\xc2\x80", 50000), strings.Repeat("aаб?", 50000)
	o := answering(t, func(r *request) string {
		if r.target == "/own" {
			return ok(plain, "Content-Type: text/html; charset=koi8-r")
		}
		return ok(plain, "Content-Type: text/html", "X-Accel-Charset: "+strings.TrimPrefix(r.target, "/"))
	})
	p := start(t, site{origin: o.addr, http: `charset_map = [{ from = "koi8-r", to = "utf-8", value = { C1 = "D0B0", C2 = "D0B1" } }, { from = "koi8-r", to = "one", value = { C1 = "41" } }]
source_charset = "koi8-r"`, more: location("/own", `proxy_pass = "http://app"`, `charset = "utf-8"`, `override_charset = true`)})
	for target, want := range map[string][2]string{
		"/own": {"text/html; charset=utf-8", utf8}, "/utf-8": {"text/html; charset=utf-8", utf8},
		"/one": {"text/html; charset=one", strings.Repeat("aA??", 50000)}, "/koi8-r": {"text/html; charset=koi8-r", plain},
	} {
		if r := p.get(target); r.fields.get("Content-Type") != want[0] || string(r.body) != want[1] {
			t.Errorf("%s: %s, %d bytes, want %d", target, r.fields.get("Content-Type"), len(r.body), len(want[1]))
		}
	}
}
