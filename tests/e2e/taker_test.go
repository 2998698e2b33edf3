// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

// dialBusy begins a request and waits until a worker reads it, so that the worker cannot hand the connection over.
func (p *proxy) dialBusy() *client {
	p.t.Helper()
	c := p.dial()
	c.get("/", 200)
	c.send("GET / HT")
	eventually(p.t, ioDeadline, "a request to be read", func() bool {
		var s struct {
			Connections struct{ Reading int }
		}
		code, err := p.control("GET", "/status", &s)
		return code == 200 && err == nil && s.Connections.Reading == 1
	})
	return c
}

// wantFarewell ends the request that has begun: its answer, or that to the next one, is the last on the connection, and none is missing.
func (c *client) wantFarewell(t *testing.T) {
	t.Helper()
	c.send("TP/1.1\r\nHost: h\r\n\r\n")
	c.within(ioDeadline)
	r := c.read("GET")
	switch {
	case r.status != 200:
		t.Errorf("status %d, %q", r.status, r.raw)
	case strings.EqualFold(r.fields.get("Connection"), "close"):
		c.wantClosed(ioDeadline)
	default:
		c.wantLast(t) // it was on its way to the others, who have left, and came back
	}
}

// wantLast asks once more: the answer is the last on the connection.
func (c *client) wantLast(t *testing.T) {
	t.Helper()
	if r := c.get("/", 200); !strings.EqualFold(r.fields.get("Connection"), "close") {
		t.Errorf("%q", r.raw)
	}
	c.wantClosed(ioDeadline)
}

// A connection of an old generation whose successors have drained away is answered, and not left where nobody reads it.
func TestDrainWhenNobodyTakes(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, counting(""))
	c := p.dialBusy()
	p.writeConfig(counting("server_tokens = false").toml())
	for _, order := range []string{"reload", "drain"} {
		if out, code := weirCommand(t, p.dir, "-s", order); code != 0 {
			t.Fatalf("weir -s %s: exit %d, %s", order, code, out)
		}
	}
	c.wantFarewell(t)
	p.waitGone(p.children())
}

// The same when the successors are those of a new master, which is told to leave.
func TestQuitWhileTheOldMasterDrains(t *testing.T) {
	t.Parallel()
	m := startMasters(t, counting(""), nil)
	c := m.dialBusy()
	pid := m.upgrade()
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "the new workers to leave", func() bool { return len(childrenOf(pid)) == 0 })
	c.wantFarewell(t)
	eventually(t, ioDeadline, "both masters to leave", func() bool { return len(m.group()) == 0 })
}

// The same when the old master has not heard of it yet: its worker does not leave before it knows that the connection was taken.
func TestQuitUnheardByTheOldMaster(t *testing.T) {
	t.Parallel()
	m := startMasters(t, counting(""), nil)
	c := m.dialBusy()
	pid := m.upgrade()
	m.signal(syscall.SIGSTOP)
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, ioDeadline, "the new workers to leave", func() bool { return len(childrenOf(pid)) == 0 })
	c.send("TP/1.1\r\nHost: h\r\n\r\n")
	if r := c.read("GET"); r.status != 200 || r.fields.get("Connection") != "keep-alive" {
		t.Errorf("%q", r.raw)
	}
	m.signal(syscall.SIGCONT)
	c.wantLast(t)
	eventually(t, ioDeadline, "both masters to leave", func() bool { return len(m.group()) == 0 })
}

// The same when nobody is left to say so: the master is killed, and the successors, who drain then as well, have gone.
func TestMasterKilledWhileTwoGenerationsDrain(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := start(t, counting(""))
	p.allow(`the master is gone`)
	c := p.dialBusy()
	old := p.children()
	p.writeConfig(counting("server_tokens = false").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Fatalf("weir -s reload: exit %d, %s", code, out)
	}
	var young []int
	for _, pid := range p.children() {
		if !slices.Contains(old, pid) {
			young = append(young, pid)
		}
	}
	if len(young) != 2 {
		t.Fatalf("%d new workers", len(young))
	}
	p.signal(syscall.SIGKILL)
	eventually(t, ioDeadline, "the new workers to leave", func() bool { return !alive(young[0]) && !alive(young[1]) })
	c.wantFarewell(t)
	eventually(t, ioDeadline, "all workers to leave", func() bool { return !slices.ContainsFunc(old, alive) })
}
