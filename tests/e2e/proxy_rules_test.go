// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// respondingAs is an origin that answers with the head and body that X-Answer of the request gives, lines divided by "|".
func respondingAs(t testing.TB) *origin {
	t.Helper()
	return answering(t, func(r *request) string {
		lines := strings.Split(r.fields.get("X-Answer"), "|")
		return reply(200, "OK", "ok", slices.DeleteFunc(lines, func(s string) bool { return s == "" })...)
	})
}

// proxy_cookie_domain, _path and _flags, as real nginx has them.
func TestProxyCookies(t *testing.T) {
	t.Parallel()
	p := start(t, site{origin: respondingAs(t).addr, location: `proxy_cookie_domain = [{ from = "localhost", to = ".ex.org" }, { from = '~\.(net)$', to = "a.$1" }]
proxy_cookie_path = [{ from = "/two/", to = "/" }, { from = "~*^/r/(.*)", to = "/$arg_q/$1" }]
proxy_cookie_flags = [{ cookie = "one", flags = ["secure", "nohttponly", "samesite=lax"] }, { cookie = "~t.o$", flags = ["httponly", "nosamesite", "nosecure"] }]`,
		more: location("/plain", `proxy_pass = "http://app"`, `proxy_cookie_domain = "off"`, `proxy_cookie_path = "off"`, `proxy_cookie_flags = false`)})
	for cookie, want := range map[string]string{
		"one=1; Domain=localhost; path=/two/x; HttpOnly;Secure": "one=1; Domain=ex.org; path=/x; Secure; SameSite=Lax",
		"ONE=1;samesite=None":                                             "ONE=1; SameSite=Lax; Secure",
		"one=1; SameSite=lax; secure":                                     "one=1; SameSite=lax; secure",
		`two=a b ; Domain=.LocalHost ;path="/two/"`:                       `two=a b; Domain=.ex.org; path="/two/"; HttpOnly`,
		"x=1;domain=foo.net; Path=/R/s;a=b":                               "x=1; domain=a.net; Path=/q/s; a=b",
		"tXo; path=/two/; Domain":                                         "tXo; path=/two/; Domain",
		"y=1;   path=/;":                                                  "y=1;   path=/;",
		"tXo=; Secure; SameSite=Strict; httponly; path=/twofold; Max-Age": "tXo=; httponly; path=/twofold; Max-Age",
	} {
		if got := p.get("/?q=q", "X-Answer: Set-Cookie: "+cookie).fields.all("Set-Cookie"); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", cookie, got, want)
		}
		if got := p.get("/plain", "X-Answer: Set-Cookie: "+cookie).fields.get("Set-Cookie"); got != cookie {
			t.Errorf("off: %s became %s", cookie, got)
		}
	}
	both := p.get("/", "X-Answer: Set-Cookie: a=1; path=/two/|Set-Cookie: b=1").fields.all("Set-Cookie")
	if !slices.Equal(both, []string{"a=1; path=/", "b=1"}) {
		t.Errorf("two cookies: %q", both)
	}
}

// proxy_redirect with regular expressions, whose groups are variables afterwards, and default in a location without a path.
func TestProxyRedirectExpressions(t *testing.T) {
	t.Parallel()
	o := respondingAs(t)
	p := start(t, site{origin: o.addr, more: location("~ ^/re/", `proxy_pass = "http://app"`) +
		location("/own/", `proxy_pass = "http://app"`, `proxy_redirect = [{ from = '~^http://(a|b)/(?<rest>.*)$', to = "/$1/$rest" }, { from = "~*^HTTPS", to = "$scheme" }, { from = "http://c/", to = "http://$host/d/" }]`)})
	self := "http://localhost:" + p.ports[0]
	for _, tt := range []struct{ target, field, want string }{
		{"/re/x", "Location: http://app/y", "Location: " + self + "/y"},
		{"/own/x", "Location: http://b/y?z", "Location: " + self + "/b/y?z"},
		{"/own/x", "Refresh: 5; url=http://a/y", "Refresh: 5; url=/a/y"},
		{"/own/x", "Location: https://a/y", "Location: http"},
		{"/own/x", "Location: http://c/y", "Location: http://localhost/d/y"},
		{"/own/x", "Location: http://app/y", "Location: http://app/y"},
	} {
		name, want, _ := strings.Cut(tt.want, ": ")
		got := p.get(tt.target, "X-Answer: "+tt.field).fields.get(name)
		if got != want && self+got != want { // a path alone is as good as the absolute address of the same
			t.Errorf("%s, %s: got %s, want %s", tt.target, tt.field, got, want)
		}
	}
}

// What the origin gets: method, body and fields as the config has them.
func TestProxyRequestChanges(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		if r.method == "HEAD" {
			return "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
		}
		return ok("got: " + string(r.body))
	})
	p := start(t, site{origin: o.addr, more: location("/get", `proxy_pass = "http://app"`, `proxy_method = "GET"`) +
		location("/head", `proxy_pass = "http://app"`, `proxy_method = "$arg_m"`) +
		location("/body", `proxy_pass = "http://app"`, `proxy_set_body = "b=$uri"`, `proxy_set_header = { X-A = "a" }`) +
		location("/empty", `proxy_pass = "http://app"`, `proxy_set_body = ""`) +
		location("/nobody", `proxy_pass = "http://app"`, `proxy_pass_request_body = false`) +
		location("/nofields", `proxy_pass = "http://app"`, `proxy_pass_request_headers = false`, `proxy_set_header = { X-A = "$http_x_b" }`)})
	c := p.dial()
	for _, tt := range []struct {
		method, target, body   string
		got, gotBody, ownField string
		length                 []string
		answer                 string
	}{
		{"POST", "/get", "abc", "GET", "abc", "b", []string{"3"}, "got: abc"},
		{"HEAD", "/get", "", "GET", "", "b", nil, ""},
		{"GET", "/head?m=HEAD", "", "HEAD", "", "b", nil, ""},
		{"PUT", "/head?m=", "abc", "PUT", "abc", "b", []string{"3"}, "got: abc"},
		{"POST", "/body", "something longer", "POST", "b=/body", "b", []string{"7"}, "got: b=/body"},
		{"GET", "/body", "", "GET", "b=/body", "b", []string{"7"}, "got: b=/body"},
		{"POST", "/empty", "abc", "POST", "", "b", []string{"0"}, "got: "},
		{"POST", "/nobody", "abc", "POST", "", "b", nil, "got: "},
		{"POST", "/nofields", "abc", "POST", "abc", "", []string{"3"}, "got: abc"},
	} {
		if useNginx() && (tt.method == "HEAD" || strings.HasPrefix(tt.target, "/head?m=") || tt.target == "/nobody") {
			continue // it sends lengths of bodies that do not come, and an empty method
		}
		text := tt.method + " " + tt.target + " HTTP/1.1\r\nHost: localhost\r\nX-B: b\r\n"
		if tt.body != "" {
			text += fmt.Sprintf("Content-Length: %d\r\n", len(tt.body))
		}
		c.send(text + "\r\n" + tt.body)
		if answer := c.read(tt.method); answer.status != 200 || string(answer.body) != tt.answer {
			t.Errorf("%s %s: %d %q", tt.method, tt.target, answer.status, answer.body)
		}
		last := o.last()
		if last.method != tt.got || string(last.body) != tt.gotBody || last.fields.get("X-B") != tt.ownField || !slices.Equal(last.fields.all("Content-Length"), tt.length) {
			t.Errorf("%s %s: the origin got %q, body %q", tt.method, tt.target, last.raw, last.body)
		}
	}
	if last := o.last(); last.fields.get("X-A") != "b" {
		t.Errorf("proxy_set_header without the client's fields: %q", last.raw)
	}
}

// The body that a chunked request has in the place of its own, and one that is read to its end although the origin does not get it.
func TestProxySetBodyOfChunkedRequest(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string { return ok(string(r.body)) })
	p := start(t, site{origin: o.addr, location: `proxy_set_body = "own"`})
	c := p.dial()
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		c.send("0\r\n\r\n")
		if r := c.read("POST"); r.status != 200 || string(r.body) != "own" {
			t.Errorf("%d %q", r.status, r.body)
		}
	}
}

// Trailer fields pass when asked for, each written anew; without that none does.
func TestProxyPassTrailers(t *testing.T) {
	t.Parallel()
	weirOnly(t) // Debian's nginx is older than the directive
	o := answering(t, func(*request) string {
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\nx-two:  2 \r\nContent-Length: 7\r\nX-Hide: h\r\nConnection: x\r\n\n"
	})
	p := start(t, site{origin: o.addr, location: "proxy_pass_trailers = true\nproxy_hide_header = [\"X-Hide\"]",
		more: location("/none", `proxy_pass = "http://app"`)})
	c := p.dial()
	for range 2 {
		r := c.get("/", 200)
		if string(r.body) != "abc" || fmt.Sprint(r.trailer) != "[{X-Sum 1} {x-two 2}]" {
			t.Errorf("body %q, trailer %v", r.body, r.trailer)
		}
		if r := c.get("/none", 200); string(r.body) != "abc" || len(r.trailer) > 0 {
			t.Errorf("not asked for: body %q, trailer %v", r.body, r.trailer)
		}
	}
	if o.accepted.Load() != 1 {
		t.Errorf("%d connections to the origin, want 1", o.accepted.Load())
	}
}

// Of fields that say one thing the first one counts; lengths that are given twice are refused.
func TestDuplicateResponseFields(t *testing.T) {
	t.Parallel()
	weirOnly(t) // Debian's nginx passes all of them, later versions do as weir does
	p := start(t, site{origin: respondingAs(t).addr})
	fs := p.get("/", "X-Answer: Content-Type: a/b|Content-Type: c/d|ETag: 1|ETag: 2|Location: /a|Location: /b|Vary: a|Vary: b|Cache-Control: a|Cache-Control: b").fields
	for name, want := range map[string]string{"Content-Type": "[a/b]", "ETag": "[1]", "Location": "[/a]", "Vary": "[a b]", "Cache-Control": "[a b]"} {
		if got := fmt.Sprint(fs.all(name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	p.allow("sent an invalid response")
	if r := p.get("/", "X-Answer: Content-Length: 2"); r.status != 502 {
		t.Errorf("two lengths: %d", r.status)
	}
}

// X-Accel-Charset names the charset, if the config has heard of it, unless it is ignored.
func TestAccelCharset(t *testing.T) {
	t.Parallel()
	p := start(t, site{origin: respondingAs(t).addr, more: location("/ignored", `proxy_pass = "http://app"`, `proxy_ignore_headers = ["X-Accel-Charset"]`) +
		location("/names", `charset = "koi8-r"`, `return = { code = 200 }`) + location("/names/too", `charset = "utf-8"`, `return = { code = 200 }`)})
	p.allow(`unknown charset "x-y" to override`)
	p.allow(`no "charset_map" between the charsets "a" and "utf-8"`)
	for answer, want := range map[string]string{
		"Content-Type: text/html|X-Accel-Charset: koi8-r":             "text/html; charset=koi8-r",
		"X-Accel-Charset: utf-8|Content-Type: text/x; b=c":            "text/x; b=c; charset=utf-8",
		"X-Accel-Charset: utf-8|Content-Type: text/x; CharSet=a; b=c": "text/x; CharSet=a; b=c",
		"X-Accel-Charset: x-y|Content-Type: text/x":                   "text/x",
		"X-Accel-Charset: utf-8":                                      "",
	} {
		fs := p.get("/", "X-Answer: "+answer).fields
		if got := fs.get("Content-Type"); got != want || fs.has("X-Accel-Charset") {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	if got := p.get("/ignored", "X-Answer: Content-Type: a/b|X-Accel-Charset: utf-8").fields.get("Content-Type"); got != "a/b" {
		t.Errorf("ignored: %s", got)
	}
}

// Connections to origins come from the address that proxy_bind gives, and are used again for requests with that address only.
func TestProxyBind(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx uses them for other addresses too
	o := newOrigin(t, func(c *originConn) {
		for c.request() != nil {
			c.write(ok(c.RemoteAddr().String()))
		}
	})
	transparent := ""
	if os.Geteuid() == 0 { // it takes a privilege
		transparent = location("/transparent", `proxy_pass = "http://app"`, `proxy_bind = { address = "192.0.2.1", transparent = true }`, `proxy_connect_timeout = "100ms"`)
	}
	p := start(t, site{origin: o.addr, location: `proxy_bind = "127.0.0.$arg_n"`,
		more: location("/fixed", `proxy_pass = "http://app"`, `proxy_bind = "127.0.0.9"`, `proxy_socket_keepalive = true`) +
			location("/off", `proxy_pass = "http://app"`, `proxy_bind = "off"`) +
			location("/foreign", `proxy_pass = "http://app"`, `proxy_bind = "192.0.2.1"`) + transparent})
	c := p.dial()
	seen := map[string]string{} // the connection of each address
	for range 2 {
		for target, want := range map[string]string{"/?n=7": "127.0.0.7", "/?n=8": "127.0.0.8", "/fixed": "127.0.0.9", "/off": "127.0.0.1", "/?n=x": "127.0.0.1"} {
			from := string(c.get(target, 200).body)
			if host, _, _ := net.SplitHostPort(from); host != want {
				t.Errorf("%s: from %s, want %s", target, from, want)
			}
			if seen[want] != "" && seen[want] != from {
				t.Errorf("%s: the connection %s is not used again, but %s", target, seen[want], from)
			}
			seen[want] = from
		}
	}
	p.allow("(?i)connect failed|bind|timed out")
	c.get("/foreign", 500)
	if transparent != "" { // nothing leads the origin's answer back here
		if got := statusOf(p, "/transparent"); got != 504 {
			t.Errorf("from another's address: %d", got)
		}
	}
}

// A connection to an origin begins with the PROXY protocol's header: one for each request.
func TestProxyProtocolToOrigin(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx has it for streams only
	heads := make(chan string, 10)
	o := newOrigin(t, func(c *originConn) {
		head, _ := c.br.Peek(28)
		if head[0] == 'P' {
			line, _ := c.br.ReadString('\n')
			heads <- line
		} else {
			b := make([]byte, 28)
			_, _ = io.ReadFull(c.br, b)
			heads <- string(b)
		}
		for c.request() != nil {
			c.write(ok("ok"))
		}
	})
	p := start(t, site{origin: o.addr, location: `proxy_protocol = "v1"`, more: location("/two", `proxy_pass = "http://app"`, `proxy_protocol = "v2"`)})
	c := p.dial()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %s %s\r\n", port, p.ports[0])
	for range 2 {
		c.get("/", 200)
		if got := next(t, heads); got != want {
			t.Errorf("v1: %q, want %q", got, want)
		}
	}
	c.get("/two", 200)
	if got := next(t, heads); !strings.HasPrefix(got, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01") {
		t.Errorf("v2: %q", got)
	}
	if o.last().fields.get("Connection") != "close" {
		t.Errorf("the origin got %q", o.last().raw)
	}
}

// next is what comes next.
func next(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case text := <-from:
		return text
	case <-time.After(ioDeadline):
		t.Fatal("no new connection to the origin")
		return ""
	}
}
