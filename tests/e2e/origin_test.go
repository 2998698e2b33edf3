// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// origin is a scripted server: what it sends, the test decides byte by byte;
// what it receives, it keeps.
type origin struct {
	t    testing.TB
	addr string // host:port
	ln   net.Listener

	received atomic.Int64 // bytes, over all connections
	accepted atomic.Int64 // connections
	open     atomic.Int64 // connections not yet closed

	mu       sync.Mutex
	requests []*request
	conns    []net.Conn
	faults   []error
}

// originConn is one connection to an origin.
type originConn struct {
	net.Conn
	origin *origin
	index  int
	br     *bufio.Reader
}

func (c *originConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.origin.received.Add(int64(n))
	return n, err
}

// write sends text; the peer may have gone, which the peer's side of the test sees.
func (c *originConn) write(text string) { _, _ = io.WriteString(c.Conn, text) }

// await waits for the test's word; a test that has ended says nothing any more.
func (c *originConn) await(word <-chan struct{}) {
	select {
	case <-word:
	case <-c.origin.t.Context().Done():
	}
}

// tell is the other direction of await.
func (c *originConn) tell(word chan<- struct{}) {
	select {
	case word <- struct{}{}:
	case <-c.origin.t.Context().Done():
	}
}

// request reads one request with its body and records it. nil: the connection ended.
func (c *originConn) request() *request {
	r := c.requestHead()
	if r == nil {
		return nil
	}
	if err := r.readBody(c.br); err != nil {
		c.origin.fault(fmt.Errorf("body of %s: %w", r.line, err))
		return nil
	}
	return r
}

// requestHead reads one request's head and records it; the body is left to the script.
func (c *originConn) requestHead() *request {
	r, err := readRequestHead(c.br)
	if r == nil || err != nil {
		if err != nil && !isHangUp(err) {
			c.origin.fault(err)
		}
		return nil
	}
	r.conn = c.index
	c.origin.mu.Lock()
	c.origin.requests = append(c.origin.requests, r)
	c.origin.mu.Unlock()
	return r
}

func isHangUp(err error) bool {
	text := err.Error()
	return err == io.EOF || strings.Contains(text, "reset by peer") || strings.Contains(text, "closed network")
}

// fault notes that the proxy sent something malformed; the test fails at its end.
func (o *origin) fault(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = append(o.faults, err)
}

// newOrigin serves each connection with script, in a goroutine of its own. The
// connection is closed when script returns.
func newOrigin(t testing.TB, script func(c *originConn)) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOrigin(t, ln, script)
}

func serveOrigin(t testing.TB, ln net.Listener, script func(c *originConn)) *origin {
	o := &origin{t: t, addr: ln.Addr().String(), ln: ln}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
			c := &originConn{Conn: conn, origin: o, index: int(o.accepted.Add(1)) - 1}
			c.br = bufio.NewReaderSize(c, 64<<10)
			o.open.Add(1)
			o.mu.Lock()
			o.conns = append(o.conns, conn)
			o.mu.Unlock()
			running.Go(func() {
				defer o.open.Add(-1)
				defer conn.Close()
				script(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		o.closeConns()
		running.Wait()
		for _, err := range o.faults {
			t.Errorf("the origin got a malformed request: %v", err)
		}
	})
	return o
}

// closeConns closes every connection the origin has.
func (o *origin) closeConns() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		c.Close()
	}
	o.conns = nil
}

// answering is an origin that answers every request with what answer returns,
// connection kept alive, until it writes an answer with "Connection: close".
func answering(t testing.TB, answer func(r *request) string) *origin {
	t.Helper()
	return newOrigin(t, func(c *originConn) {
		for {
			r := c.request()
			if r == nil {
				return
			}
			text := answer(r)
			c.write(text)
			if head, _, _ := strings.Cut(text, "\r\n\r\n"); strings.Contains(head, "Connection: close") {
				return
			}
		}
	})
}

// okOrigin answers "ok" to everything.
func okOrigin(t testing.TB) *origin {
	t.Helper()
	return answering(t, func(*request) string { return ok("ok") })
}

// ok renders a 200 with a Content-Length and extra field lines.
func ok(body string, extra ...string) string {
	return reply(200, "OK", body, extra...)
}

func reply(status int, reason, body string, extra ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, reason, len(body))
	for _, line := range extra {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n" + body
}

// seen returns the requests received so far.
func (o *origin) seen() []*request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*request(nil), o.requests...)
}

// last returns the most recent request; the test fails if there is none.
func (o *origin) last() *request {
	o.t.Helper()
	seen := o.seen()
	if len(seen) == 0 {
		o.t.Fatal("the origin has seen no request")
	}
	return seen[len(seen)-1]
}
