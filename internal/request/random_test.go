// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"weir/internal/invariant"
	"weir/internal/sys"
)

// A crowd is many clients and one origin, whose bytes are cut anywhere and who go away at any time, in an order that a seed
// decides. Each request says in its path what the origin is to do with it:
//
//	/ID/KIND/SIZE    KIND: length, chunked, close, empty (204), cut (the body ends early), none (closes without an answer), bad, extra
//
// Answers have to come in order, each the one of its request, complete or visibly not; requests' bodies have to reach the origin as they
// were. The pool of blocks is large or much too small: nobody waits for ever. WEIR_CROWD_SEED=n is the first seed, WEIR_CROWD_RUNS=n how many.
type crowd struct {
	t       *testing.T
	h       *harness
	rng     *rand.Rand
	seed    uint64
	clients []*visitor
	origins []*service
	nextID  int
	moved   int
}

// visitor is a client.
type visitor struct {
	fd      int
	unsent  []byte
	asked   []question
	got     []byte
	ended   bool // the engine has closed the connection
	aborted bool // the client has
}

type question struct {
	id, size           int
	method, kind, body string
}

// service is one connection to the origin.
type service struct {
	fd     int
	got    []byte
	unsent []byte
	extra  int  // how many of the last of unsent are behind the answer's end
	close  bool // when unsent is empty
	closed bool
}

func (c *crowd) fail(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s\nrepeat with WEIR_CROWD_SEED=%d WEIR_CROWD_RUNS=1", fmt.Sprintf(format, args...), c.seed)
}

// bodyOf is the body of the request or response with a number.
func bodyOf(id, size int) string {
	unit := fmt.Sprintf("<%d>", id)
	return strings.Repeat(unit, size/len(unit)+1)[:size]
}

func (c *crowd) pick(values ...string) string { return values[c.rng.IntN(len(values))] }

func (c *crowd) size() int {
	return c.rng.IntN([]int{1, 100, 5000, 20_000, 60_000}[c.rng.IntN(5)])
}

// visit adds a client with some requests.
func (c *crowd) visit() {
	v := &visitor{fd: c.h.pairClient()}
	for n := 1 + c.rng.IntN(4); n > 0; n-- {
		c.nextID++
		q := question{id: c.nextID, size: c.size(), method: c.pick("GET", "GET", "HEAD", "POST", "PUT")}
		q.kind = c.pick("length", "length", "length", "chunked", "chunked", "close", "empty", "extra", "cut", "none", "bad")
		head := fmt.Sprintf("%s /%d/%s/%d HTTP/1.1\r\nHost: example.com\r\n", q.method, q.id, q.kind, q.size)
		switch {
		case q.method != "POST" && q.method != "PUT":
			v.unsent = append(v.unsent, head+"\r\n"...)
		case c.rng.IntN(2) == 0:
			q.body = bodyOf(q.id, c.size())
			v.unsent = append(v.unsent, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(q.body), q.body)...)
		default:
			q.body = bodyOf(q.id, c.size())
			v.unsent = append(v.unsent, head+"Transfer-Encoding: chunked\r\n\r\n"...)
			v.unsent = append(v.unsent, c.chunks(q.body)...)
		}
		v.asked = append(v.asked, q)
	}
	c.clients = append(c.clients, v)
}

func (c *crowd) chunks(body string) string {
	var out strings.Builder
	for len(body) > 0 {
		n := min(len(body), 1+c.rng.IntN(8000))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return out.String() + "0\r\n\r\n"
}

// send writes up to n of the bytes that are due.
func (c *crowd) send(fd int, unsent []byte, n int) []byte {
	if len(unsent) == 0 {
		return unsent
	}
	sent, _ := sys.Write(fd, unsent[:min(n, len(unsent))])
	c.moved += sent
	return unsent[sent:]
}

// receive reads up to n bytes.
func (c *crowd) receive(fd, n int, got []byte) (_ []byte, ended bool) {
	buf := make([]byte, n)
	m, errno := sys.Read(fd, buf)
	if errno == sys.EAGAIN {
		return got, false
	}
	if m == 0 {
		c.moved++
		return got, true
	}
	c.moved += m
	return append(got, buf[:m]...), false
}

// act does something at random for a client and for the origin.
func (c *crowd) act(n int) {
	if len(c.clients) < 8 && c.rng.IntN(4) == 0 {
		c.visit()
	}
	for _, v := range c.clients {
		if v.aborted || c.rng.IntN(3) == 0 {
			continue
		}
		if !v.ended {
			v.unsent = c.send(v.fd, v.unsent, 1+c.rng.IntN(n))
			v.got, v.ended = c.receive(v.fd, 1+c.rng.IntN(n), v.got)
		}
		if c.rng.IntN(200) == 0 {
			v.aborted = true
			sys.Close(v.fd)
		}
	}
	c.serve(n)
}

func (c *crowd) calm() {
	const plenty = 1 << 17
	for _, v := range c.clients {
		if !v.aborted && !v.ended {
			v.unsent = c.send(v.fd, v.unsent, plenty)
			v.got, v.ended = c.receive(v.fd, plenty, v.got)
		}
	}
	c.serve(plenty)
}

// serve is the origin's part.
func (c *crowd) serve(n int) {
	var from sys.Sockaddr
	if fd, errno := sys.Accept(c.h.listening, &from); errno == 0 {
		c.moved++
		c.origins = append(c.origins, &service{fd: fd})
	}
	for _, s := range c.origins {
		if s.closed {
			continue
		}
		ended := false
		if s.got, ended = c.receive(s.fd, n, s.got); ended {
			s.close, s.unsent = true, nil
		}
		if len(s.got) > 0 && len(s.unsent) <= s.extra {
			s.unsent = nil // the next request is there: from now on they would be its answer, for everybody
		}
		if len(s.unsent) == 0 && !s.close {
			c.answer(s)
		}
		s.unsent = c.send(s.fd, s.unsent, n)
		if s.close && len(s.unsent) == 0 {
			c.moved++
			s.closed = true
			sys.Close(s.fd)
		}
	}
}

// answer reads a request, if it is complete, and does what it says.
func (c *crowd) answer(s *service) {
	if !bytes.Contains(s.got, []byte("\r\n\r\n")) {
		return
	}
	in := bytes.NewReader(s.got)
	buffered := bufio.NewReader(in)
	r, err := http.ReadRequest(buffered)
	if err != nil {
		c.fail("the origin got %q: %v", s.got[:min(200, len(s.got))], err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // there is more to come
	}
	s.got = s.got[len(s.got)-in.Len()-buffered.Buffered():]
	if len(s.got) > 0 {
		c.fail("the origin got two requests at once")
	}
	part := strings.Split(r.URL.Path, "/")
	id, _ := strconv.Atoi(part[1])
	size, _ := strconv.Atoi(part[3])
	if string(body) != bodyOf(id, len(body)) {
		c.fail("the body of request %d came with other bytes", id)
	}
	if q := c.question(id); q.body != string(body) {
		c.fail("the body of request %d came with %d of %d bytes", id, len(body), len(q.body))
	}
	s.unsent = c.response(s, r.Method, part[2], id, size)
}

func (c *crowd) question(id int) question {
	for _, v := range c.clients {
		for _, q := range v.asked {
			if q.id == id {
				return q
			}
		}
	}
	c.fail("nobody asked for %d", id)
	return question{}
}

func (c *crowd) response(s *service, method, kind string, id, size int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %d\r\n", id)
	body := bodyOf(id, size)
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
	s.extra = 0
	if method == "HEAD" && kind != "none" && kind != "bad" {
		return []byte(head + length)
	}
	switch kind {
	case "length":
		return []byte(head + length + body)
	case "extra":
		extra := "HTTP/1.1 200 OK\r\nX-Id: -1\r\nContent-Length: 0\r\n\r\n"
		s.extra = len(extra)
		return []byte(head + length + body + extra)
	case "chunked":
		return []byte(head + "Transfer-Encoding: chunked\r\n\r\n" + c.chunks(body))
	case "close":
		s.close = true
		return []byte(head + "\r\n" + body)
	case "empty":
		return fmt.Appendf(nil, "HTTP/1.1 204 No Content\r\nX-Id: %d\r\n\r\n", id)
	case "cut":
		s.close = true
		if c.rng.IntN(2) == 0 {
			return []byte(head + fmt.Sprintf("Content-Length: %d\r\n\r\n", size+1) + body)
		}
		return []byte(head + "Transfer-Encoding: chunked\r\n\r\n" + strings.TrimSuffix(c.chunks(body), "0\r\n\r\n"))
	case "bad":
		s.close = true
		return []byte("HTTP/1.1 nonsense\r\n\r\n")
	}
	s.close = true
	return nil
}

// check holds what a client got against what it asked for.
func (c *crowd) check(v *visitor) {
	in := bufio.NewReader(bytes.NewReader(v.got))
	for i, q := range v.asked {
		r, err := http.ReadResponse(in, &http.Request{Method: q.method})
		if err != nil {
			if !v.aborted && !v.ended {
				c.fail("answer %d (%s %s, number %d) did not come: %v", i, q.method, q.kind, q.id, err)
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		whole := err == nil
		switch r.StatusCode {
		case 200, 204:
			if r.Header.Get("X-Id") != strconv.Itoa(q.id) {
				c.fail("answer %d is that of %s, not of %d", i, r.Header.Get("X-Id"), q.id)
			}
			want := bodyOf(q.id, q.size)
			if q.method == "HEAD" || q.kind == "empty" {
				want = ""
			}
			if !strings.HasPrefix(want, string(body)) && q.kind != "cut" || whole && q.kind != "cut" && string(body) != want {
				c.fail("answer %d (%s %s, number %d): %d bytes, %d expected", i, q.method, q.kind, q.id, len(body), len(want))
			}
			if whole && q.kind == "cut" && q.method != "HEAD" {
				c.fail("answer %d, which was cut, looks complete", i)
			}
			if !whole && q.kind != "cut" && !v.aborted {
				c.fail("answer %d (%s %s, number %d) was cut at %d of %d bytes: %v", i, q.method, q.kind, q.id, len(body), len(want), err)
			}
		case 502:
			if q.kind != "bad" && q.kind != "none" {
				c.fail("answer %d (%s %s, number %d) is 502", i, q.method, q.kind, q.id)
			}
		default:
			c.fail("answer %d (%s %s, number %d) is %d", i, q.method, q.kind, q.id, r.StatusCode)
		}
		if !whole || r.Close {
			if rest, _ := io.ReadAll(in); len(rest) > 0 {
				c.fail("%d bytes behind the last answer", len(rest))
			}
			return
		}
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		c.fail("%d bytes behind the answers", len(rest))
	}
}

func (c *crowd) run() {
	for range c.rng.IntN(400) {
		c.act([]int{10, 1000, 50_000}[c.rng.IntN(3)])
		c.h.poll()
	}
	if len(c.clients) == 0 {
		c.visit()
	}
	for still := 0; still < 30; still++ {
		before := c.moved
		c.calm()
		c.h.poll()
		if c.moved != before || c.h.temp.Pending > 0 {
			still = 0
			c.h.settleTemp()
		}
	}
	for _, v := range c.clients {
		c.check(v)
		if !v.aborted {
			sys.Close(v.fd)
		}
	}
	for _, s := range c.origins {
		if !s.closed {
			sys.Close(s.fd)
		}
	}
	for range 30 {
		// A pipelined request of a client that has gone may still ask for a connection.
		var from sys.Sockaddr
		if fd, errno := sys.Accept(c.h.listening, &from); errno == 0 {
			sys.Close(fd)
		}
		c.h.poll()
	}
	c.h.settleTemp()
	if c.h.budget.used != 0 {
		c.fail("temporary files hold %d bytes of nobody", c.h.budget.used)
	}
	if c.h.engine.InFlight() != 0 || c.h.pool.Stats().Used != 0 || c.h.table.Used() != 0 || len(c.h.pool.Check()) != 0 {
		c.fail("left behind: %d requests, %d blocks, %d connections, %v", c.h.engine.InFlight(), c.h.pool.Stats().Used, c.h.table.Used(), c.h.pool.Check())
	}
}

func TestCrowd(t *testing.T) {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	runs := 200
	if invariant.Enabled {
		runs = 400
	}
	seed, runs := number("WEIR_CROWD_SEED", 1), number("WEIR_CROWD_RUNS", runs)
	var harnesses []*harness
	for _, blocks := range []int{512, 4, 6, 12, 40} {
		harnesses = append(harnesses, newHarness(t, harnessOptions{Unix: true, Blocks: blocks, Conns: 64, Spill: 100_000}))
	}
	waits := uint64(0)
	for i := range runs {
		h := harnesses[(seed+i)%len(harnesses)]
		c := &crowd{t: t, h: h, seed: uint64(seed + i), rng: rand.New(rand.NewPCG(uint64(seed+i), 5))}
		l := h.bind.Default.List[0]
		l.Proxy.RequestBuffering = c.rng.IntN(3) > 0
		l.BodyBlocks = []int{8, 2}[c.seed%2] // of which bodies are spilled, as long as there is room
		c.run()
		waits += h.pool.Stats().Waits
	}
	spilled, refused := uint64(0), uint64(0)
	for _, h := range harnesses {
		spilled += h.temp.Written
		refused += h.temp.Refused
	}
	require.True(t, waits > 0 || runs < 10, "nobody had to wait for a block")
	require.True(t, spilled > 0 && refused > 0 || runs < 10, "%d bytes were spilled, %d times there was no room", spilled, refused)
}

// TestFewBlocks: with a pool that is too small for all of them, requests wait for blocks, and all are answered.
func TestFewBlocks(t *testing.T) {
	h := newHarness(t, harnessOptions{Unix: true, Blocks: 4, Conns: 64})
	const clients = 20
	var ends []int
	for range clients {
		fd := h.pairClient()
		sys.Write(fd, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\nGET /2 HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		ends = append(ends, fd)
	}
	c := &crowd{t: t, h: h, rng: rand.New(rand.NewPCG(1, 1))}
	body := strings.Repeat("x", 50_000)
	got := make([][]byte, clients)
	for still := 0; still < 50; still++ {
		before := c.moved
		var from sys.Sockaddr
		if fd, errno := sys.Accept(h.listening, &from); errno == 0 {
			c.origins = append(c.origins, &service{fd: fd})
			c.moved++
		}
		for _, s := range c.origins {
			s.got, _ = c.receive(s.fd, 4096, s.got)
			if bytes.HasSuffix(s.got, []byte("\r\n\r\n")) {
				s.got = nil
				s.unsent = fmt.Appendf(s.unsent, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			}
			s.unsent = c.send(s.fd, s.unsent, 1<<16)
		}
		for i, fd := range ends {
			got[i], _ = c.receive(fd, 1<<16, got[i])
		}
		require.LessOrEqual(t, h.pool.Stats().Used, 4)
		h.poll()
		if c.moved != before {
			still = 0
		}
	}
	require.NotZero(t, h.pool.Stats().Waits, "nobody had to wait: this shows nothing")
	for i := range ends {
		in := bufio.NewReader(bytes.NewReader(got[i]))
		for range 2 {
			r, err := http.ReadResponse(in, nil)
			require.NoError(t, err, "client %d", i)
			require.Equal(t, 200, r.StatusCode)
			text, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, body, string(text))
		}
		sys.Close(ends[i])
	}
	for range 30 {
		h.poll()
	}
	h.settled()
}

// TestCutBodyIsAReset: where only the end of the connection ends the body, a client sees by a reset that it is not all there.
func TestCutBodyIsAReset(t *testing.T) {
	for name, tc := range map[string]struct{ head, rest string }{
		"chunks":      {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "zz\r\n"},
		"chunks, end": {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, harnessOptions{Unix: true})
			client := h.connectClient()
			sys.Write(client, []byte("GET / HTTP/1.0\r\n\r\n"))
			origin := h.accept()
			buf := make([]byte, 4096)
			h.read(origin, buf)
			sys.Write(origin, []byte("HTTP/1.1 200 OK\r\n"+tc.head))
			n := h.read(client, buf)
			require.True(t, bytes.HasSuffix(buf[:n], []byte("\r\n\r\nabc")), "%q", buf[:n])
			sys.Write(origin, []byte(tc.rest))
			sys.ShutdownWrite(origin)
			for h.engine.InFlight() > 0 {
				h.turn()
			}
			_, errno := sys.Read(client, buf)
			require.Equal(t, sys.ECONNRESET, errno)
			sys.Close(client)
			sys.Close(origin)
			h.settled()
		})
	}
}
