// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// callsOf is what the loop of a worker asks of the kernel, by the name of the call, while do runs; but not its waits and what the Go runtime does.
func callsOf(t *testing.T, pid int, do func()) map[string]int {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-q", "-o", trace, "-e", "trace=!futex,epoll_pwait,madvise,mmap,sched_yield", "-p", strconv.Itoa(pid))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	status := fmt.Sprintf("/proc/%d/task/%d/status", pid, pid)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			t.Skipf("strace cannot trace here: %s", said.String())
		default:
		}
		text, err := os.ReadFile(status)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("strace does not begin: %v", err)
		}
		if strings.Contains(string(text), fmt.Sprintf("TracerPid:\t%d\n", cmd.Process.Pid)) {
			break
		}
	}
	do()
	cmd.Process.Signal(syscall.SIGINT)
	<-ended
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, "("); ok {
			calls[name]++
		}
	}
	return calls
}

// A small request over connections that stand takes two reads and two writes, and no other call: none to find out that there is nothing, none for what could have left with the
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
			calls := callsOf(t, p.children()[0], func() {
				for range requests {
					c.get("/", 200)
				}
			})
			all := 0
			for _, n := range calls {
				all += n
			}
			// The slack is for what is done now and then, whatever the requests, and for what strace was too late for.
			if n := all - 4*requests; n < -requests/10 || n > requests/10 {
				t.Errorf("%d requests took %d calls of the kernel, want %d: %v", requests, all, 4*requests, calls)
			}
		})
	}
}
