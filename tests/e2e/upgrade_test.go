// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"

// upgradeSite passes Upgrade on, as nginx's documentation on WebSocket says.
func upgradeSite(addr string) site {
	return site{origin: addr, location: `proxy_set_header = { Upgrade = "$http_upgrade", Connection = "upgrade" }`}
}

// echoUpgrade answers 101 with greeting behind the head in the same segment,
// then sends back what it gets, until the peer's end; then it says bye.
func echoUpgrade(t testing.TB, greeting string) *origin {
	return newOrigin(t, func(c *originConn) {
		r := c.requestHead()
		if r == nil {
			return
		}
		if r.fields.get("Upgrade") != "websocket" {
			c.write(ok("plain"))
			return
		}
		c.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n" + greeting)
		_, _ = io.Copy(struct{ io.Writer }{c.Conn}, c.br)
		c.write("bye")
	})
}

func TestUpgradeTunnel(t *testing.T) {
	t.Parallel()
	o := echoUpgrade(t, "greeting")
	p := start(t, upgradeSite(o.addr))
	c := p.dial()
	c.send(upgradeRequest)
	r := c.read("GET")
	if r.status != 101 || r.fields.get("Upgrade") != "websocket" || !strings.EqualFold(r.fields.get("Connection"), "upgrade") {
		t.Fatalf("answer %q", r.raw)
	}
	if r.fields.get("Sec-WebSocket-Accept") != "y" || r.fields.has("Content-Length") || r.fields.has("Transfer-Encoding") {
		t.Errorf("answer %q", r.raw)
	}
	greeting := make([]byte, len("greeting"))
	if _, err := io.ReadFull(c.br, greeting); err != nil || string(greeting) != "greeting" {
		t.Fatalf("behind the 101: %q, %v", greeting, err)
	}
	if got := o.last().fields.get("Connection"); !strings.EqualFold(got, "upgrade") {
		t.Errorf("the origin got Connection %q", got)
	}
	// Both ways at once, more than any buffer holds.
	data := pattern(3 << 20)
	sent := make(chan error, 1)
	go func() { _, err := c.TCPConn.Write(data); sent <- err }()
	got := make([]byte, len(data))
	if n, err := io.ReadFull(c.br, got); err != nil {
		t.Fatalf("echo ends after %d bytes: %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatal(differ(got, data))
	}
	// Half-close: the origin sees the end and still has the last word.
	if useNginx() { // nginx closes both sides then
		return
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c.br); err != nil || string(rest) != "bye" {
		t.Fatalf("after the half-close: %q, %v", rest, err)
	}
	eventually(t, ioDeadline, "the origin's connection to end", func() bool { return o.open.Load() == 0 })
}

// What the client sends behind its request, before the 101, is for the tunnel.
func TestUpgradeEarlyData(t *testing.T) {
	t.Parallel()
	o := echoUpgrade(t, "")
	p := start(t, upgradeSite(o.addr))
	c := p.dial()
	c.send(upgradeRequest + "early")
	if r := c.read("GET"); r.status != 101 {
		t.Fatalf("status %d", r.status)
	}
	c.send("+late")
	got := make([]byte, len("early+late"))
	if _, err := io.ReadFull(c.br, got); err != nil || string(got) != "early+late" {
		t.Fatalf("echo %q, %v", got, err)
	}
}

// The origin's end ends the tunnel, after all it sent.
func TestUpgradeOriginEnds(t *testing.T) {
	t.Parallel()
	data := pattern(500000)
	o := newOrigin(t, func(c *originConn) {
		if c.requestHead() != nil {
			c.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + string(data))
		}
	})
	p := start(t, upgradeSite(o.addr))
	c := p.dial()
	c.send(upgradeRequest)
	c.read("GET")
	got, err := io.ReadAll(c.br)
	if d := differ(got, data); err != nil || d != "" {
		t.Fatalf("the client got %s, %v", d, err)
	}
}

// An origin may refuse to switch: then it is an answer like any other.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	o := answering(t, func(r *request) string { return ok("no") })
	p := start(t, upgradeSite(o.addr))
	c := p.dial()
	c.send(upgradeRequest)
	if r := c.read("GET"); r.status != 200 || string(r.body) != "no" {
		t.Fatalf("status %d %q", r.status, r.body)
	}
	c.get("/next", 200)
}

// A 101 that nobody asked for is nonsense (RFC 9110 section 15.2.2).
func TestUnaskedSwitch(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx 1.22 passes it on
	o := newOrigin(t, func(c *originConn) {
		if c.request() != nil {
			c.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	p := start(t, site{origin: o.addr})
	if r := p.get("/"); r.status != 502 {
		t.Fatalf("status %d, want 502", r.status)
	}
}
