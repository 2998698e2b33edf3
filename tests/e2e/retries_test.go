// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reset ends a connection with a reset.
func (c *originConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// Whatever an origin does to a request: no client error that a retry was allowed to prevent, and none hidden that it was not.
func TestRetries(t *testing.T) {
	t.Parallel()
	refuses := func(t *testing.T) string { return deadAddress(t) }
	does := func(what func(c *originConn)) func(t *testing.T) string {
		return func(t *testing.T) string {
			return newOrigin(t, func(c *originConn) {
				if c.request() != nil {
					what(c)
				}
			}).addr
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	resets := does((*originConn).reset)
	cutsHead := does(func(c *originConn) {
		c.write(head[:20])
		<-time.After(20 * time.Millisecond) // for the bytes to be read before the reset drops them
		c.reset()
	})
	cutsBody := does(func(c *originConn) {
		c.write(head + "abc")
		c.request()
	})
	garbage := does(func(c *originConn) { c.write("SSH-2.0-OpenSSH_9.6\r\n\r\n") })
	hangs := does(func(c *originConn) { c.request() })
	const patient, hurried = "", "proxy_read_timeout = '1s'\n"
	next := func(list string) string { return "proxy_next_upstream = " + list + "\n" }
	cases := []struct {
		name   string
		bad    func(t *testing.T) string
		method string
		config string
		status int // 200: the good one's
	}{
		{"refuses", refuses, "GET", patient, 200},
		{"refuses", refuses, "POST", patient, 200}, // it has not been sent
		{"refuses", refuses, "GET", next(`"off"`), 502},
		{"refuses", refuses, "GET", next(`["timeout"]`), 502},
		{"resets", resets, "GET", patient, 200},
		{"resets", resets, "DELETE", patient, 200}, // not safe, but idempotent
		{"resets", resets, "POST", patient, 502},
		{"resets", resets, "PATCH", patient, 502},
		{"resets", resets, "LOCK", patient, 502},
		{"resets", resets, "POST", next(`["error", "non_idempotent"]`), 200},
		{"resets", resets, "POST", next(`["non_idempotent"]`), 502},
		{"cuts the head", cutsHead, "GET", patient, 200},
		{"cuts the head", cutsHead, "POST", patient, 502},
		{"garbage", garbage, "GET", patient, 502},
		{"garbage", garbage, "GET", next(`["invalid_header"]`), 200},
		{"garbage", garbage, "POST", next(`["invalid_header"]`), 502},
		{"hangs", hangs, "GET", hurried, 200},
		{"hangs", hangs, "POST", hurried, 504},
		{"hangs", hangs, "GET", hurried + next(`["error"]`), 504},
		{"hangs", hangs, "GET", hurried + "proxy_next_upstream_timeout = '100ms'\n", 504},
		{"hangs", hangs, "GET", hurried + "proxy_next_upstream_tries = 1\n", 504},
		{"cuts the body", cutsBody, "GET", hurried, 0}, // the response has begun
	}
	good := named(t, "good")
	groups, locations := "", ""
	for i, tt := range cases {
		groups += fmt.Sprintf("[http.upstream.g%d]\nserver = [%s, %s]\n", i, peer(tt.bad(t), "max_fails = 0"), peer(good.addr, "backup = true"))
		locations += location(fmt.Sprintf("= /%d", i), fmt.Sprintf("proxy_pass = \"http://g%d\"", i), tt.config)
	}
	p := start(t, site{origin: good.addr, http: groups, more: locations})
	p.allow("upstream|origin")
	for i, tt := range cases {
		t.Run(tt.name+" "+tt.method+" "+strings.ReplaceAll(tt.config, "\n", " "), func(t *testing.T) {
			t.Parallel()
			target := fmt.Sprintf("/%d", i)
			c := dialTo(t, p.addr)
			c.send(tt.method + " " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
			r, err := readResponse(c.br, tt.method)
			switch {
			case tt.status == 0 && err == nil:
				t.Errorf("a response that was cut looks complete: %d, %q", r.status, r.body)
			case tt.status == 0:
			case err != nil || r.status != tt.status:
				t.Errorf("got %v, %v, want status %d", r, err, tt.status)
			}
			var bodies []string
			for _, r := range good.seen() {
				if r.target == target {
					bodies = append(bodies, string(r.body))
				}
			}
			var want []string
			if tt.status == 200 {
				want = []string{"body"}
			}
			if !slices.Equal(bodies, want) {
				t.Errorf("the other origin got the bodies %q, want %q", bodies, want)
			}
		})
	}
}

// An origin that ends idle connections at the very moment at which they are used again, many times: it costs no request that may be repeated, and none that may not be is
// sent twice. It does not matter what proxy_next_upstream says: the same origin is asked again, not the next.
func TestReuseAtTheLastMoment(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	total := 2000
	if longTests() {
		total = 10_000
	}
	const clients = 4
	var mu sync.Mutex
	posts := map[string]int{}
	o := newOrigin(t, func(c *originConn) {
		for n := 0; ; n++ {
			r := c.request()
			if r == nil {
				return
			}
			if n > 0 && rand.IntN(4) == 0 {
				if r.method == "GET" {
					return // it has come, and gets no answer
				}
			}
			if r.method == "POST" {
				mu.Lock()
				posts[r.target]++
				mu.Unlock()
			}
			c.write(ok("ok"))
			switch rand.IntN(6) {
			case 0:
				return
			case 1:
				c.reset()
				return
			case 2:
				<-time.After(time.Duration(rand.IntN(300)) * time.Microsecond)
				return
			}
		}
	})
	p := start(t, site{workers: 2, origin: o.addr, location: "proxy_next_upstream = \"off\"\nkeepalive_requests = 100000",
		more: location("= /metrics", "metrics = true")})
	p.allow("origin|upstream")
	failed := 0
	var all sync.WaitGroup
	for k := range clients {
		all.Go(func() {
			c := p.dial()
			for i := range total / clients {
				method, target := "GET", fmt.Sprintf("/%d-%d", k, i)
				if i%10 == 9 {
					method = "POST"
				}
				c.send(method + " " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
				r, err := readResponse(c.br, method)
				switch {
				case err != nil:
					t.Errorf("%s %s: %v", method, target, err)
					return
				case method == "POST":
					mu.Lock()
					if seen := posts[target]; seen > 1 || r.status == 200 && seen != 1 || r.status != 200 && r.status != 502 {
						t.Errorf("POST %s: status %d, the origin had it %d times", target, r.status, seen)
					}
					if r.status != 200 {
						failed++
					}
					mu.Unlock()
				case r.status != 200:
					t.Errorf("GET %s: status %d", target, r.status)
					return
				}
			}
		})
	}
	all.Wait()
	text := string(p.get("/metrics").body)
	line := ""
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "weir_upstream_stale_reuse_total{") {
			line = strings.TrimSpace(l)
		}
	}
	t.Logf("%d requests; %d POSTs that may have come to the origin failed; %s", total, failed, line)
	if line == "" || strings.HasSuffix(line, " 0") {
		t.Errorf("no stale connection is counted: %q", line)
	}
}

// An origin of a family that the machine has no address of costs no request: the next one is asked, as for names of which one address is of IPv6 where that is switched off.
func TestFamilyWithoutAddress(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network without addresses")
	}
	ln, origin := unixListener(t)
	serveOrigin(t, ln, func(c *originConn) {
		for c.request() != nil {
			c.write(ok("served"))
		}
	})
	p := newProxy(t)
	p.writeConfig(site{servers: []string{peer("[::1]:9", "max_fails = 0"), peer("unix:" + origin)}, server: `listen = ["unix:run/front.sock"]`, http: "access_log = []"}.toml())
	cmd := exec.Command(weirBinary, "-p", p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var said logBuffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Skip("no network namespace may be made here: ", err)
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	front := p.path("run", "front.sock")
	eventually(t, startDeadline, "weir to serve", func() bool { return strings.Contains(said.String(), "serving generation") })
	for range 4 {
		throughUnix(t, front)
	}
	if !strings.Contains(said.String(), "cannot assign requested address") {
		t.Errorf("the first origin was not tried:\n%s", &said)
	}
}
