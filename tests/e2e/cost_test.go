// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// ioOf is how many reads and writes the loop of a worker has asked the kernel for so far: proc_pid_io(5).
func ioOf(t *testing.T, pid int) (reads, writes int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/io", pid, pid))
	if err != nil {
		t.Skipf("this kernel does not count: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "syscr: %d", &reads)
		fmt.Sscanf(line, "syscw: %d", &writes)
	}
	return reads, writes
}

// A small request over connections that stand takes two reads and two writes: none to find out that there is nothing, none for what could have left with the
// rest. What it allocates (nothing) is TestSteadyStateAllocatesNothing's, what it takes in instructions make bench's.
func TestReadsAndWritesOfARequest(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	for _, tt := range []struct {
		name string
		site site
	}{
		{name: "plain"},
		{name: "limits and metrics", site: site{
			http: "[http.limit_conn_zone.c]\nkey = \"$binary_remote_addr\"\nsize = \"1m\"\n" +
				"[http.limit_req_zone.r]\nkey = \"$binary_remote_addr\"\nsize = \"1m\"\nrate = \"100000r/s\"\n",
			upstream: "least_conn = true",
			server:   `limit_conn = [{ zone = "c", max = 10 }]` + "\n" + `limit_req = [{ zone = "r", burst = 10000, nodelay = true }]`,
			more:     location("= /metrics", "metrics = true"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := okOrigin(t)
			s := tt.site
			s.origin = o.addr
			s.http = `access_log = [{ path = "logs/access.log", format = "combined", buffer = "64k", flush = "1m" }]` + "\n" + s.http
			p := start(t, s)
			c := p.dial()
			c.get("/", 200)
			const requests = 200
			reads, writes := ioOf(t, p.children()[0])
			for range requests {
				c.get("/", 200)
			}
			moreReads, moreWrites := ioOf(t, p.children()[0])
			// The slack is for what is done now and then, whatever the requests.
			if n := moreReads - reads; n < 2*requests || n > 2*requests+requests/10 {
				t.Errorf("%d requests took %d reads, want %d", requests, n, 2*requests)
			}
			if n := moreWrites - writes; n < 2*requests || n > 2*requests+requests/10 {
				t.Errorf("%d requests took %d writes, want %d", requests, n, 2*requests)
			}
		})
	}
}
