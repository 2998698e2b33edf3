// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// One count over all workers, and one log line for each refusal.
func TestLimitPerKey(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, kind := range []string{"atomic", "flock"} {
		g := newGate(t)
		s := byAddress(g.addr, 2)
		s.main = fmt.Sprintf("shared_mutex = %q", kind)
		p := start(t, s)
		c := inTurn(p.spread(2, 2))
		g.hold(c[0], "a"+kind)
		g.hold(c[1], "b"+kind)
		z := p.zone("addr")
		if z.count("127.0.0.1") != 2 || len(z.Top) != 1 || len(z.Top[0].Shares) != 2 || z.Mutex.Kind != kind {
			t.Errorf("%s: the zone has %+v", kind, z)
		}
		for _, c := range c[2:] {
			if r := c.get("/x", 503); r.fields.get("X-Limit") != "REJECTED" {
				t.Errorf("X-Limit: %q", r.fields.get("X-Limit"))
			}
			c.get("/again", 503) // the connection stays open
		}
		p.waitLog(`\[error\].*limiting connections by zone.*zone="?addr"?.*key="?127\.0\.0\.1`)
		eventually(t, ioDeadline, "a log line for each of 4 refusals", func() bool {
			return strings.Count(p.stderr.String(), "limiting connections by zone") == 4
		})
		g.letGo(c[0], "a"+kind)
		p.waitCount("addr", "127.0.0.1", 1)
		for _, c := range c[2:] {
			if r := c.get("/x", 200); r.fields.get("X-Limit") != "PASSED" {
				t.Errorf("X-Limit: %q", r.fields.get("X-Limit"))
			}
			p.waitCount("addr", "127.0.0.1", 1)
		}
		g.letGo(c[1], "b"+kind)
		p.waitEmpty("addr") // with idle connections open: these are not counted
		if z := p.zone("addr"); z.Rejected != 4 {
			t.Errorf("%s: rejected %d, want 4", kind, z.Rejected)
		}
	}
}

// The status, the page and the log level of a refusal.
func TestLimitRefusal(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, tt := range []struct {
		name, keys, log string
		status          int
		body            string
	}{
		{"status", "limit_conn_status = 429", `\[error\].*limiting connections by zone`, 429, "429 Too Many Requests"},
		{"level", `limit_conn_log_level = "info"`, `\[info\].*limiting connections by zone`, 503, "503 Service Temporarily Unavailable"},
		{"page", "limit_conn_status = 429\nlimit_conn_log_level = \"warn\"\nerror_page = [{ codes = [429], text = \"slow down\\n\" }]", `\[warn\].*limiting connections by zone`, 429, "slow down\n"},
		{"other code", "error_page = [{ codes = [503], text = \"later\", response = 200 }]", `\[error\].*limiting`, 200, "later"},
		{"named location", "error_page = [{ codes = [503], uri = \"@busy\" }]", `\[error\].*limiting`, 503, "busy here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t)
			s := byAddress(g.addr, 1, tt.keys)
			s.more = location("@busy", answer("busy here"))
			p := start(t, s)
			held, c := p.dial(), p.dial()
			g.hold(held, "x")
			for range 2 {
				if r := c.get("/", tt.status); !strings.Contains(string(r.body), tt.body) {
					t.Errorf("body %q, want %q", r.body, tt.body)
				}
			}
			p.waitLog(tt.log)
			if n := p.zone("addr").count("127.0.0.1"); n != 1 {
				t.Errorf("the key has %d connections, want 1", n)
			}
			g.letGo(held, "x")
			p.waitEmpty("addr")
		})
	}
}

// A level of the log below error_log's writes nothing.
func TestLimitLogLevelBelow(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := byAddress(g.addr, 1, `limit_conn_log_level = "notice"`)
	s.main = `error_log = { path = "stderr", level = "warn" }`
	p := start(t, s)
	held := p.dial()
	g.hold(held, "x")
	p.dial().get("/", 503)
	g.letGo(held, "x")
	p.waitEmpty("addr")
	if text := p.stderr.String(); strings.Contains(text, "limiting") {
		t.Errorf("the log has %q", text)
	}
}

// A dry run counts, logs and lets through; $limit_conn_status says how it would be.
func TestLimitDryRun(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	s := byAddress(g.addr, 1, "limit_conn_dry_run = true")
	s.http = "access_log = [{ path = \"logs/access.log\", format = \"limits\" }]\n[http.log_format]\nlimits = '$request_uri $status $limit_conn_status'\n" + s.http
	s.more = location("/free", `proxy_pass = "http://app"`, "limit_conn = []")
	p := start(t, s)
	held := p.dial()
	g.hold(held, "x")
	over := p.dial()
	if r := over.get("/over", 200); r.fields.get("X-Limit") != "REJECTED_DRY_RUN" {
		t.Errorf("X-Limit: %q", r.fields.get("X-Limit"))
	}
	g.hold(over, "over") // also while it is in work it is not counted
	p.waitLog(`limiting connections, dry run, by zone.*zone="?addr`)
	if z := p.zone("addr"); z.count("127.0.0.1") != 1 || z.DryRun != 2 || z.Rejected != 0 {
		t.Errorf("the zone has %d connections, %d dry-run, %d rejected; want 1, 2, 0", z.count("127.0.0.1"), z.DryRun, z.Rejected)
	}
	p.get("/free")
	g.letGo(over, "over")
	g.letGo(held, "x")
	p.waitEmpty("addr")
	if r := over.get("/after", 200); r.fields.get("X-Limit") != "PASSED" {
		t.Errorf("afterwards, X-Limit: %q", r.fields.get("X-Limit"))
	}
	for _, line := range []string{"/over 200 REJECTED_DRY_RUN\n", "/held/over 200 REJECTED_DRY_RUN\n", "/held/x 200 PASSED\n", "/after 200 PASSED\n", "/free 200 -\n"} {
		eventually(t, ioDeadline, "the access log line "+line, func() bool { return strings.Contains(p.readLog("access.log"), line) })
	}
}

// Several limits are taken all or none, in whichever order they stand.
func TestLimitAllOrNone(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, limits := range []string{limit("addr:10", "site:1"), limit("site:1", "addr:10"), limit("addr:10", "third:10", "site:1")} {
		g := newGate(t)
		p := start(t, site{workers: 2, origin: g.addr, server: `server_name = "shop.example"`, location: limits,
			http: limitZone("addr", "$binary_remote_addr", "64k") + limitZone("site", "$server_name", "64k") + limitZone("third", "$host/$arg_k", "64k")})
		held := p.dial()
		g.hold(held, "x")
		for range 3 {
			p.dial().get("/", 503)
		}
		p.waitLog(`limiting connections by zone.*zone="?site"?.*key=.*shop\.example`)
		if n := p.zone("addr").count("127.0.0.1"); n != 1 {
			t.Errorf("%s: the other zone counts %d, want 1", limits, n)
		}
		if n := p.zone("site").count(quoted("shop.example")); n != 1 {
			t.Errorf("%s: the refusing zone counts %d, want 1", limits, n)
		}
		g.letGo(held, "x")
		p.waitEmpty("addr", "site", "third")
		p.dial().get("/", 200)
		out, code := weirCommand(t, p.dir, "zone", "show", "addr", "--json")
		if code != 0 || !regexp.MustCompile(`"keys": ?0\b`).MatchString(out) {
			t.Errorf("weir zone show addr --json: exit %d, %s", code, out)
		}
	}
}

// A request whose key is empty is not counted; long keys are, each for itself.
func TestLimitKeys(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, site{workers: 2, origin: g.addr, location: limit("k:1"), http: limitZone("k", "$arg_k", "128k")})
	for i := range 3 {
		g.hold(p.dial(), fmt.Sprint(i))
	}
	if z := p.zone("k"); z.Keys != 0 {
		t.Errorf("without a key there are %d keys", z.Keys)
	}
	long := strings.Repeat("k", 255)
	for i, key := range []string{"a", "b", "%00", long, long + "1", long + "2", strings.Repeat("x", 3000)} {
		g.hold(p.dial(), "?k="+key)
		p.dial().get("/x?k="+key, 503)
		if z := p.zone("k"); z.Keys != i+1 {
			t.Errorf("with %d keys held there are %d", i+1, z.Keys)
		}
	}
}

// What is on the bypass list is neither counted nor refused.
func TestLimitBypass(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	p := start(t, byAddress(g.addr, 1, `limit_conn_bypass = ["192.0.2.7", "127.0.0.2/31", "2001:db8::/32"]`))
	held := p.dial()
	g.hold(held, "x")
	for i, source := range []string{"127.0.0.2", "127.0.0.2", "127.0.0.3"} {
		c := dialFrom(t, source, p.addr)
		if r := c.get("/y", 200); r.fields.get("X-Limit") != "BYPASSED" {
			t.Errorf("%s: X-Limit %q", source, r.fields.get("X-Limit"))
		}
		g.hold(c, fmt.Sprint(i))
	}
	dialFrom(t, "127.0.0.1", p.addr).get("/y", 503)
	dialFrom(t, "127.0.0.4", p.addr).get("/y", 200)
	p.waitCount("addr", "127.0.0.4", 0)
	if z := p.zone("addr"); z.Keys != 1 || z.count("127.0.0.1") != 1 || z.Bypassed != 6 {
		t.Errorf("the zone has %d keys, %d bypassed; want 1 and 6", z.Keys, z.Bypassed)
	}
}

// limit_conn is inherited as a whole, and replaced as a whole.
func TestLimitInheritance(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	pass := `proxy_pass = "http://app"`
	zones := limitZone("outer", "outer", "64k") + limitZone("inner", "inner", "64k") + limitZone("own", "own", "64k")
	p := start(t, site{workers: 2, origin: g.addr, http: limit("outer:1") + "\nlimit_conn_status = 429\n" + zones,
		more: location("/own/", pass, limit("own:1")) + location("/none/", pass, "limit_conn = []") + location("/same/", pass, "limit_conn_status = 509") +
			"[[http.server]]\nlisten = [\"127.0.0.1:@PORT2@\"]\n" + limit("inner:1") + "\n" + location("/", pass) + location("/own/", pass, limit("own:1"))})
	second := func() *client { return dialTo(t, "127.0.0.1:"+p.ports[1]) }
	first, other := p.dial(), second()
	g.hold(first, "first") // takes what [http] allows
	g.hold(other, "other") // takes what the second server allows
	p.dial().get("/x", 429)
	p.dial().get("/same/x", 509)
	p.dial().get("/own/x", 200)
	p.dial().get("/none/x", 200)
	p.waitCount("own", quoted("own"), 0)
	second().get("/x", 429)
	second().get("/own/x", 200)
	p.waitCount("own", quoted("own"), 0)
	if a, b, c := p.zone("outer"), p.zone("inner"), p.zone("own"); a.Passed != 1 || b.Passed != 1 || c.Passed != 2 || a.Rejected != 2 || b.Rejected != 1 {
		t.Errorf("passed %d, %d, %d, rejected %d, %d", a.Passed, b.Passed, c.Passed, a.Rejected, b.Rejected)
	}
	g.letGo(first, "first")
	g.letGo(other, "other")
	p.waitEmpty("outer", "inner", "own")
}

// An internal redirect does not count a request a second time.
func TestLimitInternalRedirect(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	g := newGate(t)
	bad := deadAddress(t)
	p := start(t, site{workers: 2, origin: g.addr, http: limitZone("all", "all", "64k"), server: `error_page = [{ codes = [502], uri = "/held/$arg_n" }]`,
		location: limit("all:1"),
		more: location("/dead", `proxy_pass = "http://`+bad+`"`, limit("all:1")) +
			location("/free", `proxy_pass = "http://`+bad+`"`)})
	for i, path := range []string{"/dead", "/free"} { // the second is counted where it is led to
		c := p.dial()
		name := fmt.Sprint(i)
		c.send("GET " + path + "?n=" + name + " HTTP/1.1\r\nHost: h\r\n\r\n")
		eventually(t, ioDeadline, "the redirected request at the origin", func() bool { return g.has("/held/" + name) })
		p.waitCount("all", quoted("all"), 1)
		p.dial().get("/x", 503)
		close(g.word("/held/" + name))
		if r := c.read("GET"); r.status != 502 || string(r.body) != "/held/"+name {
			t.Errorf("%s: status %d, body %q", path, r.status, r.body)
		}
		p.waitEmpty("all")
	}
	if z := p.zone("all"); z.Passed != 2 {
		t.Errorf("passed %d, want 2", z.Passed)
	}
}

// A tunnel counts until it closes.
func TestLimitTunnel(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := echoUpgrade(t, "")
	s := upgradeSite(o.addr)
	s.workers, s.http = 2, limitZone("all", "all", "64k")
	s.location += "\n" + limit("all:1")
	p := start(t, s)
	for _, end := range []func(c *client){
		func(c *client) { c.Close() },
		func(c *client) { _ = c.SetLinger(0); c.Close() },
		func(c *client) { o.closeConns(); c.wantClosed(ioDeadline); c.Close() }, // half of it may stay open as long as the client wants
	} {
		c := p.dial()
		c.send(upgradeRequest)
		if r := c.read("GET"); r.status != 101 {
			t.Fatalf("status %d", r.status)
		}
		for range 3 {
			c.send("ping")
			if _, err := c.br.Discard(4); err != nil {
				t.Fatal(err)
			}
			p.dial().get("/x", 503)
		}
		p.waitCount("all", quoted("all"), 1)
		end(c)
		p.waitEmpty("all")
	}
}
