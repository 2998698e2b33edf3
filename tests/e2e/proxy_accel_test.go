// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// accelOrigin sends on with X-Accel-Redirect what does not begin with /final, which it answers with what it has got.
func accelOrigin(t testing.TB) *origin {
	t.Helper()
	return answering(t, func(r *request) string {
		if strings.HasPrefix(r.target, "/final") {
			return ok(r.line+" "+string(r.body), "Set-Cookie: c=1", "Vary: final")
		}
		return reply(200, "OK", "", strings.Split("X-Accel-Redirect: "+r.fields.get("X-To"), "|")...)
	})
}

// X-Accel-Redirect: another path or a named location answers, with some fields of the first answer.
func TestAccelRedirect(t *testing.T) {
	t.Parallel()
	o := accelOrigin(t)
	p := start(t, site{origin: o.addr, location: `proxy_cookie_path = { from = "/p", to = "/q" }`, more: location("/files/", `root = "@DIR@"`) +
		location("/text", `return = { code = 200, text = "text" }`) +
		location("/int/", `proxy_pass = "http://app/final/"`) + location("@named", `proxy_pass = "http://app"`) +
		location("/ignored", `proxy_pass = "http://app"`, `proxy_ignore_headers = ["X-Accel-Redirect"]`)})
	if err := os.Mkdir(p.path("files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("files", "a b"), []byte("the file"), 0o644); err != nil {
		t.Fatal(err)
	}
	const kept = "|Content-Type: x/y|Content-Disposition: attachment|Set-Cookie: a=1; path=/p|Set-Cookie: b=1|Cache-Control: no-store|Expires: 0|X-Other: z|Vary: first"
	c := p.dial()
	for _, tt := range []struct {
		method, target, to, body string
		status                   int
		answer                   string
		cookies                  string
	}{
		{"GET", "/x", "/files/a%20b" + kept, "", 200, "the file", "[a=1; path=/q b=1]"},
		{"HEAD", "/x", "/files/a%20b" + kept, "", 200, "", "[a=1; path=/q b=1]"},
		{"GET", "/x", "/text" + kept, "", 200, "text", "[a=1; path=/q b=1]"},
		{"GET", "/x?q", "/int/y%3f?z=%41" + kept, "", 200, "GET /final/y%3F?z=%41 HTTP/1.1 ", "[a=1; path=/q b=1 c=1]"},
		{"POST", "/final", "", "body", 200, "POST /final HTTP/1.1 body", "[c=1]"},
		{"GET", "/x", "/files/none" + kept, "", 404, "", "[a=1; path=/q b=1]"},
		{"GET", "/x", "/files/../conf/weir.toml", "", 404, "", "[]"},
		{"GET", "/x", "relative", "", 404, "", "[]"},
		{"GET", "/x", "@nowhere", "", 500, "", "[]"},
		{"GET", "/ignored", "/files/a%20b" + kept, "", 200, "", "[a=1; path=/p b=1]"},
	} {
		text := tt.method + " " + tt.target + " HTTP/1.1\r\nHost: localhost\r\nX-To: " + tt.to + "\r\n"
		if tt.body != "" {
			text += fmt.Sprintf("Content-Length: %d\r\n", len(tt.body))
		}
		c.send(text + "\r\n" + tt.body)
		r := c.read(tt.method)
		if r.status != tt.status || r.status == 200 && string(r.body) != tt.answer {
			t.Errorf("%s to %s: %d %q, want %d %q", tt.target, tt.to, r.status, r.body, tt.status, tt.answer)
		}
		cookies := r.fields.all("Set-Cookie")
		if slices.Sort(cookies); fmt.Sprint(cookies) != tt.cookies {
			t.Errorf("%s to %s: cookies %q, want %s", tt.target, tt.to, cookies, tt.cookies)
		}
		if strings.Contains(tt.to, "/files/a") && tt.target == "/x" {
			if r.fields.get("Content-Type") != "x/y" || r.fields.get("Content-Disposition") != "attachment" ||
				r.fields.get("Cache-Control") != "no-store" || r.fields.has("X-Other") || r.fields.has("Vary") || r.fields.has("X-Accel-Redirect") {
				t.Errorf("%s: %q", tt.to, r.raw)
			}
		}
		if r.status >= 500 {
			c = p.dial()
		}
	}
	if o.accepted.Load() > 2 && !useNginx() {
		t.Errorf("%d connections to the origin: those of empty answers are kept", o.accepted.Load())
	}
}

// A named location gets the request as it is, its body again; a path that leads back ends after ten times.
func TestAccelRedirectNamedAndCircle(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		if r.fields.has("X-Second") {
			return ok(r.line + " " + string(r.body))
		}
		return reply(200, "OK", "gone", "X-Accel-Redirect: "+r.fields.get("X-To"))
	})
	p := start(t, site{origin: o.addr, more: location("@named", `proxy_pass = "http://app"`, `proxy_set_header = { X-Second = "1" }`)})
	c := p.dial()
	c.send("POST /x?a=b HTTP/1.1\r\nHost: localhost\r\nX-To: @named\r\nContent-Length: 4\r\n\r\nbody")
	if r := c.read("POST"); r.status != 200 || string(r.body) != "POST /x?a=b HTTP/1.1 body" {
		t.Errorf("%d %q", r.status, r.body)
	}
	before := len(o.seen())
	c.send("GET /x HTTP/1.1\r\nHost: localhost\r\nX-To: /x\r\n\r\n")
	if r := c.read("GET"); r.status != 500 || len(o.seen())-before != 11 {
		t.Errorf("a circle: %d after %d requests", r.status, len(o.seen())-before)
	}
	p.waitLog("cycle")
}

// proxy_force_ranges: a part of a response that the origin gives as a whole, as real nginx has it.
func TestProxyForceRanges(t *testing.T) {
	t.Parallel()
	const size = 300_000
	body := strings.Repeat("0123456789", size/10)
	o := answering(t, func(r *request) string {
		switch {
		case strings.HasPrefix(r.target, "/chunked"):
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
		case strings.HasPrefix(r.target, "/part"):
			return reply(206, "Partial Content", "abc", "Content-Range: bytes 0-2/9")
		case r.method == "HEAD":
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		}
		return ok(body, "Accept-Ranges: none", `ETag: "tag"`, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
	})
	p := start(t, site{origin: o.addr, location: `proxy_force_ranges = true`, more: location("/off", `proxy_pass = "http://app"`, `proxy_force_ranges = false`)})
	c := p.dial()
	for _, tt := range []struct {
		method, target, fields string
		status                 int
		body, part             string
		accept                 string
	}{
		{"GET", "/", "", 200, body, "", "bytes"},
		{"GET", "/", "Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/300000", ""},
		{"GET", "/", "Range: bytes=-3\r\n", 206, "789", "bytes 299997-299999/300000", ""},
		{"GET", "/", "Range: bytes=100001-250000\r\n", 206, body[100001:250001], "bytes 100001-250000/300000", ""},
		{"GET", "/", "Range: bytes=0-1,4-5\r\n", 200, body, "", "bytes"},
		{"GET", "/", "Range: bytes=300000-\r\n", 416, "", "bytes */300000", ""},
		{"GET", "/", "Range: bytes=1-1\r\nIf-Range: \"tag\"\r\n", 206, "1", "bytes 1-1/300000", ""},
		{"GET", "/", "Range: bytes=1-1\r\nIf-Range: \"other\"\r\n", 200, body, "", "bytes"},
		{"GET", "/", "Range: bytes=1-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 206, "1", "bytes 1-1/300000", ""},
		{"HEAD", "/", "Range: bytes=1-2\r\n", 206, "", "bytes 1-2/300000", ""},
		{"GET", "/chunked", "Range: bytes=1-1\r\n", 200, "abc", "", ""},
		{"GET", "/part", "Range: bytes=0-2\r\n", 206, "abc", "bytes 0-2/9", ""},
		{"GET", "/off", "Range: bytes=1-1\r\n", 200, body, "", "none"},
	} {
		c.send(tt.method + " " + tt.target + " HTTP/1.1\r\nHost: localhost\r\n" + tt.fields + "\r\n")
		r := c.read(tt.method)
		if r.status != tt.status || r.status != 416 && string(r.body) != tt.body || r.fields.get("Content-Range") != tt.part || r.fields.get("Accept-Ranges") != tt.accept {
			t.Errorf("%s %s %q: %d, %d bytes, head %q", tt.method, tt.target, tt.fields, r.status, len(r.body), r.raw)
		}
	}
}
