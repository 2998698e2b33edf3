// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"os"
	"strings"
	"testing"
)

// With mirror_request_body = false the copies of requests have no bodies, and what is done with the request does not wait for one.
func TestMirrorWithoutBody(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string { return ok("") })
	p := start(t, site{origin: o.addr, location: `mirror = ["/with"]`, more: location("/bare", `mirror = ["/without"]`, "mirror_request_body = false", `proxy_pass = "http://app"`) +
		location("/with", "internal = true", `proxy_pass = "http://app"`) +
		location("/without", "internal = true", `proxy_pass = "http://app"`, `proxy_set_header = { Content-Length = "" }`)})
	for _, path := range []string{"/", "/bare"} {
		if r := p.exchange("POST", "POST "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"); r.status != 200 {
			t.Fatalf("%s: status %d", path, r.status)
		}
	}
	want := map[string]string{"/": "body", "/with": "body", "/bare": "body", "/without": ""}
	eventually(t, ioDeadline, "all requests have come", func() bool { return len(o.seen()) == len(want) })
	for _, r := range o.seen() {
		path := strings.Fields(r.line)[1]
		if text, ok := want[path]; !ok || string(r.body) != text {
			t.Errorf("%s has the body %q, want %q", path, r.body, text)
		}
	}
}

// disable_symlinks with from looks only at what comes behind the beginning of the name.
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
	for from, to := range map[string]string{"link": "real", "real/inner": "sub"} {
		if err := os.Symlink(to, p.path(from)); err != nil {
			t.Fatal(err)
		}
	}
	root := `root = "` + p.path("link") + `"`
	p.start(site{proxyPass: "-", location: root + "\n" + `disable_symlinks = { mode = "on", from = "$document_root" }`,
		more: location("/sub/", root, `disable_symlinks = "on"`)}.toml())
	for path, status := range map[string]int{"/a.txt": 200, "/inner/b.txt": 403, "/sub/b.txt": 403} {
		if r := p.get(path); r.status != status {
			t.Errorf("%s: status %d, want %d", path, r.status, status)
		}
	}
}
