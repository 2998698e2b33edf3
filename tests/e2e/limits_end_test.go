// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// endings is an origin whose answer the path chooses: every way in which a request ends.
func endings(t testing.TB) *origin {
	big := string(pattern(8 << 20)) // more than the sockets' buffers hold
	return newOrigin(t, func(c *originConn) {
		for {
			r := c.requestHead()
			if r == nil {
				return
			}
			path := strings.Trim(r.target, "/")
			if path != "early" {
				if err := r.readBody(c.br); err != nil {
					return // the client has gone while it sent the body
				}
			}
			switch path {
			case "status":
				c.write(reply(404, "Not Found", "no"))
			case "silent", "early":
				c.await(nil)
				return
			case "hangup":
				return
			case "nonsense":
				c.write("nonsense\r\n\r\n")
				return
			case "short":
				c.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
				return
			case "broken":
				c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nZZ\r\n")
				return
			case "close":
				c.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
				return
			case "big":
				c.write(ok(big))
			case "half":
				c.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
				c.await(nil)
				return
			case "empty":
				c.write("HTTP/1.1 204 No Content\r\n\r\n")
			default:
				c.write(ok(r.target))
			}
		}
	})
}

func plain(path string) string { return "GET /" + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func upload(path string, length int, body string) string {
	return fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, length, body)
}

// tooLarge is a request whose body turns out too large for location /refused when its limits have been asked. (A Content-Length that is
// too large is refused before, as in nginx.)
var tooLarge = "POST /refused HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + strings.Repeat("x", 32)

// However a request ends, its place is given back. Each row: what the client sends; the answer's status, or 0 when none is to come; or
// what the client waits for before it goes away ("count": that it is counted; "head": the answer's head).
func TestLimitGivenBack(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := endings(t)
	keys := []string{limit("all:2"), `client_max_body_size = "1k"`, "proxy_next_upstream = \"off\""}
	p := start(t, site{workers: 2, origin: o.addr, http: limitZone("all", "all", "64k"), location: strings.Join(keys, "\n"),
		more: location("= /unbuffered", `proxy_pass = "http://app/early"`, limit("all:2"), "proxy_request_buffering = false") +
			location("= /cut", limit("all:2"), `proxy_pass = "http://app"`, `client_body_timeout = "150ms"`) + location("= /silent", limit("all:2"), `proxy_pass = "http://app"`, `proxy_read_timeout = "300ms"`) +
			location("= /slow", limit("all:2"), `proxy_pass = "http://app/big"`, `send_timeout = "300ms"`) + location("= /patient", `proxy_pass = "http://app/silent"`, limit("all:2")) +
			location("= /large", limit("all:2"), `proxy_pass = "http://app/big"`) +
			location("= /halfway", limit("all:2"), `proxy_pass = "http://app/half"`) +
			location("= /dead", limit("all:2"), `proxy_pass = "http://`+deadAddress(t)+`"`) +
			location("= /refused", limit("all:2"), `client_max_body_size = "10"`, `proxy_pass = "http://app"`)})
	for _, tt := range []struct {
		name, text, wait string
		status           int
	}{
		{"answer", plain("x"), "", 200},
		{"HEAD", "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n", "", 200},
		{"HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", "", 200},
		{"204", plain("empty"), "", 204},
		{"until close", plain("close"), "", 200},
		{"error status", plain("status"), "", 404},
		{"body", upload("x", 4, "body"), "", 200},
		{"expect", "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", "", 200},
		{"three at once", plain("1") + plain("2") + plain("3"), "", 200},
		{"body too large", tooLarge, "", 413},
		{"broken chunk", "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "", 400},
		{"body does not come", upload("cut", 100, "x"), "", 408},
		{"dead origin", plain("dead"), "", 502},
		{"origin hangs up", plain("hangup"), "", 502},
		{"nonsense", plain("nonsense"), "", 502},
		{"silent origin", plain("silent"), "", 504},
		{"origin ends early", plain("short"), "head", 200},
		{"origin breaks off", plain("broken"), "", 502}, // before anything was passed on
		{"slow client", plain("slow"), "timeout", 200},
		{"client leaves while its body is read", upload("patient", 100, "x"), "count", 0},
		{"client leaves while its body is passed on", upload("unbuffered", 100, "x"), "count", 0},
		{"client leaves while the origin thinks", plain("patient"), "count", 0},
		{"client leaves between head and body", plain("halfway"), "head", 200},
		{"client leaves in a large body", plain("large"), "head", 200},
		{"client leaves lingering", tooLarge, "head", 413},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, reset=%v", tt.name, reset), func(t *testing.T) { givenBack(t, p, tt.text, tt.wait, tt.status, reset) })
		}
	}
}

// givenBack is one row of TestLimitGivenBack. The client closes with FIN, or with RST.
func givenBack(t *testing.T, p *proxy, text, wait string, status int, reset bool) {
	method, _, _ := strings.Cut(text, " ")
	before := p.zone("all").Passed
	c := dialTo(t, p.addr)
	c.send(text)
	if wait == "count" {
		p.waitCount("all", quoted("all"), 1)
	} else {
		r, err := readResponseHead(c.br)
		if err != nil || r.status != status {
			t.Fatalf("status %d, %v; want %d", r.status, err, status)
		}
		if wait == "" {
			if err := r.readBody(c.br, method); err != nil {
				t.Fatal(err)
			}
		}
		if wait == "timeout" { // the proxy ends it: the client does not read
			p.waitEmpty("all")
		}
	}
	if reset {
		_ = c.SetLinger(0)
	}
	c.Close()
	p.waitEmpty("all")
	if z := p.zone("all"); z.Passed == before {
		t.Errorf("it was never counted")
	}
}

// While a refused body is read and dropped, the request is over: only the connection lingers.
func TestLimitLingering(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := endings(t)
	p := start(t, site{workers: 2, origin: o.addr, http: limitZone("all", "all", "64k"), location: limit("all:1") + "\nclient_max_body_size = \"10\""})
	c := p.dial()
	c.send(tooLarge)
	if r := c.read("POST"); r.status != 413 {
		t.Fatalf("status %d, want 413", r.status)
	}
	p.waitEmpty("all")
	c.send("more")
	p.dial().get("/x", 200)
	c.Close()
	if z := p.zone("all"); z.Passed != 2 {
		t.Errorf("passed %d, want 2", z.Passed)
	}
}

// A connection that is kept alive between requests has no place, and gets one again with its next request.
func TestLimitIdleConnections(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, byAddress(g.addr, 1))
	all := inTurn(p.spread(2, 4))
	for range 3 {
		for i, c := range all {
			p.waitEmpty("addr")
			c.get(fmt.Sprintf("/%d", i), 200)
		}
	}
	p.waitEmpty("addr")
	half := p.dial() // a head that is not complete is not a request
	half.send("GET / HTTP/1.1\r\nHost: h\r\n")
	all[0].get("/x", 200)
	p.waitEmpty("addr")
	half.send("\r\n")
	if r := half.read("GET"); r.status != 200 {
		t.Errorf("status %d", r.status)
	}
	p.waitEmpty("addr")
}

// A slow reader of a large response has its place until the last byte is sent.
func TestLimitSlowReader(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := endings(t)
	p := start(t, site{workers: 2, origin: o.addr, http: limitZone("all", "all", "64k"), location: limit("all:1"), server: `listen = [{ address = "127.0.0.1:@PORT1@", sndbuf = "64k" }]`})
	c := p.dialNarrow()
	c.send(plain("big"))
	r, err := readResponseHead(c.br)
	if err != nil || r.status != 200 {
		t.Fatalf("status %d, %v", r.status, err)
	}
	for range 3 {
		p.dial().get("/x", 503)
	}
	c.within(30 * time.Second)
	if n, err := io.CopyN(io.Discard, c.br, 8<<20); err != nil {
		t.Fatalf("the body ends after %d bytes: %v", n, err)
	}
	p.waitEmpty("all")
	p.dial().get("/x", 200)
}
