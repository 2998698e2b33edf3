// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// sightSite is a site that shows its numbers.
func sightSite(origins ...string) site {
	s := site{
		workers: 2, server: `server_name = "example.com"`, http: connZone("addr") + rateZone("one", "$binary_remote_addr", "1000r/s"),
		location: `limit_conn = [{ zone = "addr", max = 100 }]` + "\n" + `limit_req = [{ zone = "one", burst = 100000, nodelay = true }]`,
		more: location("= /metrics", "metrics = true") + location("= /status.json", "status_api = true") + location("= /dash", "dashboard = true") +
			location("= /gone", "return = 410"),
	}
	for _, o := range origins {
		s.servers = append(s.servers, fmt.Sprintf("{ address = %q }", o))
	}
	return s
}

func connZone(name string) string {
	return fmt.Sprintf("[http.limit_conn_zone.%s]\nkey = \"$binary_remote_addr\"\nsize = \"1m\"\n", name)
}

// metrics scrapes /metrics: samples by name with labels.
func (p *proxy) metrics() map[string]float64 {
	p.t.Helper()
	r := p.dial().get("/metrics", 200)
	if got := r.fields.get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		p.t.Fatalf("Content-Type: %q", got)
	}
	return parseMetrics(p.t, string(r.body))
}

func parseMetrics(t testing.TB, text string) map[string]float64 {
	t.Helper()
	samples := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		samples[line[:at]] = v
	}
	return samples
}

// isTotal says whether a sample may only grow.
func isTotal(name string) bool {
	base, _, _ := strings.Cut(name, "{")
	return strings.HasSuffix(base, "_total") || strings.HasSuffix(base, "_bucket") || strings.HasSuffix(base, "_sum") || strings.HasSuffix(base, "_count")
}

// neverFell checks every total that was there before.
func neverFell(t testing.TB, when string, before, after map[string]float64) {
	t.Helper()
	for name, was := range before {
		if now, ok := after[name]; isTotal(name) && (!ok || now < was) {
			t.Errorf("%s: %s was %v, is %v (there: %v)", when, name, was, now, ok)
		}
	}
}

// Every request is counted where it belongs, whichever worker served it and whichever is asked.
func TestMetricsCount(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := answering(t, func(r *request) string {
		if r.target == "/bad" {
			return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	})
	p := start(t, sightSite(o.addr))
	for range 20 {
		p.dial().get("/", 200)
	}
	for range 3 {
		p.dial().get("/bad", 500)
		p.dial().get("/gone", 410)
	}
	server := fmt.Sprintf(`{server="example.com",listen=%q`, p.addr)
	peer := fmt.Sprintf(`{upstream="app",peer=%q`, o.addr)
	want := map[string]float64{
		"weir_server_responses_total" + server + `,class="2xx"}`:                        20,
		"weir_server_responses_total" + server + `,class="5xx"}`:                        3,
		"weir_server_responses_total" + server + `,class="4xx"}`:                        3,
		"weir_upstream_attempts_total" + peer + "}":                                     23,
		"weir_upstream_responses_total" + peer + `,class="2xx"}`:                        20,
		"weir_upstream_duration_seconds_count" + peer + "}":                             23,
		"weir_upstream_first_byte_duration_seconds_count" + peer + "}":                  23,
		"weir_upstream_active" + peer + "}":                                             0,
		`weir_limit_zone_requests_total{zone="addr",kind="limit_conn",result="passed"}`: 23,
		`weir_limit_zone_requests_total{zone="one",kind="limit_req",result="passed"}`:   23,
		"weir_generation": 1,
		`weir_workers{generation="1",state="ready"}`: 2,
	}
	// A request is counted when it has ended, which may be after its client has the answer. Scrapes are of class 2xx too.
	scrapes, fault := 0.0, ""
	if !within(ioDeadline, func() bool {
		fault = ""
		got := p.metrics()
		scrapes++
		for name, n := range want {
			v, there := got[name]
			if most := n + scrapes; !there || v < n || v > n && (!strings.Contains(name, "2xx") || !strings.Contains(name, "server") || v > most) {
				fault = fmt.Sprintf("%s is %v (there: %v), want %v", name, v, there, n)
			}
		}
		if connects := got["weir_upstream_connect_duration_seconds_count"+peer+"}"]; connects < 1 || connects != got["weir_upstream_connects_total"] {
			fault = fmt.Sprintf("connects: %v and %v", connects, got["weir_upstream_connects_total"])
		}
		return fault == ""
	}) {
		t.Error(fault)
	}
}

// What all three keys answer with, and to whom.
func TestMetricsForms(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, sightSite(o.addr))
	p.dial().get("/", 200)
	if tool, err := exec.LookPath("promtool"); err == nil {
		check := exec.Command(tool, "check", "metrics")
		check.Stdin = strings.NewReader(string(p.dial().get("/metrics", 200).body))
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
	var r *response
	var s struct {
		Generation int
		Servers    []struct {
			Server   string
			Requests int
		}
		Workers []struct{ PID int }
	}
	eventually(t, ioDeadline, "the first request to be counted", func() bool {
		r = p.dial().get("/status.json", 200)
		if err := json.Unmarshal(r.body, &s); err != nil || r.fields.get("Content-Type") != "application/json" {
			t.Fatalf("status_api: %v, %q", err, r.fields.get("Content-Type"))
		}
		return len(s.Servers) == 1 && s.Servers[0].Requests > 0
	})
	if s.Generation != 1 || len(s.Servers) != 1 || s.Servers[0].Server != "example.com" || s.Servers[0].Requests < 1 || len(s.Workers) != 2 {
		t.Errorf("status_api: %+v", s)
	}
	r = p.dial().get("/dash", 200)
	if r.fields.get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(string(r.body), `const api = "/status.json"`) {
		t.Errorf("dashboard: %q, %d bytes", r.fields.get("Content-Type"), len(r.body))
	}
	for _, path := range []string{"/metrics", "/status.json", "/dash"} {
		c := p.dial()
		c.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		if r := c.read("POST"); r.status != 405 {
			t.Errorf("POST %s: %d", path, r.status)
		}
		c = p.dial()
		c.send("HEAD " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		if r := c.read("HEAD"); r.status != 200 || r.fields.get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %d", path, r.status)
		}
	}
}

// No total falls, whatever becomes of the workers and the master: kill -9, reload with another origin beside, a reload that fails, upgrade.
func TestMetricsNeverFall(t *testing.T) {
	weirOnly(t)
	a, b := okOrigin(t), okOrigin(t)
	m := startMasters(t, sightSite(a.addr), nil)
	m.allow(`exited on signal 9|killed|reload failed`)
	peer := fmt.Sprintf(`weir_upstream_attempts_total{upstream="app",peer=%q}`, a.addr)
	before := map[string]float64{}
	step := func(when string, minimum float64) {
		t.Helper()
		for range 20 {
			m.dial().get("/", 200)
		}
		scrapes := 0 // of whichever worker; a request is counted when it has ended, which may be after its client has the answer
		eventually(t, ioDeadline, fmt.Sprintf("%s: %s to be at least %v", when, peer, minimum), func() bool {
			after := m.metrics()
			neverFell(t, when, before, after)
			before = after
			scrapes++
			return scrapes >= 4 && before[peer] >= minimum
		})
	}
	step("at the start", 20)
	for range 2 {
		victims := m.children()
		for _, pid := range victims {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, ioDeadline, "new workers", func() bool {
			now := m.children()
			return len(now) == 2 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(victims, pid) }) && len(m.status().Workers) == 2
		})
		step("after kill -9", 20)
	}
	if n := before["weir_worker_deaths_total"]; n != 4 {
		t.Errorf("weir_worker_deaths_total is %v, want 4", n)
	}
	m.writeConfig(sightSite(a.addr, b.addr).toml())
	m.reload()
	step("after a reload", 60)
	m.writeConfig("nonsense = 1\n")
	if code, _ := m.control("POST", "/reload", nil); code == 200 {
		t.Error("a reload with a fault succeeded")
	}
	step("after a failed reload", 60)
	if before[`weir_reloads_total{result="ok"}`] != 1 || before[`weir_reloads_total{result="failed"}`] != 1 || before["weir_last_reload_successful"] != 0 ||
		before["weir_last_reload_timestamp_seconds"] < 1e9 {
		t.Errorf("reloads: %v ok, %v failed, last %v", before[`weir_reloads_total{result="ok"}`], before[`weir_reloads_total{result="failed"}`], before["weir_last_reload_successful"])
	}
	m.writeConfig(sightSite(a.addr, b.addr).toml())
	m.installNext()
	m.upgrade()
	step("after an upgrade", 60)
	if before["weir_upgrades_total"] != 1 || before["weir_reloads_total{result=\"ok\"}"] != 1 {
		t.Errorf("upgrades %v, reloads %v", before["weir_upgrades_total"], before["weir_reloads_total{result=\"ok\"}"])
	}
	m.writeConfig(sightSite(b.addr).toml())
	m.reload()
	m.writeConfig(sightSite(a.addr).toml())
	m.reload()
	step("after the origin has left and come back", 60)
}

// $traceparent is the client's, if it is valid, and a new one otherwise; $tracestate goes with it.
func TestTraceParent(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, location: `proxy_set_header = { traceparent = "$traceparent", tracestate = "$tracestate" }` + "\n" +
		`add_header = { X-Trace = "$traceparent", X-ID = "$request_id" }`})
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	p.get("/", "Traceparent: "+given, "tracestate: a=1")
	if f := o.last().fields; f.get("traceparent") != given || f.get("tracestate") != "a=1" {
		t.Errorf("a valid one: %q, %q", f.get("traceparent"), f.get("tracestate"))
	}
	seen := map[string]bool{}
	for _, extra := range [][]string{nil, {"traceparent: 00-nonsense", "tracestate: a=1"}, {"traceparent: " + given, "traceparent: " + given, "tracestate: a=1"}} {
		r := p.get("/", extra...)
		f := o.last().fields
		made := f.get("traceparent")
		if !matches(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, made) || made[3:35] != r.fields.get("X-ID") || made != r.fields.get("X-Trace") || seen[made] {
			t.Errorf("%q: traceparent %q, request id %q, the variable later %q", extra, made, r.fields.get("X-ID"), r.fields.get("X-Trace"))
		}
		seen[made] = true
		if f.has("tracestate") {
			t.Errorf("%q: tracestate %q without its trace", extra, f.get("tracestate"))
		}
	}
}
