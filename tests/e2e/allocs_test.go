// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freeFeatures are an nginx.conf whose locations use one feature each, of those that cost no allocation. @ORIGIN@ is an origin.
const freeFeatures = `worker_processes 1; pid run/weir.pid; error_log stderr crit;
events { worker_connections 256; }
http {
    access_log logs/access.log combined buffer=32k flush=1s;
    keepalive_requests 1000000;
    types { text/html html; }
    log_format all '$remote_addr $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" $request_time $upstream_response_time $upstream_addr $upstream_status $request_id '
        '$host $server_name $uri $args $arg_a $cookie_c $sent_http_content_type $connection $connection_requests $msec $time_iso8601 $request_length $bytes_sent $pipe $mapped $network $share';
    map $http_x $mapped { default d; a b; ~^[0-9] number; }
    geo $network { default g; 127.0.0.0/8 l; }
    split_clients $remote_addr$uri $share { 50% a; * b; }
    limit_req_zone $binary_remote_addr zone=rate:1m rate=1000000r/s;
    limit_conn_zone $binary_remote_addr zone=address:1m;
    limit_conn_zone $uri$http_x zone=text:1m;
    upstream plain { server @ORIGIN@; keepalive 8; keepalive_requests 1000000; }
    upstream least { least_conn; server @ORIGIN@; server @ORIGIN@; keepalive 8; keepalive_requests 1000000; }
    upstream hashed { hash $uri consistent; server @ORIGIN@; server @ORIGIN@; keepalive 8; keepalive_requests 1000000; }
    upstream chance { random two least_conn; server @ORIGIN@; server @ORIGIN@; keepalive 8; keepalive_requests 1000000; }
    proxy_http_version 1.1; proxy_set_header Connection "";
    server {
        listen 127.0.0.1:@PORT1@;
        root files;
        location / { proxy_pass http://plain; }
        location = /limits { limit_req zone=rate burst=1000 nodelay; limit_conn address 100; limit_conn text 100; proxy_pass http://plain; }
        location = /least { proxy_pass http://least; }
        location = /hash { proxy_pass http://hashed; }
        location = /random { proxy_pass http://chance; }
        location = /log { access_log logs/all.log all buffer=32k; proxy_pass http://plain; }
        location = /logif { access_log logs/if.log combined if=$http_x; proxy_pass http://plain; }
        location = /map { proxy_set_header X-M $mapped; proxy_set_header X-N $network; proxy_set_header X-S $share; proxy_pass http://plain; }
        location = /file.html { expires 1h; }
        location = /try { try_files /none /file.html; }
        location = /rewrite { rewrite ^/rewrite$ /limits last; }
        location = /set { set $a "x$uri"; if ($a ~* "set") { set $b 1; } add_header X-A $a; proxy_pass http://plain; }
        location = /sub { sub_filter_types *; sub_filter o 00; sub_filter_once off; proxy_pass http://plain; }
        location = /gzip { gzip on; gzip_types *; gzip_min_length 1; proxy_pass http://plain; }
        location = /realip { set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_pass http://plain; }
        location = /allow { allow 127.0.0.0/8; deny all; proxy_pass http://plain; }
        location = /auth { auth_request /granted; proxy_pass http://plain; }
        location = /granted { internal; return 200; }
        location = /mirror { mirror /granted; proxy_pass http://plain; }
        location = /return { return 200 "$uri $remote_addr"; }
        location = /page { error_page 404 =200 /file.html; return 404; }
        location = /headers { add_header X-A $request_id always; proxy_hide_header Date; proxy_set_header X-Request-ID $request_id; proxy_set_header Host $host; proxy_pass http://plain; }
        location = /variable { set $to plain; proxy_pass http://$to; }
        location = /rate { limit_rate 100m; proxy_pass http://plain; }
        location = /status { stub_status; }
    }
}
`

// Serving allocates nothing, whatever the features that a location uses. Where an expression's groups are used, the library allocates; and files that bodies are
// written to, passwords and logs with variable names are the business of goroutines beside the loop.
func TestFeaturesAllocateNothing(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	if flags := os.Getenv("WEIR_E2E_BUILDFLAGS"); flags != "" {
		t.Skipf("binaries built with %s allocate", flags)
	}
	bin := t.TempDir()
	for _, name := range []string{"weir", "weir-convert"} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(weirBinary), name))
		if err != nil {
			t.Fatal(err)
		}
		writeProgram(t, filepath.Join(bin, name), text, 0o755)
	}
	if err := buildBinary(filepath.Join(bin, "weir-worker"), "../../cmd/worker", testVersion, "-tags=mallocs"); err != nil {
		t.Fatal(err)
	}
	conf := strings.ReplaceAll(freeFeatures, "@ORIGIN@", okOrigin(t).addr)
	var paths []string
	for _, m := range regexp.MustCompile(`location (?:= )?(/\S*) \{ (?:.*)`).FindAllStringSubmatch(conf, -1) {
		if !strings.Contains(m[0], "internal;") {
			paths = append(paths, m[1])
		}
	}
	const requests = 200
	more := func(paths ...string) int {
		return mallocs(t, bin, conf, paths, 10+requests) - mallocs(t, bin, conf, paths, 10)
	}
	if n := more(paths...); n < requests/2 {
		return // what the runtime allocates for itself differs by some tens
	}
	for _, path := range paths {
		if n := more(path); n >= requests/2 {
			t.Errorf("%d requests for %s allocate %d times", requests, path, n)
		}
	}
}

// mallocs is how many allocations a worker makes in a life with so many requests for each path.
func mallocs(t *testing.T, bin, conf string, paths []string, requests int) int {
	t.Helper()
	p := newProxy(t)
	p.config, p.args = "nginx.conf", []string{"-c", "conf/nginx.conf", "-g", "daemon off;"}
	p.prepare = func(c *exec.Cmd) { c.Path = filepath.Join(bin, "weir") }
	if err := os.Mkdir(p.path("files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("files/file.html"), []byte("a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.start(conf)
	c := p.dial()
	for _, path := range paths {
		for range requests {
			c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: a\r\nX: 7\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\r\nCookie: c=d\r\n\r\n", path))
			if r := c.read("GET"); r.status != 200 {
				t.Fatalf("%s: status %d", path, r.status)
			}
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("weir does not end")
	}
	_, rest, found := strings.Cut(p.stderr.String(), "weir-worker: mallocs: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if !found || err != nil {
		t.Fatalf("no number of allocations: %s", p.stderr)
	}
	return n
}
