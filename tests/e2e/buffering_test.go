// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A client that reads nothing shows what the proxy takes from the origin ahead of
// it: what the origin has been able to write, less what the kernel's buffers on
// the way hold.
const (
	aheadSize = 64 << 20
	all       = aheadSize
	inKernel  = 20 << 20 // more than the buffers of the sockets hold
	inGrown   = 44 << 20 // and when the kernel has let them grow, since much was read, to a tcp_rmem of 32 MiB
)

// aheadCase is an answer that its client does not read.
type aheadCase struct {
	path   string
	fields []string // of the origin's answer
	least  int64    // taken from the origin at least
	most   int64    // and at most
	weir   bool     // nginx does not do this
}

// aheadSite has a location for each way to buffer.
func aheadSite(addr string) site {
	pass := `proxy_pass = "http://app"`
	noFile := "proxy_max_temp_file_size = 0"
	return site{origin: addr, more: location("/default", pass) +
		location("/off", pass, "proxy_buffering = false") +
		location("/ignored", pass, `proxy_ignore_headers = ["X-Accel-Buffering"]`) +
		location("/nofile", pass, noFile) +
		location("/memory", pass, noFile, `proxy_buffers = { number = 72, size = "1m" }`) +
		location("/capped", pass, `proxy_max_temp_file_size = "16m"`)}
}

func aheadCases() []aheadCase {
	field := func(name, value string) []string { return []string{name + ": " + value} }
	return []aheadCase{
		{path: "/default/", least: all, most: all},
		{path: "/default/json", fields: field("Content-Type", "application/json"), least: all, most: all},
		{path: "/default/eventstream", fields: field("Content-Type", "text/event-streams"), least: all, most: all},
		{path: "/off/", most: inKernel},
		{path: "/off/yes", fields: field("X-Accel-Buffering", "Yes"), least: all, most: all},
		{path: "/off/maybe", fields: field("X-Accel-Buffering", "maybe"), most: inKernel},
		{path: "/default/no", fields: field("X-Accel-Buffering", "no"), most: inKernel},
		{path: "/default/NO", fields: field("x-accel-buffering", "NO"), most: inKernel},
		{path: "/ignored/no", fields: field("X-Accel-Buffering", "no"), least: all, most: all},
		{path: "/nofile/", most: inKernel},
		{path: "/memory/", least: all, most: all},
		{path: "/capped/", least: 16 << 20, most: 16<<20 + inGrown},
		{path: "/default/events", fields: field("Content-Type", "text/event-stream"), most: inKernel, weir: true},
		{path: "/default/events8", fields: field("content-type", "Text/Event-Stream; charset=utf-8"), most: inKernel, weir: true},
		{path: "/default/grpc", fields: field("Content-Type", "application/grpc"), most: inKernel, weir: true},
		{path: "/default/grpcproto", fields: field("Content-Type", "application/grpc+proto"), most: inKernel, weir: true},
		{path: "/default/ndjson", fields: field("Content-Type", "application/x-ndjson"), most: inKernel, weir: true},
		{path: "/ignored/events", fields: append(field("Content-Type", "text/event-stream"), "X-Accel-Buffering: no"), most: inKernel, weir: true},
		{path: "/default/eventsyes", fields: append(field("Content-Type", "text/event-stream"), "X-Accel-Buffering: yes"), least: all, most: all},
	}
}

// What is taken from the origin ahead of a client, by key, field and content
// type; and then the client reads on and gets every byte.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	o := newBulkOrigin(t)
	s := aheadSite(o.addr)
	s.main = "worker_connections = 8192" // the blocks of /memory
	p := start(t, s)
	var cases []aheadCase
	for _, tt := range aheadCases() {
		if !tt.weir || !useNginx() {
			cases = append(cases, tt)
		}
	}
	stalled := make([]*client, len(cases))
	heads := make([]*response, len(cases))
	for i, tt := range cases {
		c := p.dial()
		stalled[i], heads[i] = c, c.ask(bulkTarget(tt.path, aheadSize, "length", tt.fields...))
		if heads[i].fields.has("X-Accel-Buffering") {
			t.Errorf("%s: the client got %q", tt.path, heads[i].raw)
		}
	}
	for _, tt := range cases {
		eventually(t, time.Minute, fmt.Sprintf("%s: %d bytes taken, now %d", tt.path, tt.least, o.sent(tt.path)),
			func() bool { return o.sent(tt.path) >= tt.least })
	}
	o.rest(t, "/")
	for i, tt := range cases {
		if n := o.sent(tt.path); n > tt.most {
			t.Errorf("%s: %d bytes taken ahead of the client, want at most %d", tt.path, n, tt.most)
		}
		stalled[i].within(time.Minute)
		stalled[i].takeBulk(heads[i], 0, aheadSize)
		stalled[i].Close()
	}
}

// rest waits until nothing of what is below prefix has been taken from the origin
// for a while: long beside the microseconds in which a proxy that wants more
// takes it.
func (o *bulkOrigin) rest(t *testing.T, prefix string) {
	t.Helper()
	last, since := int64(math.MinInt64), time.Now()
	eventually(t, time.Minute, "the origin to rest", func() bool {
		sum := int64(0)
		o.written.Range(func(path, _ any) bool {
			if strings.HasPrefix(path.(string), prefix) {
				sum += o.sent(path.(string))
			}
			return true
		})
		if sum != last {
			last, since = sum, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}

// The origin of a slow client is free when it has sent everything: the next
// request has its connection, while the client has still to read.
func TestOriginIsFreeBeforeItsClient(t *testing.T) {
	t.Parallel()
	o := newBulkOrigin(t)
	p := start(t, site{origin: o.addr})
	slow := p.dial()
	head := slow.ask(bulkTarget("/slow", aheadSize, "length"))
	eventually(t, time.Minute, "the origin to be done", func() bool { return o.sent("/slow") == aheadSize })
	eventually(t, ioDeadline, "a request on the slow client's connection", func() bool {
		p.get(bulkTarget("/next", 100, "length"))
		return o.last().conn == 0
	})
	slow.within(time.Minute)
	slow.takeBulk(head, 0, aheadSize)
}

// What nginx refuses is adjusted, and said: by -t, and in the log at start.
func TestBufferSizesAreAdjusted(t *testing.T) {
	t.Parallel()
	weirOnly(t) // nginx refuses to start
	o := newBulkOrigin(t)
	s := site{origin: o.addr, http: `proxy_buffers = { number = 1, size = "4k" }
proxy_busy_buffers_size = "1m"
proxy_temp_file_write_size = "1k"
proxy_max_temp_file_size = 1`}
	p := start(t, s)
	check, code := weirCommand(t, p.dir, "-t")
	if code != 0 {
		t.Errorf("-t leaves with %d", code)
	}
	for _, key := range []string{"proxy_buffers.number", "proxy_busy_buffers_size", "proxy_temp_file_write_size", "proxy_max_temp_file_size"} {
		if !strings.Contains(check, "http."+key+": ") {
			t.Errorf("-t says nothing on %s:\n%s", key, check)
		}
		if !strings.Contains(p.stderr.String(), "http."+key+": ") {
			t.Errorf("the log at start says nothing on %s:\n%s", key, p.stderr)
		}
	}
	c := p.dial()
	for _, as := range []string{"length", "chunked", "close"} {
		c.takeBulk(c.ask(bulkTarget("/", 1<<20, as)), 0, 1<<20)
	}
}

// A temporary file has no name: whoever looks sees none, and a killed worker
// leaves none behind.
func TestTemporaryFilesHaveNoName(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := newBulkOrigin(t)
	p := start(t, site{origin: o.addr})
	c := p.dial()
	c.ask(bulkTarget("/", aheadSize, "length"))
	eventually(t, time.Minute, "the response to be spilled", func() bool { return p.openTemporaryBytes() >= aheadSize-inKernel })
	_ = filepath.WalkDir(p.path("tmp"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("the file %s is there", path)
		}
		return nil
	})
	c.Close()
	eventually(t, ioDeadline, "the file to go", func() bool { return p.openTemporaryBytes() == 0 })
}

// openTemporaryBytes is what the unlinked files that the workers have open
// under tmp hold.
func (p *proxy) openTemporaryBytes() int64 {
	var sum int64
	for _, pid := range p.children() {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, file := range files {
			if name, err := os.Readlink(file); err != nil || !strings.HasPrefix(name, p.path("tmp")+"/") {
				continue
			}
			if info, err := os.Stat(file); err == nil {
				sum += info.Size()
			}
		}
	}
	return sum
}

// bodiesStatus is what `weir status --json` says of the bodies of the worker.
type bodiesStatus struct {
	Spliced      int64            `json:"spliced"`
	SplicedBytes int64            `json:"spliced_bytes"`
	NotSpliced   map[string]int64 `json:"not_spliced"`
	SpilledBytes int64            `json:"spilled_bytes"`
}

func (p *proxy) bodies(t *testing.T) bodiesStatus {
	t.Helper()
	var s struct {
		Workers []struct {
			State  string
			Bodies bodiesStatus
		}
	}
	out, code := effective(t, p.dir, "status", "--json")
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil || len(s.Workers) != 1 {
		t.Fatalf("status leaves with %d, %v:\n%s", code, err, out)
	}
	return s.Workers[0].Bodies
}

// Which bodies go through kernel pipes, and why others do not, is counted; the
// key buffers.splice switches it off.
func TestSpliceIsCounted(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const size = 4 << 20
	o := newBulkOrigin(t)
	for _, splice := range []string{"auto", "off"} {
		p := start(t, site{origin: o.addr, main: "[buffers]\nsplice = \"" + splice + "\"", more: location("/rate", `proxy_pass = "http://app"`, `limit_rate = "1g"`)})
		for _, tt := range []struct{ path, as, counted string }{
			{"/", "length", ""}, {"/", "chunked", "chunked"}, {"/", "close", "chunked"}, {"/rate", "length", "rate"}, {"/short", "length", "short"},
		} {
			n := int64(size)
			if tt.path == "/short" {
				n = 40 << 10
			}
			if splice == "off" {
				tt.counted = "off"
			}
			before := p.bodies(t)
			c := p.dial()
			c.takeBulk(c.ask(bulkTarget(tt.path, int(n), tt.as)), 0, n)
			c.Close()
			eventually(t, ioDeadline, fmt.Sprintf("%v to be counted as %q, now %+v", tt, tt.counted, p.bodies(t)), func() bool {
				now := p.bodies(t)
				if tt.counted == "" {
					return now.Spliced == before.Spliced+1 && now.SplicedBytes > before.SplicedBytes
				}
				return now.Spliced == before.Spliced && now.NotSpliced[tt.counted] == before.NotSpliced[tt.counted]+1
			})
		}
	}
}
