// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"testing"
)

// With client_body_in_file_only every request's body is in a file, whose name the origin is told: it stays there with "on", and goes with the request with "clean". A body that is
// broken off leaves no file.
func TestBodyInFile(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string {
		text, err := os.ReadFile(r.fields.get("X-File"))
		if diff := differ(text, r.body); err != nil || diff != "" && r.fields.get("X-Drops") == "" {
			return ok(fmt.Sprintf("%s: %v %s", r.fields.get("X-File"), err, diff), "X-File: "+r.fields.get("X-File"))
		}
		return ok(fmt.Sprintf("good %d", len(text)), "X-File: "+r.fields.get("X-File"))
	})
	fields := `proxy_set_header = { X-File = "$request_body_file" }`
	p := start(t, site{origin: o.addr, http: fields + "\nclient_max_body_size = 0", location: `client_body_in_file_only = "on"`, more: location("/clean", `proxy_pass = "http://app"`, `client_body_in_file_only = "clean"`) +
		location("/dropped", `proxy_pass = "http://app"`, `client_body_in_file_only = "clean"`, `proxy_pass_request_body = false`,
			`proxy_set_header = { X-File = "$request_body_file", X-Drops = "1" }`) +
		location("/off", `proxy_pass = "http://app"`)})
	files := func() int {
		entries, err := os.ReadDir(p.path("tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for _, size := range []int{1, 100, 70_000, 3 << 20} {
		for _, path := range []string{"/", "/clean", "/dropped"} {
			text := "POST " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			if size == 100 {
				text += "Transfer-Encoding: chunked\r\n\r\n" + chunks(pattern(size))
			} else {
				text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, pattern(size))
			}
			r := p.exchange("POST", text)
			if want := fmt.Sprintf("good %d", size); r.status != 200 || string(r.body) != want {
				t.Fatalf("%s with %d bytes: status %d, %q", path, size, r.status, tail(string(r.body), 200))
			}
			name := r.fields.get("X-File")
			if path != "/" {
				eventually(t, ioDeadline, name+" is gone", func() bool { _, err := os.Stat(name); return os.IsNotExist(err) })
				continue
			}
			if text, err := os.ReadFile(name); err != nil || differ(text, pattern(size)) != "" {
				t.Errorf("%s with %d bytes: what stays is not the body: %v", path, size, err)
			}
		}
	}
	if n := files(); n != 4 {
		t.Errorf("%d files in tmp, want the four of \"on\"", n)
	}
	c := p.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + string(pattern(500_000)))
	eventually(t, ioDeadline, "a part of the body is in a file", func() bool { return files() == 5 })
	c.Close()
	eventually(t, ioDeadline, "it is gone", func() bool { return files() == 4 })
	if r := p.exchange("POST", "POST /off HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); string(r.body) == "good 1" || r.fields.get("X-File") != "" {
		t.Errorf("without it: %q in %q", r.body, r.fields.get("X-File"))
	}
	for size, inFile := range map[int]bool{20 << 10: false, 20<<10 + 1: true, 3 << 20: true} { // client_body_buffer_size, and a quarter
		r := p.exchange("POST", fmt.Sprintf("POST /off HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, pattern(size)))
		name := r.fields.get("X-File")
		if (name != "") != inFile || inFile && string(r.body) != fmt.Sprintf("good %d", size) {
			t.Errorf("%d bytes: %q in %q", size, tail(string(r.body), 200), name)
		}
		if inFile {
			eventually(t, ioDeadline, name+" is gone", func() bool { _, err := os.Stat(name); return os.IsNotExist(err) })
		}
	}
}
