// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// uploadOrigin answers every request with what it has got: how the body was framed, its size, and whether its SHA-256 is that of a bulk body.
func uploadOrigin(t testing.TB) *origin {
	return newOrigin(t, func(c *originConn) {
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			got, err := takeUpload(c.br, r.fields)
			if err != nil {
				return
			}
			c.write(ok(got))
		}
	})
}

// takeUpload reads the body of a request and says what it was.
func takeUpload(br *bufio.Reader, fs fields) (string, error) {
	length, chunked, err := framing(fs)
	if err != nil {
		return "", err
	}
	if length < 0 && !chunked {
		return "none", nil
	}
	body, err := (&response{head: head{fields: fs}, status: 200}).stream(br, "POST")
	if err != nil {
		return "", err
	}
	sum := newSumReader(body)
	if _, err := io.Copy(io.Discard, sum); err != nil {
		return "", err
	}
	how := "length"
	if chunked {
		how = "chunked"
	}
	return uploaded(how, sum.n, sum.check(0, sum.n)), nil
}

func uploaded(how string, size int64, err error) string {
	return fmt.Sprintf("%s %d %v", how, size, err)
}

// upload sends the bulk bytes from one offset to another as a body or a part of one.
func (c *client) upload(chunked bool, from, to int64) error {
	w := bufio.NewWriterSize(c.TCPConn, 256<<10)
	chunk := int64(1)
	err := writeBulk(from, to, func(piece []byte) error {
		if !chunked {
			_, err := w.Write(piece)
			return err
		}
		for len(piece) > 0 {
			n := min(chunk, int64(len(piece)))
			chunk = chunk*5%70001 + 1
			if _, err := fmt.Fprintf(w, "%x\r\n%s\r\n", n, piece[:n]); err != nil {
				return err
			}
			piece = piece[n:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// uploadHead is the head of a request with a body of that size.
func uploadHead(method, path string, chunked bool, size int64) string {
	how := fmt.Sprintf("Content-Length: %d", size)
	if chunked {
		how = "Transfer-Encoding: chunked"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", method, path, how)
}

// tryUpload sends a whole request with a body and reads the answer, of any length, while it does.
func (c *client) tryUpload(method, path string, chunked bool, size int64) (*response, error) {
	c.within(time.Minute)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.TCPConn, uploadHead(method, path, chunked, size))
		if err == nil {
			err = c.upload(chunked, 0, size)
		}
		if err == nil && chunked {
			_, err = io.WriteString(c.TCPConn, "0\r\n\r\n")
		}
		sent <- err
	}()
	r, err := readResponse(c.br, method)
	if err != nil {
		return nil, errors.Join(err, <-sent)
	}
	return r, nil
}

// tempFiles is what the control socket says about temporary files.
type tempFiles struct {
	LimitBytes int64 `json:"limit_bytes"`
	UsedBytes  int64 `json:"used_bytes"`
	PeakBytes  int64 `json:"peak_bytes"`
	Refused    int64
	Sound      bool
}

func (p *proxy) temp() tempFiles {
	p.t.Helper()
	var s struct {
		Temp *tempFiles `json:"temp_files"`
	}
	if code, err := p.control("GET", "/status", &s); code != 200 || err != nil || s.Temp == nil {
		p.t.Fatalf("status: %d, %v", code, err)
	}
	return *s.Temp
}

// waitTemp waits until temporary files hold as much as the test wants, and the budget is sound.
func (p *proxy) waitTemp(what string, want func(used int64) bool) {
	p.t.Helper()
	eventually(p.t, ioDeadline, "temporary files "+what, func() bool { s := p.temp(); return want(s.UsedBytes) && s.Sound })
}

func none(used int64) bool { return used == 0 }

const anySize = "client_max_body_size = 0"

// Bodies of all sizes, by length and in chunks, read first and streamed: the
// origin gets the bytes, and a length wherever one is known.
func TestUploads(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := uploadOrigin(t)
	pass := `proxy_pass = "http://app"`
	p := start(t, site{workers: 2, origin: o.addr, http: anySize, more: location("/stream/", pass, "proxy_request_buffering = false") +
		location("/old/", pass, `proxy_http_version = "1.0"`) + location("/oldstream/", pass, `proxy_http_version = "1.0"`, "proxy_request_buffering = false") +
		location("/memory/", pass, `client_body_buffer_size = "1m"`)})
	sizes := []int64{0, 1, 100, 16383, 16384, 16385, 40000, 300_000, 1 << 20, 20 << 20}
	for _, path := range []string{"/", "/stream/", "/old/", "/oldstream/", "/memory/"} {
		for _, chunked := range []bool{false, true} {
			c := p.dial()
			for _, size := range append(sizes, 200<<20) {
				if size > 20<<20 && path != "/" {
					continue
				}
				how := "length"
				if chunked && path == "/stream/" && size > 1<<20 {
					how = "chunked" // smaller ones may be there before the origin is
				}
				r, err := c.tryUpload("POST", path, chunked, size)
				if err != nil {
					t.Fatalf("%s, %d bytes, chunked %v: %v", path, size, chunked, err)
				}
				got := string(r.body)
				if path == "/stream/" && chunked && size <= 1<<20 {
					got = strings.Replace(got, "chunked", "length", 1)
				}
				if want := uploaded(how, size, nil); r.status != 200 || got != want {
					t.Fatalf("%s, %d bytes, chunked %v: status %d, the origin got %q, want %q", path, size, chunked, r.status, got, want)
				}
				if strings.HasPrefix(path, "/old") {
					c = p.dial() // responses of HTTP/1.0 origins may end the connection
				}
			}
		}
	}
	if s := p.temp(); s.PeakBytes < 100<<20 {
		t.Errorf("at most %d bytes were in temporary files", s.PeakBytes)
	}
	p.waitTemp("are gone", none)
}

// A body that is kept in a temporary file is sent to the next origin, from its
// first byte, as often as that takes.
func TestSpilledBodyIsSentAgain(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const size = 12 << 20
	var breaks atomic.Int64
	breaking := newOrigin(t, func(c *originConn) { // takes some of it, and is gone
		if r := c.requestHead(); r != nil {
			_, _ = io.CopyN(io.Discard, c.br, 1+3<<20*(breaks.Add(1)%2))
		}
	})
	refusing := newOrigin(t, func(c *originConn) { // takes all of it, and cannot
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			if _, err := takeUpload(c.br, r.fields); err != nil {
				return
			}
			c.write(reply(503, "Service Unavailable", "no"))
		}
	})
	good := uploadOrigin(t)
	p := start(t, site{
		servers: []string{fmt.Sprintf("{ address = %q }", breaking.addr), fmt.Sprintf("{ address = %q }", refusing.addr),
			fmt.Sprintf("{ address = %q, backup = true }", good.addr)},
		http: anySize, location: `proxy_next_upstream = ["error", "http_503"]`,
	})
	for _, chunked := range []bool{false, true} {
		c := p.dial()
		for range 3 {
			r, err := c.tryUpload("PUT", "/", chunked, size)
			if err != nil {
				t.Fatal(err)
			}
			if want := uploaded("length", size, nil); r.status != 200 || string(r.body) != want {
				t.Fatalf("chunked %v: status %d, the origin got %q, want %q", chunked, r.status, r.body, want)
			}
		}
	}
	if breaks.Load() == 0 {
		t.Error("no origin failed")
	}
	p.waitTemp("are gone", none)
}

// The body is sent again, too, to the origin that answers in another's place.
func TestSpilledBodyGoesToAnotherLocation(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	first := newOrigin(t, func(c *originConn) {
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			if r.target == "/early" {
				c.write(reply(503, "Service Unavailable", "no", "Connection: close"))
				_, _ = io.CopyN(io.Discard, c.br, 1<<20)
				return
			}
			if _, err := takeUpload(c.br, r.fields); err != nil {
				return
			}
			c.write(reply(503, "Service Unavailable", "no"))
		}
	})
	second := uploadOrigin(t)
	p := start(t, site{origin: first.addr, http: anySize, location: "proxy_intercept_errors = true\nerror_page = [{ codes = 503, uri = \"@again\" }]",
		more: location("@again", fmt.Sprintf("proxy_pass = \"http://%s\"", second.addr))})
	for _, path := range []string{"/", "/early"} {
		for _, size := range []int64{100, 30000, 10 << 20} {
			r, err := p.dial().tryUpload("POST", path, size == 30000, size)
			if err != nil {
				t.Fatal(err)
			}
			if want := uploaded("length", size, nil); string(r.body) != want {
				t.Errorf("%s: status %d, the other origin got %q, want %q", path, r.status, r.body, want)
			}
		}
	}
	p.waitTemp("are gone", none)
}

// An origin that answers before it has read the body is heard, also when the
// body comes from a temporary file, and when it closes at once.
func TestEarlyAnswerToSpilledBody(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newOrigin(t, func(c *originConn) {
		if r := c.requestHead(); r != nil {
			c.write(reply(413, "Content Too Large", "too large", "Connection: close"))
			_, _ = io.CopyN(io.Discard, c.br, 1<<20)
		}
	})
	p := start(t, site{origin: o.addr, http: anySize, more: location("/stream/", `proxy_pass = "http://app"`, "proxy_request_buffering = false")})
	for _, path := range []string{"/", "/stream/"} {
		for _, chunked := range []bool{false, true} {
			r, err := p.dial().tryUpload("POST", path, chunked, 16<<20)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if r.status != 413 || string(r.body) != "too large" {
				t.Errorf("%s: status %d %q, want the origin's 413", path, r.status, r.body)
			}
		}
	}
	p.waitTemp("are gone", none)
}

// uploadTogether sends bodies on several connections at once; all must arrive.
func uploadTogether(t *testing.T, p *proxy, n int, size int64) {
	t.Helper()
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			c, err := p.tryDial()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r, err := c.tryUpload("POST", "/", i%2 == 0, size)
			if err != nil {
				t.Error(err)
			} else if !strings.HasSuffix(string(r.body), fmt.Sprintf(" %d <nil>", size)) {
				t.Errorf("status %d, the origin got %q", r.status, r.body)
			}
		})
	}
	running.Wait()
}

// Without room for a temporary file a body is sent on while it is read: no
// upload fails for that.
func TestUploadsWithoutRoom(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const size = 6 << 20
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		p := start(t, site{workers: 2, origin: uploadOrigin(t).addr, http: anySize, main: "[buffers]\ntemp_quota = \"4m\""})
		uploadTogether(t, p, 8, size)
		p.waitTemp("are gone", none)
		if s := p.temp(); s.PeakBytes > 2<<20 || s.Refused == 0 {
			t.Errorf("at most %d bytes of the 2 MiB for ordinary use, %d refusals", s.PeakBytes, s.Refused)
		}
		if !strings.Contains(p.stderr.String(), "temp_quota is used up: bodies wait in memory") {
			t.Error("not logged")
		}
	})
	t.Run("full disk", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("needs root: a small tmpfs: ", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		p := start(t, site{workers: 2, origin: uploadOrigin(t).addr, http: anySize, main: fmt.Sprintf("[buffers]\ntemp_path = %q", dir)})
		p.allow("no space left on device")
		uploadTogether(t, p, 8, size)
		p.waitTemp("are gone", none)
		if !strings.Contains(p.stderr.String(), "writing to a temporary file failed: bodies wait in memory") {
			t.Error("not logged")
		}
	})
	t.Run("no directory", func(t *testing.T) {
		t.Parallel()
		p := start(t, site{workers: 2, origin: uploadOrigin(t).addr, http: anySize, main: "[buffers]\ntemp_path = \"conf/weir.toml\""})
		uploadTogether(t, p, 8, size)
		if !strings.Contains(p.stderr.String(), "no temporary files: bodies wait in memory") {
			t.Error("not logged")
		}
	})
	t.Run("no files wanted", func(t *testing.T) {
		t.Parallel()
		p := start(t, site{workers: 2, origin: uploadOrigin(t).addr, http: anySize, main: "[buffers]\ntemp_quota = 0"})
		uploadTogether(t, p, 4, size)
	})
	t.Run("origin of HTTP 1.0", func(t *testing.T) {
		t.Parallel()
		p := start(t, site{origin: uploadOrigin(t).addr, http: anySize, main: "[buffers]\ntemp_quota = 0", location: "proxy_http_version = \"1.0\""})
		for _, chunked := range []bool{false, true} {
			r, err := p.dial().tryUpload("POST", "/", chunked, 20_000)
			if err != nil || string(r.body) != uploaded("length", 20_000, nil) {
				t.Errorf("chunked %v: %v, %v", chunked, r, err)
			}
		}
		if r, err := p.dial().tryUpload("POST", "/", true, size); err != nil || r.status != 411 {
			t.Errorf("a body whose length cannot be known: %v, %v; want 411", r, err)
		}
	})
}

// What temporary files hold is given back when the client goes away in the
// middle of its body, and when the worker is killed.
func TestUploadsGiveTheirRoomBack(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, site{workers: 2, origin: uploadOrigin(t).addr, http: anySize})
	p.allow(`exited on signal 9|killed`)
	const size, part = 32 << 20, 8 << 20
	begin := func(n int) (list []*client) {
		for i := range n {
			c := p.dial()
			c.send(uploadHead("POST", "/", i%2 == 0, size))
			if err := c.upload(i%2 == 0, 0, part); err != nil {
				t.Fatal(err)
			}
			list = append(list, c)
		}
		p.waitTemp("have most of it", func(used int64) bool { return used > int64(n)*(part-512<<10) })
		return list
	}
	for i, c := range begin(4) {
		if i%2 == 0 {
			_ = c.SetLinger(0)
		}
		c.Close()
	}
	p.waitTemp("are gone with their clients", none)

	begin(4)
	for _, pid := range p.children() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	p.waitTemp("are gone with their workers", none)
	if r, err := p.dial().tryUpload("POST", "/", false, part); err != nil || string(r.body) != uploaded("length", part, nil) {
		t.Errorf("the next upload: %v, %v", r, err)
	}
}
