// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"slices"
	"strings"
	"testing"
)

func TestProxySetHeader(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr,
		http: `proxy_set_header = { X-Level = "http" }`,
		location: `proxy_set_header = { Host = "$host", X-Real-IP = "$remote_addr", X-Forwarded-For = "$proxy_add_x_forwarded_for", ` +
			`X-URI = "$uri|$request_uri|$args|$is_args", X-Method = "$request_method $server_protocol $scheme", Accept = "", X-Arg = "$arg_b", ` +
			`X-Cookie = "$cookie_c", X-Agent = "${http_user_agent}!", X-Port = "$server_port", X-Gone = "$http_not_there", X-HH = "$http_host" }`,
		more: location("/inherits", `proxy_pass = "http://app"`)})
	c := p.dial()
	c.send("GET /a%20b/../c?a=1&b=two HTTP/1.1\r\nHost: WWW.Example:81\r\nX-Forwarded-For: 9.9.9.9\r\nAccept: x\r\nCookie: c=val; d=e\r\n" +
		"User-Agent: ua\r\nX-Real-IP: forged\r\n\r\n")
	c.read("GET")
	fs := o.last().fields
	for name, want := range map[string]string{
		"Host": "www.example", "X-Real-IP": "127.0.0.1", "X-Forwarded-For": "9.9.9.9, 127.0.0.1",
		"X-URI": "/c|/a%20b/../c?a=1&b=two|a=1&b=two|?", "X-Method": "GET HTTP/1.1 http", "X-Arg": "two", "X-Cookie": "val", "X-Agent": "ua!",
		"X-Port": p.ports[0], "X-HH": "WWW.Example:81",
	} {
		if got := fs.all(name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"Accept", "X-Gone", "X-Level", "Connection"} {
		if fs.has(name) {
			t.Errorf("the origin got %s: %q", name, fs.all(name))
		}
	}
	c.get("/inherits", 200)
	if fs := o.last().fields; fs.get("X-Level") != "http" || fs.get("Host") != "app" {
		t.Errorf("inherited from http: %q", o.last().raw)
	}
}

// A value with a line end in it must not become two fields.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr,
		location: `proxy_set_header = { X-Arg = "$arg_x" }` + "\n" + `add_header = { X-Back = "$arg_x" }`,
		more:     location("/go", `return = { code = 302, url = "http://h$uri" }`)})
	r := p.get("/?x=a%0d%0aEvil:%20yes")
	if r.fields.has("Evil") || o.last().fields.has("Evil") {
		t.Errorf("an escaped line end became a field: %q; the origin got %q", r.raw, o.last().raw)
	}
	if !useNginx() { // its $uri is decoded: the known trap
		if r := p.get("/go/a%0d%0aEvil:%20yes"); r.fields.has("Evil") {
			t.Errorf("$uri in a redirect injects a field: %q", r.raw)
		}
	}
}

func TestHideAndPassHeader(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string {
		return ok("ok", "Server: origin/1", "X-Powered-By: php", "X-Other: o", "X-Pad: p")
	})
	p := start(t, site{origin: o.addr, location: "proxy_hide_header = [\"x-powered-by\", \"X-Pad\"]\nproxy_pass_header = [\"Server\"]"})
	fs := p.get("/").fields
	if fs.has("X-Powered-By") || fs.has("X-Pad") || !fs.has("X-Other") {
		t.Errorf("proxy_hide_header: %v", fs)
	}
	if got := fs.all("Server"); !slices.Equal(got, []string{"origin/1"}) {
		t.Errorf("proxy_pass_header Server: %q", got)
	}
}

func TestAddHeader(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		if strings.HasPrefix(r.target, "/404") {
			return reply(404, "Not Found", "")
		}
		return ok("ok")
	})
	p := start(t, site{origin: o.addr,
		server: `add_header = { X-Some = "$status", X-Always = { value = "$host", always = true }, X-Empty = "$arg_none" }`,
		more: location("/own", `return = 204`, `add_header = { X-Own = "1" }`) +
			location("/moved", `return = { code = 301, url = "http://x/" }`)})
	for target, want := range map[string][3]string{
		"/": {"200", "localhost", ""}, "/404": {"", "localhost", ""}, "/own": {"", "", "1"}, "/moved": {"301", "localhost", ""},
	} {
		fs := p.get(target).fields
		if got := [3]string{fs.get("X-Some"), fs.get("X-Always"), fs.get("X-Own")}; got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		if fs.has("X-Empty") {
			t.Errorf("%s: an empty field was added", target)
		}
	}
}

func TestProxyRedirect(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string {
		return reply(302, "Found", "", "Location: "+r.fields.get("X-To"))
	})
	p := start(t, site{origin: o.addr, more: "" +
		location("/sub/", `proxy_pass = "http://app/remote/"`) +
		location("/off/", `proxy_pass = "http://app/remote/"`, `proxy_redirect = "off"`) +
		location("/own/", `proxy_pass = "http://app/remote/"`, `proxy_redirect = ["default", { from = "http://inner:8000/", to = "http://$host/outer/" }, { from = "/rel/", to = "/mine/" }]`)})
	self := "http://localhost:" + p.ports[0]
	for _, tt := range []struct{ target, location, want string }{
		{"/sub/x", "http://app/remote/y?z", self + "/sub/y?z"},
		{"/sub/x", "http://app/elsewhere", "http://app/elsewhere"},
		{"/sub/x", "https://app/remote/y", "https://app/remote/y"},
		{"/off/x", "http://app/remote/y", "http://app/remote/y"},
		{"/own/x", "http://app/remote/y", self + "/own/y"},
		{"/own/x", "http://inner:8000/y", "http://localhost/outer/y"},
		{"/own/x", "/rel/y", self + "/mine/y"},
		{"/own/x", "/other", "/other"},
		{"/x", "http://app/y", self + "/y"},
	} {
		got := p.get(tt.target, "X-To: "+tt.location).fields.get("Location")
		// A path alone is as good as the absolute address of the same.
		if got != tt.want && self+got != tt.want {
			t.Errorf("%s, Location: %s: got %s, want %s", tt.target, tt.location, got, tt.want)
		}
	}
}
