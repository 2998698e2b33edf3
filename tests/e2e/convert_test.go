// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nginxConf is a configuration with an include, whose answer has a version in it.
func nginxConf(version string) string {
	return fmt.Sprintf(`worker_processes 2;
pid run/weir.pid;
error_log stderr notice;
events { worker_connections 256; use epoll; }
http {
    sendfile on;
    access_log logs/access.log;
    default_type text/plain;
    include conf.d/*.conf;
    server {
        listen 127.0.0.1:@PORT1@;
        location / { return 200 "version %s\n"; }
    }
}
`, version)
}

// startNginxConf starts weir on conf/nginx.conf with further arguments.
func startNginxConf(t testing.TB, text string, args ...string) *proxy {
	t.Helper()
	p := newProxy(t)
	p.config, p.args = "nginx.conf", append([]string{"-c", "conf/nginx.conf", "-g", "daemon off;"}, args...)
	p.start(text)
	return p
}

// An nginx.conf is served, reloaded when it has changed, and kept when it has become faulty.
func TestNginxConf(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := startNginxConf(t, nginxConf("1"))
	if r := p.get("/"); r.status != 200 || string(r.body) != "version 1\n" {
		t.Errorf("answer %d %q", r.status, r.body)
	}
	reload := func(code int, wants ...string) {
		t.Helper()
		out, got := weirCommand(t, p.dir, "-s", "reload", "-c", "conf/nginx.conf")
		if got != code {
			t.Errorf("reload: exit %d, want %d: %s", got, code, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("reload does not say %q:\n%s", want, out)
			}
		}
	}
	p.writeConfig(nginxConf("2"))
	reload(0, "generation 2")
	p.waitLog(`\[notice\] \d+#\d+: signal process started`)
	if r := p.get("/"); string(r.body) != "version 2\n" {
		t.Errorf("after a reload: %q", r.body)
	}
	p.allow(`\[emerg\] .* in .*conf/nginx\.conf:\d+$`)
	p.writeConfig(strings.Replace(nginxConf("3"), "sendfile on", "sendfle on", 1))
	reload(1, `unknown directive "sendfle"; did you mean "sendfile"? in `, "conf/nginx.conf:6")
	p.writeConfig(nginxConf("3") + "}")
	reload(1, `unexpected "}" in `, "conf/nginx.conf:15")
	p.writeConfig(strings.Replace(nginxConf("3"), "version 3", "version $nothing", 1))
	reload(1, `unknown "nothing" variable in `, "conf/nginx.conf:12")
	p.waitLog(`\[emerg\] \d+#\d+: unknown "nothing" variable in .*conf/nginx\.conf:12`)
	if r := p.get("/"); string(r.body) != "version 2\n" {
		t.Errorf("after faulty reloads: %q", r.body)
	}
	p.writeConfig(nginxConf("3"))
	p.signal(syscall.SIGHUP)
	eventually(t, ioDeadline, "version 3", func() bool { return string(p.get("/").body) == "version 3\n" })
	if out, code := weirCommand(t, p.dir, "status", "-c", "conf/nginx.conf"); code != 0 || !strings.Contains(out, "conf/nginx.conf") {
		t.Errorf("status: exit %d, %s", code, out)
	}
}

// Two nginx.conf in one folder are told apart by their pid files, also when one has become faulty.
func TestNginxConfsSideBySide(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := startNginxConf(t, nginxConf("1"))
	second := "pid run/second.pid;\nerror_log logs/second.log;\nevents {}\nhttp { access_log off; server { listen unix:run/second.listen; return 204; } }\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(p.path("conf", "second.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(second)
	if out, code := weirCommand(t, p.dir, "-c", "conf/second.conf"); code != 0 {
		t.Fatalf("start of the second: exit %d, %s", code, out)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(p.path("run/second.pid")); err == nil { // it has not been stopped
			pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	write(second + "nonsense;\n")
	if out, code := weirCommand(t, p.dir, "-s", "stop", "-c", "conf/second.conf"); code != 0 || !strings.Contains(out, "stopped") {
		t.Errorf("stop of the second: exit %d, %s", code, out)
	}
	if r := p.get("/"); string(r.body) != "version 1\n" {
		t.Errorf("the first answers %q", r.body)
	}
}

// -t and -T say what is wrong, and what is different, with the nginx.conf's lines.
func TestNginxConfCheck(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.config = "nginx.conf"
	p.ports = freePorts(t, 1)
	p.writeConfig(nginxConf("1"))
	check := func(arg string, code int, wants ...string) {
		t.Helper()
		out, got := weirCommand(t, p.dir, append(strings.Fields(arg), "-c", "conf/nginx.conf")...)
		if got != code {
			t.Errorf("%s: exit %d, want %d: %s", arg, got, code, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not say %q:\n%s", arg, want, out)
			}
		}
	}
	check("-t", 0, "weir: conf/nginx.conf: OK", "weir: [notice] without effect: use (", "conf/nginx.conf:4", "weir: [notice] without effect: sendfile (", "conf/nginx.conf:6")
	check("-T", 0, "worker_connections = 256", `text = "version 1\n"`, "# configuration file "+p.path("conf", "nginx.conf")+":\nworker_processes 2;\n")
	if err := os.MkdirAll(p.path("conf", "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("conf", "conf.d", "a.conf"), []byte("server {\n  listen 127.0.0.1:1;\n  keepalive_timeout soon;\n  location / {\n    proxy_pass http://0.0.0.0;\n  }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("-t", 1, `weir: [emerg] "keepalive_timeout" directive invalid value in `+p.path("conf/conf.d/a.conf:3\n"), "is an address to listen on, not one to connect to in "+p.path("conf/conf.d/a.conf:5\n"),
		"weir: configuration file "+p.path("conf/nginx.conf")+" test failed\n")
	check("-t --lenient", 0, "weir: [warn] left out: keepalive_timeout (", "conf/conf.d/a.conf:3", "weir: [warn] left out: proxy_pass (\"0.0.0.0:80\" is an address to listen on", "conf/conf.d/a.conf:5", "OK")
	if out, code := weirCommand(t, p.dir, "-c", "conf/nginx.conf"); code != 1 || !strings.Contains(out, "conf/conf.d/a.conf:3\n") {
		t.Errorf("start: exit %d, %s", code, out)
	}
}

// --lenient serves what can be served, and goes on doing so over a reload. What only the master's user can read is read for weir-convert.
func TestNginxConfLenient(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	text := strings.Replace(nginxConf("1"), "sendfile on", "sendfle on", 1)
	p := startNginxConf(t, text, "--lenient")
	if r := p.get("/"); string(r.body) != "version 1\n" {
		t.Errorf("answer %q", r.body)
	}
	p.waitLog(`left out: sendfle \(unknown directive "sendfle"; did you mean "sendfile"\?\) in .*conf/nginx\.conf:6`)
	p.writeConfig(strings.Replace(text, "version 1", "version 2", 1))
	if err := os.Chmod(p.path("conf", "nginx.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := weirCommand(t, p.dir, "-s", "reload", "-c", "conf/nginx.conf"); code != 0 {
		t.Errorf("reload: exit %d: %s", code, out)
	}
	if r := p.get("/"); string(r.body) != "version 2\n" {
		t.Errorf("after a reload: %q", r.body)
	}
}

// What weir-convert writes is a configuration that weir takes, with the same effect as the nginx.conf.
func TestConvertWritesAConfig(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.config = "nginx.conf"
	p.ports = freePorts(t, 1)
	p.writeConfig(nginxConf("1"))
	cmd := exec.Command(convertBinary, "conf/nginx.conf")
	cmd.Dir = p.dir
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("conf", "weir.toml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	fromConf, code := effective(t, p.dir, "-T", "-c", "conf/nginx.conf")
	fromTOML, code2 := effective(t, p.dir, "-T", "-c", "conf/weir.toml")
	trim := func(s string) string { _, s, _ = strings.Cut(s, "\n"); return s } // the first line names the file
	if code != 0 || code2 != 0 || trim(fromConf) != trim(fromTOML) {
		t.Errorf("exits %d and %d; the nginx.conf means\n%s\nits TOML\n%s", code, code2, fromConf, fromTOML)
	}
}

// A weir-convert that is missing or fails is an error that says so.
func TestConvertIsBroken(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.config = "nginx.conf"
	p.ports = freePorts(t, 1)
	p.writeConfig(nginxConf("1"))
	bin := t.TempDir()
	weir := filepath.Join(bin, "weir")
	master, err := os.ReadFile(weirBinary)
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, weir, master, 0o755)
	for script, want := range map[string]string{
		"":                           "no such file",
		"#!/bin/sh\necho nonsense\n": "invalid character",
		"#!/bin/sh\necho 'it broke' >&2\nexit 3\n": "it broke",
		"#!/bin/sh\nexit 3\n":                      "exit status 3",
	} {
		if script != "" {
			writeProgram(t, filepath.Join(bin, "weir-convert"), []byte(script), 0o755)
		}
		began := time.Now()
		out, code := runCommand(t, p.dir, weir, "-t", "-c", "conf/nginx.conf")
		if code != 1 || !strings.Contains(out, "weir-convert: ") || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d after %s: %s; want %q", script, code, time.Since(began), out, want)
		}
		os.Remove(filepath.Join(bin, "weir-convert"))
	}
}
