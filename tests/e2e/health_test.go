// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/dnstest"
)

// checkedOrigin is an origin whose answers to "/check" a test decides about, and that counts them.
type checkedOrigin struct {
	*origin
	sick   atomic.Bool
	checks atomic.Int64
	mu     sync.Mutex
	last   *request
}

func newCheckedOrigin(t *testing.T, name string) *checkedOrigin {
	o := &checkedOrigin{}
	o.origin = answering(t, func(r *request) string {
		if !strings.HasPrefix(r.target, "/check") {
			return ok(name)
		}
		o.checks.Add(1)
		o.mu.Lock()
		o.last = r
		o.mu.Unlock()
		if o.sick.Load() {
			return reply(500, "Internal Server Error", "sick")
		}
		return ok("well", "X-Health: good")
	})
	return o
}

// probers are the processes of health checks of this proxy.
func (p *proxy) probers() []int { return probersAmong(p.children()) }

func probersAmong(all []int) (pids []int) {
	for _, pid := range all {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if strings.TrimSpace(string(name)) == "weir-prober" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// An origin that fails its checks gets no requests of any worker until it passes again: checked by one process, over a reload, and after that is killed.
func TestHealthChecks(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	a, b := newCheckedOrigin(t, "a"), newCheckedOrigin(t, "b")
	p := start(t, site{workers: 4, upstream: `health_check = { interval = "20ms", uri = "/check?x", host = "h.example", fails = 2, passes = 2, expect = { status = "200 204", header = ["X-Health = good", "! X-Not"], body = "~ ^well$" } }`,
		servers: []string{fmt.Sprintf("{ address = %q }", a.addr), fmt.Sprintf("{ address = %q }", b.addr)}})
	p.allow("weir-prober|health checks")
	clients := make([]*client, 12) // most workers have one
	for i := range clients {
		clients[i] = p.dial()
	}
	answers := func() (who map[string]bool) {
		who = map[string]bool{}
		for _, c := range clients {
			for range 2 {
				who[string(c.get("/", 200).body)] = true
			}
		}
		return who
	}
	eventually(t, ioDeadline, "checks of both", func() bool { return a.checks.Load() > 2 && b.checks.Load() > 2 })
	if who := answers(); len(who) != 2 {
		t.Errorf("both are well, answers from %v", who)
	}
	a.mu.Lock()
	if r := a.last; r.target != "/check?x" || r.fields.get("Host") != "h.example" || !strings.HasPrefix(r.fields.get("User-Agent"), "weir/") {
		t.Errorf("a check asks %q of %q as %q", r.target, r.fields.get("Host"), r.fields.get("User-Agent"))
	}
	a.mu.Unlock()
	onlyB := func() bool { who := answers(); return len(who) == 1 && who["b"] }
	a.sick.Store(true)
	eventually(t, ioDeadline, "no answers of the sick one", onlyB)
	p.waitLog(`peer is unhealthy.*` + a.addr)

	first := p.probers()
	if len(first) != 1 {
		t.Fatalf("%d processes check", len(first))
	}
	p.signal(syscall.SIGHUP)
	p.waitLog(`serving.*generation=2`)
	eventually(t, ioDeadline, "one other process that checks", func() bool { now := p.probers(); return len(now) == 1 && now[0] != first[0] })
	for i := range clients {
		clients[i] = p.dial()
	}
	if !onlyB() {
		t.Error("the reload has forgotten who is sick")
	}
	second := p.probers()
	if err := syscall.Kill(second[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "the next process that checks", func() bool {
		now := p.probers()
		return len(now) == 1 && !slices.Contains(append(first, second...), now[0])
	})
	if !onlyB() {
		t.Error("the death of the process that checks has brought the sick one back")
	}
	a.sick.Store(false)
	eventually(t, ioDeadline, "answers of both", func() bool { return len(answers()) == 2 })
	p.waitLog(`peer is healthy again.*` + a.addr)
	p.signal(syscall.SIGQUIT)
	p.wait(stopDeadline)
	eventually(t, ioDeadline, "the checks' connections to end", func() bool { return b.open.Load() == 0 })
	before := b.checks.Load()
	time.Sleep(100 * time.Millisecond)
	if now := b.checks.Load(); now != before {
		t.Errorf("%d checks after the end", now-before)
	}
}

// With mandatory an origin gets nothing before its first check; a check of tcp is a connection; a port of its own is connected to; one that takes longer than timeout has
// failed.
func TestHealthMandatory(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	sick, well := newCheckedOrigin(t, "sick"), newCheckedOrigin(t, "well")
	sick.sick.Store(true)
	_, port, _ := strings.Cut(well.addr, ":")
	dead := deadAddress(t)
	group := func(name, check, server string) string {
		return fmt.Sprintf("[http.upstream.%s]\nhealth_check = { interval = \"20ms\", %s }\nserver = [%q]\n", name, check, server)
	}
	slow := answering(t, func(*request) string {
		time.Sleep(50 * time.Millisecond)
		return ok("slow")
	})
	p := start(t, site{proxyPass: "-", http: group("slow", `timeout = "1ms"`, slow.addr) + group("first", `uri = "/check", mandatory = true`, sick.addr) + group("tcp", `type = "tcp", fails = 3`, well.addr) +
		group("dead", `type = "tcp"`, dead) + group("port", fmt.Sprintf(`uri = "/check", mandatory = true, port = %s`, port), sick.addr),
		more: location("/first", `proxy_pass = "http://first"`) + location("/tcp", `proxy_pass = "http://tcp"`) + location("/dead", `proxy_pass = "http://dead"`) + location("/port", `proxy_pass = "http://port"`)})
	if got := statusOf(p, "/first"); got != 502 {
		t.Errorf("before the first check: %d", got)
	}
	sick.sick.Store(false)
	eventually(t, ioDeadline, "200 after the first check", func() bool { return statusOf(p, "/first") == 200 })
	if got := statusOf(p, "/tcp"); got != 200 {
		t.Errorf("tcp: %d", got)
	}
	eventually(t, ioDeadline, "200 by the other port", func() bool { return statusOf(p, "/port") == 200 })
	p.waitLog("peer is unhealthy.*" + slow.addr)
	p.waitLog("peer is unhealthy.*" + dead)
	if got := statusOf(p, "/dead"); got != 502 {
		t.Errorf("dead: %d", got)
	}
	p.waitLog("no live upstreams")
}

// The addresses of a host are checked too, as they come and go.
func TestHealthOfHosts(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	s := dnstest.New(t)
	addrs, port := namedOrigins(t, "a", "b")
	s.SetAddrs("app.example", 1, addrs[0], "127.0.0.99") // nobody listens at the second
	config := dnsSite(s, 2, fmt.Sprintf("{ address = \"app.example:%s\", resolve = true, max_fails = 0 }", port), "")
	config.upstream = `health_check = { interval = "50ms", uri = "/" }`
	p := start(t, config)
	p.waitLog(`peer is unhealthy.*127\.0\.0\.99:` + port)
	failed := func() (n int) {
		for _, line := range strings.Split(p.stderr.String(), "\n") {
			if strings.Contains(line, "connect failed") {
				n++
			}
		}
		return n
	}
	before := failed()
	for range 20 {
		if got := statusOf(p, "/"); got != 200 {
			t.Errorf("an origin that is unhealthy gets requests: %d", got)
		}
	}
	if now := failed(); now != before {
		t.Errorf("%d attempts with an origin that is unhealthy", now-before)
	}
	s.SetAddrs("app.example", 1, addrs[1])
	eventually(t, 2*ioDeadline, "the other address", func() bool { return string(p.get("/").body) == "b" })
}

// An upgrade goes on with one process of health checks, that of the new master, and with what was found.
func TestHealthOverUpgrade(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	a, b := newCheckedOrigin(t, "a"), newCheckedOrigin(t, "b")
	a.sick.Store(true)
	m := startMasters(t, site{workers: 2, upstream: `health_check = { interval = "50ms", jitter = "10ms", timeout = "9s", uri = "/check" }`,
		servers: []string{fmt.Sprintf("{ address = %q }", a.addr), fmt.Sprintf("{ address = %q }", b.addr)}}, nil)
	eventually(t, ioDeadline, "a check", func() bool { return strings.Contains(m.log(), "peer is unhealthy peer="+a.addr) })
	old := probersAmong(m.group())
	if len(old) != 1 {
		t.Fatalf("%d processes check", len(old))
	}
	m.upgrade()
	for range 10 {
		if r := m.get("/"); string(r.body) != "b" {
			t.Errorf("the upgrade has forgotten who is sick: %q", r.body)
		}
	}
	eventually(t, ioDeadline, "the new master's process alone", func() bool { now := probersAmong(m.group()); return len(now) == 1 && now[0] != old[0] })
	before := b.checks.Load()
	eventually(t, ioDeadline, "checks by it", func() bool { return b.checks.Load() > before+2 })
}
