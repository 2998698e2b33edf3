// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// add_trailer adds fields behind the bodies of all kinds of answers, behind those of the origin; what is inherited is as with add_header.
func TestAddTrailer(t *testing.T) {
	t.Parallel()
	weirOnly(t) // for add_trailer_inherit and proxy_pass_trailers
	o := answering(t, func(r *request) string {
		if strings.HasPrefix(r.target, "/length") {
			return ok("abc", "Accept-Ranges: bytes")
		}
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
	})
	dir := tree(t, map[string]string{"a.html": "0123456789"})
	p := start(t, site{origin: o.addr, http: "add_trailer_inherit = \"merge\"\nadd_trailer = { X-Name = \"$host\", X-None = \"$arg_none\" }\n" + logFormat("$uri $sent_trailer_x_sum $sent_trailer_x_name"),
		location: "proxy_pass_trailers = true",
		more: location("/alone", `proxy_pass = "http://app"`, `proxy_pass_trailers = false`) + location("/own", `return = { code = 200, text = "abc" }`, `add_trailer = { X-Own = { value = "$status", always = true } }`) +
			location("/off", `return = { code = 200, text = "abc" }`, `add_trailer_inherit = "off"`) +
			location("/f/", fmt.Sprintf("alias = %q", dir+"/")) +
			location("/gzip/", fmt.Sprintf("alias = %q\ngzip = true\ngzip_min_length = 1", dir+"/"))})
	const head = "Host: a\r\nConnection: close\r\n"
	for _, c := range []struct{ target, head, body, trailer string }{
		{"/", "", "abc", "[{X-Sum 1} {X-Name a}]"},
		{"/alone", "", "abc", "[{X-Name a}]"},
		{"/length", "", "abc", "[{X-Name a}]"},
		{"/own", "", "abc", "[{X-Own 200} {X-Name a}]"},
		{"/off", "", "abc", "[]"},
		{"/f/a.html", "", "0123456789", "[{X-Name a}]"},
		{"/f/a.html", "Range: bytes=3-4\r\n", "34", "[{X-Name a}]"},
	} {
		r := p.exchange("GET", "GET "+c.target+" HTTP/1.1\r\n"+head+c.head+"\r\n")
		if string(r.body) != c.body || fmt.Sprint(r.trailer) != c.trailer {
			t.Errorf("%s: %q, trailer %v, want %v", c.target, r.body, r.trailer, c.trailer)
		}
	}
	r := p.exchange("GET", "GET /f/a.html HTTP/1.1\r\n"+head+"Range: bytes=0-0,2-3\r\n\r\n")
	if !strings.HasSuffix(string(r.body), "--\r\n") || !strings.Contains(string(r.body), "\r\n\r\n23\r\n--") || len(r.trailer) != 1 {
		t.Errorf("parts: %q, trailer %v", r.body, r.trailer)
	}
	r = p.exchange("GET", "GET /gzip/a.html HTTP/1.1\r\n"+head+"Accept-Encoding: gzip\r\n\r\n")
	if unpack(t, r.body) != "0123456789" || len(r.trailer) != 1 {
		t.Errorf("gzip: trailer %v", r.trailer)
	}
	if got := p.waitLines("access.log", 1)[0]; got != "/ 1 a" {
		t.Errorf("logged %q", got)
	}
}
