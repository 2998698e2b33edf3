// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// At 20k a second 80 KiB take four seconds; nginx lets the first second's bytes
// go at once, and counts in whole seconds, so it may be a little more than two.
// Without a rate it is a matter of milliseconds.
const (
	rateSize  = 80 << 10
	limited   = 1900 * time.Millisecond
	unlimited = 1500 * time.Millisecond // more on a busy machine, but not every time

	ownSize = 3900 // of an answer of the proxy's own
)

// bulkTarget is a target for a bulkOrigin.
func bulkTarget(path string, size int, as string, fields ...string) string {
	return fmt.Sprintf("%s?size=%d&as=%s&%s", path, size, as, url.Values{"add": fields}.Encode())
}

// rateSite has a location for each way to set a rate.
func rateSite(addr string) site {
	pass := `proxy_pass = "http://app"`
	long := strings.Repeat("x", ownSize)
	return site{origin: addr, more: location("/fixed", pass, `limit_rate = "20k"`) +
		location("/number", pass, `limit_rate = 20480`) +
		location("/after", pass, `limit_rate = "20k"`, `limit_rate_after = "60k"`) +
		location("/late", pass, `limit_rate = "20k"`, `limit_rate_after = "200k"`) +
		location("/arg", pass, `limit_rate = "$arg_rate"`, `limit_rate_after = "$arg_after"`) +
		location("/onlyafter", pass, `limit_rate_after = "200k"`) +
		location("/ignored", pass, `proxy_ignore_headers = ["X-Accel-Limit-Rate"]`) +
		location("/own", `limit_rate = 1000`, answer(long)) +
		location("/unbuffered", pass, `limit_rate = "20k"`, `proxy_buffering = false`) +
		location("/origin", pass, `proxy_limit_rate = "20k"`) +
		location("/originoff", pass, `proxy_limit_rate = "20k"`, `proxy_buffering = false`)}
}

// How long an answer takes tells whether it has a rate. Each case is a key, or a
// way to write it.
func TestRates(t *testing.T) {
	t.Parallel()
	o := newBulkOrigin(t)
	p := start(t, rateSite(o.addr))
	if !useNginx() {
		p.allow("gives something else")
	}
	together(t, []rateCase{
		{name: "none", path: "/"},
		{name: "limit_rate", path: "/fixed", slow: true},
		{name: "limit_rate as a number", path: "/number", slow: true},
		{name: "chunked", path: "/fixed", as: "chunked", slow: true},
		{name: "until close", path: "/fixed", as: "close", slow: true},
		{name: "not buffered", path: "/unbuffered", slow: !useNginx()}, // nginx drops limit_rate then
		{name: "less than a second's bytes", path: "/fixed", size: 10 << 10},
		{name: "limit_rate_after covers most of it", path: "/after"},
		{name: "limit_rate_after covers some of it", path: "/after", size: rateSize + 60<<10, slow: true},
		{name: "limit_rate_after covers all of it", path: "/late"},
		{name: "limit_rate_after alone", path: "/onlyafter"},
		{name: "template", path: "/arg", query: "&rate=20k", slow: true},
		{name: "template, a number", path: "/arg", query: "&rate=20480", slow: true},
		{name: "template, both", path: "/arg", query: "&rate=20k&after=1m"},
		{name: "template, empty", path: "/arg"},
		{name: "template, zero", path: "/arg", query: "&rate=0"},
		{name: "template, not a size", path: "/arg", query: "&rate=fast"},
		{name: "X-Accel-Limit-Rate", path: "/", fields: []string{"X-Accel-Limit-Rate: 20480"}, slow: true},
		{name: "X-Accel-Limit-Rate in other letters", path: "/", fields: []string{"x-accel-LIMIT-rate: 20480"}, slow: true},
		{name: "X-Accel-Limit-Rate takes limit_rate away", path: "/fixed", fields: []string{"X-Accel-Limit-Rate: 0"}},
		{name: "X-Accel-Limit-Rate is a plain number", path: "/", fields: []string{"X-Accel-Limit-Rate: 20k"}},
		{name: "X-Accel-Limit-Rate that means nothing", path: "/fixed", fields: []string{"X-Accel-Limit-Rate: off"}, slow: true},
		{name: "limit_rate_after with X-Accel-Limit-Rate", path: "/onlyafter", fields: []string{"X-Accel-Limit-Rate: 20480"}},
		{name: "proxy_ignore_headers", path: "/ignored", fields: []string{"X-Accel-Limit-Rate: 20480"}},
		{name: "proxy_limit_rate", path: "/origin", slow: true},
		{name: "proxy_limit_rate, chunked", path: "/origin", as: "chunked", slow: true},
		{name: "proxy_limit_rate without buffering", path: "/originoff"},
		{name: "an answer of the proxy's own", path: "/own", slow: true},
	}, func(tt rateCase) error { return tt.run(p) })
	if want := "gives something else"; !useNginx() && !strings.Contains(p.stderr.String(), want) {
		t.Errorf("no line in the error log says %q", want)
	}
}

// rateCase is one answer with, or without, a rate.
type rateCase struct {
	name, path, query string
	size              int // of the body; rateSize if not given
	as                string
	fields            []string // of the origin's answer
	slow              bool
}

func (tt rateCase) run(p *proxy) (err error) {
	for range 8 {
		var again bool
		if again, err = tt.try(p); !again {
			break
		}
	}
	return err
}

// try is run once; again: what it judges may be the machine's doing.
func (tt rateCase) try(p *proxy) (again bool, err error) {
	c, err := p.tryDial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	c.within(30 * time.Second)
	if tt.size == 0 {
		tt.size = rateSize
	}
	begin := time.Now()
	r, err := c.tryAsk("GET", bulkTarget(tt.path, tt.size, tt.as, tt.fields...)+tt.query)
	if err != nil {
		return false, err
	}
	if r.fields.has("X-Accel-Limit-Rate") {
		return false, fmt.Errorf("the client got %q", r.raw)
	}
	if tt.path != "/own" {
		err = c.tryTakeBulk(r, "GET", 0, int64(tt.size))
	} else if err = r.readBody(c.br, "GET"); err == nil && len(r.body) != ownSize {
		err = fmt.Errorf("%d bytes", len(r.body))
	}
	took := time.Since(begin)
	switch {
	case err != nil:
		return false, err
	case tt.slow && took < limited:
		return false, fmt.Errorf("took %v, so there was no rate", took)
	case !tt.slow && took > unlimited:
		return true, fmt.Errorf("took %v, so there was a rate", took)
	}
	return false, nil
}

// proxy_limit_rate takes variables in current nginx.
func TestProxyLimitRateTemplate(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx 1.22 does not
	o := newBulkOrigin(t)
	p := start(t, site{origin: o.addr, location: `proxy_limit_rate = "$arg_rate"`})
	together(t, []rateCase{
		{name: "set", path: "/", query: "&rate=20k", slow: true},
		{name: "empty", path: "/", query: "&rate="},
	}, func(tt rateCase) error { return tt.run(p) })
}

// While a rate makes a side pause, that side's patience is not used up, and the
// worker does not work.
func TestPauseIsNotSilence(t *testing.T) {
	t.Parallel()
	o := newBulkOrigin(t)
	quick := `proxy_pass = "http://app"` + "\n" + `send_timeout = "600ms"` + "\n" + `proxy_read_timeout = "600ms"`
	p := start(t, site{origin: o.addr, more: location("/client", quick, `limit_rate = 8192`) + location("/origin", quick, `proxy_limit_rate = 8192`)})
	before := p.cpu()
	begin := time.Now()
	var cases []rateCase
	for _, path := range []string{"/client", "/origin"} {
		for _, as := range []string{"length", "chunked"} {
			cases = append(cases, rateCase{path: path, as: as, size: 28 << 10, slow: true}) // more than comes with the head
		}
	}
	together(t, cases, func(tt rateCase) (err error) {
		for range 3 { // on a busy machine the origin, or this client, may be silent for that long by itself, but not every time
			if err = tt.run(p); err == nil {
				break
			}
		}
		return err
	})
	used, took := p.cpu()-before, time.Since(begin)
	t.Logf("%v of the processor in %v", used, took)
	if used > took/4 {
		t.Errorf("pauses used %v of the processor in %v", used, took)
	}
}

// cpu is the processor time that the proxy's workers have used.
func (p *proxy) cpu() time.Duration {
	var ticks int
	for _, pid := range p.children() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		ticks += user + system
	}
	return time.Duration(ticks) * 10 * time.Millisecond // the kernel's USER_HZ is 100 everywhere
}

// A client that goes away during a pause is not paid for: the response ends, and
// so does the exchange with the origin.
func TestPausedClientLeaves(t *testing.T) {
	t.Parallel()
	o := newBulkOrigin(t)
	p := start(t, site{origin: o.addr, location: `limit_rate = 1000`})
	for i, reset := range []bool{false, true} {
		for j, size := range []int{50_000, 50 << 20} { // all of it in the proxy, most of it with the origin
			c := p.dial()
			c.ask(bulkTarget("/", size, "length"))
			if reset {
				_ = c.SetLinger(0)
			}
			c.Close()
			p.waitLines("access.log", 2*i+j+1)
		}
	}
	eventually(t, ioDeadline, "the origin's connections to rest", func() bool { return o.open.Load() <= 1 })
}
