// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pattern fills b with what stands at offset in the body with an id.
func pattern(b []byte, id uint64, offset int) {
	for i := range b {
		at := uint64(offset + i)
		b[i] = 'a' + byte((at>>9+at*7+id*13)%23)
	}
}

// modes of an answer of an origin, as often as each is drawn. Those that begin with a capital letter are misbehaviour.
var modes = []string{
	"len", "len", "len", "len", "len", "len", "len", "len", "chunk", "chunk", "chunk", "chunk", "chunk", "close", "dribble", "dribble", "early", "status", "status", "accel", "accel", "interim", "packed", "packed",
	"Cut", "CutChunk", "Reset", "ResetHead", "Garbage", "Hang", "Extra", "BigHead", "Nothing",
}

// origin is a server that answers as the path says: /NAME/MODE/LENGTH/ID.
type origin struct {
	net.Listener
	w    *world
	mu   sync.Mutex
	open map[net.Conn]bool
	over bool
	done sync.WaitGroup
}

func newOrigin(w *world) *origin {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	o := &origin{Listener: ln, w: w, open: map[net.Conn]bool{}}
	seed := w.rng.Uint64()
	o.done.Go(func() {
		for n := uint64(0); ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if !o.add(c) {
				return
			}
			o.done.Go(func() {
				defer o.remove(c)
				o.serve(c, rand.New(rand.NewPCG(seed, n)))
			})
		}
	})
	return o
}

func (o *origin) add(c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		c.Close()
		return false
	}
	o.open[c] = true
	return true
}

func (o *origin) remove(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, c)
	c.Close()
}

// end closes everything.
func (o *origin) end() {
	o.Close()
	o.mu.Lock()
	o.over = true
	for c := range o.open {
		c.Close()
	}
	o.mu.Unlock()
	o.done.Wait()
}

// serve answers the requests of a connection, until one says otherwise.
func (o *origin) serve(c net.Conn, rng *rand.Rand) {
	br := bufio.NewReaderSize(c, 4096)
	for {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		r, err := http.ReadRequest(br)
		if err != nil {
			var op *net.OpError
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.As(err, &op) {
				o.w.fault("an origin got a malformed request: %v", err)
			}
			return
		}
		o.w.requests.Add(1)
		if !o.answer(c, br, r, rng) {
			return
		}
	}
}

// answer answers a request, and says whether the connection goes on.
func (o *origin) answer(c net.Conn, br *bufio.Reader, r *http.Request, rng *rand.Rand) bool {
	part := strings.Split(r.URL.Path, "/")
	if len(part) < 5 {
		part = []string{"", "x", "len", "10", "0"}
	}
	length, _ := strconv.Atoi(part[3])
	id, _ := strconv.ParseUint(part[4], 10, 64)
	mode := part[2]
	if part[1] == "auth" && r.Header.Get("X-Auth") != "" {
		mode = "auth"
	}
	if mode == "ws" && r.Header.Get("Upgrade") != "" {
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		_, _ = io.Copy(c, br)
		return false
	}
	sum, n := uint32(0), int64(0)
	if mode != "early" {
		h := crc32.NewIEEE()
		var err error
		if n, err = io.Copy(h, r.Body); err != nil {
			return false
		}
		sum = h.Sum32()
	}
	head := fmt.Sprintf("X-Id: %d\r\nX-Sum: %d %08x\r\nContent-Type: text/plain\r\n", id, n, sum)
	a := answerer{c: c, rng: rng, id: id, length: length, head: head, bodiless: r.Method == "HEAD"}
	return a.write(mode) && mode != "early"
}

// answerer writes one answer.
type answerer struct {
	c        net.Conn
	rng      *rand.Rand
	id       uint64
	length   int
	head     string
	bodiless bool
}

func (a *answerer) write(mode string) bool {
	switch mode {
	case "auth":
		code := pick(a.rng, 204, 204, 204, 204, 401, 403, 500)
		if code == 500 {
			return a.reset()
		}
		return a.say("HTTP/1.1 %d Auth\r\nContent-Length: 0\r\n\r\n", code)
	case "status":
		code := pick(a.rng, 204, 304, 404, 500, 502, 503)
		if code < 400 {
			return a.say("HTTP/1.1 %d X\r\n%s\r\n", code, a.head)
		}
		return a.say("HTTP/1.1 %d X\r\nContent-Length: 5\r\n%s\r\n", code, a.head) && (a.bodiless || a.say("error"))
	case "accel":
		to := pick(a.rng, "/inner/big", "/inner/small", "/inner/none", "/files/page.html", "/lim/chunk/5000/1", "@again")
		return a.say("HTTP/1.1 200 OK\r\nX-Accel-Redirect: %s\r\nContent-Length: 5\r\n\r\n", to) && (a.bodiless || a.say("other"))
	case "interim":
		return a.say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") && a.whole("Content-Length: "+strconv.Itoa(a.length), 0)
	case "chunk":
		return a.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n", a.head) && (a.bodiless || a.chunks(a.length) && a.say("0\r\nX-Trailer: t\r\n\r\n"))
	case "packed":
		return a.packed()
	case "close":
		a.whole("Connection: close", 0)
		return false
	case "dribble":
		return a.whole("Content-Length: "+strconv.Itoa(a.length), time.Millisecond)
	}
	if mode[0] >= 'A' && mode[0] <= 'Z' {
		return a.misbehave(mode)
	}
	return a.whole("Content-Length: "+strconv.Itoa(a.length), 0)
}

func (a *answerer) misbehave(mode string) bool {
	switch mode {
	case "Cut":
		a.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", a.length+1000, a.head)
		a.body(a.length, 0)
	case "CutChunk":
		a.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n", a.head)
		a.chunks(a.length)
	case "Reset":
		a.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", a.length+1000, a.head)
		a.body(a.length, 0)
		return a.reset()
	case "ResetHead":
		a.say("HTTP/1.1 200 O")
		return a.reset()
	case "Garbage":
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte(a.rng.Uint32())
		}
		_, _ = a.c.Write(b)
	case "Hang":
		a.c.SetReadDeadline(time.Now().Add(3 * time.Second))
		_, _ = a.c.Read(make([]byte, 1))
	case "Extra":
		a.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n%s\r\n%s", a.head, "datamore that nobody asked for")
		return true
	case "BigHead":
		a.say("HTTP/1.1 200 OK\r\nX-Big: %s\r\nContent-Length: 0\r\n\r\n", strings.Repeat("x", a.rng.IntN(20000)))
		return true
	}
	return false
}

func (a *answerer) reset() bool {
	_ = a.c.(*net.TCPConn).SetLinger(0)
	return false
}

func (a *answerer) say(format string, args ...any) bool {
	_, err := fmt.Fprintf(a.c, format, args...)
	return err == nil
}

func (a *answerer) whole(framing string, pause time.Duration) bool {
	return a.say("HTTP/1.1 200 OK\r\n%s\r\n%s\r\n", framing, a.head) && (a.bodiless || a.body(a.length, pause))
}

// packed answers with gzip.
func (a *answerer) packed() bool {
	text := make([]byte, a.length)
	pattern(text, a.id, 0)
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = z.Write(text)
	_ = z.Close()
	if !a.say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n%s\r\n", b.Len(), a.head) || a.bodiless {
		return a.bodiless
	}
	_, err := a.c.Write(b.Bytes())
	return err == nil
}

// body writes n bytes in pieces of random sizes.
func (a *answerer) body(n int, pause time.Duration) bool {
	b := make([]byte, 32<<10)
	for at := 0; at < n; {
		part := b[:min(1+a.rng.IntN(len(b)), n-at)]
		if pause > 0 {
			part = part[:min(len(part), max(n/50, 1))]
			time.Sleep(pause)
		}
		pattern(part, a.id, at)
		if _, err := a.c.Write(part); err != nil {
			return false
		}
		at += len(part)
	}
	return true
}

func (a *answerer) chunks(n int) bool {
	b := make([]byte, 20<<10)
	for at := 0; at < n; {
		most := pick(a.rng, 3, 300, len(b))
		part := b[:min(1+a.rng.IntN(most), n-at)]
		pattern(part, a.id, at)
		if !a.say("%x\r\n%s\r\n", len(part), part) {
			return false
		}
		at += len(part)
	}
	return true
}
