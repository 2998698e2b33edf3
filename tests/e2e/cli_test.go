// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// weirCommand runs weir in dir until it ends and returns all it said and its exit code.
func weirCommand(t testing.TB, dir string, args ...string) (output string, code int) {
	t.Helper()
	return runCommand(t, dir, weirBinary, args...)
}

func runCommand(t testing.TB, dir, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.writeConfig(site{origin: "127.0.0.1:9", server: `listen = ["127.0.0.1:8099"]`}.toml())
	if err := os.WriteFile(p.path("conf", "bad.toml"), []byte("worker_processes = -3\nworker_conections = 5\n\n[http]\nkeepalive_timeout = \"soon\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		want string // regular expressions, one a line
	}{
		{"-v", 0, regexp.QuoteMeta(testVersion)},
		{"-V", 0, regexp.QuoteMeta(testVersion) + "\ngo1\\."},
		{"-h", 0, "(?i)usage\n-t\n-s"},
		{"--help", 0, "(?i)usage\nreload"},
		{"--no-such-flag", 2, "(?i)usage\nno-such-flag"},
		{"-s frobnicate", 2, "frobnicate"},
		{"-t", 0, "(?i)ok"},
		{"-t -c conf/weir.toml", 0, "(?i)ok"},
		{"-t -c conf/bad.toml", 1, `bad\.toml:1:.*worker_processes` + "\n" + `bad\.toml:2:.*worker_conections.*worker_connections` + "\n" + `bad\.toml:5:.*keepalive_timeout`},
		{"-t -c conf/none.toml", 1, `none\.toml`},
		{"-c conf/bad.toml", 1, `bad\.toml:1:.*worker_processes` + "\n" + `bad\.toml:2:`},
		{"-T", 0, `(?m)^worker_connections = 4096$` + "\n127.0.0.1:9\n8099"},
		{"-s reload", 1, "."},
		{"status", 1, "."},
	} {
		t.Run("weir "+tt.args, func(t *testing.T) {
			out, code := weirCommand(t, p.dir, strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for want := range strings.SplitSeq(tt.want, "\n") {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("it does not say %s:\n%s", want, out)
				}
			}
		})
	}
	out, code := weirCommand(t, p.dir, "-t", "-g", `worker_connections = 3`)
	if code != 1 || !strings.Contains(out, "worker_connections") {
		t.Errorf("-g with a fault: exit %d, %q", code, out)
	}
	if out, code := weirCommand(t, t.TempDir(), "-t"); code != 0 || !strings.Contains(out, "embedded") {
		t.Errorf("without a config: exit %d, %q; want the embedded default, and said so", code, out)
	}
}

// What -T prints is the same config again.
func TestEffectiveConfig(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	p.writeConfig(site{origin: "127.0.0.1:9", server: `listen = ["127.0.0.1:8099"]`, http: "client_max_body_size = \"3m\"", location: `proxy_set_header = { X = "$host" }`}.toml())
	first, code := effective(t, p.dir, "-T")
	if code != 0 {
		t.Fatalf("-T: exit %d", code)
	}
	if err := os.WriteFile(p.path("conf", "weir.toml"), []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	again, code := effective(t, p.dir, "-T")
	if code != 0 || again != first {
		t.Errorf("exit %d; what -T prints, read again, differs:\n%s", code, cmp.Diff(first, again))
	}
}

// effective runs weir and returns only what goes to standard output.
func effective(t *testing.T, dir string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(weirBinary, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Logf("%v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// weir -t opens no socket and creates no file.
func TestCheckTouchesNothing(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	p := newProxy(t)
	p.writeConfig(site{servers: []string{peer("127.0.0.1:9")}, server: `listen = ["127.0.0.1:8099"]`}.toml())
	for _, sub := range []string{"logs", "run", "tmp"} {
		if err := os.Remove(p.path(sub)); err != nil {
			t.Fatal(err)
		}
	}
	trace := filepath.Join(t.TempDir(), "trace")
	if out, code := runCommand(t, p.dir, strace, "-f", "-o", trace, weirBinary, "-t"); code != 0 {
		t.Skipf("strace cannot trace here: exit %d\n%s", code, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil || !strings.Contains(string(text), "weir.toml") {
		t.Fatalf("the trace is not one of weir: %v", err)
	}
	forbidden := regexp.MustCompile(`(?m)^\d+ +(?:(?:socket|socketpair|bind|listen|connect|creat|mkdir(?:at)?|unlink(?:at)?|rename(?:at2?)?|link(?:at)?|symlink(?:at)?|mknod(?:at)?|chmod|chown|clone3?\(.*SIGCHLD.*)\(.*|open(?:at)?\(.*(?:O_CREAT|O_TRUNC|O_WRONLY|O_RDWR|O_TMPFILE).*)$`)
	for _, call := range forbidden.FindAllString(string(text), -1) {
		if !strings.Contains(call, "/dev/null") {
			t.Errorf("weir -t does: %s", call)
		}
	}
	for _, sub := range []string{"logs", "run", "tmp"} {
		if _, err := os.Stat(p.path(sub)); err == nil {
			t.Errorf("weir -t made %s", sub)
		}
	}
}

// A worker of another build is refused at start.
func TestOtherBuildsWorker(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	p := newProxy(t)
	bin := p.path("bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := nextBuild()
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"weir": weirBinary, "weir-worker": filepath.Join(other, "weir-worker")} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeProgram(t, filepath.Join(bin, name), text, 0o755)
	}
	p.ports = freePorts(t, 1)
	p.writeConfig("worker_processes = 1\n[[http.server]]\nlisten = [\"127.0.0.1:@PORT1@\"]\n" + location("/", answer("x")))
	out, code := runCommand(t, p.dir, filepath.Join(bin, "weir"))
	if code != 1 || !strings.Contains(out, nextVersion) || !strings.Contains(out, testVersion) {
		t.Errorf("exit %d, %q; want 1 and both versions", code, out)
	}
}

// The commands that talk to a running master.
func TestCommandsToTheMaster(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	out, code := weirCommand(t, p.dir, "status", "--json")
	var status map[string]any
	if err := json.Unmarshal([]byte(out), &status); code != 0 || err != nil {
		t.Errorf("status --json: exit %d, %v: %s", code, err, out)
	}
	for _, key := range []string{"generation", "workers", "connections"} {
		if !strings.Contains(out, key) {
			t.Errorf("status --json says nothing of %s: %s", key, out)
		}
	}
	if out, code := weirCommand(t, p.dir, "status"); code != 0 || out == "" {
		t.Errorf("status: exit %d, %q", code, out)
	}
	p.writeConfig(versioned(o.addr, "2", "").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Errorf("-s reload: exit %d, %q", code, out)
	}
	p.waitVersion("2")
	p.writeConfig(strings.Replace(versioned(o.addr, "3", "").toml(), "proxy_pass", "proxy_past", 1))
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 1 || !strings.Contains(out, "proxy_past") || !regexp.MustCompile(`weir\.toml:\d+`).MatchString(out) {
		t.Errorf("-s reload of a bad config: exit %d, %q", code, out)
	}
	if r := p.get("/version"); string(r.body) != "2" {
		t.Errorf("then version %q", r.body)
	}
	p.writeConfig(versioned(o.addr, "2", "").toml())
	if out, code := weirCommand(t, p.dir, "-s", "reopen"); code != 0 {
		t.Errorf("-s reopen: exit %d, %q", code, out)
	}
	if out, code := weirCommand(t, p.dir, "-s", "quit"); code != 0 {
		t.Errorf("-s quit: exit %d, %q", code, out)
	}
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("after -s quit: exit %d", code)
	}
}

// drain takes the workers away, reload brings them back, stop ends it all.
func TestDrainAndStopCommands(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	if out, code := weirCommand(t, p.dir, "-s", "drain"); code != 0 {
		t.Errorf("-s drain: exit %d, %q", code, out)
	}
	eventually(t, ioDeadline, "the workers to leave", func() bool { return len(p.children()) == 0 })
	if out, code := weirCommand(t, p.dir, "-s", "reload"); code != 0 {
		t.Errorf("-s reload: exit %d, %q", code, out)
	}
	p.waitVersion("1")
	if out, code := weirCommand(t, p.dir, "-s", "stop"); code != 0 {
		t.Errorf("-s stop: exit %d, %q", code, out)
	}
	if code := p.wait(stopDeadline); code != 0 {
		t.Errorf("after -s stop: exit %d", code)
	}
	if out, code := weirCommand(t, p.dir, "-s", "stop"); code != 1 {
		t.Errorf("-s stop with nothing running: exit %d, %q", code, out)
	}
}

func TestControlSocket(t *testing.T) {
	t.Parallel()
	weirOnly(t)
	o := targetOrigin(t)
	p := start(t, versioned(o.addr, "1", ""))
	h := &http.Client{Timeout: ioDeadline, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.path("run", "weir.sock"))
	}}}
	call := func(method, path string) (int, map[string]any) {
		t.Helper()
		req, _ := http.NewRequest(method, "http://weir"+path, nil)
		r, err := h.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		var answer map[string]any
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Errorf("%s %s: %v: %s", method, path, err, body)
		}
		return r.StatusCode, answer
	}
	if code, _ := call("GET", "/status"); code != 200 {
		t.Errorf("GET /status: %d", code)
	}
	if _, answer := call("POST", "/reload"); answer["ok"] != true || answer["workers"] != 2.0 || answer["generation"] == nil || answer["took_ms"] == nil {
		t.Errorf("POST /reload: %v", answer)
	}
	p.writeConfig("nonsense = 1\n")
	if _, answer := call("POST", "/reload"); answer["ok"] != false || !strings.Contains(answer["error"].(string), "nonsense") {
		t.Errorf("POST /reload of nonsense: %v", answer)
	}
	p.waitVersion("1")
}
