// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// quick are the cases that run in `make test`.
var quick = []string{"return/codes", "proxy/request", "location/order", "rewrite/rules", "static/files", "samples/debian"}

// TestInterop runs the cases. What nginx and weir answer is the same, but for the differences that are listed.
func TestInterop(t *testing.T) {
	needNginx(t)
	for _, c := range readCases(t) {
		if !everything && !slices.Contains(quick, c.theme+"/"+c.name) {
			continue
		}
		t.Run(c.theme+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// minPairs is how many requests the cases have at least.
const minPairs = 300

func TestEnoughCases(t *testing.T) {
	pairs := 0
	for _, c := range readCases(t) {
		pairs += len(c.requests)
	}
	if pairs < minPairs {
		t.Errorf("%d requests, want %d at least", pairs, minPairs)
	}
	t.Logf("%d requests", pairs)
}

func (c *testCase) run(t *testing.T) {
	servers := []*server{
		startServer(t, "nginx", c, nginxCommand),
		startServer(t, "weir", c, weirCommand),
	}
	for _, r := range c.requests {
		seen := make([]map[string]string, 2)
		for i, s := range servers {
			seen[i] = s.look(exchange(s.addr(r.listen), r))
		}
		c.compare(t, r.name, seen[0], seen[1])
	}
	logs := []map[string]string{{}, {}}
	for i, s := range servers {
		s.end(syscall.SIGQUIT)
		for name, level := range c.logs {
			logs[i][name] = s.log(name, level)
		}
	}
	c.compare(t, "*", logs[0], logs[1])
	for _, d := range c.differences {
		if !d.seen && !t.Failed() {
			t.Errorf("%s %s is listed as a difference, and is none: take it out", d.request, d.what)
		}
	}
	if t.Failed() {
		t.Logf("weir says:\n%s\n%s", servers[1].stderr.String(), servers[1].log("error.log", ""))
	}
}

// look takes an answer apart into what is compared.
func (s *server) look(a *answer) map[string]string {
	seen := map[string]string{"closed": fmt.Sprint(a.closed), "interim": strings.Join(a.interims, "\n"), "status": "", "body": ""}
	for _, m := range a.responses {
		seen["status"] += m.first + "\n"
		body := s.plain(m.body)
		if strings.EqualFold(m.field("Content-Encoding"), "gzip") {
			body = inflated(body)
		}
		seen["body"] += body + "\n"
		for _, f := range m.fields {
			name, value, _ := strings.Cut(f, ":")
			// A text that the name of the server is in is as much longer as the name is.
			if name == "Content-Length" && strings.TrimSpace(value) == strconv.Itoa(len(m.body)) {
				value = " " + strconv.Itoa(len(body))
			}
			if name == "Expires" {
				value = relative(value, m.field("Date"))
			}
			if name != "Server" && name != "Date" {
				seen["header:"+name] += s.plain(value) + "\n"
			}
		}
	}
	seen["status"] += a.broken
	return seen
}

// relative is a time of the next years as seconds from another one: the two servers need not answer in the same second.
func relative(text, now string) string {
	t, err := http.ParseTime(strings.TrimSpace(text))
	from, err2 := http.ParseTime(strings.TrimSpace(now))
	if d := t.Sub(from); err == nil && err2 == nil && d.Abs() < 5*365*24*time.Hour {
		return fmt.Sprintf(" %.0f s from Date", d.Seconds())
	}
	return text
}

// inflated is what a body says that is compressed with gzip.
func inflated(body string) string {
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		return "not gzip: " + err.Error()
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return "not gzip: " + err.Error()
	}
	return "inflated: " + string(text)
}

// compare fails for everything that differs and is not listed.
func (c *testCase) compare(t *testing.T, name string, nginx, weir map[string]string) {
	t.Helper()
	if testing.Verbose() {
		t.Logf("%s:\n nginx\n%s weir\n%s", name, show(nginx), show(weir))
	}
	keys := maps.Clone(nginx)
	maps.Copy(keys, weir)
	for _, what := range slices.Sorted(maps.Keys(keys)) {
		if nginx[what] == weir[what] || c.known(name, what) {
			continue
		}
		t.Errorf("%s: %s (-nginx +weir):\n%s", name, what, cmp.Diff(strings.Split(nginx[what], "\n"), strings.Split(weir[what], "\n")))
	}
}

func show(seen map[string]string) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&b, "  %s: %q\n", what, seen[what])
	}
	return b.String()
}
