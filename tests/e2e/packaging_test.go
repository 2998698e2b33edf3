// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const packaging = "../../packaging"

// unit reads a systemd unit file: section and key to values, in order.
func unit(t testing.TB, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(packaging, name))
	if err != nil {
		t.Fatal(err)
	}
	values, section := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
		case ok && regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`).MatchString(key):
			values[section+"."+key] = append(values[section+"."+key], value)
		default:
			t.Errorf("%s: %q is no line of a unit", name, line)
		}
	}
	return values
}

// The service's unit says what weir's protocol needs, and keeps the process small.
func TestServiceUnit(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	u := unit(t, "weir.service")
	for key, want := range map[string]string{
		"Service.Type": "notify-reload", "Service.NotifyAccess": "main", "Service.KillSignal": "SIGQUIT", "Service.KillMode": "mixed",
		"Service.DynamicUser": "yes", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "strict",
		"Service.CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "Service.RuntimeDirectory": "weir", "Service.WatchdogSec": "30s",
	} {
		if got := u[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if u["Service.ExecReload"] != nil {
		t.Error("ExecReload: systemd sends SIGHUP itself, and waits")
	}
	if len(u["Service.LimitNOFILE"]) != 1 {
		t.Error("no LimitNOFILE: the default is 1024")
	}
	// Every command of the unit is one that this weir takes.
	for _, key := range []string{"Service.ExecStartPre", "Service.ExecStart"} {
		for _, command := range u[key] {
			words := strings.Fields(command)
			if words[0] != "/usr/local/bin/weir" {
				t.Errorf("%s: %s", key, command)
			}
			p := newProxy(t)
			p.writeConfig("[[http.server]]\nlisten = [\"127.0.0.1:1\"]\n" + location("/", answer("x")))
			args := append(words[1:], "-t", "-p", p.dir)
			for i, arg := range args {
				args[i] = strings.ReplaceAll(arg, "/etc/weir", p.path("conf"))
			}
			if out, code := weirCommand(t, p.dir, args...); code != 0 {
				t.Errorf("%s: exit %d, %s", command, code, out)
			}
		}
	}
}

// The addresses of the socket unit are those of the listen that its comment shows.
func TestSocketUnit(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	u := unit(t, "weir.socket")
	text, err := os.ReadFile(filepath.Join(packaging, "weir.socket"))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range u["Socket.ListenStream"] {
		if !regexp.MustCompile(`#     listen = .*"` + regexp.QuoteMeta(address) + `"`).Match(text) {
			t.Errorf("ListenStream=%s is not in the listen that the comment shows", address)
		}
	}
	if !slices.Equal(u["Socket.Service"], []string{"weir.service"}) || u["Socket.Accept"] != nil {
		t.Errorf("Service = %q, Accept = %q", u["Socket.Service"], u["Socket.Accept"])
	}
}

// systemd's own opinion of the units, where it is installed. Before version 253 it does not know Type=notify-reload.
func TestUnitsVerify(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	version, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	number, _ := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(string(version)))
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.service")
	if err := os.WriteFile(plain, []byte("[Service]\nExecStart=/bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := runCommand(t, dir, "systemd-analyze", "verify", plain); code != 0 {
		t.Skipf("systemd-analyze cannot verify anything here: exit %d, %s", code, out)
	}
	for _, name := range []string{"weir.service", "weir.socket"} {
		text, err := os.ReadFile(filepath.Join(packaging, name))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(string(text), "/usr/local/bin/weir", strconv.Quote(weirBinary))
		if number < 253 {
			changed = strings.ReplaceAll(changed, "Type=notify-reload", "Type=notify")
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, code := runCommand(t, dir, "systemd-analyze", "verify", filepath.Join(dir, "weir.service"), filepath.Join(dir, "weir.socket"))
	if strings.Contains(out, dir) || strings.Contains(out, "weir.s") || code != 0 {
		t.Errorf("systemd-analyze verify: exit %d\n%s", code, out)
	}
}

// The image's config is one, and needs nothing that an image without files and rights has not.
func TestContainerConfig(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	text, err := os.ReadFile(filepath.Join(packaging, "container.toml"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t)
	p.noPid = true
	p.prepare = func(cmd *exec.Cmd) { asNobody(t, cmd) }
	p.start(strings.ReplaceAll(string(text), "0.0.0.0:8080", "127.0.0.1:@PORT1@"))
	p.waitLog(`serving`) // there is no pid file that start could have waited for
	if r := p.get("/healthz"); string(r.body) != "ok\n" {
		t.Errorf("/healthz: %q", r.body)
	}
	if entries, err := filepath.Glob(p.path("*", "*")); err != nil || len(entries) != 1 {
		t.Errorf("it has made files: %v, %v", entries, err)
	}
	lines, err := os.ReadFile(filepath.Join(packaging, "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FROM scratch", "USER 65532:65532", "STOPSIGNAL SIGTERM", "packaging/container.toml /etc/weir/weir.toml", "/src/bin/weir-worker"} {
		if !strings.Contains(string(lines), want) {
			t.Errorf("Containerfile has no %q", want)
		}
	}
}
