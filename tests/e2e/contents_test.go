// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// contentConf has what the answers of several parts of weir come together in.
const contentConf = `worker_processes 1;
pid run/weir.pid;
error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  default_type text/plain;
  gzip_types text/plain;
  map $arg_r $folder { default "@DIR@/www"; ~^(?<deep>su)(b)$ "@DIR@/www/$deep$2"; }
  map $arg_f $file { default /none; ~^(.*)-x$ "/$1"; }
  upstream full { server %[1]s max_conns=1; }
  upstream app { server %[1]s; }
  server {
    listen 127.0.0.1:@PORT1@;
    root "@DIR@/www";
    location /page { }
    location = /ask { gzip on; gzip_min_length 1; rewrite ^ /page break; }
    location /list/ { alias "@DIR@/www/"; autoindex on; }
    location /asked/ { auth_request /ask; alias "@DIR@/www/"; }
    location /listed/ { auth_request /list/; alias "@DIR@/www/"; }
    location /mirrored/ { mirror /ask; mirror /list/; alias "@DIR@/www/"; }
    location /by/ { set $name full; proxy_pass http://$name; }
    location /packed/ { gzip on; proxy_pass http://app; }
    location /packed/else { gzip on; proxy_pass http://app; error_page 502 @plain; }
    location @plain { gzip off; return 200 plain; }
    location @app { proxy_pass http://app; }
    location /204/file { error_page 404 =204 /page; return 404; }
    location /204/app { error_page 404 =204 @app; return 404; }
    location /304/app { error_page 404 =304 @app; return 404; }
    location /try { root $folder; try_files $file /none$file =404; }
    location /alias/ { alias $folder/; index $file; disable_symlinks on from=$folder; }
  }
}
`

func startContent(t *testing.T, o *origin) *proxy {
	t.Helper()
	weirOnly(t)
	p := startNginxConf(t, fmt.Sprintf(contentConf, o.addr))
	for name, text := range map[string]string{"page": strings.Repeat("page ", 100), "sub/in": "in the folder"} {
		name = p.path("www", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// openBelow counts the descriptors of a process that are files below a folder.
func openBelow(pid int, folder string) int {
	n := 0
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, folder) {
			n++
		}
	}
	return n
}

// Subrequests that files and lists of folders would answer keep no file and no compressor, and nothing comes back to them when they are over.
func TestSubrequestsToFiles(t *testing.T) {
	t.Parallel()
	p := startContent(t, answering(t, func(*request) string { return ok("x") }))
	workers := p.children()
	c := p.dial()
	for i := range 60 { // there are fewer compressors than this
		target := []string{"/asked/page", "/listed/page", "/mirrored/page"}[i%3]
		if r := c.get(target, 200); !strings.HasPrefix(string(r.body), "page ") {
			t.Fatalf("%s: %q", target, r.body)
		}
	}
	if r := c.get("/ask", 200); len(r.body) != 500 {
		t.Errorf("/ask: %d bytes", len(r.body))
	}
	p.sameWorkers(workers)
	eventually(t, ioDeadline, "all files are closed", func() bool { return openBelow(workers[0], p.path("www")) == 0 })
	if r := p.get("/ask", "Accept-Encoding: gzip"); r.fields.get("Content-Encoding") != "gzip" {
		t.Error("no compressor is left")
	}
}

// A variable names a group that has no place left.
func TestVariableNamesFullUpstream(t *testing.T) {
	t.Parallel()
	asked, goOn := make(chan bool, 1), make(chan bool)
	o := answering(t, func(*request) string {
		asked <- true
		<-goOn
		return ok("x")
	})
	var once sync.Once
	release := func() { once.Do(func() { close(goOn) }) }
	p := startContent(t, o)
	t.Cleanup(release) // before the origin and weir are ended
	workers := p.children()
	first := p.dial()
	first.send("GET /by/1 HTTP/1.1\r\nHost: h\r\n\r\n")
	<-asked
	p.wantStatus(502, "/by/2")
	release()
	if r := first.read("GET"); r.status != 200 {
		t.Errorf("status %d", r.status)
	}
	p.sameWorkers(workers)
}

// An answer that was to be compressed, and is given up before any of it was sent, leaves nothing in the one that comes instead.
func TestGivenUpGzip(t *testing.T) {
	t.Parallel()
	p := startContent(t, answering(t, func(*request) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nno chunk\r\n"
	}))
	for _, target := range []string{"/packed/x", "/packed/else"} {
		r := p.get(target, "Accept-Encoding: gzip")
		if r.status != 502 || r.fields.get("Transfer-Encoding") != "" || r.fields.get("Content-Encoding") != "" || r.fields.get("Content-Length") != fmt.Sprint(len(r.body)) {
			t.Errorf("%s: status %d, body %q, fields %v", target, r.status, r.body, r.fields)
		}
	}
}

// A status that has no body has none when it is an error page's, whose body would be taken for the next answer.
func TestErrorPageWithoutBody(t *testing.T) {
	t.Parallel()
	p := startContent(t, answering(t, func(*request) string { return ok("body of the page", "Content-Type: text/plain") }))
	c := p.dial()
	for target, status := range map[string]int{"/204/file": 204, "/204/app": 204, "/304/app": 304} {
		r := c.get(target, status)
		if status == 204 && r.fields.get("Content-Length") != "" {
			t.Errorf("%s: %v", target, r.fields)
		}
		if r := c.get("/page", 200); len(r.body) != 500 {
			t.Errorf("after %s: %q", target, r.body)
		}
	}
}

// Names of files with variables that are looked up, and matched, while the name is made.
func TestFileNamesOfVariables(t *testing.T) {
	t.Parallel()
	p := startContent(t, answering(t, func(*request) string { return ok("x") }))
	workers := p.children()
	for _, tt := range []struct {
		target string
		status int
		body   string
	}{
		{"/try?r=sub&f=in-x", 200, "in the folder"},
		{"/try?f=sub/in-x", 200, "in the folder"},
		{"/try?r=sub", 404, ""},
		{"/try?f=../conf/nginx.conf-x", 404, ""},
		{"/alias/in?r=sub", 200, "in the folder"},
		{"/alias/sub/in", 200, "in the folder"},
		{"/alias/in?r=su", 404, ""},
	} {
		r := p.wantStatus(tt.status, tt.target)
		if tt.status == 200 && string(r.body) != tt.body {
			t.Errorf("%s: %q", tt.target, r.body)
		}
	}
	p.sameWorkers(workers)
}
