// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// origin is a server behind the two, which a case's sections script.
type origin struct {
	name   string
	script map[string]string
	ln     net.Listener
	mu     sync.Mutex
	conns  map[net.Conn]bool
	done   sync.WaitGroup
}

func startOrigin(t testing.TB, name string, script map[string]string) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{name: name, script: script, ln: ln, conns: map[net.Conn]bool{}}
	o.done.Go(o.accept)
	t.Cleanup(o.stop)
	return o
}

func (o *origin) addr() string { return o.ln.Addr().String() }

func (o *origin) stop() {
	o.ln.Close()
	o.mu.Lock()
	for c := range o.conns {
		c.Close()
	}
	o.mu.Unlock()
	o.done.Wait()
}

func (o *origin) accept() {
	for {
		c, err := o.ln.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.conns[c] = true
		o.mu.Unlock()
		o.done.Go(func() {
			o.serve(c)
			o.mu.Lock()
			delete(o.conns, c)
			o.mu.Unlock()
			c.Close()
		})
	}
}

// serve answers the requests of a connection.
func (o *origin) serve(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		m, err := readMessage(in)
		if err != nil {
			return
		}
		m.body, err = m.readBody(in, false)
		if err != nil {
			return
		}
		_, target, _ := strings.Cut(m.first, " ")
		target, _, _ = strings.Cut(target, " ")
		path, _, _ := strings.Cut(target, "?")
		text, ok := o.script[path]
		if !ok {
			text = o.echo(m)
		}
		if !o.answer(c, text, strings.HasPrefix(m.first, "HEAD ")) {
			return
		}
		if strings.EqualFold(m.field("Connection"), "close") || strings.HasSuffix(m.first, "HTTP/1.0") {
			return
		}
	}
}

// answer sends a scripted answer, or its head. It says whether the connection is kept.
func (o *origin) answer(c net.Conn, text string, headOnly bool) bool {
	keep := true
	for strings.HasPrefix(text, "!") {
		var order string
		order, text, _ = strings.Cut(text, "\n")
		switch order {
		case "!close":
			keep = false
		case "!hang":
			_, _ = io.Copy(io.Discard, c)
			return false
		case "!reset":
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			return false
		default:
			panic("an origin has no order " + order)
		}
	}
	if text == "" {
		return false
	}
	head, body, _ := strings.Cut(text, "\n\n")
	if headOnly {
		body = ""
	}
	_, err := io.WriteString(c, strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n")+"\r\n\r\n"+strings.TrimSuffix(body, "\n"))
	return err == nil && keep
}

// echo is the request as an answer.
func (o *origin) echo(m *message) string {
	var b strings.Builder
	line := m.first[:max(strings.LastIndexByte(m.first, ' '), 0)]
	fmt.Fprintf(&b, "%s: %s\n", o.name, line)
	fields := slices.Clone(m.fields)
	slices.SortStableFunc(fields, func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) })
	for _, f := range fields {
		if name := nameOf(f); name != "connection" {
			fmt.Fprintln(&b, f)
		}
	}
	fmt.Fprintf(&b, "\n%s", m.body)
	return "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: " + strconv.Itoa(b.Len()) + "\n\n" + b.String() + "\n"
}

// deadPort binds a port without listening: a connection to it is refused, and nobody else gets it.
func deadPort(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", boundPort(t, false))
}

// boundPort is a port that nothing else gets until the test ends, because a socket that does not listen is bound to it. shared: but what allows the address to be used again can
// listen there, as servers do (socket(7), SO_REUSEADDR).
func boundPort(t testing.TB, shared bool) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if shared {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err := errors.Join(err, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*syscall.SockaddrInet4).Port
}

// patience is for hangs: nothing waits for it to pass.
const patience = 20 * time.Second
