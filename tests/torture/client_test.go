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
	"os"
	"strconv"
	"strings"
	"time"
)

// patience is how long a client waits for the next byte: longer than any timeouts of the config that can follow each other.
const patience = 15 * time.Second

// client makes connections one after the other, and does something on each, until the run is over.
func (w *world) client(rng *rand.Rand) {
	polite, aborts, pipelines, uploads := (*session).polite, (*session).aborts, (*session).pipelines, (*session).uploads
	kinds := []func(*session){polite, polite, polite, polite, polite, polite, aborts, aborts, aborts, pipelines, pipelines, uploads, uploads,
		(*session).bytewise, (*session).stops, (*session).halfClose, (*session).garbage, (*session).webSocket, (*session).idles}
	if w.setting.calm {
		kinds = []func(*session){polite, polite, polite, pipelines, uploads, (*session).bytewise}
	}
	for !w.ended() {
		c, err := w.dial()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		s := &session{w: w, rng: rng, c: c}
		s.br = bufio.NewReader(s)
		if rng.IntN(4) == 0 {
			_ = s.c.SetReadBuffer(2048)
		}
		kind := rng.IntN(len(kinds))
		kinds[kind](s)
		if s.stuck {
			w.fault("a client of kind %d got %d bytes, and no more for %v: %s\n%s", kind, s.got, patience, s.last, sockets(c))
		}
		w.hangUp(c)
	}
}

// sockets are the kernel's lines about both ends of a connection: whether weir still has its own.
func sockets(c *net.TCPConn) string {
	text, _ := os.ReadFile("/proc/net/tcp")
	var lines string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, fmt.Sprintf(":%04X ", c.LocalAddr().(*net.TCPAddr).Port)) {
			lines += line
		}
	}
	return lines
}

// session is one connection of a client.
type session struct {
	w     *world
	rng   *rand.Rand
	c     *net.TCPConn
	br    *bufio.Reader
	last  string // the last request
	got   int64
	stuck bool // nothing came for too long
}

// Read has a time limit.
func (s *session) Read(b []byte) (int, error) {
	_ = s.c.SetReadDeadline(time.Now().Add(patience))
	n, err := s.c.Read(b)
	s.got += int64(n)
	s.stuck = s.stuck || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// ask is a request, and what is known of its answer.
type ask struct {
	method string
	id     uint64
	mode   string
	length int
	sum    string // of the body that was sent
	head   string
	body   []byte
	key    int    // $arg_k
	place  string // where it is asked for
}

var places = []string{"", "lim", "gz", "auth", "mirror", "ep", "unbuf", "slow", "rw", "all", "basic", "try", "files", "var", "ret", "sub", "plain"}

// request draws a request for one of the places.
func (s *session) request(body bool) *ask {
	rng := s.rng
	a := &ask{method: "GET", id: 100 + s.w.ids.Add(1), mode: s.mode(), length: pick(rng, 0, 1, rng.IntN(300), rng.IntN(9000), rng.IntN(60000)), key: rng.IntN(s.w.setting.keys)}
	switch place := pick(rng, places...); {
	case rng.IntN(40) == 0:
		a.length = rng.IntN(2 << 20)
		fallthrough
	default:
		a.place = place
		name := place
		if name == "" {
			name = "x"
		}
		path := fmt.Sprintf("/%s/%s/%d/%d?k=%d", name, a.mode, a.length, a.id, a.key)
		if place == "files" {
			path = pick(rng, "/files/big", "/files/small", "/files/", "/files/none", "/files/..%2f..", "/files/page.html")
			a.mode = "file"
		}
		if place == "try" {
			path = fmt.Sprintf("/try/%s/%d/%d?f=/%s&k=1", a.mode, a.length, a.id, pick(rng, "small", "big", "none"))
		}
		a.write(rng, path, body)
	}
	s.last = a.head
	return a
}

// mode draws what the origin is to do.
func (s *session) mode() string {
	for {
		if mode := pick(s.rng, modes...); !s.w.setting.calm || mode[0] >= 'a' && mode != "early" {
			return mode
		}
	}
}

func (a *ask) write(rng *rand.Rand, path string, body bool) {
	var b strings.Builder
	if body {
		a.method = "POST"
		a.body = make([]byte, pick(rng, 0, 1, rng.IntN(2000), rng.IntN(100000)))
		pattern(a.body, a.id, 3)
		a.sum = fmt.Sprintf("%d %08x", len(a.body), crc32.ChecksumIEEE(a.body))
	} else if rng.IntN(20) == 0 {
		a.method = "HEAD"
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: h\r\n", a.method, path)
	if rng.IntN(2) == 0 {
		b.WriteString("Accept-Encoding: gzip\r\n")
	}
	if rng.IntN(3) == 0 {
		b.WriteString("TE: trailers\r\n")
	}
	if rng.IntN(10) == 0 {
		fmt.Fprintf(&b, "X-Long: %s\r\n", strings.Repeat("y", rng.IntN(3000)))
	}
	if rng.IntN(2) == 0 {
		b.WriteString("Authorization: Basic dTpw\r\n") // u:p
	}
	if rng.IntN(10) == 0 {
		fmt.Fprintf(&b, "Range: bytes=%d-%d,%d-\r\n", rng.IntN(500), 500+rng.IntN(500), rng.IntN(3000))
	}
	if body {
		chunked := rng.IntN(2) == 0
		if chunked {
			b.WriteString("Transfer-Encoding: chunked\r\n")
			a.body = chunks(rng, a.body)
		} else {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
		}
		if rng.IntN(5) == 0 {
			b.WriteString("Expect: 100-continue\r\n")
		}
	}
	b.WriteString("\r\n")
	a.head = b.String()
}

func chunks(rng *rand.Rand, body []byte) []byte {
	var b bytes.Buffer
	for most := pick(rng, 4, 500, 30000); len(body) > 0; {
		n := min(1+rng.IntN(most), len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// read reads the answer to a request, and checks it. False: the connection is at its end.
func (s *session) read(a *ask) bool {
	begun := s.got - int64(s.br.Buffered())
	for {
		r, err := http.ReadResponse(s.br, &http.Request{Method: a.method})
		if err != nil {
			s.broken(a, begun, err)
			return false
		}
		if s.w.answers[r.StatusCode/100%6].Add(1); r.StatusCode == 100 || r.StatusCode == 103 {
			continue
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			s.broken(a, begun, err)
			return false
		}
		s.check(a, r, text)
		return !r.Close
	}
}

// broken notes an answer that cannot be read to its end. It may end early, but never be malformed.
func (s *session) broken(a *ask, begun int64, err error) {
	s.w.broken.Add(1)
	var op *net.OpError
	if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.As(err, &op) {
		s.w.fault("request %d: the answer is malformed: %v\n%s", a.id, err, a.head)
	}
	if s.w.setting.calm && s.got > begun && !errors.Is(err, net.ErrClosed) {
		s.w.fault("request %d: the answer ends after %d bytes: %v\n%s", a.id, s.got-begun, err, a.head)
	}
}

// check compares a complete answer with what it has to be.
func (s *session) check(a *ask, r *http.Response, text []byte) {
	if r.StatusCode != 200 || r.Header.Get("X-Id") != fmt.Sprint(a.id) {
		if id := r.Header.Get("X-Id"); id != "" && id != fmt.Sprint(a.id) && id != "0" && id != "1" {
			s.w.fault("request %d was answered with the answer to %s\n%s", a.id, id, a.head)
		}
		return
	}
	substituted := a.place == "sub" || a.place == "plain"
	if r.Header.Get("Content-Encoding") == "gzip" && a.method != "HEAD" {
		if substituted && a.mode == "packed" {
			return // what is looked for may stand in what is compressed
		}
		z, err := gzip.NewReader(bytes.NewReader(text))
		if err == nil {
			text, err = io.ReadAll(z)
		}
		if err != nil {
			s.w.fault("request %d: gzip: %v\n%s", a.id, err, a.head)
			return
		}
	}
	if sum := r.Header.Get("X-Sum"); a.sum != "" && a.mode != "early" && sum != a.sum {
		s.w.fault("request %d: the origin got a body of %s, not %s\n%s", a.id, sum, a.sum, a.head)
	}
	length := a.length
	switch {
	case a.mode == "Cut" || a.mode == "CutChunk" || a.mode == "Reset":
		if a.method != "HEAD" {
			s.w.fault("request %d: a body that was cut off looks complete: %d bytes\n%s", a.id, len(text), a.head)
		}
		return
	case a.mode == "Extra":
		length = -1
	case a.method == "HEAD":
		length = 0
	}
	want := make([]byte, max(length, 0))
	if pattern(want, a.id, 0); substituted {
		want = bytes.ReplaceAll(want, []byte("ho"), []byte(strings.ReplaceAll(replacement, "$arg_k", strconv.Itoa(a.key))))
		length = len(want) + min(length, 0)
	}
	if a.mode != "Extra" && len(text) != length && r.Header.Get("Content-Range") == "" {
		s.w.fault("request %d: %d bytes, not %d\n%s", a.id, len(text), length, a.head)
		return
	}
	if r.Header.Get("Content-Range") == "" && length >= 0 && !bytes.Equal(want, text) {
		s.w.fault("request %d: the body of %d bytes is another\n%s", a.id, len(text), a.head)
	}
}

func (s *session) send(b []byte) bool {
	_ = s.c.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.c.Write(b)
	return err == nil
}

// polite asks and reads, on one connection.
func (s *session) polite() {
	for range 1 + s.rng.IntN(8) {
		a := s.request(s.rng.IntN(4) == 0)
		if !s.send([]byte(a.head)) || !s.send(a.body) || !s.read(a) {
			return
		}
	}
}

// bytewise sends a request byte by byte.
func (s *session) bytewise() {
	a := s.request(s.rng.IntN(2) == 0)
	all := append([]byte(a.head), a.body...)
	for i := range min(len(all), 300) {
		if !s.send(all[i : i+1]) {
			return
		}
	}
	if len(all) <= 300 || s.send(all[300:]) {
		s.read(a)
	}
}

// aborts sends a request, or a part of it, reads something or nothing, and goes.
func (s *session) aborts() {
	a := s.request(s.rng.IntN(2) == 0)
	all := append([]byte(a.head), a.body...)
	if s.rng.IntN(2) == 0 {
		all = all[:s.rng.IntN(len(all)+1)]
	}
	s.send(all)
	s.rest(50)
	if s.rng.IntN(2) == 0 {
		_, _ = io.CopyN(io.Discard, s.br, int64(s.rng.IntN(5000)))
	}
	if s.rng.IntN(2) == 0 {
		_ = s.c.SetLinger(0)
	}
}

// stops asks and reads nothing for a while.
func (s *session) stops() {
	for range 1 + s.rng.IntN(3) {
		a := s.request(false)
		s.send([]byte(a.head))
	}
	s.rest(2600)
	if s.rng.IntN(2) == 0 {
		_, _ = io.Copy(io.Discard, s.br)
	}
}

// halfClose has said all when its request is out.
func (s *session) halfClose() {
	a := s.request(s.rng.IntN(3) == 0)
	if s.send([]byte(a.head)) && s.send(a.body) && s.c.CloseWrite() == nil {
		s.read(a)
	}
}

// pipelines sends many requests at once.
func (s *session) pipelines() {
	var list []*ask
	var all []byte
	for range 1 + s.rng.IntN(12) {
		a := s.request(s.rng.IntN(4) == 0)
		list = append(list, a)
		all = append(append(all, a.head...), a.body...)
	}
	go s.send(all)
	for _, a := range list {
		if !s.read(a) {
			return
		}
	}
}

// uploads sends a body slowly, and may break it off.
func (s *session) uploads() {
	a := s.request(true)
	if !s.send([]byte(a.head)) {
		return
	}
	for b, stop := a.body, s.rng.IntN(3) == 0 && !s.w.setting.calm; len(b) > 0; {
		n := min(1+s.rng.IntN(20000), len(b))
		if !s.send(b[:n]) {
			break
		}
		b = b[n:]
		s.rest(5)
		if stop && s.rng.IntN(3) == 0 {
			return
		}
	}
	s.read(a)
}

// garbage sends a request with some bytes changed.
func (s *session) garbage() {
	a := s.request(s.rng.IntN(2) == 0)
	all := append([]byte(a.head), a.body...)
	for range 1 + s.rng.IntN(4) {
		switch at := s.rng.IntN(len(all)); s.rng.IntN(3) {
		case 0:
			all[at] = byte(s.rng.Uint32())
		case 1:
			all = append(all[:at:at], all[min(at+s.rng.IntN(20), len(all)-1):]...)
		case 2:
			all = append(all[:at:at], append([]byte(pick(s.rng, "\r\n", "\n", "\x00", "%00", "%0d%0a", "..", "/", " ", "Transfer-Encoding: chunked\r\n")), all[at:]...)...)
		}
	}
	s.last = string(all[:min(len(all), 400)])
	s.send(all)
	_ = s.c.CloseWrite()
	_, _ = io.Copy(io.Discard, s.br)
}

// webSocket opens a tunnel and sends bytes that come back.
func (s *session) webSocket() {
	s.last = "a tunnel"
	fmt.Fprintf(s.c, "GET /ws/ws/0/0?k=1 HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n", pick(s.rng, "websocket", "x"))
	r, err := http.ReadResponse(s.br, nil)
	if err != nil || r.StatusCode != 101 {
		return
	}
	sent := make([]byte, s.rng.IntN(40000))
	pattern(sent, 9, 0)
	go s.send(sent)
	got, _ := io.ReadAll(io.LimitReader(s.br, int64(s.rng.IntN(len(sent)+1))))
	if !bytes.Equal(got, sent[:len(got)]) && got[0]&0x80 == 0 { // weir's own close frame begins with 0x88
		s.w.fault("a tunnel changed bytes")
	}
	s.rest(1500)
	if s.rng.IntN(2) == 0 {
		_ = s.c.SetLinger(0)
	}
}

// idles connects and says nothing, or asks once, and waits.
func (s *session) idles() {
	if s.rng.IntN(2) == 0 {
		a := s.request(false)
		if !s.send([]byte(a.head)) || !s.read(a) {
			return
		}
	}
	s.rest(3500)
}

// rest waits for up to so many milliseconds, or until the run is over.
func (s *session) rest(mostMs int) {
	select {
	case <-time.After(time.Duration(s.rng.IntN(mostMs)) * time.Millisecond):
	case <-s.w.over:
	}
}
