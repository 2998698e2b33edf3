// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitLines waits until logs/name has n lines and returns them.
func (p *proxy) waitLines(name string, n int) []string {
	p.t.Helper()
	var lines []string
	if !within(ioDeadline, func() bool {
		text := p.readLog(name)
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		return strings.HasSuffix(text, "\n") && len(lines) >= n
	}) {
		p.t.Fatalf("logs/%s has %d lines, want %d:\n%s", name, len(lines), n, tail(p.readLog(name), 2000))
	}
	return lines
}

func TestCombinedLog(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string { return ok("hello") })
	p := start(t, site{origin: o.addr, http: `access_log = [{ path = "logs/access.log" }]`})
	before := time.Now().Add(-time.Second)
	p.get("/path?q=1", "Referer: http://from/", `User-Agent: agent "quoted" \ `+"\xff")
	p.exchange("GET", "BAD\r\n\r\n")
	lines := p.waitLines("access.log", 2)
	re := regexp.MustCompile(`^127\.0\.0\.1 - - \[([^\]]+)\] "(.*?)" (\d+) (\d+) "(.*?)" "(.*)"$`)
	m := re.FindStringSubmatch(lines[0])
	if m == nil {
		t.Fatalf("line %q is not combined", lines[0])
	}
	if want := []string{"GET /path?q=1 HTTP/1.1", "200", "5", "http://from/", `agent \x22quoted\x22 \x5C \xFF`}; strings.Join(m[2:], "|") != strings.Join(want, "|") {
		t.Errorf("fields %q, want %q", m[2:], want)
	}
	when, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
	if err != nil || when.Before(before) || when.After(time.Now().Add(time.Second)) {
		t.Errorf("time %q (%v)", m[1], err)
	}
	if m := re.FindStringSubmatch(lines[1]); m == nil || m[2] != "BAD" || m[3] != "400" || m[5] != "-" || m[6] != "-" {
		t.Errorf("a bad request's line is %q", lines[1])
	}
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	o := answering(t, func(*request) string { return ok("hello", "X-Up: v") })
	dead := deadAddress(t)
	p := start(t, site{servers: []string{peer(dead), peer(o.addr)}, http: `access_log = [{ path = "logs/json.log", format = "j" }, { path = "logs/up.log", format = "up" }]
[http.log_format]
up = "$upstream_addr|$upstream_status|$status|$request_time|$upstream_response_time|$body_bytes_sent|$bytes_sent|$sent_http_content_length|$upstream_http_x_up|$request_length|$connection_requests|$host|$server_port|$request_method|$uri|$msec|$arg_none"
j = { escape = "json", format = '{"agent":"$http_user_agent","request":"$request","none":"$http_none","status":$status}' }
`})
	c := p.dial()
	text := "GET /a%20b HTTP/1.1\r\nHost: Example.com:1\r\nUser-Agent: q\" b\\ \xc3\xa9\r\n\r\n"
	c.send(text)
	r := c.read("GET")
	up := strings.Split(p.waitLines("up.log", 1)[0], "|")
	if len(up) != 17 {
		t.Fatalf("line %q", up)
	}
	seconds := `^\d+\.\d{3}$`
	for i, want := range []string{
		`^` + regexp.QuoteMeta(dead+", "+o.addr) + `$`, `^502, 200$`, `^200$`, seconds, `^\d+\.\d{3}, \d+\.\d{3}$`, `^5$`,
		fmt.Sprintf(`^%d$`, len(r.raw)+5), `^5$`, `^v$`, fmt.Sprintf(`^%d$`, len(text)), `^1$`, `^example\.com$`, `^` + p.ports[0] + `$`, `^GET$`, `^/a b$`,
		`^\d{10}\.\d{3}$`, `^-$`,
	} {
		if !regexp.MustCompile(want).MatchString(up[i]) {
			t.Errorf("field %d is %q, want %s", i, up[i], want)
		}
	}
	var line struct {
		Agent, Request, None string
		Status               int
	}
	if err := json.Unmarshal([]byte(p.waitLines("json.log", 1)[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Agent != "q\" b\\ é" || line.Request != "GET /a%20b HTTP/1.1" || line.None != "" || line.Status != 200 {
		t.Errorf("got %+v", line)
	}
}

// access_log's flush writes a line that does not fill the buffer.
func TestLogFlush(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, http: `access_log = [{ path = "logs/access.log", buffer = "32k", flush = "1s" }]`})
	begun := time.Now()
	p.get("/flushed")
	if text := p.readLog("access.log"); text != "" && time.Since(begun) < 500*time.Millisecond {
		t.Errorf("the line was written at once, not buffered: %q", text)
	}
	p.waitLines("access.log", 1)
	if took := time.Since(begun); took > tooLate {
		t.Errorf("the line came after %v, want about 1s", took)
	}
}

var combinedLine = regexp.MustCompile(`^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "(GET /\d+-\d+ HTTP/1\.1|)" \d{3} \d+ "-" "-"$`)

// Two workers write one file under load while it is moved away and reopened
// again and again: every line is whole, and there is one for every request.
func TestLogReopenLosesNothing(t *testing.T) {
	t.Parallel()
	o := targetOrigin(t)
	p := start(t, site{workers: 2, origin: o.addr, http: `access_log = [{ path = "logs/access.log", buffer = "4k", flush = "1s" }]`})
	l := startLoad(p.addr, 16)
	const moves = 4
	for i := range moves {
		l.progress(p, 300)
		if err := os.Rename(p.path("logs", "access.log"), p.path("logs", fmt.Sprintf("moved.%d", i))); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGUSR1)
		eventually(t, ioDeadline, "the new access.log", func() bool {
			info, err := os.Stat(p.path("logs", "access.log"))
			return err == nil && info.Size() > 0
		})
	}
	l.progress(p, 300)
	l.end()
	if lost := l.losses(); len(lost) > 0 {
		t.Fatalf("%d requests lost, the first: %s", len(lost), lost[0])
	}
	served := int(l.served.Load())
	lines := map[string]int{}
	total := func() int {
		clear(lines)
		for _, name := range append([]string{"access.log"}, "moved.0", "moved.1", "moved.2", "moved.3") {
			for line := range strings.Lines(p.readLog(name)) {
				if m := combinedLine.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && strings.HasSuffix(line, "\n") {
					lines[m[1]]++
				} else {
					lines["torn: "+line]++
				}
			}
		}
		n := 0
		for request, count := range lines {
			if strings.HasPrefix(request, "GET ") {
				n += count
			}
		}
		return n
	}
	if !within(ioDeadline, func() bool { return total() == served }) {
		t.Errorf("%d log lines for %d requests", total(), served)
	}
	for request, count := range lines {
		if strings.HasPrefix(request, "torn") || (count > 1 && request != "") {
			t.Errorf("%d times %q", count, request)
		}
	}
}

// What is buffered is written when the proxy leaves.
func TestLogIsFlushedAtExit(t *testing.T) {
	t.Parallel()
	o := okOrigin(t)
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM} {
		p := start(t, site{origin: o.addr, http: `access_log = [{ path = "logs/access.log", buffer = "32k" }]`})
		p.get("/buffered")
		p.signal(sig)
		p.wait(stopDeadline)
		if text := p.readLog("access.log"); !strings.Contains(text, "GET /buffered") {
			t.Errorf("after %v the log has %q", sig, text)
		}
	}
}
