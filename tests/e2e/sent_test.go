// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// logFormat is an access log in a format of the test's own.
func logFormat(format string) string {
	return fmt.Sprintf("access_log = [{ path = \"logs/access.log\", format = \"own\" }]\n[http.log_format]\nown = %q", format)
}

// An answer that is not sent counts no bytes, whatever was sent before it.
func TestBytesSentOfNothing(t *testing.T) {
	t.Parallel()
	p := start(t, site{http: logFormat("$status $bytes_sent $body_bytes_sent"), proxyPass: "-",
		location: fmt.Sprintf("return = { code = 200, text = %q }", strings.Repeat("x", 500)),
		more:     location("= /444", "return = 444")})
	c := p.dial()
	c.get("/", 200)
	c.send("GET /444 HTTP/1.1\r\nHost: h\r\n\r\n")
	c.wantClosed(ioDeadline)
	other := p.dial()
	other.send("GET /444 HTTP/1.1\r\nHost: h\r\n\r\n")
	other.wantClosed(ioDeadline)
	for _, line := range p.waitLines("access.log", 3)[1:] {
		if line != "444 0 0" {
			t.Errorf("line %q, want %q", line, "444 0 0")
		}
	}
}

// $uri after an internal redirect survives the rewriting of a Location.
func TestURIAfterRedirectAndRewrite(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string {
		return reply(302, "Found", "", "Location: http://inner.example/abcdefgh")
	})
	p := start(t, site{origin: o.addr, http: logFormat("$uri $sent_http_location"),
		location: "return = 410\nerror_page = [{ codes = [410], uri = \"/page$uri\", response = 0 }]", proxyPass: "-",
		more: location("/page/same", `proxy_pass = "http://app"`, `proxy_redirect = [{ from = "http://zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz/", to = "/" }]`) +
			location("/page/changed", `proxy_pass = "http://app"`, `proxy_redirect = [{ from = "http://inner.example/", to = "http://$host/long/enough/to/cover/" }]`)})
	for i, tt := range []struct{ target, want string }{
		{"/same/1", "/page/same/1 http://inner.example/abcdefgh"},
		{"/changed/2", "/page/changed/2 http://localhost/long/enough/to/cover/abcdefgh"},
	} {
		r := p.get(tt.target)
		if r.status != 302 {
			t.Errorf("%s: status %d", tt.target, r.status)
		}
		if line := p.waitLines("access.log", i+1)[i]; line != tt.want {
			t.Errorf("%s: logged %q, want %q", tt.target, line, tt.want)
		}
	}
}

// $sent_http_ variables tell what was sent: also when configured values ask for them, themselves even.
func TestSentFields(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(*request) string {
		return ok("", "X-Hidden: h", "X-Plain: p", "Location: http://inner.example/a", "Refresh: 5; URL=http://inner.example/b")
	})
	p := start(t, site{origin: o.addr, http: logFormat("$sent_http_x_a|$sent_http_x_hidden|$sent_http_x_plain|$sent_http_refresh|$sent_http_location"),
		location: `proxy_hide_header = ["X-Hidden"]
add_header = { X-A = "$sent_http_x_a" }
proxy_redirect = [{ from = "http://inner.example/", to = "$sent_http_location/to/" }]`})
	workers := p.children()
	r := p.get("/")
	want := "-|-|p|" + r.fields.get("Refresh") + "|" + r.fields.get("Location")
	if line := p.waitLines("access.log", 1)[0]; line != want || r.fields.has("X-A") || !strings.HasSuffix(want, "/to/a") {
		t.Errorf("logged %q, want %q", line, want)
	}
	p.sameWorkers(workers)
}
