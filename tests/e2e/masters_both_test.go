// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// While an old master's workers finish what they have, the new master speaks for them: logs are reopened by all, the status says what still holds them.
func TestOldMasterIsSpokenFor(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	m := startMasters(t, limitedSite(o.addr, ""), nil)
	old := m.master()
	c := m.dial()
	m.held(o, c, "x")
	next := m.upgrade()
	var s struct {
		OldMaster   int `json:"old_master"`
		Generations []struct {
			Number, Master, Workers int
			State                   string
			MemoryBytes             int64 `json:"memory_bytes"`
			Held                    []struct {
				What, Location string
				Count          int
			}
		}
	}
	eventually(t, ioDeadline, "the old generation with one worker", func() bool {
		s.Generations = nil
		if _, err := m.control("GET", "/status", &s); err != nil {
			t.Fatal(err)
		}
		return len(s.Generations) == 2 && s.Generations[0].Workers == 1 && len(s.Generations[0].Held) == 1
	})
	first, second := s.Generations[0], s.Generations[1]
	if s.OldMaster != old || first.Number != 1 || first.Master != old || first.State != "draining" || first.MemoryBytes < 1<<20 ||
		second.Number != 2 || second.Master != next || second.State != "serving" || second.Workers != 2 {
		t.Errorf("status %+v", s)
	}
	if h := first.Held[0]; h.What != "request" || h.Location != "/held/" || h.Count != 1 {
		t.Errorf("held by %+v", h)
	}
	if out, code := weirCommand(t, m.dir, "-p", m.dir, "status"); code != 0 || !matches(`GENERATION 1 IS HELD BY +SERVER +LOCATION +COUNT +OLDEST\nrequest +.*/held/ +1 `, out) {
		t.Errorf("exit %d, %s", code, out)
	}
	for i := range 2 {
		if err := os.Rename(m.path("logs", "access.log"), m.path("logs", fmt.Sprint("moved", i))); err != nil {
			t.Fatal(err)
		}
		if out, code := m.order("reopen"); code != 0 {
			t.Errorf("exit %d, %s", code, out)
		}
	}
	close(release)
	if r := c.read("GET"); r.status != 200 {
		t.Errorf("the held request: status %d", r.status)
	}
	c.Close()
	m.waitGone(old)
	if log := m.readLog("access.log"); !strings.Contains(log, "/held/x") {
		t.Errorf("the old master's worker wrote to an old file; the new one has %q", log)
	}
}

// An upgrade that changes the size of a zone: the limit holds for the connections of both masters together, and the old zone goes with the old master.
func TestUpgradeChangesAZone(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	s := limitedSite(o.addr, "")
	m := startMasters(t, s, nil)
	var inside []*client
	hold := func(name string) {
		for i := range 5 {
			c := m.dial()
			m.held(o, c, fmt.Sprint(name, i))
			inside = append(inside, c)
		}
	}
	hold("first")
	s.http = strings.Replace(s.http, `"1m"`, `"2m"`, 1)
	m.writeConfig(s.toml())
	old := m.master()
	m.upgrade()
	hold("second")
	refused := func() {
		t.Helper()
		c := m.dial()
		defer c.Close()
		if r := c.ask("/held/over"); r.status != 503 {
			t.Errorf("the eleventh connection got %d", r.status)
		}
	}
	refused()
	m.upgrade() // a third master, while the first one still drains
	refused()
	if n := m.zonesInMemory(); n != 2 {
		t.Errorf("%d zones in memory, want the old and the new one", n)
	}
	close(release)
	for _, c := range inside {
		if r := c.read("GET"); r.status != 200 {
			t.Errorf("a held request: status %d", r.status)
		}
		c.Close()
	}
	m.waitGone(old)
	// Its workers keep a zone that they have counted in as long as they live.
	eventually(t, ioDeadline, "the new master to let the old zone go", func() bool { return zonesOf(m.master()) == 1 })
	if out, code := m.order("reload"); code != 0 {
		t.Error(out)
	}
	eventually(t, ioDeadline, "the old zone to go", func() bool { return m.zonesInMemory() == 1 })
	m.waitCount("addr", "127.0.0.1", 0)
	if z := m.zone("addr"); z.SizeBytes != 2<<20 || !z.Sound {
		t.Errorf("zone %+v", z)
	}
	eventually(t, ioDeadline, "a master and two workers", func() bool { return len(m.group()) == 3 })
}

// Who ends the new master while the old one still drains ends both: at once, or when all is done.
func TestEndWhileTheOldMasterDrains(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"stop", "quit"} {
		o, release := heldOrigin(t)
		m := startMasters(t, site{origin: o.addr}, nil)
		old := m.master()
		c := m.dial()
		m.held(o, c, "x")
		next := m.upgrade()
		answered := m.begin(order)
		if order == "quit" {
			eventually(t, ioDeadline, "the new master's workers to leave", func() bool { return len(childrenOf(next)) == 0 })
			if !alive(old) || !alive(next) {
				t.Errorf("masters %v and %v have left before the held request was answered", old, next)
			}
			close(release)
			if r := c.read("GET"); r.status != 200 {
				t.Errorf("the held request: status %d", r.status)
			}
			c.Close()
		}
		if out := <-answered; !strings.Contains(out, "stopped") {
			t.Errorf("%s: %s", order, out)
		}
		m.waitGone(old, next)
		if files, _ := filepath.Glob(m.path("run", "*")); len(files) > 0 {
			t.Errorf("%s: files left behind: %v", order, files)
		}
	}
}
