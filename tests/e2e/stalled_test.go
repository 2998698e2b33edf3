// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"io"
	"math"
	"net/http/httputil"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stalledSize is what each of the clients that read nothing asks for.
const stalledSize = 100 << 20

// Clients that read nothing, each asking for far more than there is room for:
// few blocks, a small quota. No response fails once they read on, the worker
// stays within the memory that `weir -t` prints, and others are served as if
// there were nothing, with whatever framing. WEIR_LONG=1: two thousand of them.
func TestClientsThatReadNothing(t *testing.T) {
	t.Run("length", func(t *testing.T) { testStalled(t, "length") })
	t.Run("chunked", func(t *testing.T) { testStalled(t, "chunked") })
}

func testStalled(t *testing.T, framing string) {
	weirOnly(t)
	clients, readers := 200, 4
	if longTests() {
		clients, readers = 2000, 20
	}
	o := newBulkOrigin(t)
	p := start(t, site{
		origin: o.addr,
		main:   fmt.Sprintf("worker_connections = %d\n[buffers]\nlimit = %d\ntemp_quota = \"64m\"", 4*clients+512, max(64, clients/4)),
		http:   `send_timeout = "10m"`,                                         // nobody is closed for reading nothing while others read
		server: `listen = [{ address = "127.0.0.1:@PORT1@", sndbuf = "64k" }]`, // the memory that is the kernel's
	})
	most := p.memoryBound()
	stalled := make([]*client, clients)
	meanwhile := p.startProbe(framing)
	for i := range stalled {
		c, err := p.tryDial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadBuffer(32 << 10) // until it reads: the kernel's memory for all of TCP is not what is tested
		stalled[i] = c
		if _, err := fmt.Fprintf(c.TCPConn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", bulkTarget("/big", stalledSize, framing)); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	eventually(t, time.Minute, "the origin to have all requests", func() bool { return o.seenBelow("/big") >= clients })
	t.Logf("all have asked after %v", time.Since(begin).Round(time.Millisecond))
	o.rest(t, "/big")
	meanwhile.report(t, "while they come", tooLate)
	meanwhile.wait(t, 1000)
	rss, spilled := p.workerRSS(), p.openTemporaryBytes()
	t.Logf("%d clients that read nothing: the worker has %d MiB, at most %d; %d MiB are in temporary files", clients, rss>>20, most>>20, spilled>>20)
	if rss > most {
		t.Errorf("the worker has %d bytes, and weir -t says %d", rss, most)
	}
	if spilled > 64<<20 {
		t.Errorf("temporary files hold %d bytes", spilled)
	}
	meanwhile.report(t, "while they are there", time.Second)
	meanwhile.end()
	meanwhile.report(t, "at the end", math.MaxInt64)
	p.readOn(t, stalled, readers)
	if rss := p.workerRSS(); rss > most {
		t.Errorf("afterwards the worker has %d bytes, and weir -t says %d", rss, most)
	}
	for _, line := range p.waitLines("access.log", clients+meanwhile.count()) {
		if !strings.Contains(line, `" 200 `) {
			t.Errorf("logged as %s", line)
		}
	}
	eventually(t, ioDeadline, "the temporary files to go", func() bool { return p.openTemporaryBytes() == 0 })
}

// seenBelow is the number of requests so far whose target begins with prefix.
func (o *bulkOrigin) seenBelow(prefix string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, r := range o.requests {
		if strings.HasPrefix(r.target, prefix) {
			n++
		}
	}
	return n
}

// readOn has the first of the stalled clients read everything, and the others some.
func (p *proxy) readOn(t *testing.T, stalled []*client, readers int) {
	t.Helper()
	begin := time.Now()
	numbers := make(chan int, len(stalled))
	for i := range stalled {
		numbers <- i
	}
	close(numbers)
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			for i := range numbers {
				if err := readOn(stalled[i], i < readers); err != nil {
					t.Errorf("client %d, after %v: %v", i, time.Since(begin), err)
				}
				stalled[i].Close()
			}
		})
	}
	running.Wait()
	t.Logf("%d read everything, the others some: %v", readers, time.Since(begin).Round(time.Millisecond))
}

func readOn(c *client, everything bool) error {
	c.within(2 * time.Minute)
	_ = c.SetReadBuffer(1 << 20)
	r, err := readResponseHead(c.br)
	switch {
	case err != nil:
		return err
	case r.status != 200:
		return fmt.Errorf("status %d", r.status)
	case everything:
		return c.tryTakeBulk(r, "GET", 0, stalledSize)
	}
	const some = 2 << 20
	body := io.Reader(c.br)
	if r.fields.get("Transfer-Encoding") == "chunked" {
		body = httputil.NewChunkedReader(c.br)
	}
	sum := newSumReader(io.LimitReader(body, some))
	if _, err := io.Copy(io.Discard, sum); err != nil {
		return err
	}
	return sum.check(0, some)
}

// memoryBound is what `weir -t` says that a worker can use at most.
func (p *proxy) memoryBound() int64 {
	p.t.Helper()
	out, code := weirCommand(p.t, p.dir, "-t")
	m := regexp.MustCompile(`(?m)^ *([0-9.]+) MiB +in all, each worker$`).FindStringSubmatch(out)
	if code != 0 || m == nil {
		p.t.Fatalf("weir -t does not say what a worker uses:\n%s", out)
	}
	mib, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return int64(mib * (1 << 20))
}

// workerRSS is the resident memory of the worker that has most.
func (p *proxy) workerRSS() int64 {
	most := int64(math.MinInt64)
	for _, pid := range p.children() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
				most = max(most, kib<<10)
			}
		}
	}
	return most
}

// smallSize is what it asks for.
const smallSize = 28

// probe asks for something small again and again, on a connection that stays,
// and on new ones.
type probe struct {
	p       *proxy
	framing string // of the answers that it asks for
	stop    atomic.Bool
	running sync.WaitGroup
	mu      sync.Mutex
	took    []time.Duration
	asked   int // before took
	faults  []error
}

func (p *proxy) startProbe(framing string) *probe {
	q := &probe{p: p, framing: framing}
	q.running.Go(func() { q.ask(false) })
	q.running.Go(func() { q.ask(true) })
	p.t.Cleanup(q.end)
	return q
}

func (q *probe) ask(anew bool) {
	var c *client
	for !q.stop.Load() {
		begin, last := time.Now(), anew
		err := error(nil)
		if c == nil {
			c, err = q.p.tryDial()
		}
		if err == nil {
			c.within(ioDeadline)
			var r *response
			if r, err = c.tryAsk("GET", bulkTarget("/small", smallSize, q.framing)); err == nil {
				err = c.tryTakeBulk(r, "GET", 0, smallSize)
				last = last || r.fields.get("Connection") == "close" // keepalive_requests
			}
		}
		q.mu.Lock()
		q.took = append(q.took, time.Since(begin))
		if err != nil {
			q.faults = append(q.faults, err)
		}
		q.mu.Unlock()
		if c != nil && (last || err != nil) {
			c.Close()
			c = nil
		}
		time.Sleep(time.Millisecond) // the pace of who asks, not a wait
	}
	if c != nil {
		c.Close()
	}
}

func (q *probe) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked + len(q.took)
}

// wait waits until n have been asked for since the last report.
func (q *probe) wait(t *testing.T, n int) {
	t.Helper()
	eventually(t, time.Minute, "others to be served", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.took) >= n
	})
}

func (q *probe) end() {
	q.stop.Store(true)
	q.running.Wait()
}

// report says how long others took since the last report. What it asserts is far
// from what it prints: clients, origin and proxy share the machine with whatever
// else runs there.
func (q *probe) report(t *testing.T, when string, bound time.Duration) {
	t.Helper()
	q.mu.Lock()
	took, faults := q.took, q.faults
	q.took, q.faults = nil, nil
	q.asked += len(took)
	q.mu.Unlock()
	for _, err := range faults {
		t.Errorf("another client: %v", err)
	}
	slices.Sort(took)
	n := len(took)
	if n == 0 {
		return
	}
	t.Logf("%d requests of others %s: half within %v, 99 of 100 within %v, all within %v", n, when, took[n/2], took[n*99/100], took[n-1])
	if took[n*99/100] > bound {
		t.Errorf("one in a hundred was served after %v or later", took[n*99/100])
	}
}
