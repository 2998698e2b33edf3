// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load drives keep-alive clients, each asking again as soon as it has its
// answer, and accounts for every request put on the wire.
type load struct {
	addr    string
	stop    atomic.Bool
	running sync.WaitGroup

	sent    atomic.Int64 // requests that went out on a connection
	served  atomic.Int64 // answered with the expected status and body
	refused atomic.Int64 // connections that could not be made, or ended before their first answer began
	closed  atomic.Int64 // connections that ended with "Connection: close", as announced

	mu   sync.Mutex
	lost []string // what happened to the others
}

// startLoad starts n clients of addr that each ask for /CLIENT-NUMBER and
// expect 200 and the target back.
func startLoad(addr string, n int) *load {
	l := &load{addr: addr}
	for i := range n {
		l.running.Go(func() { l.client(i) })
	}
	return l
}

func (l *load) client(i int) {
	for number := 0; !l.stop.Load(); {
		conn, err := net.DialTimeout("tcp", l.addr, ioDeadline)
		if err != nil {
			l.refused.Add(1)
			time.Sleep(5 * time.Millisecond)
			continue
		}
		number = l.serve(conn, i, number)
		conn.Close()
	}
}

// serve uses one connection until it ends; it returns the next request's number.
func (l *load) serve(conn net.Conn, i, number int) int {
	br := bufio.NewReader(conn)
	for first := true; !l.stop.Load(); first = false {
		_ = conn.SetDeadline(time.Now().Add(ioDeadline))
		number++
		target := fmt.Sprintf("/%d-%d", i, number)
		l.sent.Add(1)
		_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
		var r *response
		if err == nil {
			r, err = readResponse(br, "GET")
		}
		if err != nil {
			// A connection that the kernel had accepted, but no process took over, was never the proxy's.
			if first && (r == nil || r.line == "") {
				l.sent.Add(-1)
				l.refused.Add(1)
			} else {
				l.fail("request %s on a %s connection: %v", target, map[bool]string{true: "new", false: "kept-alive"}[first], err)
			}
			return number
		}
		if r.status != 200 || string(r.body) != target {
			l.fail("request %s: status %d, body %.40q", target, r.status, r.body)
			return number
		}
		l.served.Add(1)
		if strings.EqualFold(r.fields.get("Connection"), "close") {
			l.closed.Add(1)
			return number
		}
	}
	return number
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, fmt.Sprintf(format, args...))
}

// losses returns what went wrong so far.
func (l *load) losses() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lost...)
}

// end stops the clients after the answers they wait for.
func (l *load) end() {
	l.stop.Store(true)
	l.running.Wait()
}

// progress waits until n more requests have been served.
func (l *load) progress(p *proxy, n int64) {
	p.t.Helper()
	want := l.served.Load() + n
	eventually(p.t, ioDeadline, fmt.Sprintf("%d more requests served", n), func() bool { return l.served.Load() >= want })
}

// targetOrigin answers every request with its target, and keeps no record.
func targetOrigin(t testing.TB) *origin {
	return newOrigin(t, func(c *originConn) {
		for {
			r, err := readRequestHead(c.br)
			if err != nil {
				return
			}
			c.write(ok(r.target))
		}
	})
}
