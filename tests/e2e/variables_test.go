// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Variables that Debian's nginx does not have, or whose values are the machine's.
func TestVariablesOfTheConnection(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string {
		if strings.HasPrefix(r.target, "/trailers") {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Hide: h\r\nx-sum: 2\r\n\r\n"
		}
		return ok(strings.Repeat("compressible ", 200))
	})
	p := start(t, site{origin: o.addr, http: logFormat("$uri [$upstream_trailer_x_sum] [$sent_trailer_x_sum] [$upstream_trailer_x_hide] [$sent_trailer_x_hide] [$gzip_ratio] [$request_body]"),
		location: "proxy_pass_trailers = true\nproxy_hide_header = [\"X-Hide\"]",
		more: location("/tcp", `return = { code = 200, text = "$tcpinfo_rtt $tcpinfo_rttvar $tcpinfo_snd_cwnd $tcpinfo_rcv_space" }`) +
			location("/port", `return = { code = 200, text = "[$is_request_port$request_port]" }`) +
			location("/last", `proxy_pass = "http://app"`, `add_header.X-Last = "$upstream_last_addr $upstream_last_server_name $upstream_cache_status"`) +
			location("/gzip", `proxy_pass = "http://app"`, `gzip = true`, `gzip_types = ["*"]`)})
	if got := string(p.get("/tcp").body); !regexp.MustCompile(`^\d+ \d+ [1-9]\d* [1-9]\d*$`).MatchString(got) {
		t.Errorf("$tcpinfo_*: %q", got)
	}
	for host, want := range map[string]string{"a": "[]", "a:81": "[:81]", "[::1]": "[]", "[::1]:82": "[:82]"} {
		if r := p.exchange("GET", "GET /port HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); string(r.body) != want {
			t.Errorf("$request_port with %s: %q", host, r.body)
		}
	}
	if got, want := p.get("/last").fields.get("X-Last"), o.addr+" "+o.addr; got != want {
		t.Errorf("$upstream_last_addr and its like: %q, want %q", got, want)
	}
	p.get("/trailers")
	p.get("/gzip", "Accept-Encoding: gzip")
	p.exchange("POST", "POST /trailers HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	lines := strings.Join(p.waitLines("access.log", 9), "\n")
	for _, want := range []string{`/trailers \[1, 2\] \[1, 2\] \[h\] \[-\] \[-\] \[-\]`, `/gzip \[-\] \[-\] \[-\] \[-\] \[\d\d\.\d\d\] \[-\]`, `/trailers .* \[abc\]`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(lines) {
			t.Errorf("no line %s in\n%s", want, lines)
		}
	}
}

// A return with a code below 200 is sent as it is, as nginx does.
func TestReturnBelow200(t *testing.T) {
	t.Parallel()
	p := start(t, site{origin: answering(t, func(*request) string { return ok("") }).addr, more: location("/199", `return = { code = 199, text = "text" }`)})
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET /199 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(c)
	if text := string(got); err != nil || !strings.HasPrefix(text, "HTTP/1.1 199 ") || !strings.Contains(text, "\r\nContent-Length: 4\r\n") || !strings.HasSuffix(text, "\r\n\r\ntext") {
		t.Errorf("%q, %v", got, err)
	}
}
