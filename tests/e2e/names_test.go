// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
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
