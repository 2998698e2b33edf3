// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// longTests says that the tests of limits are to take their time: more kills, more reloads.
func longTests() bool { return os.Getenv("WEIR_LONG") == "1" }

// zoneDetails is what the control socket says about a limit zone.
type zoneDetails struct {
	Name        string
	State       string
	Key         string
	SizeBytes   int64 `json:"size_bytes"`
	Keys        int
	DeletedKeys int `json:"deleted_keys"`
	Passed      uint64
	Rejected    uint64
	DryRun      uint64 `json:"rejected_dry_run"`
	Bypassed    uint64
	Waiting     int
	Waited      uint64
	Late        uint64
	Left        uint64
	Overflowed  uint64
	Failures    uint64
	Stale       uint64
	Faults      uint64
	Rebuilds    int
	Sound       bool
	Mutex       struct {
		Kind       string
		Recoveries uint64
		RolledBack uint64 `json:"rolled_back"`
	} `json:"shared_mutex"`
	Top   []zoneKey
	Older []zoneDetails
}

type zoneKey struct {
	Key         string // an address, or quoted text
	Connections int
	Shares      []zoneShare
}

// zoneShare is what one worker has of a key. PID is 0 when the slot's worker has died and its share is still to be given back.
type zoneShare struct{ Slot, PID, Connections int }

// count is how many connections key has, as one reads it: 127.0.0.1, or "a" in quotes. 0: it is not there.
func (z *zoneDetails) count(key string) int {
	for _, k := range z.Top {
		if k.Key == key {
			return k.Connections
		}
	}
	return 0
}

// control asks on the control socket, decodes the answer into answer unless that is nil, and returns the status code.
func (p *proxy) control(method, path string, answer any) (code int, err error) {
	h := &http.Client{Timeout: ioDeadline, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.path("run", "weir.sock"))
	}}}
	req, err := http.NewRequest(method, "http://weir"+path, nil)
	if err != nil {
		return 0, err
	}
	r, err := h.Do(req)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return r.StatusCode, err
}

// zone looks into a zone, at all of its keys.
func (p *proxy) zone(name string) *zoneDetails {
	p.t.Helper()
	var z zoneDetails
	if code, err := p.control("GET", "/zones/"+name+"?top=10000", &z); code != 200 || err != nil {
		p.t.Fatalf("GET /zones/%s: %d, %v", name, code, err)
	}
	for _, k := range z.Top {
		sum := 0
		for _, s := range k.Shares {
			sum += s.Connections
		}
		if sum != k.Connections {
			p.t.Errorf("zone %s: key %s has %d connections, and shares of %d: %v", name, k.Key, k.Connections, sum, k.Shares)
		}
	}
	return &z
}

// waitCount waits until key has want connections in the zone. A worker gives a place back after the response's last byte is sent.
func (p *proxy) waitCount(zone, key string, want int) {
	p.t.Helper()
	got := -1
	if !within(ioDeadline, func() bool { got = p.zone(zone).count(key); return got == want }) {
		p.t.Fatalf("zone %s: key %s has %d connections, want %d", zone, key, got, want)
	}
}

// waitEmpty waits until nothing is counted in the zones, and has each checked.
func (p *proxy) waitEmpty(zones ...string) {
	p.t.Helper()
	for _, name := range zones {
		var z *zoneDetails
		if !within(ioDeadline, func() bool { z = p.zone(name); return z.Keys+z.DeletedKeys+len(z.Top) == 0 }) {
			p.t.Fatalf("zone %s is not empty: %d keys, %d cleared ones, %+v", name, z.Keys, z.DeletedKeys, z.Top)
		}
		p.sound(name)
	}
}

// sound fails the test unless the zone passes its check, and has never met a fault.
func (p *proxy) sound(zone string) {
	p.t.Helper()
	var answer struct {
		OK     bool
		Faults []string
	}
	if code, err := p.control("POST", "/zones/"+zone+"/check", &answer); code != 200 || err != nil || !answer.OK {
		p.t.Errorf("check of zone %s: %d, %v, faults %q", zone, code, err, answer.Faults)
	}
	if z := p.zone(zone); !z.Sound || z.Faults+z.Stale != 0 || z.Rebuilds != 0 {
		p.t.Errorf("zone %s: sound %v, %d faults, %d stale, %d rebuilds", zone, z.Sound, z.Faults, z.Stale, z.Rebuilds)
	}
}

// limitZone renders a zone for the end of site.http.
func limitZone(name, key, size string, more ...string) string {
	return fmt.Sprintf("[http.limit_conn_zone.%s]\nkey = %q\nsize = %q\n%s\n", name, key, size, strings.Join(more, "\n"))
}

// limit renders the key limit_conn, of pairs "zone:max".
func limit(pairs ...string) string {
	var list []string
	for _, pair := range pairs {
		zone, most, _ := strings.Cut(pair, ":")
		list = append(list, fmt.Sprintf("{ zone = %q, max = %s }", zone, most))
	}
	return "limit_conn = [" + strings.Join(list, ", ") + "]"
}

// byAddress is a site of two workers that limits location "/" by client, in zone "addr". It tells its worker without asking for a place.
func byAddress(origin string, most int, more ...string) site {
	return site{
		workers: 2, origin: origin, http: limitZone("addr", "$binary_remote_addr", "1m"),
		location: limit(fmt.Sprintf("addr:%d", most)) + "\nadd_header = { X-Worker = { value = \"$pid\", always = true }, X-Limit = { value = \"$limit_conn_status\", always = true } }\n" +
			strings.Join(more, "\n"),
		more: location("= /who", answer("who"), `add_header = { X-Worker = "$pid" }`),
	}
}

// gate is an origin that answers at once with the target, but what is below /held/ only when the test lets it go.
type gate struct {
	*origin
	mu    sync.Mutex
	words map[string]chan struct{} // by target
}

func newGate(t testing.TB) *gate {
	g := &gate{words: map[string]chan struct{}{}}
	g.origin = newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			if strings.HasPrefix(r.target, "/held/") {
				c.await(g.word(r.target))
			}
			c.write(ok(r.target))
		}
	})
	return g
}

func (g *gate) word(target string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.words[target] == nil {
		g.words[target] = make(chan struct{})
	}
	return g.words[target]
}

// hold sends a request on c that stays in work until letGo, and waits until the origin has it. A name is good for one request.
func (g *gate) hold(c *client, name string) {
	c.t.Helper()
	c.send("GET /held/" + name + " HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(c.t, ioDeadline, "request "+name+" at the origin", func() bool { return g.has("/held/" + name) })
}

func (g *gate) has(target string) bool {
	g.origin.mu.Lock()
	defer g.origin.mu.Unlock()
	return slices.ContainsFunc(g.requests, func(r *request) bool { return r.target == target })
}

// letGo has the origin answer what is held on c, and reads the answer.
func (g *gate) letGo(c *client, name string) {
	c.t.Helper()
	close(g.word("/held/" + name))
	if r := c.read("GET"); r.status != 200 || string(r.body) != "/held/"+name {
		c.t.Fatalf("the held request %s: status %d, %.40q", name, r.status, r.body)
	}
}

// dialFrom connects from a source address, such as 127.0.0.2.
func dialFrom(t testing.TB, source, addr string) *client {
	t.Helper()
	d := net.Dialer{Timeout: ioDeadline, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("connect from %s: %v", source, err)
	}
	return newClient(t, conn)
}

// spread makes connections until each of the site's workers has n of them, and returns these by worker. The site must add X-Worker.
func (p *proxy) spread(workers, n int) map[int][]*client {
	p.t.Helper()
	list := map[int][]*client{}
	var more []*client // left open meanwhile: the workers that have fewer connections get the next ones
	full := 0
	for i := 0; full < workers; i++ {
		if i == 100*workers*n {
			p.t.Fatalf("%d connections are not spread over %d workers: %v", i, workers, list)
		}
		c := p.dial()
		pid := c.workerOf()
		if len(list[pid]) == n {
			more = append(more, c)
			continue
		}
		if list[pid] = append(list[pid], c); len(list[pid]) == n {
			full++
		}
	}
	for _, c := range more {
		c.Close()
	}
	return list
}

// inTurn lists the clients of a spread, one of each worker after the other.
func inTurn(list map[int][]*client) []*client {
	var all []*client
	for i := 0; ; i++ {
		n := len(all)
		for _, pid := range sortedKeys(list) {
			if i < len(list[pid]) {
				all = append(all, list[pid][i])
			}
		}
		if len(all) == n {
			return all
		}
	}
}

func sortedKeys[V any](m map[int]V) []int {
	var keys []int
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// dead says whether the peer has ended the connection: nothing is left to read but its end. It takes nothing out of the socket.
func dead(c net.Conn) bool {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	err = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err != nil || ended
}

func quoted(key string) string { return strconv.Quote(key) }
