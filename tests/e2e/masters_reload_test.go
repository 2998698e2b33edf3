// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A reload that is asked for while an upgrade is not decided waits for it, and is made by the new master, which may have read the config before it was changed; so is one that is asked of
// the old master while that drains. Who asks hears what came of it.
func TestReloadDuringUpgrade(t *testing.T) {
	t.Parallel()
	m := pausing(t, "new.proved")
	old := m.master()
	c := m.dial()
	upgrade := m.begin("upgrade")
	paused := m.stopped()
	text, err := os.ReadFile(m.path("conf", "weir.toml"))
	if err != nil {
		t.Fatal(err)
	}
	m.writeConfig(strings.Replace(string(text), "[http]", "[http]\nserver_tokens = false", 1))
	reload := m.begin("reload")
	c.get("/", 200)
	if err := syscall.Kill(paused, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if said := <-upgrade; !strings.Contains(said, "serves") || !strings.HasSuffix(said, "<nil>") {
		t.Errorf("upgrade: %s", said)
	}
	if said := <-reload; !strings.Contains(said, "generation 3") || !strings.HasSuffix(said, "<nil>") {
		t.Errorf("reload: %s", said)
	}
	if r := m.get("/"); r.fields.get("Server") != "weir" {
		t.Errorf("Server: %q: the new config does not serve", r.fields.get("Server"))
	}
	m.waitGone(old)
}

// A reload that is asked of an old master which only drains is made by the new one too.
func TestReloadOfAnOldMaster(t *testing.T) {
	t.Parallel()
	o, release := heldOrigin(t)
	m := startMasters(t, limitedSite(o.addr, ""), nil)
	m.allow("reload failed")
	old := m.master()
	c := m.dial()
	m.held(o, c, "x")
	m.upgrade()
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged := func(what string) { eventually(t, ioDeadline, what, func() bool { return matches(what, m.log()) }) }
	logged("passed on to the new master")
	logged("serving generation=3")
	m.writeConfig("worker_processes = 0")
	if err := syscall.Kill(old, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged("reload failed.*worker_processes")
	close(release)
	m.waitGone(old)
}
