// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// poolNumbers is one pool of blocks of a worker, as `weir status --json` shows it.
type poolNumbers struct {
	Size, Used, Allocated, Limit, Reserve, Peak, Waiting, Waits, Refusals uint64
	Users                                                                 []string
	Pressed                                                               bool
}

// memoryNumbers is what the status says about memory.
type memoryNumbers struct {
	Workers []struct {
		PID     int
		Buffers []poolNumbers
		Large   struct{ Used, Limit uint64 }
	}
	Connections struct{ Active, Waiting int }
}

// memory asks for the status with the command that operators have.
func (p *proxy) memory() (m memoryNumbers) {
	p.t.Helper()
	out, code := weirCommand(p.t, p.dir, "status", "--json")
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != 0 {
		p.t.Fatalf("weir status --json: exit code %d, %v\n%s", code, err, out)
	}
	return m
}

// memoryOf is a line of a process's status, in bytes: VmRSS, VmHWM.
func memoryOf(t testing.TB, pid int, line string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + line + `:\s+(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("process %d: no %s in\n%s", pid, line, text)
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n << 10
}

// manyConnections is how many connections a test may have, with one descriptor here and one in the worker for each.
func manyConnections(t testing.TB, most int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return min(most, int(min(limit.Cur, 1<<20))-1000)
}

// Connections that wait for a request hold no block, and little else.
func TestIdleConnectionsHoldNoBlock(t *testing.T) {
	weirOnly(t)
	n := manyConnections(t, 10_000)
	o := okOrigin(t)
	p := start(t, site{origin: o.addr, main: fmt.Sprintf("worker_connections = %d", n+n/8+64)}) // a part is kept for origins
	worker := p.children()[0]
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	request := []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	exchange := func(c net.Conn, buf []byte) error {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write(request); err != nil {
			return err
		}
		got, err := c.Read(buf)
		if err == nil && !strings.HasPrefix(string(buf[:got]), "HTTP/1.1 200 ") {
			err = fmt.Errorf("answer %q", buf[:got])
		}
		return err
	}
	atOnce(n, func(i int) error {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			return err
		}
		conns[i] = c
		return exchange(c, make([]byte, 4096))
	}, t)
	var m memoryNumbers
	eventually(t, ioDeadline, "all to wait", func() bool { m = p.memory(); return m.Connections.Waiting == n })
	if len(m.Workers) != 1 || len(m.Workers[0].Buffers) != 3 {
		t.Fatalf("%+v", m)
	}
	for _, pool := range m.Workers[0].Buffers {
		if pool.Used != 0 || pool.Waiting != 0 || pool.Pressed {
			t.Errorf("%d idle connections, and %+v", n, pool)
		}
	}
	blocks := m.Workers[0].Buffers[0]
	if blocks.Size != 16<<10 || blocks.Limit < 2*uint64(n) || blocks.Reserve != 2 || blocks.Peak == 0 || blocks.Allocated > 200 || blocks.Users[0] != "buffers" {
		t.Errorf("%+v", blocks)
	}
	if large := m.Workers[0].Large; large.Used != 0 || large.Limit == 0 {
		t.Errorf("%+v", large)
	}
	t.Logf("the worker has %d KiB with %d idle connections", memoryOf(t, worker, "VmRSS")>>10, n)
	buf := make([]byte, 4096)
	for i := 0; i < n; i += n / 20 { // they are all still there
		if err := exchange(conns[i], buf); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// printedSum is what `weir -t` says that a worker may use, with what all of them share.
func (p *proxy) printedSum() int64 {
	p.t.Helper()
	out, code := weirCommand(p.t, p.dir, "-t")
	if code != 0 {
		p.t.Fatalf("weir -t: %d\n%s", code, out)
	}
	found := regexp.MustCompile(`(?m)^ *([0-9,]+)\.(\d) MiB  in all, with 1 worker$`).FindStringSubmatch(out)
	if found == nil {
		p.t.Fatalf("weir -t prints no sum for one worker:\n%s", out)
	}
	tenths, _ := strconv.ParseInt(strings.ReplaceAll(found[1], ",", "")+found[2], 10, 64)
	return tenths << 20 / 10
}

// atOnce calls each for 0 to n-1, several at a time, and reports what fails.
func atOnce(n int, each func(i int) error, t testing.TB) {
	t.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := each(i); err != nil {
					t.Errorf("number %d: %v", i, err)
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// Whatever clients do, a worker's memory stays below what `weir -t` has printed, and its blocks below their limit: while hundreds read nothing, and others
// come with heads larger than a block, with very many fields, slowly, or with values that need memory of their own.
func TestMemoryStaysWithinTheSum(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	const limit, stalled, crowd, size = 200, 300, 40, 1 << 20
	o := newBulkOrigin(t)
	p := start(t, site{origin: o.addr, server: `listen = [{ address = "127.0.0.1:@PORT1@", sndbuf = "16k" }]`, main: "worker_connections = 1200\nbuffers = { limit = 200, temp_quota = \"16m\" }",
		http: `large_client_header_buffers = { number = 4, size = "16k" }`, more: location("/own/", `return = { code = 200, text = "$uri$http_x" }`)})
	worker := p.children()[0]
	sum := p.printedSum()

	readers := make([]*client, stalled)
	heads := make([]*response, stalled)
	bodies := make([]io.Reader, stalled)
	for i := range readers {
		readers[i] = p.dial()
	}
	atOnce(stalled, func(i int) error {
		c := readers[i]
		c.within(time.Minute)
		as := []string{"length", "chunked", "close"}[i%3]
		_, err := io.WriteString(c, "GET "+bulkTarget("/", size, as)+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err == nil {
			heads[i], err = readResponseHead(c.br)
		}
		if err == nil {
			bodies[i], err = heads[i].stream(c.br, "GET")
		}
		return err
	}, t)

	fields := strings.Repeat("X: "+strings.Repeat("v", 100)+"\r\n", 300)
	var crowds sync.WaitGroup
	for i := range crowd {
		crowds.Go(func() {
			for round := range 5 {
				path := "/own/%61" + strings.Repeat(strconv.Itoa(round), 3000)
				c := p.dial()
				c.within(time.Minute)
				text := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + fields + "\r\n"
				for len(text) > 0 && i%4 == 0 { // slowly: in pieces
					n := min(len(text), 2000)
					if _, err := io.WriteString(c, text[:n]); err != nil {
						break
					}
					text = text[n:]
				}
				_, _ = io.WriteString(c, text)
				// With so many at once some get 503: what counts is that all get an answer.
				if r, err := readResponse(c.br, "GET"); err != nil || r.status != 200 && r.status != 503 && r.status != 400 {
					t.Errorf("client %d: status %d, %v", i, r.status, err)
				}
				c.Close()
			}
		})
	}
	crowds.Wait()

	m := p.memory()
	pool := m.Workers[0].Buffers[0]
	if pool.Limit != limit || pool.Used > limit || pool.Peak > limit || pool.Allocated > limit || pool.Peak < limit/2 {
		t.Errorf("%+v", pool)
	}
	atOnce(stalled, func(i int) error {
		readers[i].within(time.Minute)
		sum := newSumReader(bodies[i])
		if _, err := io.Copy(io.Discard, sum); err != nil {
			return err
		}
		return sum.check(0, size)
	}, t)
	for _, c := range readers {
		c.Close()
	}
	if most := memoryOf(t, worker, "VmHWM"); most > sum {
		t.Errorf("the worker had %d KiB, and -t promised %d KiB at most", most>>10, sum>>10)
	} else {
		t.Logf("the worker had %d KiB at most, %d KiB are printed", most>>10, sum>>10)
	}
	eventually(t, ioDeadline, "every block to come back", func() bool {
		for _, pool := range p.memory().Workers[0].Buffers {
			if pool.Used != 0 {
				return false
			}
		}
		return true
	})
}
