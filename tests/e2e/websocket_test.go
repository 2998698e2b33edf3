// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// wsFrame is a frame of RFC 6455, unmasked.
type wsFrame struct {
	final   bool
	opcode  byte
	masked  bool
	payload []byte
}

const (
	wsText  = 1
	wsClose = 8
)

// going is the payload of a close frame with code 1001.
var going = []byte{0x03, 0xe9}

func (f wsFrame) bytes() []byte {
	b := []byte{f.opcode, 0}
	if f.final {
		b[0] |= 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !f.masked {
		return append(b, f.payload...)
	}
	mask := []byte{1, 2, 3, 4}
	b[1] |= 0x80
	b = append(b, mask...)
	for i, c := range f.payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

func readFrame(r *bufio.Reader) (f wsFrame, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	f.final, f.opcode, f.masked = head[0]&0x80 != 0, head[0]&0xf, head[1]&0x80 != 0
	n := uint64(head[1] & 0x7f)
	if long := map[uint64]int{126: 2, 127: 8}[n]; long > 0 {
		var b [8]byte
		if _, err = io.ReadFull(r, b[8-long:]); err != nil {
			return f, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if n > 64<<20 {
		return f, fmt.Errorf("a frame of %d bytes: out of step", n)
	}
	var mask [4]byte
	if f.masked {
		if _, err = io.ReadFull(r, mask[:]); err != nil {
			return f, err
		}
	}
	f.payload = make([]byte, n)
	if _, err = io.ReadFull(r, f.payload); err != nil {
		return f, err
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i%4]
	}
	return f, nil
}

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

// wsOrigin runs talk on each WebSocket, and then notes the frames that it gets until the end.
func wsOrigin(t testing.TB, talk func(c *originConn)) (o *origin, got func() []wsFrame) {
	var mu sync.Mutex
	var frames []wsFrame
	o = newOrigin(t, func(c *originConn) {
		r := c.request()
		if r == nil {
			return
		}
		if r.fields.get("Upgrade") == "" {
			c.write(ok("plain"))
			return
		}
		c.write(switched)
		go talk(c)
		for {
			f, err := readFrame(c.br)
			if err != nil {
				return
			}
			mu.Lock()
			frames = append(frames, f)
			mu.Unlock()
		}
	})
	return o, func() []wsFrame {
		mu.Lock()
		defer mu.Unlock()
		return append([]wsFrame(nil), frames...)
	}
}

func wsSite(addr, timeout string) site {
	return site{workers: 1, origin: addr, main: `worker_shutdown_timeout = "60s"`,
		more: location("/ws", `proxy_pass = "http://app"`, `worker_shutdown_timeout = "`+timeout+`"`)}
}

// wsDial opens a WebSocket through the proxy.
func (p *proxy) wsDial() *client {
	p.t.Helper()
	c := p.dial()
	c.send(strings.Replace(upgradeRequest, "/ws", "/ws", 1))
	r, err := readResponse(c.br, "GET")
	if err != nil || r.status != 101 {
		p.t.Fatalf("WebSocket: status %d, %v", r.status, err)
	}
	return c
}

// A drained worker's WebSockets end when their location says so, each side with a close frame 1001 between two frames, also when one is
// just being sent.
func TestWebSocketsEndInOrder(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	long := bytes.Repeat([]byte("x"), 200_000)
	late := make(chan struct{})
	o, got := wsOrigin(t, func(c *originConn) {
		text := wsFrame{true, wsText, false, long}.bytes()
		_, _ = c.Write(text[:len(text)/2]) // the middle of a frame, until the first one's time is up
		c.await(late)
		_, _ = c.Write(text[len(text)/2:])
		for range 100 { // and there is no end of it
			if _, err := c.Write(wsFrame{true, wsText, false, []byte("more")}.bytes()); err != nil {
				return
			}
		}
	})
	p := start(t, wsSite(o.addr, "1500ms"))
	var clients []*client
	for range 8 {
		c := p.wsDial()
		if _, err := c.Write(wsFrame{true, wsText, true, []byte("hello")}.bytes()); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	eventually(t, ioDeadline, "the greetings", func() bool { return len(got()) == len(clients) })
	begun := time.Now()
	p.writeConfig(wsSite(o.addr, "1400ms").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Fatal(out)
	}
	p.waitLog(`worker_shutdown_timeout is over`)
	close(late)
	var reading sync.WaitGroup
	for _, c := range clients {
		reading.Go(func() {
			defer c.Close()
			c.within(ioDeadline)
			if err := readToTheEnd(c.br, long); err != nil {
				t.Error(err)
			}
		})
	}
	reading.Wait()
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("they ended after %v, before their time", took)
	}
	eventually(t, ioDeadline, "the origin's connections to end", func() bool { return o.open.Load() == 0 })
	closes := 0
	for _, f := range got() {
		if f.opcode == wsClose {
			closes++
			if !f.masked || !bytes.Equal(f.payload, going) {
				t.Errorf("the origin got the close frame %+v", f)
			}
		}
	}
	if closes != len(clients) {
		t.Errorf("the origin got %d close frames, want %d", closes, len(clients))
	}
}

// readToTheEnd wants a frame with the payload first, then any others, then a close frame that says 1001, then the end.
func readToTheEnd(br *bufio.Reader, first []byte) error {
	f, err := readFrame(br)
	if err != nil || !bytes.Equal(f.payload, first) {
		return fmt.Errorf("the frame that had begun: %d bytes, %w", len(f.payload), err)
	}
	for f.opcode != wsClose {
		if f, err = readFrame(br); err != nil {
			return fmt.Errorf("no close frame: %w", err)
		}
	}
	if !bytes.Equal(f.payload, going) || f.masked || !f.final {
		return fmt.Errorf("close frame %+v", f)
	}
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		return fmt.Errorf("after the close frame %d bytes, %w", len(rest), err)
	}
	return nil
}

// They are closed one after the other, not all at the same time, and those of the new generation are left alone.
func TestWebSocketsEndSpread(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o, _ := wsOrigin(t, func(*originConn) {})
	p := start(t, wsSite(o.addr, "2s"))
	const many = 40
	ends := make(chan time.Time, many)
	for range many {
		c := p.wsDial()
		c.within(time.Minute)
		go func() {
			defer func() { ends <- time.Now() }()
			f, err := readFrame(c.br)
			if err != nil || f.opcode != wsClose {
				t.Errorf("frame %+v, %v; want a close frame", f, err)
			}
			_, _ = c.Write(wsFrame{true, wsClose, true, f.payload}.bytes())
			if _, err := c.br.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("after the close frame: %v", err)
			}
			c.Close()
		}()
	}
	old := p.children()
	begun := time.Now()
	p.writeConfig(wsSite(o.addr, "3s").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Fatal(out)
	}
	stays := p.wsDial()
	var first, last time.Duration
	for n := range many {
		after := (<-ends).Sub(begun)
		if n == 0 {
			first = after
		}
		last = after
	}
	t.Logf("%d WebSockets with a time of 2s ended after %v to %v", many, first, last)
	if first < 2*time.Second || last-first < 100*time.Millisecond {
		t.Errorf("they ended after %v to %v: want 2s and more, spread", first, last)
	}
	p.waitGone(old)
	if _, err := stays.Write(wsFrame{true, wsText, true, []byte("still here")}.bytes()); err != nil {
		t.Error(err)
	}
	stays.within(50 * time.Millisecond)
	if ok, _ := stays.closed(); ok {
		t.Error("the new generation's WebSocket was closed")
	}
}

// Another protocol's tunnel just ends; what has no bound in its location outlives worker_shutdown_timeout.
func TestTunnelsEnd(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newOrigin(t, func(c *originConn) {
		if c.request() != nil {
			c.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\nhello")
			_, _ = io.Copy(io.Discard, c.br)
		}
	})
	s := func(time string) site {
		up := `proxy_set_header = { Upgrade = "$http_upgrade", Connection = "upgrade" }`
		return site{origin: o.addr, location: up, main: `worker_shutdown_timeout = "` + time + `"`,
			more: location("/forever", `proxy_pass = "http://app"`, up, "worker_shutdown_timeout = 0")}
	}
	p := start(t, s("1s"))
	open := func(path string) *client {
		c := p.dial()
		c.send("GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
		if r, err := readResponse(c.br, "GET"); err != nil || r.status != 101 {
			t.Fatalf("%s: status %d, %v", path, r.status, err)
		}
		if hello := make([]byte, 5); true {
			if _, err := io.ReadFull(c.br, hello); err != nil || string(hello) != "hello" {
				t.Fatalf("%q, %v", hello, err)
			}
		}
		return c
	}
	short, long := open("/"), open("/forever")
	old := p.children()
	p.writeConfig(s("2s").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Fatal(out)
	}
	short.within(ioDeadline)
	if rest, err := io.ReadAll(short.br); err != nil || len(rest) > 0 {
		t.Errorf("the tunnel ended with %q, %v; want a plain end", rest, err)
	}
	short.Close()
	long.within(2500 * time.Millisecond)
	if ok, err := long.closed(); ok {
		t.Errorf("the tunnel without a bound was closed: %v", err)
	}
	long.Close()
	p.waitGone(old)
}

// More generations than max_generations: the oldest one's time is up, and its WebSockets end in order then too. Until then weir status says what holds it.
func TestOldestGenerationIsCut(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o, _ := wsOrigin(t, func(*originConn) {})
	s := func(tokens bool) site {
		s := wsSite(o.addr, "1h")
		s.main += "\nmax_generations = 2"
		s.http = fmt.Sprintf("server_tokens = %v", tokens)
		return s
	}
	p := start(t, s(true))
	first := []*client{p.wsDial(), p.wsDial(), p.wsDial()}
	old := p.children()
	reload := func(tokens bool) {
		p.writeConfig(s(tokens).toml())
		if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
			t.Fatal(out)
		}
	}
	reload(false)
	second := p.wsDial()
	var status struct {
		Workers []struct {
			PID  int
			Held []struct {
				What, Location string
				Count          int
				OldestMs       int64 `json:"oldest_ms"`
			}
		}
	}
	eventually(t, ioDeadline, fmt.Sprintf("weir status to say that %d tunnels of /ws hold worker %d", len(first), old[0]), func() bool {
		if code, err := p.control("GET", "/status", &status); code != 200 || err != nil {
			t.Fatal(code, err)
		}
		for _, w := range status.Workers {
			for _, h := range w.Held {
				if w.PID == old[0] && h.What == "tunnel" && h.Location == "/ws" && h.Count == len(first) {
					return true
				}
			}
		}
		return false
	})
	reload(true)
	for i, c := range first {
		c.within(ioDeadline)
		if f, err := readFrame(c.br); err != nil || f.opcode != wsClose || !bytes.Equal(f.payload, going) {
			t.Errorf("WebSocket %d of the oldest generation: %+v, %v", i, f, err)
		}
		c.Close()
	}
	p.waitGone(old)
	second.within(50 * time.Millisecond)
	if ok, _ := second.closed(); ok {
		t.Error("the WebSocket of the next generation was closed too")
	}
}
