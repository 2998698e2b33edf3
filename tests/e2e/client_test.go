// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// ioDeadline bounds every read and write of a test's own connections: far more
// than any answer needs, so that only a hang reaches it.
const ioDeadline = 10 * time.Second

// client is one raw connection to the proxy.
type client struct {
	t testing.TB
	*net.TCPConn
	br   *bufio.Reader
	last time.Time // when it began to send something, or was about to connect
}

// dial connects to the proxy's first address.
func (p *proxy) dial() *client {
	p.t.Helper()
	return dialTo(p.t, p.addr)
}

func dialTo(t testing.TB, addr string) *client {
	t.Helper()
	begun := time.Now()
	conn, err := net.DialTimeout("tcp", addr, ioDeadline)
	if err != nil {
		t.Fatalf("connect to the proxy: %v", err)
	}
	c := newClient(t, conn)
	c.last = begun
	return c
}

// newClient takes over conn until the test ends.
func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	c := &client{t: t, TCPConn: conn.(*net.TCPConn), br: bufio.NewReaderSize(conn, 64<<10)}
	t.Cleanup(func() { c.Close() })
	c.within(ioDeadline)
	return c
}

// within sets how long all that follows may take.
func (c *client) within(d time.Duration) { _ = c.SetDeadline(time.Now().Add(d)) }

// send writes text in one call.
func (c *client) send(text string) {
	c.t.Helper()
	c.within(ioDeadline)
	c.last = time.Now()
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.t.Fatalf("send %.80q: %v", text, err)
	}
}

// read reads one complete answer to a request by method.
func (c *client) read(method string) *response {
	c.t.Helper()
	c.within(ioDeadline)
	r, err := readResponse(c.br, method)
	if err != nil {
		c.t.Fatalf("read the answer (status %d, %d body bytes): %v", r.status, len(r.body), err)
	}
	return r
}

// get is a plain request on this connection that must be answered with status.
func (c *client) get(target string, status int) *response {
	c.t.Helper()
	c.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r := c.read("GET")
	if r.status != status {
		c.t.Fatalf("GET %s: status %d, want %d", target, r.status, status)
	}
	return r
}

// closed says whether the proxy has ended the connection with nothing more
// sent. A reset counts: an answer was read in full before.
func (c *client) closed() (bool, error) {
	b, err := c.br.ReadByte()
	switch {
	case err == nil:
		_ = c.br.UnreadByte()
		rest, _ := c.br.Peek(c.br.Buffered())
		return false, errors.New("more came: byte " + string(rune(b)) + ", " + string(rest))
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, errors.New("still open")
	}
	return false, err
}

// wantClosed fails the test unless the proxy ends the connection within d.
func (c *client) wantClosed(d time.Duration) {
	c.t.Helper()
	c.within(d)
	if ok, err := c.closed(); !ok {
		c.t.Fatalf("the connection should be closed within %v: %v", d, err)
	}
}

// exchange sends text on a new connection and reads one answer to method.
func (p *proxy) exchange(method, text string) *response {
	p.t.Helper()
	c := p.dial()
	defer c.Close()
	c.send(text)
	return c.read(method)
}

// get asks for target on a new connection.
func (p *proxy) get(target string, extra ...string) *response {
	p.t.Helper()
	text := "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	for _, line := range extra {
		text += line + "\r\n"
	}
	return p.exchange("GET", text+"\r\n")
}
