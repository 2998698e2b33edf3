// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Bodies of any size, made while they are sent and hashed while they are read:
// no byte of them is kept. A byte depends on its place, so that pieces that are
// lost, doubled or exchanged change the hash.

// bulkPieces is random bytes; the body's piece k is the 64 KiB from a place that
// depends on k.
var bulkPieces = func() []byte {
	b := make([]byte, 2*bulkPiece)
	_, _ = rand.NewChaCha8([32]byte{'b', 'u', 'l', 'k'}).Read(b)
	return b
}()

const bulkPiece = 64 << 10

// bulkAt is what a body has from offset on, at most to the end of a piece.
func bulkAt(offset int64) []byte {
	piece, in := offset/bulkPiece, offset%bulkPiece
	start := piece * 40503 % bulkPiece
	return bulkPieces[start+in : start+bulkPiece]
}

// writeBulk writes the bytes of a body from offset from to offset to, with a
// call of each for every piece.
func writeBulk(from, to int64, each func(piece []byte) error) error {
	for from < to {
		piece := bulkAt(from)
		piece = piece[:min(int64(len(piece)), to-from)]
		if err := each(piece); err != nil {
			return err
		}
		from += int64(len(piece))
	}
	return nil
}

// bulkSum is the SHA-256 of the bytes of a body from offset from to offset to.
func bulkSum(from, to int64) [sha256.Size]byte {
	if sum, ok := bulkSums.Load([2]int64{from, to}); ok {
		return sum.([sha256.Size]byte)
	}
	h := sha256.New()
	_ = writeBulk(from, to, func(piece []byte) error { _, err := h.Write(piece); return err })
	sum := [sha256.Size]byte(h.Sum(nil))
	if to-from >= 1<<20 {
		bulkSums.Store([2]int64{from, to}, sum)
	}
	return sum
}

// bulkSums are the results for large bodies, by where they begin and end.
var bulkSums sync.Map

// sumReader hashes what is read through it.
type sumReader struct {
	r io.Reader
	h hash.Hash
	n int64
}

func newSumReader(r io.Reader) *sumReader { return &sumReader{r: r, h: sha256.New()} }

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

// check says how what was read differs from the body's bytes from offset from to
// offset to.
func (s *sumReader) check(from, to int64) error {
	if s.n != to-from {
		return fmt.Errorf("%d bytes, want %d", s.n, to-from)
	}
	if [sha256.Size]byte(s.h.Sum(nil)) != bulkSum(from, to) {
		return fmt.Errorf("%d bytes with another SHA-256", s.n)
	}
	return nil
}

// stream is the body of the answer with head r, to be read piece by piece. At
// its end everything of the answer has been read.
func (r *response) stream(br *bufio.Reader, method string) (io.Reader, error) {
	length, chunked, err := framing(r.fields)
	switch {
	case err != nil:
		return nil, err
	case method == "HEAD" || r.status == 204 || r.status == 304:
		return strings.NewReader(""), nil
	case chunked:
		r.chunked = true
		return &chunkedStream{br: br, r: httputil.NewChunkedReader(br)}, nil
	case length >= 0:
		return &lengthStream{br, length}, nil
	}
	r.untilClose = true
	return br, nil
}

// lengthStream is a body of a known length; a shorter one is an error.
type lengthStream struct {
	r    io.Reader
	left int64
}

func (l *lengthStream) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if errors.Is(err, io.EOF) && l.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunkedStream is a chunked body up to the end of its trailer section.
type chunkedStream struct {
	br   *bufio.Reader
	r    io.Reader
	done bool
}

func (c *chunkedStream) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	n, err := c.r.Read(p)
	if errors.Is(err, io.EOF) {
		c.done = true
		if _, trailer := readFields(c.br, new(strings.Builder)); trailer != nil {
			err = trailer
		}
	}
	return n, err
}

// bulkOrigin answers every request with a bulk body, as the query says:
//
//	size=N   its size
//	as=      length (default), chunked, close, http10
//	add=F    a further field line, any number of times
//
// It knows HEAD and Range (one range, "bytes=A-B").
type bulkOrigin struct {
	*origin
	written sync.Map // path -> *atomic.Int64: bytes of bodies that the kernel has taken
}

func newBulkOrigin(t testing.TB) *bulkOrigin {
	o := &bulkOrigin{}
	o.origin = newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil && o.serve(c, r); r = c.request() {
		}
	})
	return o
}

// sent is how much of the bodies for a path the proxy, or the kernel, has taken.
func (o *bulkOrigin) sent(path string) int64 { return o.counter(path).Load() }

func (o *bulkOrigin) counter(path string) *atomic.Int64 {
	n, _ := o.written.LoadOrStore(path, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// serve answers one request; false: the connection is over.
func (o *bulkOrigin) serve(c *originConn, r *request) bool {
	_ = c.SetDeadline(time.Now().Add(10 * time.Minute)) // slow clients are what it is for
	_ = c.Conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
	path, query, _ := strings.Cut(r.target, "?")
	q, _ := url.ParseQuery(query)
	size, _ := strconv.ParseInt(q.Get("size"), 10, 64)
	from, to, status := int64(0), size, "200 OK"
	var lines []string
	if a, b, ok := bytesRange(r.fields.get("Range"), size); ok {
		from, to, status = a, b, "206 Partial Content"
		lines = append(lines, fmt.Sprintf("Content-Range: bytes %d-%d/%d", a, b-1, size))
	}
	lines = append(lines, q["add"]...)
	proto, as := "HTTP/1.1", q.Get("as")
	switch as {
	case "chunked":
		lines = append(lines, "Transfer-Encoding: chunked")
	case "close":
		lines = append(lines, "Connection: close")
	case "http10":
		proto = "HTTP/1.0"
	default:
		lines = append(lines, fmt.Sprintf("Content-Length: %d", to-from))
	}
	c.write(proto + " " + status + "\r\n" + strings.Join(append(lines, "\r\n"), "\r\n"))
	if r.method == "HEAD" {
		return as != "close" && as != "http10"
	}
	return o.body(c, as, o.counter(path), from, to)
}

func (o *bulkOrigin) body(c *originConn, as string, written *atomic.Int64, from, to int64) bool {
	chunk := 1
	err := writeBulk(from, to, func(piece []byte) error {
		if as != "chunked" {
			n, err := c.Write(piece)
			written.Add(int64(n))
			return err
		}
		for len(piece) > 0 { // of changing sizes, many in one segment
			n := min(chunk, len(piece))
			chunk = chunk*5%70001 + 1
			if _, err := fmt.Fprintf(c.Conn, "%x\r\n%s\r\n", n, piece[:n]); err != nil {
				return err
			}
			written.Add(int64(n))
			piece = piece[n:]
		}
		return nil
	})
	if as == "chunked" {
		c.write("0\r\n\r\n")
	}
	return err == nil && as != "close" && as != "http10"
}

// bytesRange reads a field Range with one range of a body of size bytes.
func bytesRange(value string, size int64) (from, to int64, ok bool) {
	if _, err := fmt.Sscanf(value, "bytes=%d-%d", &from, &to); err != nil {
		return 0, 0, false
	}
	return from, min(to+1, size), from < size
}

// ask sends a GET for target; the answer's head is read.
func (c *client) ask(target string, extra ...string) *response {
	c.t.Helper()
	c.within(ioDeadline)
	r, err := c.tryAsk("GET", target, extra...)
	if err != nil {
		c.t.Fatalf("GET %s: %v", target, err)
	}
	return r
}

// tryAsk is ask with any method, for goroutines.
func (c *client) tryAsk(method, target string, extra ...string) (*response, error) {
	text := method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n"
	for _, line := range extra {
		text += line + "\r\n"
	}
	if _, err := io.WriteString(c.TCPConn, text+"\r\n"); err != nil {
		return nil, err
	}
	return readResponseHead(c.br)
}

// takeBulk reads the rest of the answer r to a GET and checks its body.
func (c *client) takeBulk(r *response, from, to int64) {
	c.t.Helper()
	if err := c.tryTakeBulk(r, "GET", from, to); err != nil {
		c.t.Fatal(err)
	}
}

// tryTakeBulk is takeBulk with any method, for goroutines.
func (c *client) tryTakeBulk(r *response, method string, from, to int64) error {
	body, err := r.stream(c.br, method)
	if err != nil {
		return err
	}
	sum := newSumReader(body)
	if _, err := io.Copy(io.Discard, sum); err != nil {
		return fmt.Errorf("after %d bytes of the body: %w", sum.n, err)
	}
	return sum.check(from, to)
}

// tryDial is dial for goroutines; the caller closes.
func (p *proxy) tryDial() (*client, error) {
	conn, err := net.DialTimeout("tcp", p.addr, ioDeadline)
	if err != nil {
		return nil, err
	}
	return &client{t: p.t, TCPConn: conn.(*net.TCPConn), br: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// together runs the cases at the same time, as many as there are: they wait more
// than they work. The first fault of each fails the test.
func together[C any](t *testing.T, cases []C, run func(C) error) {
	t.Helper()
	var running sync.WaitGroup
	for _, each := range cases {
		running.Go(func() {
			if err := run(each); err != nil {
				t.Errorf("%+v: %v", each, err)
			}
		})
	}
	running.Wait()
}
