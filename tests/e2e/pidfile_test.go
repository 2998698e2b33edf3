// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"os"
	"strings"
	"testing"
)

// Without a control socket weir -s works as nginx's does: by the pid file and signals.
func TestSignalsByPidFile(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	withoutControl := func(s site) string { return strings.ReplaceAll(s.toml(), `"run/weir.sock"`, `""`) }
	p := newProxy(t)
	p.start(withoutControl(versioned(o.addr, "1", "")))
	order := func(name string, wantCode int, want string) {
		t.Helper()
		if out, code := weirCommand(t, p.dir, "-s", name); code != wantCode || !strings.Contains(out, want) {
			t.Errorf("weir -s %s: exit %d, %q; want %d, %q", name, code, out, wantCode, want)
		}
	}
	p.writeConfig(withoutControl(versioned(o.addr, "2", "")))
	order("reload", 0, "SIGHUP is sent to process "+p.pidFile())
	p.waitVersion("2")
	p.writeConfig(withoutControl(versioned(o.addr, "3", "nonsense = 1\n")))
	order("reload", 1, "nonsense")
	p.get("/version")
	p.writeConfig(withoutControl(versioned(o.addr, "2", "")))
	if err := os.Rename(p.path("logs", "access.log"), p.path("logs", "moved.log")); err != nil {
		t.Fatal(err)
	}
	order("reopen", 0, "SIGUSR1 is sent")
	eventually(t, ioDeadline, "the new access.log", func() bool {
		p.get("/")
		return p.readLog("access.log") != ""
	})
	if out, code := weirCommand(t, p.dir, "status"); code != 1 || !strings.Contains(out, "control is empty") {
		t.Errorf("weir status: exit %d, %q", code, out)
	}
	order("quit", 0, "weir: stopped, after ")
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("exit code %d", code)
	}
	order("stop", 1, "no weir is running")
}
