// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package torture

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// account is what the processes hold.
type account struct {
	kinds map[string]int // descriptors of a worker, by kind: the most that one has
}

var numbered = regexp.MustCompile(`:\[\d+\]|\d+`)

// look counts descriptors of workers.
func (p *proxy) look() account {
	a := account{kinds: map[string]int{}}
	for _, pid := range p.workers() {
		kinds := map[string]int{}
		entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, e := range entries {
			to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
			if err == nil {
				kinds[numbered.ReplaceAllString(to, "")]++
			}
		}
		for kind, n := range kinds {
			a.kinds[kind] = max(a.kinds[kind], n)
		}
	}
	return a
}

// books looks for what is left when all clients and origins have gone.
func (w *world) books(before account) {
	p := w.proxy
	var left string
	settled := func() bool { left = w.left(); return left == "" }
	for deadline := time.Now().Add(25 * time.Second); !settled(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.fault("left behind: %s", left)
			break
		}
	}
	p.check(w)
	after := p.look()
	for kind, n := range after.kinds {
		most := before.kinds[kind]
		if strings.HasPrefix(kind, "pipe") {
			most += 2 * 64 // eventpipe.SplicePipes
		}
		if n > most {
			w.fault("a worker has %d descriptors of %s, at the start it was %d", n, kind, before.kinds[kind])
		}
	}
	w.idle()
	w.memory()
	w.logs()
}

// left says what is still in use.
func (w *world) left() string {
	s := w.proxy.status()
	if s == nil {
		return "no status"
	}
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if s.State != "serving" {
		say("master is %s", s.State)
	}
	if len(s.Workers) != w.setting.workers {
		say("%d workers, not %d", len(s.Workers), w.setting.workers)
	}
	for _, x := range s.Workers {
		if x.Active > 0 || x.Large.Used > 0 {
			say("worker %d: %d connections, %d large pieces", x.PID, x.Active, x.Large.Used)
		}
		for _, b := range x.Buffers {
			if b.Used+b.Waiting > 0 {
				say("worker %d: %d blocks of %d, %d wait", x.PID, b.Used, b.Size, b.Waiting)
			}
		}
	}
	if c := s.Connections; c.Active+c.Reading+c.Writing+c.Waiting > 0 {
		say("connections %+v", c)
	}
	for _, z := range s.Zones {
		if z.Kind != "limit_req" && z.Keys+z.Waiting > 0 || z.Faults+z.Stale+z.Rebuilds > 0 || !z.Sound && z.State == "serving" {
			say("zone %+v", z)
		}
	}
	if s.Temp.Used > 0 {
		say("%d bytes of temp_quota", s.Temp.Used)
	}
	return strings.Join(append(list, w.metrics()...), "; ")
}

// gauges are the metrics that are 0 when nobody is there; the connection that asks for them counts as one.
var gauges = regexp.MustCompile(`^(weir_upstream_active|weir_upstream_peer_in_work|weir_limit_zone_waiting|weir_buffer_waiting|weir_buffer_pressed|weir_temp_used_bytes)(\{.*\})? ([^0].*)$`)

func (w *world) metrics() (list []string) {
	r, err := w.proxy.ask("/metrics")
	if err != nil {
		return []string{"metrics: " + err.Error()}
	}
	for line := range strings.Lines(r) {
		if m := gauges.FindString(strings.TrimSpace(line)); m != "" {
			list = append(list, m)
		}
	}
	return list
}

// idle looks whether somebody works without anything to do.
func (w *world) idle() {
	const tick = 10 * time.Millisecond // USER_HZ
	busy := map[int]time.Duration{}
	for _, pid := range w.proxy.processes() {
		busy[pid] = -cpuTicks(pid) * tick
	}
	time.Sleep(300 * time.Millisecond)
	for pid := range busy {
		if d := busy[pid] + cpuTicks(pid)*tick; d > 150*time.Millisecond {
			w.fault("process %d (%s) works for %v of 300 ms, with nothing to do", pid, w.proxy.exe(pid), d)
		}
	}
}

func cpuTicks(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user + system)
}

// memory compares what workers have with what `weir -t` says that they may.
func (w *world) memory() {
	if strings.Contains(buildFlags(), "race") {
		return // the detector takes several times as much
	}
	for _, pid := range w.proxy.workers() {
		f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
				if kib<<10 > w.proxy.memory+6<<20 { // the zones
					w.fault("worker %d has %d KiB, more than the %d that weir -t says", pid, kib, w.proxy.memory>>10)
				}
			}
		}
		f.Close()
	}
}

var (
	faultLines = regexp.MustCompile(`(?m)^.*(panic|fatal error:|DATA RACE|invariant|(?i:\balert\b|\bemerg\b)).*$`)
	allowed    = regexp.MustCompile(`exited on signal 9|signal: killed|killed by signal 9|worker_connections|SIGKILL`)
)

// logs looks for what only a bug writes.
func (w *world) logs() {
	for _, name := range []string{"logs/output", "logs/error.log"} {
		text, _ := os.ReadFile(w.proxy.path(name))
		for _, line := range faultLines.FindAllString(string(text), 10) {
			if !allowed.MatchString(line) {
				w.fault("in %s: %s", name, line)
			}
		}
	}
}
