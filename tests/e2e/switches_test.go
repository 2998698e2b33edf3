// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/dnstest"
)

// With mirror_request_body = false the copies of requests have no bodies, and what is done with the request does not wait for one. They have its arguments.
func TestMirrorWithoutBody(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string { return ok("") })
	p := start(t, site{origin: o.addr, location: `mirror = ["/with"]`, more: location("/bare", `mirror = ["/without"]`, "mirror_request_body = false", `proxy_pass = "http://app"`) +
		location("/with", "internal = true", `proxy_pass = "http://app"`) +
		location("/without", "internal = true", `proxy_pass = "http://app"`, `proxy_set_header = { Content-Length = "" }`)})
	for _, path := range []string{"/?a=1", "/bare"} {
		if r := p.exchange("POST", "POST "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"); r.status != 200 {
			t.Fatalf("%s: status %d", path, r.status)
		}
	}
	want := map[string]string{"/?a=1": "body", "/with?a=1": "body", "/bare": "body", "/without": ""}
	eventually(t, ioDeadline, "all requests have come", func() bool { return len(o.seen()) == len(want) })
	for _, r := range o.seen() {
		path := strings.Fields(r.line)[1]
		if text, ok := want[path]; !ok || string(r.body) != text {
			t.Errorf("%s has the body %q, want %q", path, r.body, text)
		}
	}
}

// disable_symlinks with from looks only at what comes behind the beginning of the name. For conditions, a file behind a link that is not allowed is none.
func TestDisableSymlinksFrom(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	for _, dir := range []string{"real", "real/sub"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"real/a.txt": "a", "real/sub/b.txt": "b"} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"link": "real", "real/inner": "sub", "alone.txt": "real/a.txt"} {
		if err := os.Symlink(to, p.path(from)); err != nil {
			t.Fatal(err)
		}
	}
	root := `root = "` + p.path("link") + `"`
	p.start(site{proxyPass: "-", location: root + "\n" + `disable_symlinks = { mode = "on", from = "$document_root" }`,
		more: location("/sub/", root, `disable_symlinks = "on"`) +
			location("= /whole", `alias = "`+p.path("alone.txt")+`"`, `disable_symlinks = { mode = "on", from = "$request_filename" }`) +
			location("/asked/", `alias = "`+p.path("link")+`/"`, `disable_symlinks = "on"`, `rewrite = [{ if = "-f $request_filename", rewrite = [{ return = { code = 204 } }] }]`)}.toml())
	for path, status := range map[string]int{"/a.txt": 200, "/inner/b.txt": 403, "/sub/b.txt": 403, "/whole": 200, "/asked/a.txt": 403} {
		if r := p.get(path); r.status != status {
			t.Errorf("%s: status %d, want %d", path, r.status, status)
		}
	}
}

// Name servers are asked for addresses of the families that the resolver's ipv4 and ipv6 leave on only.
func TestResolverFamilies(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	names := dnstest.New(t)
	names.SetAddrs("four.example", 60, "127.0.0.1")
	names.SetAddrs("six.example", 60, "::1")
	dead := deadAddress(t)
	port := dead[strings.LastIndexByte(dead, ':')+1:]
	family := func(path, more string) string {
		return location(path, `proxy_pass = "http://$arg_h:`+port+`/"`, fmt.Sprintf("resolver = { addresses = [%q]%s }", names.Addr, more),
			`add_header = { X-Addr = { value = "$upstream_addr", always = true } }`)
	}
	p := start(t, site{proxyPass: "-", more: family("/both", "") + family("/without4", ", ipv4 = false") + family("/without6", ", ipv6 = false")})
	for _, c := range []struct{ target, want string }{
		{"/both?h=four.example", dead}, {"/both?h=six.example", "[::1]:" + port}, {"/without4?h=six.example", "[::1]:" + port}, {"/without6?h=four.example", dead},
	} {
		if r := p.get(c.target); r.status != 502 || r.fields.get("X-Addr") != c.want {
			t.Errorf("%s: status %d from %q, want 502 from %s", c.target, r.status, r.fields.get("X-Addr"), c.want)
		}
	}
	for _, target := range []string{"/without4?h=four.example", "/without6?h=six.example"} {
		if r := p.get(target); r.status != 502 || strings.Contains(r.fields.get("X-Addr"), port) {
			t.Errorf("%s: status %d from %q, want 502 from nobody", target, r.status, r.fields.get("X-Addr"))
		}
	}
}

// resolver_timeout ends the wait for a name server that is silent, for a group its own.
func TestResolverTimeout(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	names := dnstest.New(t)
	names.Behave(dnstest.Behaviour{Silent: true})
	p := start(t, site{proxyPass: "-", http: fmt.Sprintf("resolver = { addresses = [%[1]q] }\n[http.upstream.own]\nresolver = { addresses = [%[1]q] }\nresolver_timeout = \"200ms\"\nserver = [{ address = \"b.example:80\", resolve = true }]", names.Addr),
		more: location("/asked", `proxy_pass = "http://$arg_h"`, `resolver_timeout = "300ms"`)})
	p.waitLog("host not found in upstream.*b.example")
	begun := time.Now()
	r := p.get("/asked?h=a.example")
	if took := time.Since(begun); r.status != 502 || took < 250*time.Millisecond || took > tooLate {
		t.Errorf("status %d after %v, want 502 after 300ms", r.status, took)
	}
}

// With reset_timedout_connection a connection that is closed with 444 is reset; without, it ends.
func TestResetOf444(t *testing.T) {
	t.Parallel()
	p := start(t, site{proxyPass: "-", location: "return = { code = 444 }\nreset_timedout_connection = true", more: location("/ends", "return = { code = 444 }")})
	for path, reset := range map[string]bool{"/": true, "/ends": false} {
		c := p.dial()
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.within(ioDeadline)
		text, err := io.ReadAll(c.br)
		if len(text) > 0 || errors.Is(err, syscall.ECONNRESET) != reset || err != nil && !isHangUp(err) {
			t.Errorf("%s: %q and %v, reset: %v wanted", path, text, err, reset)
		}
	}
}

// set_real_ip_from may name hosts: those that have an address then are believed, others are not, with a warning.
func TestRealIPFromHosts(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx does not start with such a name
	p := start(t, site{proxyPass: "-", http: `set_real_ip_from = ["no-such-host.invalid", "localhost"]`, location: `return = { code = 200, text = "$remote_addr" }`})
	if r := p.get("/", "X-Real-IP: 192.0.2.9"); string(r.body) != "192.0.2.9" {
		t.Errorf("$remote_addr is %q", r.body)
	}
	p.waitLog("host not found in set_real_ip_from.*no-such-host.invalid")
}

// What a worker may have of the kernel is what the configuration says, whatever the master has; what it may not have is an alert, and it serves all the same.
func TestWorkerLimits(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx's children are told apart otherwise
	s := site{proxyPass: "-", location: "return = { code = 204 }", main: "worker_rlimit_nofile = 777\nworker_priority = 3"}
	p := start(t, s)
	worker := p.children()[0]
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", worker))
	if err != nil || !regexp.MustCompile(`Max open files +777 +777 `).Match(limits) {
		t.Errorf("worker_rlimit_nofile: %v, %s", err, limits)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker))
	if fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); err != nil || fields[16] != "3" { // proc_pid_stat(5), nice
		t.Errorf("worker_priority: %v, %s", err, stat)
	}
	p.allow(`\[alert\] .*worker_rlimit_nofile`)
	s.main = "worker_rlimit_nofile = 1073741824" // more than any kernel gives
	p.writeConfig(s.toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload", "-c", "conf/weir.toml"); code != 0 {
		t.Errorf("reload: exit %d, %s", code, out)
	}
	p.waitLog(`\[alert\] .*worker_rlimit_nofile`)
	p.get("/")
}
