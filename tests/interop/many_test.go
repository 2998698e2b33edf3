// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manyServers is a configuration of n servers, each with two names and two locations.
func manyServers(n int) *testCase {
	var b strings.Builder
	b.WriteString("access_log off;\ndefault_type text/plain;\nserver_names_hash_max_size 65536; server_names_hash_bucket_size 128;\n")
	for i := range n {
		fmt.Fprintf(&b, `server {
    listen {{listen}};
    server_name host%[1]d.example.com www.host%[1]d.example.com;
    location / { proxy_pass http://{{dead}}; proxy_set_header Host $host; }
    location /static/ { return 200 "server %[1]d"; }
}
`, i)
	}
	return &testCase{conf: fmt.Sprintf(wrapper, "", b.String())}
}

// A configuration of 10,000 servers and 20,000 locations is served, each of them.
func TestManyServers(t *testing.T) {
	if !everything {
		t.Skip("it takes seconds")
	}
	const n = 10_000
	s := startServer(t, "weir", manyServers(n), weirCommand)
	for _, i := range []int{0, n / 2, n - 1} {
		a := exchange(s.addr(0), request{responses: 1, pieces: []string{fmt.Sprintf("GET /static/x HTTP/1.1\r\nHost: www.host%d.example.com\r\n\r\n", i)}})
		if len(a.responses) != 1 || a.responses[0].body != fmt.Sprintf("server %d", i) {
			t.Errorf("server %d: %+v", i, a)
		}
	}
	// What only reading the config needs, some 140 MiB, has been given back.
	if kib := residentKiB(t, s.children()[0]); kib > 120<<10 {
		t.Errorf("the worker has %d KiB of memory", kib)
	}
	s.end(syscall.SIGTERM)
}

// BenchmarkManyServers says how long it takes until configurations of 10 and of 10,000 servers are served, how much processor time of the worker a request takes, and
// how much memory the worker has then; the same of nginx.
//
//	go test -tags interop ./tests/interop -run '^$' -bench ManyServers -benchtime 20000x
func BenchmarkManyServers(b *testing.B) {
	for _, program := range []string{"weir", "nginx"} {
		for _, n := range []int{10, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", program, n), func(b *testing.B) {
				command := weirCommand
				if program == "nginx" {
					needNginx(b)
					command = nginxCommand
				}
				began := time.Now()
				s := startServer(b, program, manyServers(n), command)
				ask(b, s.addr(0), 1, n) // a worker answers
				took := time.Since(began)
				workers := s.children()
				before := ticks(b, workers)
				toServe := before + ticks(b, []int{s.cmd.Process.Pid})
				b.ResetTimer()
				ask(b, s.addr(0), b.N, n)
				b.StopTimer()
				b.ReportMetric(float64(took.Milliseconds()), "ms-to-serve")
				b.ReportMetric(float64(toServe)*10, "cpu-ms-to-serve")
				b.ReportMetric(float64(ticks(b, workers)-before)*1e7/float64(b.N), "worker-cpu-ns/op")
				b.ReportMetric(float64(residentKiB(b, workers[0]))/1024, "worker-MiB")
				s.end(syscall.SIGTERM)
			})
		}
	}
}

// ask sends requests, to all n servers in turn, 64 at a time.
func ask(b *testing.B, addr string, requests, n int) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { c.Close() }()
	in := bufio.NewReader(c)
	for done := 0; done < requests; {
		if done > 0 && done%960 == 0 { // keepalive_requests is 1000
			c.Close()
			if c, err = net.Dial("tcp", addr); err != nil {
				b.Fatal(err)
			}
			in.Reset(c)
		}
		some := min(64, requests-done)
		var text strings.Builder
		for i := range some {
			fmt.Fprintf(&text, "GET /static/x HTTP/1.1\r\nHost: www.host%d.example.com\r\n\r\n", (done+i)*7919%n)
		}
		if _, err := io.WriteString(c, text.String()); err != nil {
			b.Fatal(err)
		}
		for range some {
			m, err := readMessage(in)
			if err == nil {
				_, err = m.readBody(in, false)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		done += some
	}
}

// children are the processes that the program has started, from whichever thread.
func (s *server) children() []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	var pids []int
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have gone
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// ticks is the processor time of processes, and of children that they have waited for, in hundredths of a second (proc(5), stat).
func ticks(b *testing.B, pids []int) int {
	sum := 0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		for _, field := range strings.Fields(rest)[11:15] {
			n, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// residentKiB is how much memory a process has (proc(5), VmRSS of status).
func residentKiB(t testing.TB, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func weirCommand(dir string) *exec.Cmd {
	return exec.Command(weirBinary, "-p", dir, "-c", "nginx.conf")
}

func nginxCommand(dir string) *exec.Cmd {
	return exec.Command(nginxBinary, "-p", dir, "-e", "logs/error.log", "-c", dir+"/nginx.conf")
}
