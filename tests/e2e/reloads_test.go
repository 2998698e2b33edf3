// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// traffic is all kinds of clients at once, none of which may notice what happens to the processes behind the address. A request fails when its
// connection ends before its answer has been read, unless the answer before it said "Connection: close".
type traffic struct {
	t       testing.TB
	p       *proxy
	stop    atomic.Bool
	running sync.WaitGroup

	requests  atomic.Int64 // answered
	dialed    atomic.Int64 // connections for them
	announced atomic.Int64 // of which the proxy announced the end
	downloads atomic.Int64 // complete and byte-exact
	sockets   atomic.Int64 // WebSockets that ended by the rule
	admitted  atomic.Int64 // requests that were let through under the limit
	refused   atomic.Int64 // and those that were not

	mu       sync.Mutex
	failures map[string]int
	first    string

	measuring atomic.Pointer[[]time.Duration] // where the latencies of requests go; guarded by mu
	lastCut   atomic.Int64                    // when the last change of generation was asked for, in Unix nanoseconds
}

const (
	webSocketTime = 2 * time.Second // worker_shutdown_timeout of /ws
	downloadBytes = 1 << 20
	trafficLimit  = 10 // requests at once below /limited
)

var download = pattern(downloadBytes)

// peak is how many requests are in work at once, and how many have been at most.
type peak struct {
	mu        sync.Mutex
	now, most int
}

func (p *peak) in() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now++
	p.most = max(p.most, p.now)
}

func (p *peak) out() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
}

// trafficOrigin serves what the traffic asks for; peak is that of the requests under the limit.
func trafficOrigin(t testing.TB, peak *peak) *origin {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", downloadBytes)
	return newOrigin(t, func(c *originConn) {
		for r := c.request(); r != nil; r = c.request() {
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
			switch {
			case r.fields.get("Upgrade") != "":
				c.write(switched)
				_, _ = io.Copy(struct{ io.Writer }{c.Conn}, c.br)
				return
			case strings.HasPrefix(r.target, "/limited"):
				peak.in()
				time.Sleep(time.Duration(len(r.target)%5+1) * time.Millisecond)
				peak.out()
				c.write(ok("limited"))
			case strings.HasPrefix(r.target, "/slow"):
				c.write(head + string(download))
			default:
				c.write(ok(r.target + " " + string(r.body)))
			}
		}
	})
}

func trafficSite(addr string, version int) site {
	return site{
		workers: 2, origin: addr, upstream: "keepalive = 64",
		main: "worker_shutdown_timeout = \"60s\"\nworker_connections = 1024" + weirKey("\nmax_generations = 32"),
		http: "keepalive_requests = 1000000\naccess_log = false\n" + weirKey(limitZone("k", "$server_port", "1m")),
		more: location("/ws", `proxy_pass = "http://app"`, `proxy_set_header = { Upgrade = "$http_upgrade", Connection = "upgrade" }`,
			weirKey(fmt.Sprintf("worker_shutdown_timeout = %q", webSocketTime))) +
			location("/limited", `proxy_pass = "http://app"`, weirKey(fmt.Sprintf(`limit_conn = [{ zone = "k", max = %d }]`, trafficLimit))) +
			location("= /version", answer(fmt.Sprint(version))),
	}
}

// weirKey is a key that nginx does not have.
func weirKey(text string) string {
	if useNginx() {
		return ""
	}
	return text
}

func newTraffic(t testing.TB, p *proxy) *traffic {
	tr := &traffic{t: t, p: p, failures: map[string]int{}}
	t.Cleanup(tr.end)
	return tr
}

// begin starts the clients.
func (tr *traffic) begin(getters, posters, sockets, loaders int) {
	tr.lastCut.Store(time.Now().UnixNano())
	for range getters {
		tr.running.Go(func() { tr.ask("get", "GET", "", 0) })
	}
	for range posters {
		tr.running.Go(func() { tr.ask("post", "POST", "a=b", 30*time.Millisecond) })
	}
	for range sockets {
		tr.running.Go(tr.webSockets)
	}
	for range loaders {
		tr.running.Go(tr.load)
	}
}

// crowd has more clients than the limit lets through ask below /limited.
func (tr *traffic) crowd(clients int) {
	for range clients {
		tr.running.Go(func() {
			for n := 0; !tr.stop.Load(); {
				conn, br := tr.dial("limited")
				for again := conn != nil; again && !tr.stop.Load(); n++ {
					_ = conn.SetDeadline(time.Now().Add(ioDeadline))
					_, err := fmt.Fprintf(conn, "GET /limited/%d HTTP/1.1\r\nHost: h\r\n\r\n", n)
					r := &response{}
					if err == nil {
						r, err = readResponse(br, "GET")
					}
					switch {
					case err != nil || r.status != 200 && r.status != 503:
						tr.fail("limited", "status %d, %.80q, %v", r.status, r.body, err)
						again = false
						continue
					case r.status == 200:
						tr.admitted.Add(1)
					default:
						tr.refused.Add(1)
						time.Sleep(time.Millisecond)
					}
					again = !strings.EqualFold(r.fields.get("Connection"), "close")
				}
				if conn != nil {
					conn.Close()
				}
			}
		})
	}
}

func (tr *traffic) end() {
	tr.stop.Store(true)
	tr.running.Wait()
}

func (tr *traffic) fail(kind, format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.failures[kind]++; tr.first == "" {
		tr.first = kind + ": " + fmt.Sprintf(format, args...)
	}
}

func (tr *traffic) dial(kind string) (net.Conn, *bufio.Reader) {
	conn, err := net.DialTimeout("tcp", tr.p.addr, ioDeadline)
	if err != nil {
		tr.fail(kind, "connect: %v", err)
		time.Sleep(10 * time.Millisecond)
		return nil, nil
	}
	tr.dialed.Add(1)
	return conn, bufio.NewReaderSize(conn, 16<<10)
}

// ask makes requests on one connection after the other; pause is the longest time between two of them.
func (tr *traffic) ask(kind, method, body string, pause time.Duration) {
	for n := 0; !tr.stop.Load(); {
		conn, br := tr.dial(kind)
		for again := conn != nil; again && !tr.stop.Load(); n++ {
			target := fmt.Sprintf("/%s/%d", kind, n)
			begun := time.Now()
			_ = conn.SetDeadline(begun.Add(ioDeadline))
			_, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body)
			r := &response{}
			if err == nil {
				r, err = readResponse(br, method)
			}
			if err != nil || r.status != 200 || string(r.body) != target+" "+body {
				tr.fail(kind, "%s: status %d, %.80q, %v", target, r.status, r.body, err)
				break
			}
			tr.note(time.Since(begun))
			if again = !strings.EqualFold(r.fields.get("Connection"), "close"); !again {
				tr.announced.Add(1)
			}
			if pause > 0 {
				time.Sleep(rand.N(pause))
			}
		}
		if conn != nil {
			conn.Close()
		}
	}
}

func (tr *traffic) note(d time.Duration) {
	tr.requests.Add(1)
	tr.mu.Lock()
	if to := tr.measuring.Load(); to != nil {
		*to = append(*to, d)
	}
	tr.mu.Unlock()
}

// measure gives the latencies of the requests during f.
func (tr *traffic) measure(f func()) []time.Duration {
	var list []time.Duration
	tr.measuring.Store(&list)
	f()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.measuring.Store(nil)
	slices.Sort(list)
	return list
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(float64(len(sorted))*q), len(sorted)-1)].Round(10 * time.Microsecond)
}

// load downloads slowly, again and again.
func (tr *traffic) load() {
	for !tr.stop.Load() {
		conn, br := tr.dial("download")
		if conn == nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		got, err := readSlowly(br)
		switch {
		case err != nil:
			tr.fail("download", "after %d bytes: %v", len(got), err)
		case !bytes.HasSuffix(got, download):
			tr.fail("download", "%d bytes, which are not those that were sent", len(got))
		default:
			tr.downloads.Add(1)
		}
		conn.Close()
	}
}

// readSlowly takes about two seconds for a download.
func readSlowly(br *bufio.Reader) (got []byte, err error) {
	for piece := make([]byte, downloadBytes/40); ; time.Sleep(50 * time.Millisecond) {
		n, err := io.ReadFull(br, piece)
		got = append(got, piece[:n]...)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return got, nil
		case err != nil:
			return got, err
		}
	}
}

// webSockets has a WebSocket whose frames come back, until it is closed by the rule: with 1001, and not before its time. Then it opens another one.
func (tr *traffic) webSockets() {
	for !tr.stop.Load() {
		conn, br := tr.dial("websocket")
		if conn == nil {
			continue
		}
		opened := time.Now()
		_ = conn.SetDeadline(opened.Add(ioDeadline))
		_, _ = io.WriteString(conn, upgradeRequest)
		if r, err := readResponse(br, "GET"); err != nil || r.status != 101 {
			tr.fail("websocket", "status %d, %v", r.status, err)
			conn.Close()
			continue
		}
		tr.echo(conn, br, opened)
		conn.Close()
	}
}

func (tr *traffic) echo(conn net.Conn, br *bufio.Reader, opened time.Time) {
	for n := 0; !tr.stop.Load(); n++ {
		text := fmt.Appendf(nil, "message %d", n)
		_ = conn.SetDeadline(time.Now().Add(ioDeadline))
		if _, err := conn.Write(wsFrame{true, wsText, true, text}.bytes()); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				tr.fail("websocket", "write: %v", err)
				return
			}
		}
		f, err := readFrame(br)
		switch {
		case err != nil:
			tr.fail("websocket", "message %d, after %v: %v", n, time.Since(opened).Round(time.Millisecond), err)
			return
		case f.opcode == wsClose && bytes.Equal(f.payload, going):
			if age := time.Since(opened); age < webSocketTime {
				tr.fail("websocket", "closed after %v", age)
			}
			tr.sockets.Add(1)
			return
		case !bytes.Equal(f.payload, text):
			tr.fail("websocket", "%q came back for %q", f.payload, text)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// report says what came of it, in one line.
func (tr *traffic) report() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return fmt.Sprintf("%d requests on %d connections (%d ends announced), %d downloads, %d WebSockets closed with 1001, failures %v",
		tr.requests.Load(), tr.dialed.Load(), tr.announced.Load(), tr.downloads.Load(), tr.sockets.Load(), tr.failures)
}

// check fails the test for each request that failed.
func (tr *traffic) check() {
	tr.t.Helper()
	if len(tr.failures) > 0 && !useNginx() {
		tr.t.Errorf("failures %v, the first: %s", tr.failures, tr.first)
	}
}

// reload has the proxy take the config with the version, and returns how long it took until new connections see it.
func (tr *traffic) reload(addr string, version int) time.Duration {
	p := tr.p
	p.writeConfig(trafficSite(addr, version).toml())
	tr.lastCut.Store(time.Now().UnixNano())
	begun := time.Now()
	if useNginx() {
		p.signal(syscall.SIGHUP)
		p.waitVersion(fmt.Sprint(version))
		return time.Since(begun)
	}
	if out, code := weirCommand(p.t, p.dir, "-s", "reload"); code != 0 {
		p.t.Fatalf("reload %d: exit %d, %s", version, code, out)
	}
	took := time.Since(begun)
	if got := string(p.get("/version").body); got != fmt.Sprint(version) {
		p.t.Errorf("after reload %d, a new connection sees version %s", version, got)
	}
	return took
}

// Reloads under full load, with a config that really changes each time: nobody notices.
func TestReloadsUnderLoad(t *testing.T) {
	reloads, sockets, loaders := 15, 20, 6
	if longTests() {
		reloads, sockets, loaders = 200, 100, 20
	}
	o := trafficOrigin(t, &peak{})
	p := start(t, trafficSite(o.addr, 0))
	p.allow(`.*`)
	tr := newTraffic(t, p)
	tr.begin(8, 8, sockets, loaders)
	endWrk := startWrk(t, p.addr)
	quiet := tr.measure(func() { time.Sleep(time.Second) })
	var times []time.Duration
	busy := tr.measure(func() {
		for n := range reloads {
			times = append(times, tr.reload(o.addr, n+1))
			time.Sleep(200 * time.Millisecond)
		}
	})
	if !useNginx() {
		within(stopDeadline, func() bool { return tr.sockets.Load() > 0 && tr.downloads.Load() > 0 })
	}
	wrk := endWrk()
	tr.end()
	tr.check()
	slices.Sort(times)
	t.Logf("%d reloads: %s", reloads, tr.report())
	t.Logf("until the new config serves: median %v, most %v; p99 of requests %v without, %v with reloads",
		quantile(times, 0.5), quantile(times, 1), quantile(quiet, 0.99), quantile(busy, 0.99))
	t.Logf("wrk: %s", wrk)
	if useNginx() {
		return
	}
	if strings.Contains(wrk, "errors") || strings.Contains(wrk, "Non-2xx") {
		t.Errorf("wrk: %s", wrk)
	}
	if tr.sockets.Load() == 0 || tr.downloads.Load() == 0 || tr.requests.Load() < 100 {
		t.Error("too little traffic to say anything")
	}
	if tr.announced.Load() > 0 {
		t.Errorf("%d connections were announced to end: they should have been handed over", tr.announced.Load())
	}
	if median := quantile(times, 0.5); median > tooLate {
		t.Errorf("a reload takes %v", median)
	}
	besideNginx(t, "^TestReloadsUnderLoad$")
}

// Upgrades under the same load, one after the other, while more clients than a limit allows ask on both sides of each: nobody notices, and the limit holds.
func TestUpgradesUnderTraffic(t *testing.T) {
	weirOnly(t)
	upgrades, sockets, loaders := 4, 10, 4
	if longTests() {
		upgrades, sockets, loaders = 20, 100, 20
	}
	peak := &peak{}
	o := trafficOrigin(t, peak)
	m := startMasters(t, trafficSite(o.addr, 0), nil)
	m.allow(`.*`)
	tr := newTraffic(t, m.proxy)
	tr.begin(6, 6, sockets, loaders)
	tr.crowd(3 * trafficLimit)
	m.installNext()
	var times []time.Duration
	for range upgrades {
		time.Sleep(500 * time.Millisecond)
		begun := time.Now()
		m.upgrade()
		times = append(times, time.Since(begun))
	}
	within(stopDeadline, func() bool { return tr.sockets.Load() > 0 })
	tr.end()
	tr.check()
	slices.Sort(times)
	t.Logf("%d upgrades, median %v: %s", upgrades, quantile(times, 0.5), tr.report())
	t.Logf("under a limit of %d: %d let through, %d refused, at most %d at once", trafficLimit, tr.admitted.Load(), tr.refused.Load(), peak.most)
	if peak.most > trafficLimit {
		t.Errorf("%d requests at once at the origin, the limit is %d", peak.most, trafficLimit)
	}
	if tr.admitted.Load() == 0 || tr.refused.Load() == 0 || tr.sockets.Load() == 0 || peak.most < trafficLimit {
		t.Error("too little traffic to say anything")
	}
	m.waitEmpty("k")
}

// startWrk has wrk ask without a pause, if it is installed. The function that is returned ends it, and gives what it says of errors; it counts each broken
// connection and each answer that is not a 2xx or 3xx.
func startWrk(t *testing.T, addr string) (end func() string) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return func() string { return "" }
	}
	var out bytes.Buffer
	cmd := exec.Command(path, "-t1", "-c16", "-d600s", "http://"+addr+"/wrk")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		var lines []string
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "Socket errors") || strings.Contains(line, "Non-2xx") || strings.Contains(line, "requests in") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return strings.Join(lines, "; ")
	}
}

// besideNginx runs the same test against the system's nginx, for the figures.
func besideNginx(t *testing.T, test string) {
	if _, err := exec.LookPath("nginx"); err != nil || !longTests() {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", test, "-test.v")
	cmd.Env = append(os.Environ(), "WEIR_E2E_PROXY=nginx")
	out, err := cmd.CombinedOutput()
	t.Logf("the same with nginx (%v):\n%s", err, tail(string(out), 4<<10))
}
