// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGroups checks which group every proxy_pass leads to, and that one address is one group.
func TestGroups(t *testing.T) {
	c := mustLoad(t, `
[http.upstream.app]
server = ["127.0.0.1:1", "127.0.0.1:2"]
keepalive = 5
[http.upstream.other]
server = "127.0.0.1:3"
[[http.server]]
[[http.server.location]]
path = "/0"
proxy_pass = "http://other"
[[http.server.location]]
path = "/1"
proxy_pass = "http://app/x"
[[http.server.location]]
path = "/2"
proxy_pass = "http://127.0.0.1:1"
[[http.server.location]]
path = "/3"
proxy_pass = "http://localhost:1/y"
[[http.server.location]]
path = "/4"
proxy_pass = "http://unix:run/app.sock:/z"
[[http.server.location]]
path = "/5"
proxy_pass = "http://[::1]"
[[http.server.location]]
path = "/6"
`)
	type target struct {
		group     int
		authority string
		port      int
		uri       string
	}
	want := []target{
		{1, "other", 80, ""}, {0, "app", 80, "/x"}, {2, "127.0.0.1:1", 1, ""}, {2, "localhost:1", 1, "/y"}, {3, "localhost", 0, "/z"}, {4, "[::1]", 80, ""},
	}
	for i, w := range want {
		x := c.HTTP.Servers[0].Locations[i].ProxyPass
		if got := (target{x.Group, x.Authority, x.Port, x.URI}); got != w {
			t.Errorf("location %d: got %+v, want %+v", i, got, w)
		}
	}
	if c.HTTP.Servers[0].Locations[6].ProxyPass != nil {
		t.Error("a location without proxy_pass has one")
	}
	names := []string{}
	for _, g := range c.Groups {
		names = append(names, g.Name+" "+g.Servers[0].Address.String()+" "+strconv.Itoa(g.Keepalive)+" "+strconv.Itoa(g.Servers[0].MaxFails))
	}
	wantNames := []string{"app 127.0.0.1:1 5 1", "other 127.0.0.1:3 32 1", "127.0.0.1:1 127.0.0.1:1 32 1",
		"unix:run/app.sock unix:/prefix/run/app.sock 32 1", "[::1] [::1]:80 32 1"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// TestRedirects checks proxy_redirect against the examples in nginx's documentation of it.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		path, pass, redirect string
		want                 []Redirect
	}{
		{"/one/", "http://127.0.0.1:80/two/", `"default"`, []Redirect{{From: "http://127.0.0.1:80/two/", To: "/one/"}}},
		{"/one/", "http://127.0.0.1:80", `"default"`, []Redirect{{From: "http://127.0.0.1:80/", To: "/"}}},
		{"= /one", "http://127.0.0.1/two", `"default"`, []Redirect{{From: "http://127.0.0.1/two", To: "/one"}}},
		{"~ ^/one", "http://127.0.0.1:80", `"default"`, []Redirect{{From: "http://127.0.0.1:80/", To: "/"}}},
		{"@one", "http://127.0.0.1:80", `["default", { from = "~a$", to = "b" }]`, []Redirect{{From: "http://127.0.0.1:80/", To: "/"}, {From: "~a$", To: "b"}}},
		{"/", "http://127.0.0.1:80/", `"off"`, nil},
		{"/", "http://127.0.0.1:80/", `[]`, nil},
		{"/", "http://127.0.0.1:80/", `false`, nil},
		{"/", "http://127.0.0.1:80/", `{ from = "http://$host/", to = "/" }`, []Redirect{{From: "http://$host/", To: "/"}}},
		{"/", "http://unix:/a.sock:/b/", `"default"`, []Redirect{{From: "http://unix:/a.sock:/b/", To: "/"}}},
		{"/", "http://unix:/a.sock:", `"default"`, []Redirect{{From: "http://unix:/a.sock:/", To: "/"}}},
	} {
		l := mustLoad(t, "[[http.server]]\n[[http.server.location]]\npath = '"+c.path+"'\nproxy_pass = '"+c.pass+"'\nproxy_redirect = "+c.redirect).HTTP.Servers[0].Locations[0]
		if diff := cmp.Diff(c.want, l.Redirects); diff != "" {
			t.Errorf("%s -> %s, %s (-want +got):\n%s", c.path, c.pass, c.redirect, diff)
		}
	}
}

// TestListeners checks the servers behind every address, the default among them, and which socket accepts.
func TestListeners(t *testing.T) {
	c := mustLoad(t, `
[http]
limit_conn_zone.a = { key = "$remote_addr", size = "1m" }
[[http.server]]
listen = ["*:80", "127.0.0.1:80", "[::1]:80"]
server_name = "a"
[[http.server]]
listen = [{ address = "127.0.0.1:80", default_server = true }, "unix:a.sock"]
server_name = "b"
[[http.server]]
listen = [{ address = "*:80", backlog = 9 }, { address = "[::]:80", ipv6only = true }, "127.0.0.1:81"]
server_name = "c"
[[http.server]]
listen = [{ address = "127.0.0.2:80", reuseport = true }, { address = "[::]:82", ipv6only = false }, "127.0.0.1:82", "[::1]:82", "127.0.0.1:83", "[::]:83",
  { address = "127.0.0.3:80", limit_conn = { zone = "a", max = 1 } }]
server_name = "d"
`)
	type listener struct {
		Address       string
		Servers       []int
		Default, Via  int
		Backlog       int
		DefaultServer bool
	}
	want := []listener{
		{"0.0.0.0:80", []int{0, 2}, 0, 0, 9, false},
		{"127.0.0.1:80", []int{0, 1}, 1, 0, 511, true},
		{"[::1]:80", []int{0}, 0, 4, 511, false},
		{"unix:/prefix/a.sock", []int{1}, 1, 3, 511, false},
		{"[::]:80", []int{2}, 2, 4, 511, false},
		{"127.0.0.1:81", []int{2}, 2, 5, 511, false},
		{"127.0.0.2:80", []int{3}, 3, 6, 511, false}, // has an option, so it binds its own
		{"[::]:82", []int{3}, 3, 7, 511, false},
		{"127.0.0.1:82", []int{3}, 3, 7, 511, false}, // [::]:82 takes IPv4 too
		{"[::1]:82", []int{3}, 3, 7, 511, false},
		{"127.0.0.1:83", []int{3}, 3, 10, 511, false}, // [::]:83 does not
		{"[::]:83", []int{3}, 3, 11, 511, false},
		{"127.0.0.3:80", []int{3}, 3, 12, 511, false}, // has limits of its own, so it binds its own
	}
	var got []listener
	for _, l := range c.Listeners {
		got = append(got, listener{l.Address.String(), l.Servers, l.Default, l.Via, l.Backlog, l.DefaultServer})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCaptures checks that named groups of every regular expression are variables in every template.
func TestCaptures(t *testing.T) {
	c := mustLoad(t, `
[http]
add_header = { X = "$tenant" }
[[http.server]]
server_name = '~^(?<tenant>.+)\.example$'
[[http.server.location]]
path = '~ ^/(?P<item>.)(?<tenant>.)'
return = { code = 200, text = "$item" }
`)
	for _, name := range []string{"tenant", "item"} {
		if _, ok := c.Variables.ID(name); !ok {
			t.Errorf("$%s is not defined", name)
		}
	}
	if n := c.Variables.Len(); n != 2 {
		t.Errorf("%d variables", n)
	}
}
