// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	manyBodies  = 10_000
	bodyClients = 32
)

// bodySite has a location for each way in which a body can pass.
func bodySite(addr string) site {
	pass := `proxy_pass = "http://app"`
	return site{workers: 2, origin: addr, more: location("/off/", pass, "proxy_buffering = false") +
		location("/nofile/", pass, "proxy_max_temp_file_size = 0", `proxy_buffers = { number = 4, size = "16k" }`)}
}

// plan is one request and how its client reads.
type plan struct {
	path, as string
	method   string
	size     int64
	from, to int64 // what is asked for by Range, if to > 0
	read     string
}

func (p plan) target() string { return bulkTarget(p.path, int(p.size), p.as) }

// newPlan draws a request: most are small, and most clients read what they get.
func newPlan(r *rand.Rand) plan {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	p := plan{path: pick("/", "/", "/off/", "/nofile/"), as: pick("length", "length", "chunked", "close", "http10"), method: "GET", read: "all"}
	switch n := r.IntN(100); {
	case n < 4:
	case n < 55:
		p.size = r.Int64N(1000) + 1
	case n < 85:
		p.size = r.Int64N(40 << 10)
	case n < 97:
		p.size = r.Int64N(200 << 10)
	default:
		p.size = r.Int64N(2 << 20)
	}
	switch n := r.IntN(20); {
	case n == 0:
		p.method = "HEAD"
	case n == 1 && p.size > 1:
		p.from = r.Int64N(p.size - 1)
		p.to = p.from + 1 + r.Int64N(p.size-p.from)
	}
	switch n := r.IntN(20); {
	case n < 2 && p.size < 4<<10:
		p.read = "one byte at a time"
	case n == 2:
		p.read = "with pauses"
	case n == 3:
		p.read = "some, then close"
	case n == 4:
		p.read = "some, then reset"
	}
	return p
}

// run plays a plan on a connection, which goes on with the next one if it says so.
func (p plan) run(c *client, r *rand.Rand) (goesOn bool, err error) {
	c.within(time.Minute)
	from, to := int64(0), p.size
	var lines []string
	if p.to > 0 {
		from, to = p.from, min(p.to, p.size)
		lines = append(lines, fmt.Sprintf("Range: bytes=%d-%d", from, to-1))
	}
	head, err := c.tryAsk(p.method, p.target(), lines...)
	if err != nil {
		return false, err
	}
	want := 200
	if p.to > 0 {
		want = 206
	}
	if head.status != want {
		return false, fmt.Errorf("status %d, want %d", head.status, want)
	}
	body, err := head.stream(c.br, p.method)
	if err != nil {
		return false, err
	}
	switch p.read {
	case "one byte at a time":
		body = oneByte{body}
	case "with pauses":
		body = &pausingReader{body, r}
	case "some, then close", "some, then reset":
		_, err := io.CopyN(io.Discard, body, r.Int64N(to-from+1))
		if p.read == "some, then reset" {
			_ = c.SetLinger(0)
		}
		if p.method == "HEAD" {
			err = nil
		}
		return false, err
	}
	if p.method == "HEAD" {
		from, to = 0, 0
	}
	sum := newSumReader(body)
	if _, err := io.Copy(io.Discard, sum); err != nil {
		return false, fmt.Errorf("after %d bytes of the body: %w", sum.n, err)
	}
	return !head.untilClose && head.fields.get("Connection") != "close", sum.check(from, to)
}

// pausingReader reads a little, and now and then rests.
type pausingReader struct {
	io.Reader
	r *rand.Rand
}

func (p *pausingReader) Read(b []byte) (int, error) {
	if p.r.IntN(8) == 0 {
		time.Sleep(time.Duration(p.r.IntN(2000)) * time.Microsecond)
	}
	return p.Reader.Read(b[:1+p.r.IntN(len(b))])
}

// Ten thousand bodies, drawn by a seed: sizes, framings, ranges, HEAD, and
// clients that read slowly, stop, or go away. Each has the SHA-256 that the
// origin's bytes have. WEIR_SEED repeats a run.
func TestTenThousandBodies(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WEIR_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	o := newBulkOrigin(t)
	p := start(t, bodySite(o.addr))
	var next atomic.Int64
	var failed atomic.Bool
	var running sync.WaitGroup
	begin := time.Now()
	for range bodyClients {
		running.Go(func() {
			var c *client
			for !failed.Load() {
				number := next.Add(1)
				if number > manyBodies {
					break
				}
				r := rand.New(rand.NewPCG(seed, uint64(number)))
				each := newPlan(r)
				var err error
				if c == nil {
					if c, err = p.tryDial(); err != nil {
						t.Errorf("body %d: %v", number, err)
						failed.Store(true)
						return
					}
				}
				goesOn, err := each.run(c, r)
				if err != nil {
					t.Errorf("WEIR_SEED=%d, body %d (%+v): %v", seed, number, each, err)
					failed.Store(true)
				}
				if !goesOn || err != nil {
					c.Close()
					c = nil
				}
			}
			if c != nil {
				c.Close()
			}
		})
	}
	running.Wait()
	t.Logf("%d bodies in %v", manyBodies, time.Since(begin).Round(time.Millisecond))
}

// Large bodies in each framing: taken as fast as they come (spliced where that
// is possible), in bursts, and by a client that begins to read when the whole
// body has gone to a temporary file.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	size := int64(64 << 20)
	if longTests() {
		size = 1 << 30
	}
	o := newBulkOrigin(t)
	s := bodySite(o.addr)
	s.http = `proxy_max_temp_file_size = "2048m"`
	p := start(t, s)
	for _, as := range []string{"length", "chunked", "close"} {
		for _, read := range []string{"at once", "in bursts", "late"} {
			path := "/" + as + "/" + read[:2] + read[len(read)-2:]
			begin := time.Now()
			c := p.dial()
			head := c.ask(bulkTarget(path, int(size), as))
			c.within(2 * time.Minute)
			body, err := head.stream(c.br, "GET")
			if err != nil {
				t.Fatal(err)
			}
			switch read {
			case "in bursts":
				body = &burstReader{r: body, each: size / 64}
			case "late":
				eventually(t, 2*time.Minute, path+": the origin to be done", func() bool { return o.sent(path) == size })
			}
			sum := newSumReader(body)
			if _, err := io.Copy(io.Discard, sum); err != nil {
				t.Fatalf("%s, after %d bytes: %v", path, sum.n, err)
			}
			if err := sum.check(0, size); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			c.Close()
			t.Logf("%d MiB, %s, read %s: %v", size>>20, as, read, time.Since(begin).Round(time.Millisecond))
		}
	}
}

// burstReader rests after each so many bytes.
type burstReader struct {
	r          io.Reader
	each, left int64
}

func (b *burstReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		time.Sleep(10 * time.Millisecond)
		b.left = b.each
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
