// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

// tunnelOrigin switches protocols and leaves the connection to script.
func tunnelOrigin(t testing.TB, script func(c *originConn)) *origin {
	return newOrigin(t, func(c *originConn) {
		for r := c.requestHead(); r != nil; r = c.requestHead() {
			if r.fields.has("Upgrade") {
				c.write(switching)
				script(c)
				return
			}
			c.write(ok("plain"))
		}
	})
}

// tunnel opens one through p.
func (p *proxy) tunnel() *client {
	p.t.Helper()
	c := p.dial()
	c.send(upgradeRequest)
	if r := c.read("GET"); r.status != 101 {
		p.t.Fatalf("status %d, want 101", r.status)
	}
	return c
}

// A tunnel lives as long as bytes pass in either direction, and ends when none
// have for proxy_read_timeout.
func TestTunnelIsKeptAliveByEitherSide(t *testing.T) {
	t.Parallel()
	const timeout, pace, beats = time.Second, 300 * time.Millisecond, 8
	for _, speaker := range []string{"client", "origin"} {
		ended := make(chan time.Time, 1)
		o := tunnelOrigin(t, func(c *originConn) {
			for range beats {
				if speaker == "origin" {
					c.write("x")
					time.Sleep(pace) // a beat, not a wait for something
				}
			}
			_, _ = io.Copy(io.Discard, c.br)
			ended <- time.Now()
		})
		s := upgradeSite(o.addr)
		s.location += "\nproxy_read_timeout = \"1s\""
		p := start(t, s)
		c := p.tunnel()
		begin := time.Now()
		for range beats {
			if speaker == "client" {
				c.send("x")
				time.Sleep(pace)
			} else if _, err := c.br.ReadByte(); err != nil {
				t.Fatalf("%s speaks: %v", speaker, err)
			}
		}
		if took := time.Since(begin); took < timeout {
			t.Fatalf("%d beats in %v", beats, took)
		}
		c.within(ioDeadline)
		if _, err := c.br.ReadByte(); err != io.EOF {
			t.Errorf("%s speaks: the tunnel ends with %v, want an end in order", speaker, err)
		}
		if took := time.Since(begin); took < (beats-1)*pace+timeout/2 {
			t.Errorf("%s speaks: closed after %v", speaker, took)
		}
		select {
		case <-ended:
		case <-time.After(ioDeadline):
			t.Errorf("%s speaks: the origin's side is still open", speaker)
		}
	}
}

// Who does not take what waits for it ends the tunnel: the origin after
// proxy_send_timeout, the client after send_timeout.
func TestTunnelEndsWhenASideTakesNothing(t *testing.T) {
	t.Parallel()
	o := tunnelOrigin(t, func(c *originConn) {
		word, _ := c.br.ReadByte()
		if word == 'w' { // write until the client's side takes no more
			_, err := io.Copy(c.Conn, endless{})
			c.origin.t.Log("the origin's write ended:", err)
			return
		}
		<-t.Context().Done()
	})
	s := upgradeSite(o.addr)
	s.location += "\nproxy_send_timeout = \"1s\"\nsend_timeout = \"1s\"\nlingering_close = false"
	p := start(t, s)

	deaf := p.tunnel()
	deaf.send("w")
	eventually(t, ioDeadline, "the tunnel of a client that takes nothing to end", func() bool { return o.open.Load() == 0 })

	c := p.tunnel()
	c.send("s")
	c.within(ioDeadline)
	if n, err := io.Copy(c.TCPConn, endless{}); err == nil || isTimeout(err) {
		t.Errorf("the origin takes nothing, and %d bytes were written: %v", n, err)
	}
}

// endless reads for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Much at once in both directions: each side gets what the other sent.
func TestTunnelVolume(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	pour := func(w io.Writer) error {
		return writeBulk(0, size, func(piece []byte) error { _, err := w.Write(piece); return err })
	}
	drain := func(r io.Reader) error {
		sum := newSumReader(io.LimitReader(r, size))
		if _, err := io.Copy(io.Discard, sum); err != nil {
			return err
		}
		return sum.check(0, size)
	}
	errs := make(chan error, 4)
	o := tunnelOrigin(t, func(c *originConn) {
		go func() { errs <- pour(c.Conn) }()
		errs <- drain(c.br)
		_, _ = c.br.ReadByte() // until the client leaves
	})
	p := start(t, upgradeSite(o.addr))
	c := p.tunnel()
	c.within(time.Minute)
	go func() { errs <- pour(c.TCPConn) }()
	errs <- drain(c.br)
	for range cap(errs) {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a direction does not end")
		}
	}
}

// An origin that has said all still hears the client.
func TestTunnelHalfCloseByOrigin(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx closes both sides then
	heard := make(chan string, 1)
	o := tunnelOrigin(t, func(c *originConn) {
		c.write("all")
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		text, _ := io.ReadAll(c.br)
		heard <- string(text)
	})
	p := start(t, upgradeSite(o.addr))
	c := p.tunnel()
	if text, err := io.ReadAll(c.br); err != nil || string(text) != "all" {
		t.Fatalf("the client got %q, %v", text, err)
	}
	c.send("more")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-heard:
		if text != "more" {
			t.Errorf("the origin heard %q", text)
		}
	case <-time.After(ioDeadline):
		t.Error("the origin does not hear the end")
	}
}

// A side that breaks off takes the other with it.
func TestTunnelReset(t *testing.T) {
	t.Parallel()
	o := tunnelOrigin(t, func(c *originConn) {
		if word, _ := c.br.ReadByte(); word == 'r' {
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
			return
		}
		_, _ = io.Copy(io.Discard, c.br)
	})
	p := start(t, upgradeSite(o.addr))
	c := p.tunnel()
	c.send("r")
	c.wantClosed(ioDeadline)
	c = p.tunnel()
	c.send("x")
	_ = c.SetLinger(0)
	c.Close()
	eventually(t, ioDeadline, "the origin's connections to end", func() bool { return o.open.Load() == 0 })
}

// Idle tunnels hold no block: with far fewer blocks than tunnels all are made,
// others are served, and each still works.
func TestIdleTunnelsHoldNoBlock(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const tunnels = 64
	o := tunnelOrigin(t, func(c *originConn) { _, _ = io.Copy(struct{ io.Writer }{c.Conn}, c.br) })
	s := upgradeSite(o.addr)
	s.main = "[buffers]\nlimit = 12"
	p := start(t, s)
	var open []*client
	for range tunnels {
		open = append(open, p.tunnel())
	}
	for range 3 {
		p.get("/")
	}
	for i, c := range open {
		text := fmt.Sprintf("tunnel %d", i)
		c.send(text)
		echo := make([]byte, len(text))
		if _, err := io.ReadFull(c.br, echo); err != nil || string(echo) != text {
			t.Fatalf("%q came back as %q, %v", text, echo, err)
		}
	}
}
