// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reaper kills workers and waits until what they held is given back.
type reaper struct {
	*proxy
	last     *zoneDetails // as it was seen last
	kills    int
	sharing  int             // killed workers that held something
	gaveBack []time.Duration // from each kill to the zone without the dead worker's shares
}

// kill kills a worker at random, and returns whether there was one.
func (r *reaper) kill() bool {
	r.t.Helper()
	pids := r.children()
	if len(pids) == 0 {
		return false
	}
	victim := pids[rand.N(len(pids))]
	held := func(z *zoneDetails, pids ...int) bool {
		return slices.ContainsFunc(z.Top, func(k zoneKey) bool {
			return slices.ContainsFunc(k.Shares, func(s zoneShare) bool { return slices.Contains(pids, s.PID) })
		})
	}
	begun := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return false // it has left meanwhile
	}
	r.kills++
	if held(r.last, victim) {
		r.sharing++
	}
	if !within(ioDeadline, func() bool { r.last = r.zone("k"); return !held(r.last, victim, 0) }) {
		r.t.Errorf("the shares of worker %d are not given back: %+v", victim, r.last.Top)
	}
	r.gaveBack = append(r.gaveBack, time.Since(begun))
	return true
}

// Workers die all the time, at any instruction, and the counts stay right: after each death between the books of clients and origin,
// and exactly theirs whenever the load rests.
func TestLimitCrashUnderLoad(t *testing.T) {
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, atomic bool) {
		d := 3 * time.Second
		if !atomic {
			d = 2 * time.Second
		}
		if longTests() {
			d *= 20 // the one kind of lock for a minute
		}
		const keys, most, clients = 200, 2, 250
		s := newStorm(t, keys, most)
		p := start(t, site{workers: 4, origin: s.o.addr, http: "access_log = []\nproxy_next_upstream = \"off\"\n" + limitZone("k", "$arg_k", "1m"),
			main:     main + "\nmax_generations = 64\nerror_log = { path = \"stderr\", level = \"notice\" }",
			location: limit(fmt.Sprintf("k:%d", most)) + "\nlimit_conn_status = 429\nlimit_conn_log_level = \"info\""})
		p.allow(`exited on signal 9|killed`)
		s.begin(p.addr, clients)
		eventually(t, ioDeadline, "load", func() bool { return p.zone("k").Keys > keys/2 })
		r := &reaper{proxy: p, last: p.zone("k")}
		var reloads chan error
		checks, exact, restless := 0, 0, 0
		end := time.Now().Add(d)
		for tick := time.NewTicker(50 * time.Millisecond); time.Now().Before(end) || exact == 0 && time.Now().Before(end.Add(time.Minute)); <-tick.C {
			// A worker that keeps dying young is started again later and later; a reload begins anew, and is a load of its own.
			if r.kills%12 == 6 || len(p.children()) == 0 {
				reloads = reloadMeanwhile(p, reloads)
			}
			if !r.kill() {
				continue
			}
			r.last = s.check(p)
			checks++
			if r.kills%8 != 0 {
				continue
			}
			if s.checkExactly(p) {
				exact++
			} else {
				restless++
			}
		}
		if reloads != nil {
			<-reloads
		}
		z := p.zone("k")
		s.end()
		p.waitEmpty("k")
		slices.Sort(r.gaveBack)
		t.Logf("%d kills (%d of workers with connections), given back after %v in the median, %v at most; %d checks under load, %d exact ones at rest, %d not at rest",
			r.kills, r.sharing, r.gaveBack[len(r.gaveBack)/2], r.gaveBack[len(r.gaveBack)-1], checks, exact, restless)
		t.Logf("served %d, refused %d, lost with their workers %d; the lock was recovered %d times, %d stores undone", s.served, s.refused, s.lost, z.Mutex.Recoveries, z.Mutex.RolledBack)
		for i, fault := range s.faults {
			if i < 10 {
				t.Error(fault)
			}
		}
		if n := len(s.faults); n > 10 {
			t.Errorf("and %d more", n-10)
		}
		if exact == 0 || s.served < 100 || s.refused == 0 || r.sharing == 0 {
			t.Errorf("the load was not what this test is about")
		}
		// Service goes on.
		if code, err := p.control("POST", "/reload", nil); code != 200 || err != nil {
			t.Errorf("a reload at the end: %d, %v", code, err)
		}
		p.dial().get("/after", 200)
		p.waitEmpty("k")
		p.children()
		if text := p.stderr.String(); strings.Contains(text, "is damaged") {
			t.Errorf("the zone was damaged")
		}
	})
}

// reloadMeanwhile begins a reload unless the one before still goes on. It may fail: its workers are killed too.
func reloadMeanwhile(p *proxy, before chan error) chan error {
	select {
	case <-before:
	default:
		if before != nil {
			return before
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.control("POST", "/reload", nil)
		done <- err
	}()
	return done
}

// kill -9 of the master with counts held: its workers finish what they have and leave, a new master begins with an empty zone.
func TestLimitMasterIsKilled(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	forEachMutex(t, func(t *testing.T, main string, _ bool) {
		g := newGate(t)
		s := byAddress(g.addr, 3)
		s.main = main
		p := start(t, s)
		var holders []*client
		for i := range 3 {
			holders = append(holders, p.dial())
			g.hold(holders[i], fmt.Sprint(i))
		}
		p.dial().get("/x", 503)
		workers := p.children()
		p.signal(syscall.SIGKILL)
		<-p.exited
		if err := p.launch(); err != nil {
			t.Fatalf("restart: %v\n%s", err, p.stderr)
		}
		p.waitEmpty("addr")
		var next []*client
		for i := range 3 {
			c := p.dial()
			g.hold(c, fmt.Sprintf("next%d", i))
			next = append(next, c)
		}
		p.dial().get("/x", 503)
		for i, h := range holders {
			g.letGo(h, fmt.Sprint(i))
			h.Close()
		}
		for _, pid := range workers {
			if !within(ioDeadline, func() bool { return !alive(pid) }) {
				t.Errorf("worker %d of the killed master has not left", pid)
			}
		}
		p.waitCount("addr", "127.0.0.1", 3) // the old ones were never in it
		for i, c := range next {
			g.letGo(c, fmt.Sprintf("next%d", i))
		}
		p.waitEmpty("addr")
	})
}
