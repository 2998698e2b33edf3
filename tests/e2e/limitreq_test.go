// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rateZone is a limit_req_zone.
func rateZone(name, key, rate string) string {
	return fmt.Sprintf("[http.limit_req_zone.%s]\nkey = %q\nsize = \"1m\"\nrate = %q\n", name, key, rate)
}

// newRateOrigin answers everything with 200.
func newRateOrigin(t *testing.T) *origin {
	return answering(t, func(*request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" })
}

// byRate is a site whose location "/" has limit_req, and says in a field what came of it.
func byRate(zones, limitReq string, keys ...string) site {
	return site{
		http: "access_log = [{ path = \"logs/access.log\", format = \"rates\" }]\n[http.log_format]\nrates = '$request_uri $status $limit_req_status'\n" + zones,
		location: fmt.Sprintf("limit_req = [%s]\nadd_header = { X-Rate = { value = \"$limit_req_status\", always = true } }\n%s",
			limitReq, strings.Join(keys, "\n")),
	}
}

// At one instant 1 + burst requests pass, the next is refused, with the status and the log line that were asked for.
func TestRateBurst(t *testing.T) {
	t.Parallel()
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$binary_remote_addr", "1r/m"), `{ zone = "one", burst = 2, nodelay = true }`, "limit_req_status = 429", `limit_req_log_level = "warn"`)
	s.origin, s.workers = o.addr, 2
	p := start(t, s)
	for i := range 3 {
		if r := p.dial().get(fmt.Sprint("/", i), 200); r.fields.get("X-Rate") != "PASSED" {
			t.Errorf("request %d: X-Rate %q", i, r.fields.get("X-Rate"))
		}
	}
	for range 2 {
		if r := p.dial().get("/over", 429); r.fields.get("X-Rate") != "REJECTED" || r.fields.has("Retry-After") {
			t.Errorf("X-Rate %q, Retry-After %q", r.fields.get("X-Rate"), r.fields.get("Retry-After"))
		}
	}
	p.waitLog(`\[warn\].*limiting requests.*excess.*(3\.0|2\.[5-9])\d\d`)
	eventually(t, ioDeadline, "an access log line of a refusal", func() bool { return strings.Contains(p.readLog("access.log"), "/over 429 REJECTED\n") })
}

// What is over the rate waits its turn; other clients' requests, and other requests of the worker, do not.
func TestRateDelay(t *testing.T) {
	t.Parallel()
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$arg_k", "5r/s"), `{ zone = "one", burst = 5 }`, `limit_req_log_level = "error"`)
	s.origin = o.addr
	p := start(t, s)
	began := time.Now()
	var group sync.WaitGroup
	var mu sync.Mutex
	took := []time.Duration{}
	for range 4 {
		c := p.dial()
		group.Go(func() {
			c.send("GET /?k=a HTTP/1.1\r\nHost: x\r\n\r\n")
			if r := c.read("GET"); r.status != 200 {
				t.Errorf("status %d", r.status)
			}
			mu.Lock()
			took = append(took, time.Since(began))
			mu.Unlock()
		})
	}
	p.waitLog(`\[warn\].*delaying request.*excess`)
	p.dial().get("/?k=b", 200)
	p.dial().get("/", 200)
	if d := time.Since(began); d > 550*time.Millisecond {
		t.Logf("the machine is slow: other requests took %v", d)
	}
	group.Wait()
	if last := took[len(took)-1]; last < 590*time.Millisecond {
		t.Errorf("the last of 4 at 5r/s was answered after %v", last)
	}
}

// A client that goes away while its request waits is done with at once, and the origin never sees it.
func TestRateDelayedClientLeaves(t *testing.T) {
	t.Parallel()
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$binary_remote_addr", "1r/m"), `{ zone = "one", burst = 5 }`)
	s.origin = o.addr
	p := start(t, s)
	p.dial().get("/first", 200)
	c := p.dial()
	c.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
	p.waitLog("delaying request")
	c.Close()
	eventually(t, ioDeadline, "the access log line", func() bool { return strings.Contains(p.readLog("access.log"), "/waits 499 DELAYED\n") })
}

// A dry run logs and lets through at once.
func TestRateDryRun(t *testing.T) {
	t.Parallel()
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$binary_remote_addr", "1r/m"), `{ zone = "one", burst = 1 }`, "limit_req_dry_run = true")
	s.origin = o.addr
	p := start(t, s)
	for i, want := range []string{"PASSED", "DELAYED_DRY_RUN", "REJECTED_DRY_RUN", "REJECTED_DRY_RUN"} {
		if r := p.dial().get("/", 200); r.fields.get("X-Rate") != want {
			t.Errorf("request %d: X-Rate %q, want %s", i, r.fields.get("X-Rate"), want)
		}
	}
	p.waitLog("delaying request, dry run")
	p.waitLog("limiting requests, dry run")
}

// Several rates hold all together, and a location without its own inherits the server's.
func TestRateSeveral(t *testing.T) {
	t.Parallel()
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$binary_remote_addr", "1r/m")+rateZone("two", "$server_name", "1r/m"), `{ zone = "one", burst = 5, nodelay = true }, { zone = "two", burst = 1, nodelay = true }`)
	s.origin, s.server = o.addr, `server_name = "shop.example"` // its name is the second key
	s.more = location("/one", `proxy_pass = "http://app"`, `limit_req = [{ zone = "one", burst = 5, nodelay = true }]`)
	p := start(t, s)
	p.dial().get("/", 200)
	p.dial().get("/", 200)
	for range 10 {
		p.dial().get("/", 503)
	}
	for range 4 { // the refused ones were not counted in the other zone
		p.dial().get("/one", 200)
	}
	p.dial().get("/one", 503)
	p.waitLog(`limiting requests.*(by zone "two"|zone="?two)`)
}

// limit_retry_after says when to come again.
func TestRateRetryAfter(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newRateOrigin(t)
	s := byRate(rateZone("one", "$binary_remote_addr", "2r/m"), `{ zone = "one" }`, "limit_req_status = 429", "limit_retry_after = true")
	s.origin = o.addr
	p := start(t, s)
	p.dial().get("/", 200)
	r := p.dial().get("/", 429)
	if seconds, err := strconv.Atoi(r.fields.get("Retry-After")); err != nil || seconds < 20 || seconds > 30 {
		t.Errorf("Retry-After: %q, want 30 less what has passed", r.fields.get("Retry-After"))
	}
}

// Workers of different ages have one time: what a young one says is no longer than the rate, and the key is free again when that has passed.
func TestRateOfYoungWorkers(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newRateOrigin(t)
	s := byRate(rateZone("slow", "$arg_k", "2r/m")+rateZone("fast", "$binary_remote_addr", "20r/s"), `{ zone = "slow" }, { zone = "fast", burst = 100, nodelay = true }`,
		"limit_req_status = 429", "limit_retry_after = true")
	s.origin = o.addr
	p := start(t, s)
	time.Sleep(2500 * time.Millisecond) // not to wait for anything: the workers' age is what matters here
	p.dial().get("/?k=1", 200)
	p.reload()
	r := p.dial().get("/?k=1", 429)
	if seconds, err := strconv.Atoi(r.fields.get("Retry-After")); err != nil || seconds < 1 || seconds > 30 {
		t.Errorf("Retry-After %q of a worker that was just started: the rate lets one pass every 30 s", r.fields.get("Retry-After"))
	}
	for range 5 {
		p.dial().get("/", 200)
	}
}

// What was counted stays counted over a reload, also when the rate changes.
func TestRateOverReload(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newRateOrigin(t)
	config := func(rate string) string {
		s := byRate(rateZone("one", "$binary_remote_addr", rate), `{ zone = "one", burst = 1, nodelay = true }`)
		s.origin, s.workers = o.addr, 2
		return s.toml()
	}
	p := startConfig(t, config("1r/m"))
	p.dial().get("/", 200)
	p.dial().get("/", 200)
	p.dial().get("/", 503)
	p.writeConfig(config("2r/m"))
	p.reload()
	p.dial().get("/", 503)
}
