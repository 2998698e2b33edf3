// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// What the origin gets is written anew: CRLF at every line's end (the origin's
// reader insists), and the fields nginx sends: Host is $proxy_host, Connection is absent.
func TestRequestHeadIsRewritten(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, more: location("/direct/", `proxy_pass = "http://`+o.addr+`"`)})
	p.exchange("GET", "GET /x HTTP/1.1\nHost: client.example\nAccept:   text/plain  \nX-Empty:\nX-Tab: a\tb\n\n")
	r := o.last()
	got := slices.Clone(r.fields)
	slices.SortFunc(got, func(a, b field) int { return strings.Compare(a.name, b.name) })
	want := fields{{"Accept", "text/plain"}, {"Host", "app"}, {"X-Empty", ""}, {"X-Tab", "a\tb"}}
	if r.line != "GET /x HTTP/1.1" || !slices.Equal(got, want) {
		t.Errorf("the origin got %q %q, want (in any order) %q", r.line, got, want)
	}
	p.get("/direct/")
	if host := o.last().fields.all("Host"); !slices.Equal(host, []string{o.addr}) {
		t.Errorf("proxy_pass to an address: Host %q, want %q", host, o.addr)
	}
}

func TestRequestFieldsPassThrough(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	p.get("/", "Cookie: a=b; c=d", "X-Dup: one", "X-Dup: two", "x-lower: Value", "X-Obs: \xe9\xff", "Authorization: Basic eDp5",
		"X_Under: dropped", "X(Y): dropped", "X\xff: dropped", "Referer: http://x/y?z", "X-Long: "+strings.Repeat("v", 7000))
	fs := o.last().fields
	for name, want := range map[string][]string{
		"Cookie": {"a=b; c=d"}, "X-Dup": {"one", "two"}, "x-lower": {"Value"}, "X-Obs": {"\xe9\xff"}, "Authorization": {"Basic eDp5"},
		"Referer": {"http://x/y?z"}, "X-Long": {strings.Repeat("v", 7000)},
		// nginx: ignore_invalid_headers is on, underscores_in_headers is off.
		"X_Under": nil, "X(Y)": nil, "X\xff": nil,
	} {
		if got := fs.all(name); !slices.Equal(got, want) {
			t.Errorf("%s: %.80q, want %.80q", name, got, want)
		}
	}
}

// Fields for one hop only, and those that Connection names, stay there
// (RFC 9110 section 7.6.1).
func TestHopByHopRequestFields(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	p.exchange("GET", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Named\r\nConnection: ,,x-also\r\nX-Named: 1\r\nX-Also: 1\r\n"+
		"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n")
	fs := o.last().fields
	removed := []string{"Connection", "Keep-Alive", "TE", "Upgrade", "Transfer-Encoding"}
	if !useNginx() {
		removed = append(removed, "X-Named", "X-Also", "Proxy-Connection")
	}
	for _, name := range removed {
		if fs.has(name) {
			t.Errorf("the origin got %s: %q", name, fs.all(name))
		}
	}
	if !fs.has("X-Kept") {
		t.Error("X-Kept is missing")
	}
}

// Connection cannot take away what frames or routes the message.
func TestConnectionNamesEssentialFields(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr})
	for _, name := range []string{"Content-Length", "Host", "Content-Type"} {
		c := p.dial()
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nConnection: " + name + "\r\nContent-Length: 5\r\n\r\nhello")
		r := c.read("POST")
		switch {
		case r.status == 400:
		case r.status == 200:
			if got := o.last(); string(got.body) != "hello" || !got.fields.has("Host") {
				t.Errorf("Connection: %s: the origin got %q with body %q", name, got.raw, got.body)
			}
			c.get("/", 200)
		default:
			t.Errorf("Connection: %s: status %d", name, r.status)
		}
	}
}

func TestResponseHead(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string {
		return "HTTP/1.1 299 Odd Reason\r\nServer: origin/1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: X-Named\r\nX-Named: 1\r\n" +
			"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Accel-Expires: 0\r\n" +
			"X-Kept:  v \r\nContent-Length: 2\r\n\r\nok"
	})
	p := start(t, site{origin: o.addr})
	r := p.dial().get("/", 299)
	if r.reason != "Odd Reason" {
		t.Errorf("reason %q", r.reason)
	}
	removed := []string{"Keep-Alive", "X-Accel-Expires"}
	if !useNginx() {
		removed = append(removed, "Upgrade", "X-Named", "Proxy-Connection")
	}
	for _, name := range removed {
		if r.fields.has(name) {
			t.Errorf("the client got %s: %q", name, r.fields.all(name))
		}
	}
	if got := r.fields.all("Set-Cookie"); !slices.Equal(got, []string{"a=1", "b=2"}) {
		t.Errorf("Set-Cookie %q", got)
	}
	if got := r.fields.get("X-Kept"); got != "v" {
		t.Errorf("X-Kept %q", got)
	}
	// nginx puts its own Server and Date in place of the origin's.
	if got := r.fields.all("Server"); len(got) != 1 || got[0] == "origin/1" {
		t.Errorf("Server %q", got)
	}
	if got := r.fields.all("Date"); len(got) != 1 || strings.Contains(got[0], "1994") {
		t.Errorf("Date %q", got)
	}
}

// Response heads the origin may send: lone LF, no reason, any split.
func TestLenientResponseHeads(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/lf":     "HTTP/1.1 200 OK\nContent-Length: 2\nX: y\n\nok",
		"/empty":  "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
		"/http10": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"/lower":  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: a/b\r\n\r\nok",
	}
	if !useNginx() { // which passes the line on without the space that must follow the code
		answers["/noreason"] = "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"
	}
	o := newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			for i, text := 0, answers[r.target]; i < len(text); i++ {
				c.write(text[i : i+1])
			}
			if r.target == "/http10" {
				return
			}
		}
	})
	p := start(t, site{origin: o.addr})
	c := p.dial()
	for target := range answers {
		if r := c.get(target, 200); string(r.body) != "ok" {
			t.Errorf("%s: body %q", target, r.body)
		}
	}
}

func TestUnixOrigin(t *testing.T) {
	t.Parallel()
	ln, addr := unixListener(t)
	o := serveOrigin(t, ln, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			c.write(ok(r.fields.get("Host")))
		}
	})
	p := start(t, site{servers: []string{`{ address = "unix:` + addr + `" }`}})
	if r := p.get("/u"); r.status != 200 || string(r.body) != "app" || o.last().target != "/u" {
		t.Fatalf("status %d, body %q", r.status, r.body)
	}
}
