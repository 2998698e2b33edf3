// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import "testing"

// rewriteConf is one server with nginx's rewrite module, maps, and locations in locations.
const rewriteConf = `worker_processes 1;
pid run/weir.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  default_type text/plain;
  map $arg_m $mapped { default "def"; "" none; ABC abc; ~^re-(?<mg>.)-(.)$ "re $mg $2"; ~^look(?!x) look; }
  map $args $kept { default "k=$args"; }
  map $args $vol { volatile; default "v=$args"; }
  geo $geo { default none; 127.0.0.0/8 local; 127.0.0.1/32 me; }
  split_clients "$arg_m" $split { 10% a; 20.5% b; * d; }
  server {
    listen 127.0.0.1:@PORT1@;
    set $who server;
    if ($arg_kill) { return 418; }
    rewrite ^/top/(.*)$ /moved/$1 last;
    location / { return 200 "root $uri $args $who"; }
    location /a/ { rewrite ^/a/(.*)$ /b/$1 last; return 200 "never"; }
    location /b/ { return 200 "b $uri|$args"; }
    location /flow/ { set $a 1; rewrite ^/flow/(.*)$ /b/$1; set $a "${a}2"; return 200 "f $uri $a"; }
    location /r302/ { rewrite ^/r302/(.*)$ http://x.test/b/$1 redirect; }
    location /r301/ { rewrite ^/r301/(.*)$ http://x.test/b/$1?q=$1 permanent; }
    location /rargs/ { rewrite ^/rargs/(.*)$ /b/x?y=$1 last; }
    location /rdrop/ { rewrite ^/rdrop/(.*)$ /b/x? last; }
    location /cycle/ { rewrite ^/cycle/(.*)$ /cycle/$1x last; }
    location /if2 { if ($arg_a = "b c") { return 200 eq; } if ($arg_a != b) { return 200 "ne $arg_a"; } return 200 b; }
    location /if3 { if ($uri ~ ^/if3/([0-9]+)-(?<nm>.*)$) { return 200 "$1 $2 $nm"; } if ($uri !~* FOO) { return 200 nofoo; } return 200 foo; }
    location /if6 { if (-f /etc/passwd) { set $f f; } if (!-d /etc/passwd) { set $f "${f}d"; } if (-e /nonexistent) { set $f "${f}e"; } if (-x /bin/sh) { set $f "${f}x"; } return 200 "$f"; }
    location /nest/ { location /nest/in/ { return 200 in; } location ~ \.gif$ { return 200 gif; } location = /nest/ex { return 200 ex; } return 200 nest; }
    location ~ \.php$ { return 200 php; }
    location ~ ^/rx/(?<first>[^/]+)/(.*)$ { location ~ /deep/(.*)$ { return 200 "deep $1 $first"; } return 200 "rx $1 $2 $first"; }
    location /int { internal; return 200 "internal $uri"; }
    location /toint { rewrite ^ /int last; }
    location /ep2/ { error_page 404 =200 /int; return 404; }
    location /ep4/ { error_page 404 @n; return 404; }
    location /rec/ { recursive_error_pages on; error_page 404 /rec2/; return 404; }
    location /rec2/ { recursive_error_pages on; error_page 403 =202 /b/rec; return 403; }
    location @n { return 200 "named $uri"; }
    location /lim/ { limit_except GET { deny all; } return 200 lim; }
    location /sa { set $args "n=1&m=2"; return 200 "$args $arg_n $is_args"; }
    location /look { if ($uri ~ ^/look/(?!no)(.*)$) { return 200 "ok $1"; } return 200 no; }
    location /map { set $was "$vol $kept"; set $args z=9; return 200 "$mapped|$was|$vol $kept|$geo|$split"; }
  }
}
`

// TestRewrite: the answers are those of nginx with the same configuration.
func TestRewrite(t *testing.T) {
	t.Parallel()
	p := startNginxConf(t, rewriteConf)
	for _, c := range []struct {
		path   string
		status int
		want   string // the body; of a redirect its address
	}{
		{"/?x=1", 200, "root / x=1 server"}, {"/?kill=1", 418, ""}, {"/top/x?z=1", 200, "root /moved/x z=1 server"},
		{"/a/x%20y?z=1", 200, "b /b/x y|z=1"}, {"/flow/x", 200, "f /b/x 12"},
		{"/r302/x%20y%3Fz?q", 302, "http://x.test/b/x%20y?z?q"}, {"/r301/x%20y%26?z=1", 301, "http://x.test/b/x%20y&?q=x%20y%26&z=1"},
		{"/rargs/a%26b%20c?z=1", 200, "b /b/x|y=a%26b%20c&z=1"}, {"/rdrop/a?z=1", 200, "b /b/x|"}, {"/cycle/a", 500, "*"},
		{"/if2?a=b", 200, "b"}, {"/if2?a=c", 200, "ne c"}, {"/if3/12-abc", 200, "12 abc abc"}, {"/if3/foo", 200, "foo"}, {"/if3/bar", 200, "nofoo"}, {"/if6", 200, "fdx"},
		{"/nest/", 200, "nest"}, {"/nest/in/", 200, "in"}, {"/nest/in/x.gif", 200, "gif"}, {"/nest/x.php", 200, "php"}, {"/nest/ex", 200, "ex"}, {"/q.php%0a", 200, "php"},
		{"/rx/aa/bb", 200, "rx aa bb aa"}, {"/rx/aa/deep/cc", 200, "deep cc aa"}, {"/int", 404, "*"}, {"/toint", 200, "internal /int"},
		{"/ep2/", 200, "internal /int"}, {"/ep4/%20x", 404, "named /ep4/ x"}, {"/rec/", 202, "b /b/rec|"}, {"/lim/", 200, "lim"}, {"/sa?x=1", 200, "n=1&m=2 1 ?"},
		{"/look/yes", 200, "ok yes"}, {"/look/no", 200, "no"},
		{"/map?m=abc", 200, "none|v=m=abc k=m=abc|v=z=9 k=m=abc|me|a"},
	} {
		r := p.get(c.path)
		got := string(r.body)
		if r.status == 301 || r.status == 302 {
			got = r.fields.get("Location")
		}
		if r.status != c.status || got != c.want && c.want != "*" {
			t.Errorf("%s: %d %q, want %d %q", c.path, r.status, got, c.status, c.want)
		}
	}
}
