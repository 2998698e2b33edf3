// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// storm is load on many keys at once, with books at both ends: a request is in the clients' book from before it is sent until its answer
// has been read or its connection is lost, and in the origin's book from its arrival until right before its answer. What the proxy
// counts for a key lies between the two, and is both when nothing is on the way.
//
//	client: |------------------------------|
//	proxy:      |----------------------|
//	origin:          |-----------|
type storm struct {
	t    testing.TB
	addr string
	keys int
	most int // the limit

	o       *origin
	running sync.WaitGroup
	stop    atomic.Bool
	pause   sync.RWMutex // held for writing: no request begins or ends

	mu       sync.Mutex
	atClient map[string]booking // by target
	atOrigin map[string]booking
	window   map[string]booking // not nil: what has been in the clients' book since it was opened, without what was refused
	served   int
	refused  int
	lost     int
	faults   []string
}

type booking struct {
	key  string
	conn net.Conn
}

// holdMax is how long a request is at most in work.
const holdMax = 500 * time.Millisecond

func newStorm(t testing.TB, keys, most int) *storm {
	s := &storm{t: t, keys: keys, most: most, atClient: map[string]booking{}, atOrigin: map[string]booking{}}
	s.o = newOrigin(t, func(c *originConn) {
		for {
			r, err := readRequestHead(c.br)
			if err != nil {
				return
			}
			_, key, _ := strings.Cut(r.target, "?k=")
			s.arrive(r.target, booking{key, c.Conn})
			time.Sleep(rand.N(holdMax))
			s.pause.RLock()
			s.mu.Lock()
			delete(s.atOrigin, r.target)
			s.mu.Unlock()
			c.write(ok(r.target))
			s.pause.RUnlock()
		}
	})
	return s
}

// begin starts the clients.
func (s *storm) begin(addr string, clients int) {
	s.addr = addr
	s.t.Cleanup(s.end)
	for i := range clients {
		s.running.Go(func() { s.client(i) })
	}
}

// end stops the clients after the answers they wait for.
func (s *storm) end() {
	s.stop.Store(true)
	s.running.Wait()
}

func (s *storm) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// arrive books a request at the origin. If its key now has more requests than the limit allows, the connections of some must have been
// ended by the death of their worker: whoever gave their places away knew that.
func (s *storm) arrive(target string, b booking) {
	s.mu.Lock()
	s.atOrigin[target] = b
	var same []net.Conn
	for _, other := range s.atOrigin {
		if other.key == b.key {
			same = append(same, other.conn)
		}
	}
	s.mu.Unlock()
	live := 0
	if len(same) > s.most && !within(time.Second, func() bool {
		live = 0
		for _, conn := range same {
			if !dead(conn) {
				live++
			}
		}
		return live <= s.most
	}) {
		s.fault("key %s: %d requests admitted at once, the limit is %d", b.key, live, s.most)
	}
}

func (s *storm) client(number int) {
	for serial := 0; !s.stop.Load(); {
		conn, err := net.DialTimeout("tcp", s.addr, ioDeadline)
		if err != nil {
			s.fault("connect: %v", err)
			return
		}
		c := newClient(s.t, conn)
		for again := true; again && !s.stop.Load(); serial++ {
			again = s.ask(c, fmt.Sprintf("/%d-%d?k=%d", number, serial, rand.N(s.keys)))
		}
		c.Close()
	}
}

// ask makes one request, and says whether the connection can have another.
func (s *storm) ask(c *client, target string) bool {
	_, key, _ := strings.Cut(target, "?k=")
	b := booking{key, c.TCPConn}
	s.pause.RLock()
	s.mu.Lock()
	s.atClient[target] = b
	if s.window != nil {
		s.window[target] = b
	}
	s.mu.Unlock()
	c.within(ioDeadline)
	_, err := c.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"))
	s.pause.RUnlock()
	r := &response{}
	if err == nil {
		r, err = readResponse(c.br, "GET")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.atClient, target)
	switch {
	case err != nil && strings.Contains(err.Error(), "timeout"):
		s.faults = append(s.faults, fmt.Sprintf("%s: %v", target, err))
	case err != nil:
		s.lost++ // with its worker
	case r.status == 429:
		s.refused++
		delete(s.window, target)
	case r.status != 200 || string(r.body) != target:
		s.faults = append(s.faults, fmt.Sprintf("%s: status %d, %.60q", target, r.status, r.body))
	default:
		s.served++
	}
	return err == nil && !strings.EqualFold(r.fields.get("Connection"), "close")
}

// live is a copy of a book, without the requests whose connection has ended.
func (s *storm) live(book *map[string]booking) map[string]booking {
	s.mu.Lock()
	list := maps.Clone(*book)
	s.mu.Unlock()
	maps.DeleteFunc(list, func(_ string, b booking) bool { return dead(b.conn) })
	return list
}

func byKey(list map[string]booking) map[string]int {
	counts := map[string]int{}
	for _, b := range list {
		counts[quoted(b.key)]++
	}
	return counts
}

func counted(z *zoneDetails) map[string]int {
	counts := map[string]int{}
	for _, k := range z.Top {
		counts[k.Key] = k.Connections
	}
	return counts
}

// check looks into the zone while the load goes on and no worker is killed: each count must be at least what has been at the origin
// all along, and at most what the clients have had under way meanwhile. It returns what it saw.
func (s *storm) check(p *proxy) *zoneDetails {
	s.t.Helper()
	s.mu.Lock()
	s.window = map[string]booking{}
	for target, b := range s.atClient {
		if !dead(b.conn) {
			s.window[target] = b
		}
	}
	s.mu.Unlock()
	before := s.live(&s.atOrigin)
	z := p.zone("k")
	counts := counted(z)
	after := s.live(&s.atOrigin)
	maps.DeleteFunc(before, func(target string, _ booking) bool { _, still := after[target]; return !still })
	for key, n := range byKey(before) {
		if counts[key] < n {
			s.fault("key %s: %d counted, and %d were at the origin all along", key, counts[key], n)
		}
	}
	// A client may have read its answer before the place is given back: then the count comes down in a moment.
	excess := ""
	if !within(ioDeadline, func() bool { excess = s.excess(counts); counts = counted(p.zone("k")); return excess == "" }) {
		s.fault("%s", excess)
	}
	s.mu.Lock()
	s.window = nil
	s.mu.Unlock()
	return z
}

// excess says which key is counted more often than it was under way since the window was opened, if any, or than the limit allows.
func (s *storm) excess(counts map[string]int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	atMost := byKey(s.window)
	for key, n := range counts {
		if n > s.most {
			s.faults = append(s.faults, fmt.Sprintf("key %s: %d counted, the limit is %d", key, n, s.most))
		}
		if n > atMost[key] {
			return fmt.Sprintf("key %s: %d counted, and at most %d were under way", key, n, atMost[key])
		}
	}
	return ""
}

// checkExactly stops the load in the middle, and compares every count with the books of both ends. It returns false when the load did
// not come to rest: there was no worker to take some of it.
func (s *storm) checkExactly(p *proxy) bool {
	s.t.Helper()
	s.pause.Lock()
	defer s.pause.Unlock()
	if !within(3*time.Second, func() bool {
		return maps.Equal(byKey(s.live(&s.atClient)), byKey(s.live(&s.atOrigin)))
	}) {
		return false
	}
	want := byKey(s.live(&s.atOrigin))
	var got map[string]int
	// A place is given back after the answer's last byte is sent, which the client may have read already.
	if !within(ioDeadline, func() bool { got = counted(p.zone("k")); return maps.Equal(got, want) }) {
		s.fault("at rest: counted %v, in work %v", got, want)
	}
	return true
}
