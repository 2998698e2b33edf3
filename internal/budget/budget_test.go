// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package budget

import (
	"fmt"
	"strings"
	"testing"

	"weir/conf"
)

func load(t *testing.T, text string) *conf.Config {
	t.Helper()
	c, _, err := conf.Load(conf.Source{Name: "weir.toml", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBlockLimit: what buffers.limit is when it says 0, and that it counts when it does not.
func TestBlockLimit(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
	}{
		{"[[http.server]]", 2*4096 + 2},
		{"worker_connections = 1000\nbuffers = { reserve = 10 }\n[[http.server]]", 2010},
		{"worker_connections = 16\n[[http.server]]", 4*8 + 2}, // four responses may read as far ahead as proxy_buffers says
		{"worker_connections = 16\n[[http.server]]\n[[http.server.location]]\npath = '/'\nproxy_buffers = { number = 16, size = '32k' }", 4*32 + 2},
		{"buffers = { limit = 100 }\n[[http.server]]", 100},
	} {
		if got := Of(load(t, tt.text)).Buffers.Limit; got != tt.want {
			t.Errorf("%q: a limit of %d, want %d", tt.text, got, tt.want)
		}
	}
}

// TestPools: each size that servers use is one pool; heads decide about larger pieces.
func TestPools(t *testing.T) {
	b := Of(load(t, `worker_connections = 2048
[http]
request_pool_size = "8k"
[[http.server]]
[[http.server]]
request_pool_size = 1000
connection_pool_size = 1000
[[http.server]]
large_client_header_buffers = { number = 8, size = "64k" }
`))
	if got := fmt.Sprint(b.RequestPools, b.ConnectionPools); got != "[{8192 0 2048} {1000 0 2048}] [{512 0 2048} {1000 0 2048}]" {
		t.Error(got)
	}
	if want := int64(128 * (1<<20 + 1<<19)); b.LargeBytes != want { // 8 of 64k and 1k make a piece of 1m
		t.Errorf("%d bytes of large pieces, want %d", b.LargeBytes, want)
	}
}

// TestLines: the lines of the memory that every config has are there, follow what decides about them, and make the sums.
func TestLines(t *testing.T) {
	find := func(lines []Line, what string) (bytes int64) {
		for _, l := range lines {
			if l.What == what {
				bytes += l.Bytes
			}
			if l.Bytes <= 0 || l.What == "" {
				t.Errorf("%+v", l)
			}
		}
		return bytes
	}
	one := Of(load(t, `worker_connections = 1024
buffers = { limit = 64, size = "32k", splice = "off", temp_quota = 0 }
http.access_log = [{ path = "a", buffer = "64k" }, { path = "b" }, { path = "a", buffer = "1m" }]
http.limit_conn_zone = { z = { key = "$host", size = "3m" } }
http.limit_req_zone = { r = { key = "$host", size = "2m", rate = "1r/s" } }
http.upstream = { app = { server = [{ address = "127.0.0.1:9000", max_conns = 3 }] } }
[[http.server]]`))
	lines := one.Lines(1)
	for what, want := range map[string]int64{
		"buffers": 64 * 32 << 10, "request_pool_size": 1024 * 4 << 10, "connection_pool_size": 1024 * 512, "buffers.splice": 0, "buffers.temp_quota": 0,
		"access_log": 1<<20 + 2*logBytes, "limit_conn_zone": 3 << 20, "limit_req_zone": 2 << 20, "max_conns": int64(one.config.MaxConnsBytes()), "worker_connections": 1024 * ConnectionBytes,
	} {
		if got := find(lines, what); got != want {
			t.Errorf("%s: %d bytes, want %d", what, got, want)
		}
	}
	worker := Sum(lines, PerWorker)
	if Sum(lines, Disk) != 0 || worker < one.GoBytes()+one.Buffers.Bytes() {
		t.Errorf("%d bytes of a worker, %d on disk", worker, Sum(lines, Disk))
	}
	many := Of(load(t, "[[http.server]]")).Lines(8)
	if find(many, "buffers.splice") == 0 || find(many, "buffers.temp_quota") != 1<<30 || find(many, "numbers") <= find(lines, "numbers") || find(many, "max_conns") != 0 || find(lines, "max_conns") == 0 {
		t.Errorf("%+v", many)
	}
	if more := Sum(Of(load(t, "worker_connections = 8192\n[[http.server]]")).Lines(8), PerWorker); more <= Sum(many, PerWorker) {
		t.Error("more connections take no more memory")
	}
}

// TestGoBytes: what the runtime is told is what the lines of its heap say.
func TestGoBytes(t *testing.T) {
	b := Of(load(t, "[[http.server]]"))
	var heap int64
	for _, l := range b.Lines(1) {
		switch {
		case strings.HasPrefix(l.What, "buffers") || strings.HasSuffix(l.What, "pool_size") || l.What == "large_client_header_buffers":
		case l.Scope != PerWorker || l.What == "program" || l.What == "scratch":
		default:
			heap += l.Bytes
		}
	}
	if got := b.GoBytes(); got != heap {
		t.Errorf("%d bytes, the lines are %d", got, heap)
	}
}
