// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// basic is the field with a name and a password.
func basic(text string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
}

// wantStatus gets target and looks at the answer's status.
func (p *proxy) wantStatus(status int, target string, extra ...string) *response {
	p.t.Helper()
	r := p.get(target, extra...)
	if r.status != status {
		p.t.Errorf("%s %q: %d, want %d", target, extra, r.status, status)
	}
	return r
}

const passwords = "apr:$apr1$X32XkCga$YVHs4I72G.NLCyP1vmC/X1\nbc:$2y$05$9aOry9VyGhSdRLPsKuSUtubF.GA/bdhElvfKvCw2ZTUf4yoTX59.G\nsha:{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs=\n"

// Addresses and passwords decide who may come in, alone and together, as nginx has it.
func TestAccess(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string { return ok("in", "X-User: "+r.fields.get("X-User")) })
	p := newProxy(t)
	if err := os.WriteFile(p.path("htpasswd"), []byte(passwords), 0o600); err != nil {
		t.Fatal(err)
	}
	const inside = "X-Forwarded-For: 10.1.2.3"
	p.start(site{origin: o.addr, main: "user = 'root'", http: `
set_real_ip_from = ["127.0.0.0/8"]
real_ip_header = "X-Forwarded-For"
auth_basic_user_file = "htpasswd"
proxy_set_header = { X-User = "$remote_user $remote_addr $realip_remote_addr" }
`, more: location("/address", `proxy_pass = "http://app"`, `access = ["deny 10.1.2.4", "allow 10.0.0.0/8", "deny all"]`) +
		location("/password", `proxy_pass = "http://app"`, `auth_basic = "the $host"`) +
		location("/delay", `proxy_pass = "http://app"`, `auth_basic = "x"`, `auth_delay = "1500ms"`) +
		location("/any", `proxy_pass = "http://app"`, `auth_basic = "x"`, `satisfy = "any"`, `access = ["allow 10.0.0.0/8", "deny all"]`) +
		location("/both", `proxy_pass = "http://app"`, `auth_basic = "x"`, `access = ["allow 10.0.0.0/8", "deny all"]`) +
		location("/none", `proxy_pass = "http://app"`, `auth_basic = "x"`, `auth_basic_user_file = "absent"`) +
		location("/page", `proxy_pass = "http://app"`, `auth_basic = "x"`, `error_page = [{ codes = [401], uri = "/shown" }]`) +
		location("/shown", `return = { code = 200, text = "page" }`)}.toml())
	p.wantStatus(200, "/address", inside)
	p.wantStatus(403, "/address", "X-Forwarded-For: 10.1.2.4")
	p.wantStatus(403, "/address")
	if r := p.wantStatus(401, "/password"); r.fields.get("WWW-Authenticate") != `Basic realm="the localhost"` {
		t.Errorf("asks for %q", r.fields.get("WWW-Authenticate"))
	}
	for _, user := range []string{"apr", "bc", "sha"} {
		p.wantStatus(401, "/password", basic(user+":bad"))
		if r := p.wantStatus(200, "/password", basic(user+":good"), inside); r.fields.get("X-User") != user+" 10.1.2.3 127.0.0.1" {
			t.Errorf("the origin heard of %q", r.fields.get("X-User"))
		}
	}
	p.wantStatus(401, "/password", basic("nobody:good"))
	p.wantStatus(401, "/password", "Authorization: Basic nonsense")
	p.waitLog(`user "sha": password mismatch`)
	p.waitLog(`user "nobody" was not found in ".*/htpasswd"`)
	p.wantStatus(200, "/any", inside)
	p.wantStatus(200, "/any", basic("sha:good"))
	p.wantStatus(401, "/any")
	p.wantStatus(403, "/both", basic("sha:good"))
	p.wantStatus(401, "/both", inside)
	p.wantStatus(200, "/both", inside, basic("sha:good"))
	p.wantStatus(403, "/none", basic("sha:good"))
	if r := p.wantStatus(401, "/page"); string(r.body) != "page" || !r.fields.has("WWW-Authenticate") {
		t.Errorf("page %q with %q", r.body, r.fields.get("WWW-Authenticate"))
	}
	from := time.Now()
	p.wantStatus(401, "/delay")
	if waited := time.Since(from).Seconds(); waited < 1.4 {
		t.Errorf("the 401 waited %.2f s", waited)
	}
	if err := os.WriteFile(p.path("htpasswd"), []byte("sha:{PLAIN}other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.wantStatus(401, "/password", basic("sha:good"))
	p.wantStatus(200, "/password", basic("sha:other"))
}

// auth_request asks another location; mirror copies requests, with their bodies.
func TestSubrequests(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	copies := make(chan string, 10)
	o := answering(t, func(r *request) string {
		switch {
		case strings.HasPrefix(r.target, "/asked/"):
			return reply(map[string]int{"/asked/in": 204, "/asked/401": 401, "/asked/403": 403, "/asked/404": 404}[r.target], "x", "",
				"X-Name: joe "+r.method+" "+r.fields.get("Content-Length")+" "+r.fields.get("X-URI"), "WWW-Authenticate: Bearer")
		case r.target == "/copy":
			copies <- r.method + " " + string(r.body)
		}
		return ok(r.fields.get("X-User"))
	})
	p := newProxy(t)
	asks := func(path, asked string) string {
		return location(path, `proxy_pass = "http://app/"`, `auth_request = "/asked/`+asked+`"`, `auth_request_set = { who = "$upstream_http_x_name" }`,
			`proxy_set_header = { X-User = "$who" }`)
	}
	p.start(site{origin: o.addr, more: asks("/in", "in") + asks("/401", "401") + asks("/403", "403") + asks("/404", "404") +
		location("/asked/", `proxy_pass = "http://app"`, `proxy_set_header = { X-URI = "$request_uri $request_method" }`) +
		location("/mirrored", `proxy_pass = "http://app"`, `client_body_buffer_size = "128k"`, `mirror = ["/copied"]`) +
		location("/spilled", `proxy_pass = "http://app"`, `client_body_buffer_size = "16k"`, `mirror = ["/copied", "/copied"]`) + location("/copied", `proxy_pass = "http://app/copy"`)}.toml())
	if r := p.exchange("POST", "POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"); r.status != 200 || string(r.body) != "joe GET  /in POST" {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r := p.wantStatus(401, "/401"); r.fields.get("WWW-Authenticate") != "Bearer" {
		t.Errorf("asks for %q", r.fields.get("WWW-Authenticate"))
	}
	p.wantStatus(403, "/403")
	p.wantStatus(500, "/404")
	large := strings.Repeat("x", 30_000) // more than a block, in memory all the same
	for i, body := range []string{"", "body", large, large + large} {
		c, target := p.dial(), "/mirrored"
		if i == 3 { // more than client_body_buffer_size: all of them send it from one file
			target = "/spilled"
		}
		c.send("PUT " + target + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		if body != "" {
			c.send(fmt.Sprintf("%x", len(body)) + "\r\n" + body + "\r\n")
		}
		c.send("0\r\n\r\n")
		if r := c.read("PUT"); r.status != 200 {
			t.Errorf("mirrored: %d", r.status)
		}
		for range 1 + i/3 {
			select {
			case got := <-copies:
				if got != "PUT "+body {
					t.Errorf("the copy has %.40q of %d bytes", got, len(got))
				}
			case <-time.After(ioDeadline):
				t.Fatal("no copy has come")
			}
		}
	}
}

// The PROXY protocol says for whom a proxy in front speaks, on a kept connection and over a reload too; anything else ends the connection.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	s := site{http: "set_real_ip_from = ['127.0.0.1']\nreal_ip_header = 'proxy_protocol'", server: `listen = { address = "127.0.0.1:@PORT1@", proxy_protocol = true }`, proxyPass: "-",
		location: `return = { code = 200, text = "$remote_addr:$remote_port $proxy_protocol_addr $proxy_protocol_server_port $realip_remote_addr $proxy_protocol_tlv_alpn" }`}
	p.start(s.toml())
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x11\xc0\x00\x02\x01\x0a\x00\x00\x01\x15\xb3\x00\x50\x01\x00\x02h2"
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 10.0.0.1 5555 80\r\n":       "192.0.2.1:5555 192.0.2.1 80 127.0.0.1 ",
		"PROXY TCP6 2001:db8::1 2001:db8::2 5555 443\r\n": "2001:db8::1:5555 2001:db8::1 443 127.0.0.1 ",
		v2: "192.0.2.1:5555 192.0.2.1 80 127.0.0.1 h2",
	} {
		c := p.dial()
		for _, piece := range []string{header[:7], header[7:] + get, get} {
			c.send(piece)
		}
		for range 2 {
			if r := c.read("GET"); string(r.body) != want {
				t.Errorf("%q: %q, want %q", header, r.body, want)
			}
		}
		p.reload()
		c.send(get)
		if r := c.read("GET"); string(r.body) != want {
			t.Errorf("%q, after a reload: %q, want %q", header, r.body, want)
		}
	}
	for _, text := range []string{get, "PROXY TCP4 192.0.2.1\r\n" + get, "PROXY TCP5 x\r\n"} {
		c := p.dial()
		c.send(text)
		c.wantClosed(ioDeadline)
	}
	p.waitLog("broken header: \"GET / HTTP/1.1")
	c := p.dial()
	c.send("PROXY UNKNOWN\r\n" + get)
	if r := c.read("GET"); !strings.HasPrefix(string(r.body), "127.0.0.1:") {
		t.Errorf("unknown: %q", r.body)
	}
}

// What clients send and get: fields with odd names, how many there may be, Keep-Alive, the server's name, inheritance of add_header, conditions of logs.
func TestClientSwitches(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string { return ok(r.fields.get("a_b") + r.fields.get("X~Y")) })
	p := newProxy(t)
	p.start(site{origin: o.addr, http: `
underscores_in_headers = true
ignore_invalid_headers = false
max_headers = 6
keepalive_header_timeout = "20s"
server_tokens = "Custom"
add_header_inherit = "merge"
add_header = { X-Http = "1" }
access_log = [{ path = "logs/if.log", format = "combined", if = "$arg_log" }]
`, more: location("/merge", `proxy_pass = "http://app"`, `add_header = { X-Location = "1" }`) +
		location("/off", `proxy_pass = "http://app"`, `add_header_inherit = "off"`) +
		location("/on", `proxy_pass = "http://app"`, `add_header_inherit = "on"`, `add_header = { X-Location = "1" }`)}.toml())
	r := p.exchange("GET", "GET /?log=1 HTTP/1.1\r\nHost: a\r\na_b: under\r\nX~Y: tilde\r\n\r\n")
	if string(r.body) != "undertilde" || r.fields.get("Keep-Alive") != "timeout=20" || r.fields.get("Server") != "Custom" {
		t.Errorf("%q with %v", r.body, r.fields)
	}
	p.wantStatus(400, "/?log=0", "A: 1", "B: 1", "C: 1", "D: 1", "E: 1", "F: 1")
	for path, want := range map[string][2]bool{"/": {true, false}, "/merge": {true, true}, "/off": {false, false}, "/on": {false, true}} {
		if r := p.get(path); (r.fields.has("X-Http") != want[0]) || (r.fields.has("X-Location") != want[1]) {
			t.Errorf("%s: %v", path, r.fields)
		}
	}
	p.get("/last?log=1")
	if lines := p.waitLines("if.log", 2); len(lines) != 2 || !strings.Contains(lines[1], "/last") {
		t.Errorf("log: %q", lines)
	}
}
