// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tree makes files with the texts given, in a folder that everybody may read, and gives its name. All were changed at changed.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-files")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

var changed = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// asks is a request and what its answer must have.
type asks struct {
	path   string
	head   string // more lines of the request
	status int
	body   string            // "": any
	fields map[string]string // of the answer; "": it has none
	method string            // GET
}

func (p *proxy) asks(t *testing.T, list []asks) {
	t.Helper()
	for _, a := range list {
		if a.method == "" {
			a.method = "GET"
		}
		name := a.method + " " + a.path + " " + strings.TrimSpace(a.head)
		r := p.exchange(a.method, a.method+" "+a.path+" HTTP/1.1\r\nHost: a.example\r\n"+a.head+"Connection: close\r\n\r\n")
		if r.status != a.status {
			t.Errorf("%s: status %d, want %d", name, r.status, a.status)
			continue
		}
		if a.body != "" && string(r.body) != a.body {
			t.Errorf("%s: body %.200q, want %q", name, r.body, a.body)
		}
		for field, want := range a.fields {
			if got := r.fields.get(field); got != want {
				t.Errorf("%s: %s is %q, want %q", name, field, got, want)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"index.html": "hello world\n", "a.css": "body{}", "x": "plain", "sub/index.html": "sub", "empty/.keep": "", "list/b.txt": "bb", "list/a.txt": "a", "null": "", "deep/one.txt": "one",
	})
	for link, to := range map[string]string{"out": os.DevNull, "link.css": "a.css"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	const etag = `"65937d25-c"`
	p := start(t, site{proxyPass: "-", http: fmt.Sprintf("root = %q\ntypes = { 'text/html' = ['html'], 'text/css' = ['css'] }\ndefault_type = 'a/b'", dir), more: "" +
		location("/list/", "autoindex = true") +
		location("/json/", fmt.Sprintf("alias = %q\nautoindex = true\nautoindex_format = 'json'", dir+"/list/")) +
		location("/al", fmt.Sprintf("alias = %q", dir+"/sub")) +
		location("~ ^/re(.*)$", fmt.Sprintf("alias = \"%s/sub$1\"", dir)) +
		location("~ ^/rf/(.*)$", fmt.Sprintf("alias = '%s/$1'", dir)) +
		location("/try/", "try_files = ['$uri', '/index.html$arg_x', '@named']") +
		location("/code/", "try_files = ['$uri', '=404']") +
		location("@named", answer("named")) +
		location("/safe/", fmt.Sprintf("alias = %q\ndisable_symlinks = 'on'", dir+"/")) +
		location("/own/", fmt.Sprintf("alias = %q\ndisable_symlinks = { mode = 'if_not_owner', from = %q }", dir+"/", dir)) +
		location("/kept/", fmt.Sprintf("alias = %q\nexpires = '1h'\nmax_ranges = 1\netag = false\nif_modified_since = 'before'", dir+"/")) +
		location("= /dot", "empty_gif = true") +
		location("/name/", `return = { code = 200, text = "$document_root|$request_filename" }`)})
	p.asks(t, []asks{
		{path: "/index.html", status: 200, body: "hello world\n", fields: map[string]string{
			"Content-Type": "text/html", "Content-Length": "12", "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT", "ETag": etag, "Accept-Ranges": "bytes"}},
		{path: "/", status: 200, body: "hello world\n"},
		{path: "/sub/", status: 200, body: "sub"},
		{path: "/sub?a=b", status: 301, fields: map[string]string{"Location": "http://a.example:" + p.ports[0] + "/sub/?a=b"}},
		{path: "/a.css", status: 200, fields: map[string]string{"Content-Type": "text/css"}},
		{path: "/x", status: 200, fields: map[string]string{"Content-Type": "a/b"}},
		{path: "/null", status: 200, fields: map[string]string{"Content-Length": "0"}},
		{path: "/nope", status: 404}, {path: "/nope/", status: 404}, {path: "/empty/", status: 403}, {path: "/index.html/", status: 404},
		{path: "/" + strings.Repeat("n", 300), status: 404},
		{path: "/out", status: 404}, // a device
		{path: "/index.html", method: "HEAD", status: 200, fields: map[string]string{"Content-Length": "12"}},
		{path: "/index.html", method: "POST", status: 405, fields: map[string]string{"Allow": "GET, HEAD"}},
		{path: "/index.html", method: "DELETE", status: 405}, {path: "/nope", method: "POST", status: 404}, {path: "/nope", method: "PUT", status: 405},
		{path: "/../etc/passwd", status: 400}, {path: "/..%2f..%2fetc/passwd", status: 400}, {path: "/al../index.html", status: 404}, {path: "/re/../../x", status: 400},
		{path: "/al../x", status: 404}, {path: "/re..%2fx", status: 404}, {path: "/%00", status: 400}, {path: "/al/index.html", status: 200, body: "sub"},
		{path: "/re/index.html", status: 200, body: "sub"}, {path: "/re/", status: 200, body: "sub"}, {path: "/rf/empty/", status: 403}, {path: "/rf/sub/", status: 200, body: "sub"},

		{path: "/index.html", head: "If-None-Match: " + etag + "\r\n", status: 304, fields: map[string]string{"ETag": etag, "Content-Length": "", "Content-Type": ""}},
		{path: "/index.html", head: "If-Match: \"x\"\r\n", status: 412},
		{path: "/index.html", head: "If-Modified-Since: Tue, 02 Jan 2024 03:04:05 GMT\r\n", status: 304},
		{path: "/index.html", head: "If-Modified-Since: Tue, 02 Jan 2025 03:04:05 GMT\r\n", status: 200},
		{path: "/kept/index.html", head: "If-Modified-Since: Tue, 02 Jan 2025 03:04:05 GMT\r\n", status: 304},
		{path: "/index.html", head: "Range: bytes=6-8\r\n", status: 206, body: "wor", fields: map[string]string{"Content-Range": "bytes 6-8/12", "Accept-Ranges": ""}},
		{path: "/index.html", head: "Range: bytes=-3\r\n", status: 206, body: "ld\n"},
		{path: "/index.html", head: "Range: bytes=12-\r\n", status: 416, fields: map[string]string{"Content-Range": "bytes */12"}},
		{path: "/index.html", head: "Range: bytes=0-1\r\nIf-Range: " + etag + "\r\n", status: 206, body: "he"},
		{path: "/index.html", head: "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", status: 200, body: "hello world\n"},
		{path: "/kept/index.html", head: "Range: bytes=0-1,3-4\r\n", status: 200, body: "hello world\n", fields: map[string]string{"Cache-Control": "max-age=3600", "ETag": ""}},
		{path: "/index.html", method: "HEAD", head: "Range: bytes=0-1,3-4\r\n", status: 206, fields: map[string]string{"Content-Length": "196"}},

		{path: "/list/", status: 200, fields: map[string]string{"Content-Type": "text/html"}},
		{path: "/json/", status: 200, fields: map[string]string{"Content-Type": "application/json"}, body: "[\r\n" +
			"{ \"name\":\"a.txt\", \"type\":\"file\", \"mtime\":\"Tue, 02 Jan 2024 03:04:05 GMT\", \"size\":1 },\r\n" +
			"{ \"name\":\"b.txt\", \"type\":\"file\", \"mtime\":\"Tue, 02 Jan 2024 03:04:05 GMT\", \"size\":2 }\r\n]"},
		{path: "/try/nope", status: 200, body: "hello world\n"}, {path: "/try/nope?x=y", status: 200, body: "named"}, {path: "/code/nope", status: 404},
		{path: "/safe/a.css", status: 200, body: "body{}"}, {path: "/safe/link.css", status: 403}, {path: "/own/link.css", status: 200, body: "body{}"},
		{path: "/link.css", status: 200, body: "body{}"},
		{path: "/dot", status: 200, fields: map[string]string{"Content-Type": "image/gif", "Content-Length": "43"}},
		{path: "/name/a", status: 200, body: dir + "|" + dir + "/name/a"},
	})
}

// A large file arrives as it is: whole, in parts, with many parts at once, by clients that read slowly, and compressed.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	content := make([]byte, 5<<20)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range content {
		content[i] = byte("abcdefgh\n"[r.IntN(9)])
	}
	dir := tree(t, map[string]string{"large": string(content)})
	p := start(t, site{proxyPass: "-", http: fmt.Sprintf("root = %q", dir), more: location("/gz/", fmt.Sprintf("alias = %q\ngzip = true\ngzip_types = '*'", dir+"/"))})
	get := func(path, head string) *response {
		return p.exchange("GET", "GET "+path+" HTTP/1.1\r\nHost: a\r\n"+head+"Connection: close\r\n\r\n")
	}
	want := sha256.Sum256(content)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if got := get("/large", ""); sha256.Sum256(got.body) != want {
				t.Errorf("client %d got %d other bytes", i, len(got.body))
			}
		})
	}
	all.Wait()
	var pieces []byte
	for from := 0; from < len(content); from += 1_000_003 {
		pieces = append(pieces, get("/large", fmt.Sprintf("Range: bytes=%d-%d\r\n", from, from+1_000_002)).body...)
	}
	if sha256.Sum256(pieces) != want {
		t.Errorf("the parts are not the file: %d bytes", len(pieces))
	}
	var spans []string
	var wanted bytes.Buffer
	for i := range 300 { // as many as a head may have
		from := i * 7001
		spans = append(spans, fmt.Sprintf("%d-%d", from, from+6999))
		fmt.Fprintf(&wanted, "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes %d-%d/%d\r\n\r\n", from, from+6999, len(content))
		wanted.Write(content[from : from+7000])
	}
	wanted.WriteString("\r\n--B--\r\n")
	many := get("/large", "Range: bytes="+strings.Join(spans, ",")+"\r\n")
	_, boundary, _ := strings.Cut(many.fields.get("Content-Type"), "boundary=")
	if many.status != 206 || !bytes.Equal(bytes.ReplaceAll(many.body, []byte(boundary), []byte("B")), wanted.Bytes()) {
		t.Errorf("300 parts: status %d, %d bytes", many.status, len(many.body))
	}
	packed := get("/gz/large", "Accept-Encoding: gzip\r\n")
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || sha256.Sum256(plain) != want || len(packed.body) > len(content)*3/4 {
		t.Errorf("gzip: %d bytes of %d, %v", len(packed.body), len(plain), err)
	}
}

// A file that becomes shorter while it is sent ends the connection: the client sees that something is missing.
func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	dir := tree(t, map[string]string{"f": ""})
	if err := os.Truncate(filepath.Join(dir, "f"), size); err != nil {
		t.Fatal(err)
	}
	p := start(t, site{proxyPass: "-", http: fmt.Sprintf("root = %q", dir)})
	c := p.dial()
	c.send("GET /f HTTP/1.1\r\nHost: a\r\n\r\n")
	head := make([]byte, 1000)
	if _, err := io.ReadFull(c.br, head); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "f"), 1000); err != nil {
		t.Fatal(err)
	}
	c.within(ioDeadline)
	n, _ := io.Copy(io.Discard, c.br)
	if n >= size {
		t.Errorf("%d bytes of a file of 1000", n)
	}
	p.waitLog("truncated")
}
