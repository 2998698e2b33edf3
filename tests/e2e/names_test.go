// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"strconv"
	"time"

	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"weir/internal/dnstest"
)

// A host's name in a group and in proxy_pass is looked up when weir starts. One that cannot be resolved keeps nothing else from being served.
func TestHostNames(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx does not start with such a name
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := net.LookupHost(host)
	if err != nil {
		t.Skip("the machine's own name cannot be resolved: ", err)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(addrs[0], "0"))
	if err != nil {
		t.Skip("the machine's own name is not its own address: ", err)
	}
	serveOrigin(t, ln, func(c *originConn) {
		for c.request() != nil {
			c.write(ok("named"))
		}
	})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	p := start(t, site{workers: 2, servers: []string{fmt.Sprintf("{ address = \"%s:%s\" }", strings.ToUpper(host), port)},
		more: location("/direct", fmt.Sprintf("proxy_pass = \"http://%s:%s\"", host, port), `add_header = { X-Origin = "$upstream_addr" }`) +
			location("/gone", `proxy_pass = "http://no-such-host.invalid:80"`)})
	for range 4 { // both workers
		for _, target := range []string{"/", "/direct"} {
			if r := p.get(target); r.status != 200 || string(r.body) != "named" {
				t.Errorf("%s: %d %q", target, r.status, r.body)
			}
		}
		if r := p.get("/direct"); !strings.Contains(r.fields.get("X-Origin"), ln.Addr().String()) {
			t.Errorf("the origin is called %q, not %s", r.fields.get("X-Origin"), ln.Addr())
		}
	}
	if code := statusOf(p, "/gone"); code != 502 {
		t.Errorf("a name that cannot be resolved: %d, want 502", code)
	}
	p.waitLog("host not found in upstream.*no-such-host.invalid")
	p.waitLog("no live upstreams")
}

// dnsSite is a site whose group's origins a name server names.
func dnsSite(s *dnstest.Server, workers int, server string, more string) site {
	return site{workers: workers, http: fmt.Sprintf("resolver = { addresses = [%q] }\nresolver_timeout = \"1s\"", s.Addr), servers: []string{server}, more: more}
}

// namedOrigins are origins on loopback addresses of their own and one port.
func namedOrigins(t *testing.T, names ...string) (addrs []string, port string) {
	t.Helper()
	for i, name := range names {
		addr := fmt.Sprintf("127.0.0.%d", 11+i)
		addrs = append(addrs, addr)
		ln, err := net.Listen("tcp", net.JoinHostPort(addr, port))
		for tries := 0; err != nil && tries < 20; tries++ { // somebody has the port there
			ln, err = net.Listen("tcp", net.JoinHostPort(addr, port))
		}
		if err != nil {
			t.Skip("no port of several loopback addresses is free: ", err)
		}
		_, port, _ = net.SplitHostPort(ln.Addr().String())
		serveOrigin(t, ln, func(c *originConn) {
			for r := c.request(); r != nil; r = c.request() {
				c.write(ok(name, "X-Target: "+r.target))
			}
		})
	}
	return addrs, port
}

// A name changes its addresses every few milliseconds under load: no request is lost, and each address gets some.
func TestNamesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := dnstest.New(t)
	addrs, port := namedOrigins(t, "a", "b", "c")
	s.SetAddrs("app.example", 1, addrs[0])
	config := dnsSite(s, 2, fmt.Sprintf("{ address = \"app.example:%s\", resolve = true }", port), "")
	config.http = strings.Replace(config.http, " }", ", valid = \"1ms\" }", 1) + "\nkeepalive_requests = 1000000"
	p := start(t, config)
	stop, late := time.Now().Add(2200*time.Millisecond), time.Now().Add(ioDeadline)
	seen, flips := map[string]int{}, 0
	clients := []*client{p.dial(), p.dial(), p.dial(), p.dial()}
	for time.Now().Before(stop) || len(seen) < 3 && time.Now().Before(late) {
		s.SetAddrs("app.example", 1, addrs[flips%3], addrs[(flips/3)%3])
		flips++
		for _, c := range clients {
			for range 10 {
				seen[string(c.get("/", 200).body)]++
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d changes, answers from %v", flips, seen)
	}
	s.Set("app.example")
	all := func(status int) func() bool { // each worker finds it by itself
		return func() bool {
			for _, c := range clients {
				c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
				if c.read("GET").status != status {
					return false
				}
			}
			return true
		}
	}
	eventually(t, ioDeadline, "502 when the name is gone", all(502))
	s.SetAddrs("app.example", 1, addrs[0])
	eventually(t, 2*ioDeadline, "200 when it is back", all(200))
	s.Behave(dnstest.Behaviour{Silent: true})
	clients[0].get("/", 200) // what is known holds on
	p.signal(syscall.SIGHUP)
	p.waitLog("serving.*generation=2")
	p.dial().get("/", 200) // over a reload, too, and nobody waits
}

// Of a service, the records of the highest priority are origins by their weights, and the others backups.
func TestService(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := dnstest.New(t)
	addrs, port := namedOrigins(t, "a", "b", "c")
	number, _ := strconv.Atoi(port)
	for i, name := range []string{"a", "b", "c"} {
		s.SetAddrs(name+".example", 60, addrs[i])
	}
	record := func(name string, weight, priority uint16) dnstest.Record {
		return dnstest.Record{Target: name + ".example", Port: uint16(number), Weight: weight, Priority: priority, TTL: 1}
	}
	s.Set("_http._tcp.app.example", record("a", 3, 1), record("b", 1, 1), record("c", 1, 2))
	p := start(t, dnsSite(s, 1, `{ address = "app.example", service = "http", resolve = true }`, ""))
	seen := map[string]int{}
	c := p.dial()
	for range 40 {
		seen[string(c.get("/", 200).body)]++
	}
	if seen["a"] != 30 || seen["b"] != 10 {
		t.Errorf("answers from %v, want a three times as often as b", seen)
	}
	s.Set("_http._tcp.app.example", record("c", 1, 2))
	eventually(t, ioDeadline, "the record that is left", func() bool { return string(c.get("/", 200).body) == "c" })
}

// A proxy_pass with variables leads to a group, an address, or a host that the resolver knows; the rest is nginx's.
func TestProxyPassVariables(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := dnstest.New(t)
	addrs, port := namedOrigins(t, "a", "b")
	s.SetAddrs("a.example", 60, addrs[0])
	s.SetAddrs("b.example", 60, addrs[1])
	config := dnsSite(s, 1, fmt.Sprintf("{ address = \"%s:%s\" }", addrs[1], port), location("/none", `proxy_pass = "http://$arg_h"`)+
		location("/to/", `proxy_pass = "http://$arg_h"`, `add_header = { X-Addr = { value = "$upstream_addr", always = true }, X-Host = { value = "$proxy_host $proxy_port", always = true } }`)+
		location("/uri/", fmt.Sprintf("proxy_pass = \"http://A.example:%s$arg_u\"", port))+
		location("/raw", `proxy_pass = "$arg_h"`))
	config.location = fmt.Sprintf("resolver = [%q]", s.Addr)
	p := start(t, config)
	c := p.dial()
	for _, x := range []struct{ target, body, passed, addr, host string }{
		{"/to/x%20y?h=a.example:" + port, "a", "/to/x%20y?h=a.example:" + port, addrs[0] + ":" + port, "a.example:" + port + " " + port},
		{"/to/?h=B.Example:" + port, "b", "/to/?h=B.Example:" + port, addrs[1] + ":" + port, "B.Example:" + port + " " + port},
		{"/to/?h=app", "b", "/to/?h=app", addrs[1] + ":" + port, "app 80"},
		{"/to/?h=" + addrs[0] + ":" + port, "a", "/to/?h=" + addrs[0] + ":" + port, addrs[0] + ":" + port, addrs[0] + ":" + port + " " + port},
		{"/uri/?u=/new?x=1", "a", "/new?x=1", "", ""},
		{"/uri/?u=?x=1", "a", "/?x=1", "", ""},
		{"/uri/?u=", "a", "/uri/?u=", "", ""},
		{"/raw?h=http://a.example:" + port + "/z", "a", "/z", "", ""},
	} {
		r := c.get(x.target, 200)
		if string(r.body) != x.body || r.fields.get("X-Target") != x.passed || x.addr != "" && (r.fields.get("X-Addr") != x.addr || r.fields.get("X-Host") != x.host) {
			t.Errorf("%s: %q, passed as %q to %q (%q)", x.target, r.body, r.fields.get("X-Target"), r.fields.get("X-Addr"), r.fields.get("X-Host"))
		}
	}
	for target, want := range map[string]int{"/to/?h=gone.example": 502, "/raw?h=ftp://a.example/": 500, "/raw?h=https://a.example/": 500, "/to/?h=": 500, "/to/?h=a.example:x": 500, "/to/?h=a..b": 502} {
		if got := statusOf(p, target); got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
	p.waitLog(`gone\.example could not be resolved \(3: Host not found\)`)
	s.Behave(dnstest.Behaviour{Silent: true})
	began := time.Now()
	if got := statusOf(p, "/to/?h=slow.example"); got != 502 || time.Since(began) < time.Second {
		t.Errorf("a name server that is silent: %d after %v", got, time.Since(began))
	}
	waiting := p.dial()
	waiting.send("GET /to/?h=slower.example HTTP/1.1\r\nHost: h\r\n\r\n")
	waiting.Close()
	c.get("/to/?h=a.example:"+port, 200) // what is known needs nobody

	none := start(t, site{proxyPass: "http://$arg_h"})
	if got := statusOf(none, "/?h=a.example"); got != 502 {
		t.Errorf("without a resolver: %d", got)
	}
	none.waitLog("no resolver defined to resolve a.example")
}
