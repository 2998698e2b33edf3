// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listenLimit is a site of two workers whose address allows most connections of each client at once.
func listenLimit(origin string, most int, more string) site {
	return site{
		workers: 2, origin: origin, http: limitZone("open", "$binary_remote_addr_prefix", "64k"),
		server:   fmt.Sprintf("listen = [{ address = \"127.0.0.1:@PORT1@\", limit_conn = [{ zone = \"open\", max = %d }], limit_conn_bypass = [\"127.0.0.9\"] }]\n%s", most, more),
		location: `add_header = { X-Worker = "$pid" }`,
	}
}

// A limit on a listening address counts silent connections too, from accept to close; those beyond it are closed at once.
func TestLimitAtAccept(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, listenLimit(o.addr, 3, `limit_conn_log_level = "warn"`))
	p.waitEmpty("open") // the harness has tried the port
	var silent []*client
	for i := range 3 {
		silent = append(silent, p.dial())
		p.waitCount("open", "127.0.0.1", i+1)
	}
	for range 5 {
		p.dial().wantClosed(ioDeadline)
	}
	early := p.dial() // what it sends is not looked at
	_, _ = early.Write([]byte(plain("x")))
	early.wantClosed(ioDeadline)
	p.waitLog(`\[warn\].*limiting connections at accept by zone.*zone="?open`)
	for range 4 {
		dialFrom(t, "127.0.0.9", p.addr).get("/", 200)
	}
	if z := p.zone("open"); z.count("127.0.0.1") != 3 || z.Keys != 1 || z.Bypassed != 4 || z.Rejected != 6 {
		t.Errorf("the zone has %d keys, %d connections, %d bypassed, %d rejected", z.Keys, z.count("127.0.0.1"), z.Bypassed, z.Rejected)
	}
	dialFrom(t, "127.0.0.2", p.addr).get("/", 200) // another client
	p.waitCount("open", "127.0.0.2", 1)            // counted although it is idle

	_ = silent[0].SetLinger(0)
	silent[0].Close()
	silent[1].Close()
	p.waitCount("open", "127.0.0.1", 1)
	c := p.dial()
	c.get("/", 200)
	c.get("/", 200)
	p.waitCount("open", "127.0.0.1", 2)
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.read("GET")
	c.wantClosed(ioDeadline)
	p.waitCount("open", "127.0.0.1", 1)
	silent[2].send("nonsense\r\n\r\n")
	silent[2].read("GET")
	silent[2].wantClosed(ioDeadline)
	p.waitCount("open", "127.0.0.1", 0)
}

// A dry run of the default server holds for its address.
func TestLimitAtAcceptDryRun(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, listenLimit(o.addr, 2, "limit_conn_dry_run = true"))
	p.waitEmpty("open")
	for i := range 5 {
		p.dial().get("/", 200)
		p.waitCount("open", "127.0.0.1", min(i+1, 2))
	}
	if z := p.zone("open"); z.DryRun != 3 || z.Rejected != 0 {
		t.Errorf("dry-run %d, rejected %d; want 3 and 0", z.DryRun, z.Rejected)
	}
}

// Limits of the address and of requests each count for themselves.
func TestLimitAtAcceptAndRequest(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := listenLimit(g.addr, 2, "")
	s.http += limitZone("all", "all", "64k")
	s.location = limit("all:1")
	p := start(t, s)
	p.waitEmpty("open")
	a, b := p.dial(), p.dial()
	g.hold(a, "a")
	b.get("/", 503)
	p.dial().wantClosed(ioDeadline)
	g.letGo(a, "a")
	p.waitEmpty("all")
	p.waitCount("open", "127.0.0.1", 2)
	a.Close()
	b.Close()
	p.waitEmpty("open")
}

// The keys of IPv4, IPv6 and unix clients, at accept and for requests.
func TestLimitAddressKeys(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	needsIPv6(t)
	g := newGate(t)
	limits := "limit_conn = [{ zone = \"net\", max = 9 }]"
	p := start(t, site{workers: 2, origin: g.addr,
		http:     limitZone("net", "$binary_remote_addr_24_48", "64k") + limitZone("exact", "$binary_remote_addr", "64k") + limitZone("prefix", "$binary_remote_addr_prefix", "64k"),
		location: limit("exact:9", "prefix:9"),
		server: `listen = [
  { address = "127.0.0.1:@PORT1@", ` + limits + ` },
  { address = "[::]:@PORT2@", ipv6only = false, ` + limits + ` },
  { address = "unix:run/front.sock", ` + limits + ` },
]`})
	p.waitEmpty("net")
	hold := func(conn net.Conn, name string) {
		fmt.Fprintf(conn, "GET /held/%s HTTP/1.1\r\nHost: h\r\n\r\n", name)
		eventually(t, ioDeadline, "request "+name+" at the origin", func() bool { return g.has("/held/" + name) })
	}
	for i, tt := range []struct{ network, source, addr string }{
		{"tcp", "127.0.0.1", p.addr},
		{"tcp", "127.0.0.2", p.addr},
		{"tcp", "127.0.0.3", "127.0.0.1:" + p.ports[1]}, // on the socket of both families
		{"tcp", "127.0.1.1", p.addr},
		{"tcp", "::1", "[::1]:" + p.ports[1]},
		{"unix", "", p.path("run", "front.sock")},
	} {
		d := net.Dialer{}
		if tt.source != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(tt.source)}
		}
		conn, err := d.Dial(tt.network, tt.addr)
		if err != nil {
			t.Fatalf("%s from %s: %v", tt.addr, tt.source, err)
		}
		defer conn.Close()
		hold(conn, strconv.Itoa(i))
	}
	want := map[string]map[string]int{
		"net":    {"127.0.0.0": 3, "127.0.1.0": 1, "::": 1},
		"exact":  {"127.0.0.1": 1, "127.0.0.2": 1, "127.0.0.3": 1, "127.0.1.1": 1, "::1": 1},
		"prefix": {"127.0.0.1": 1, "127.0.0.2": 1, "127.0.0.3": 1, "127.0.1.1": 1, "::": 1},
	}
	for name, keys := range want {
		z := p.zone(name)
		got := map[string]int{}
		for _, k := range z.Top {
			got[k.Key] = k.Connections
		}
		if fmt.Sprint(got) != fmt.Sprint(keys) {
			t.Errorf("zone %s counts %v, want %v", name, got, keys)
		}
	}
}

// keysSaid is how many keys weir -t says that a zone holds.
func keysSaid(t testing.TB, p *proxy, zone string) int {
	t.Helper()
	out, code := weirCommand(t, p.dir, "-t")
	m := regexp.MustCompile(`zone "` + zone + `": \S+ holds ([\d,]+) IPv4`).FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("weir -t: exit %d, %s", code, out)
	}
	n, _ := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	return n
}

// A full zone refuses keys that have no room, or lets them through; it holds as many keys as weir -t says, and those that have room go on being counted.
func TestLimitZoneFull(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, onFull := range []string{"reject", "allow"} {
		t.Run(onFull, func(t *testing.T) {
			g := newGate(t)
			p := start(t, site{origin: g.addr, http: limitZone("k", "$arg_k", "32k", fmt.Sprintf("on_full = %q", onFull)),
				location: limit("k:1") + "\nlimit_conn_status = 429\nadd_header = { X-Limit = { value = \"$limit_conn_status\", always = true } }"})
			p.allow(`limit zone is full`)
			room := keysSaid(t, p, "k") // of the size of an IPv4 address
			holders := make([]*client, room)
			for i := range holders {
				holders[i] = p.dial()
				holders[i].send(fmt.Sprintf("GET /held/?k=%04d HTTP/1.1\r\nHost: h\r\n\r\n", i))
			}
			if !within(ioDeadline, func() bool { return len(g.seen()) == room }) {
				t.Fatalf("%d of %d keys are in work; weir -t says that %d fit", len(g.seen()), room, room)
			}
			p.waitLog(`zone "k" is nearly full`)
			c, begun := p.dial(), time.Now()
			status := map[string]int{"reject": 429, "allow": 200}[onFull]
			for i := range 20 {
				r := c.get(fmt.Sprintf("/?k=new%d", i), status)
				if got, want := r.fields.get("X-Limit"), map[string]string{"reject": "REJECTED", "allow": "PASSED"}[onFull]; got != want {
					t.Errorf("X-Limit %q, want %q", got, want)
				}
			}
			for _, i := range []int{0, room / 2, room - 1} {
				c.get(fmt.Sprintf("/?k=%04d", i), 429)
			}
			p.waitLog(`limit zone is full.*zone="?k"? size=32768`)
			if n, most := strings.Count(p.stderr.String(), "limit zone is full"), 3+int(time.Since(begun).Seconds()); n > most {
				t.Errorf("%d log lines for 20 requests without room, want one a second", n)
			}
			if z := p.zone("k"); z.Keys != room || z.Failures != 20 {
				t.Errorf("%d keys, %d without room; want %d and 20", z.Keys, z.Failures, room)
			}
			close(g.word("/held/?k=0007"))
			holders[7].read("GET")
			p.waitCount("k", quoted("0007"), 0)
			other := p.dial()
			g.hold(other, "?k=next") // there is room for one again
			p.waitCount("k", quoted("next"), 1)
			for i, h := range holders {
				if i != 7 {
					h.Close()
				}
			}
			other.Close()
			p.waitEmpty("k")
		})
	}
}

// weir zone list, show, del and check.
func TestZoneCommands(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := byAddress(g.addr, 1)
	s.http += limitZone("text", "$arg_k", "64k")
	s.more = location("/held/", `proxy_pass = "http://app"`, limit("addr:1", "text:1"))
	p := start(t, s)
	run := func(code int, want string, args ...string) string {
		t.Helper()
		out, got := weirCommand(t, p.dir, args...)
		if got != code || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("weir %v: exit %d, want %d and %s:\n%s", args, got, code, want, out)
		}
		return out
	}
	held := p.dial()
	g.hold(held, "?k=a/b")
	p.dial().get("/x", 503)
	run(0, `(?m)^addr +limit_conn +serving +1m +\S+ +1 +1 +0 +1 +0 +0 +0 +\$binary_remote_addr$`, "zone", "list")
	run(0, `(?m)^127\.0\.0\.1 +1 +1 in slot \d+ \(process \d+\)$`, "zone", "show", "addr")
	run(0, `(?m)^"a/b" +1 `, "zone", "show", "text")
	run(0, `(?s)sound`, "zone", "check", "addr")
	run(1, `no zone "adr"`, "zone", "show", "adr")
	run(1, `no zone "adr"`, "zone", "del", "adr", "127.0.0.1")
	run(1, `no key 127\.0\.0\.7`, "zone", "del", "addr", "127.0.0.7")
	run(2, `zone`, "zone", "frobnicate")
	run(2, `NAME`, "zone", "show")
	var zones struct{ Zones []zoneDetails }
	if err := json.Unmarshal([]byte(run(0, "", "zone", "list", "--json")), &zones); err != nil || len(zones.Zones) != 2 {
		t.Errorf("zone list --json: %v, %+v", err, zones)
	}
	var z zoneDetails
	if err := json.Unmarshal([]byte(run(0, "", "zone", "show", "addr", "--json")), &z); err != nil || z.count("127.0.0.1") != 1 || z.Rejected != 1 {
		t.Errorf("zone show --json: %v, %+v", err, z)
	}
	if err := json.Unmarshal([]byte(run(0, "", "zone", "show", "addr", "--json", "--top", "0")), &z); err != nil || len(z.Top) != 0 {
		t.Errorf("zone show --top 0: %v, %+v", err, z.Top)
	}

	// A cleared key counts from 0 again, and what was counted before does not come off the new count.
	run(0, `127\.0\.0\.1 cleared; it had 1 connections`, "zone", "del", "addr", "127.0.0.1")
	run(0, `"a/b" cleared`, "zone", "del", "text", "a/b")
	next := p.dial()
	g.hold(next, "next?k=a/b")
	p.dial().get("/x", 503)
	if z := p.zone("addr"); z.DeletedKeys != 1 || z.count("127.0.0.1") != 1 {
		t.Errorf("%d cleared keys, %d connections; want 1 and 1", z.DeletedKeys, z.count("127.0.0.1"))
	}
	g.letGo(held, "?k=a/b")
	eventually(t, ioDeadline, "the cleared key's connection to end", func() bool { return p.zone("addr").DeletedKeys == 0 })
	p.waitCount("addr", "127.0.0.1", 1)
	p.dial().get("/x", 503)
	g.letGo(next, "next?k=a/b")
	p.waitEmpty("addr", "text")
	for path, want := range map[string]int{"/zones": 200, "/zones/addr": 200, "/zones/addr?top=x": 400, "/zones/none": 404, "/zones/addr/1.2.3.4": 405} {
		if code, err := p.control("GET", path, nil); code != want || err != nil {
			t.Errorf("GET %s: %d, %v; want %d", path, code, err, want)
		}
	}
}

// The status page, to the letter.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, origin: g.addr, more: location("= /basic_status", "stub_status = true")})
	page := regexp.MustCompile(`^Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \nReading: (\d+) Writing: (\d+) Waiting: (\d+) \n$`)
	c := p.dial()
	numbers := func() (n [7]int) {
		t.Helper()
		r := c.get("/basic_status", 200)
		m := page.FindStringSubmatch(string(r.body))
		if m == nil || r.fields.get("Content-Type") != "text/plain" {
			t.Fatalf("the page is %q of type %q", r.body, r.fields.get("Content-Type"))
		}
		for i, text := range m[1:] {
			n[i], _ = strconv.Atoi(text)
		}
		return n
	}
	eventually(t, ioDeadline, "one connection", func() bool { return numbers()[0] == 1 })
	before := numbers()
	held, idle := p.dial(), p.dial()
	g.hold(held, "x")
	idle.get("/", 200)
	silent := p.dial()
	half := p.dial()
	half.send("GET /")
	var n [7]int
	want := [7]int{5, before[1] + 4, before[2] + 4, 0, 1, 2, 2} // the silent one waits too, as in nginx
	if !within(ioDeadline, func() bool { n = numbers(); want[3] = n[3]; return n == want }) {
		t.Errorf("active, accepts, handled, requests, reading, writing, waiting: %v, want %v", n, want)
	}
	if next := numbers(); next[3] != n[3]+1 {
		t.Errorf("requests went from %d to %d", n[3], next[3])
	}
	for _, c := range []*client{silent, half, idle} {
		c.Close()
	}
	g.letGo(held, "x")
	held.Close()
	eventually(t, ioDeadline, "one connection again", func() bool { n := numbers(); return n[0] == 1 && n[4] == 0 && n[5] == 1 && n[6] == 0 })
	if r := p.exchange("HEAD", "HEAD /basic_status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); r.status != 200 {
		t.Errorf("HEAD: %d", r.status)
	}
	if r := p.exchange("POST", "POST /basic_status HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); r.status != 405 {
		t.Errorf("POST: %d", r.status)
	}
}
