// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		args string // separated by blanks; _ stands for a blank, "" for an empty argument
		want command
		err  string // "help", or a part of the error
	}{
		{"", command{}, ""},
		{"-c a.toml -p /p -g worker_processes_=_2 -e stderr -q", command{config: "a.toml", prefix: "/p", overrides: "worker_processes = 2", errorLog: "stderr", quiet: true}, ""},
		{"-t", command{action: actionTest}, ""},
		{"-T -c x", command{action: actionPrint, config: "x"}, ""},
		{"-t -T", command{action: actionPrint}, ""},
		{"-v", command{action: actionVersion}, ""},
		{"-V", command{action: actionFeatures}, ""},
		{"-v -V", command{action: actionFeatures}, ""},
		{"-tq", command{action: actionTest, quiet: true}, ""},
		{"-qtc x", command{action: actionTest, quiet: true, config: "x"}, ""},
		{"-c/etc/x -p./p -e -tq", command{config: "/etc/x", prefix: "./p", errorLog: "-tq"}, ""},
		{"-?", command{}, "help"},
		{"-tx", command{}, "unknown flag -tx"},
		{"-config x", command{}, "unknown flag -config"},
		{"-s reload", command{action: actionSignal, signal: "reload"}, ""},
		{"-s stop -c x", command{action: actionSignal, signal: "stop", config: "x"}, ""},
		{"status", command{action: actionStatus}, ""},
		{"status --json -c x", command{action: actionStatus, json: true, config: "x"}, ""},
		{"-c x status -json", command{action: actionStatus, json: true, config: "x"}, ""},
		{"zone list", command{action: actionZone, zone: zoneOrder{verb: "list"}}, ""},
		{"zone list --json -c x", command{action: actionZone, config: "x", json: true, zone: zoneOrder{verb: "list"}}, ""},
		{"zone show addr --top 5", command{action: actionZone, zone: zoneOrder{verb: "show", name: "addr", top: "5"}}, ""},
		{"zone del addr 127.0.0.1", command{action: actionZone, zone: zoneOrder{verb: "del", name: "addr", key: "127.0.0.1"}}, ""},
		{"zone check addr", command{action: actionZone, zone: zoneOrder{verb: "check", name: "addr"}}, ""},
		{"upstream list", command{action: actionUpstream, upstream: upstreamOrder{verb: "list"}}, ""},
		{"upstream list app --json", command{action: actionUpstream, json: true, upstream: upstreamOrder{verb: "list", group: "app"}}, ""},
		{"upstream drain app 127.0.0.1:80 -c x", command{action: actionUpstream, config: "x", upstream: upstreamOrder{verb: "drain", group: "app", peer: "127.0.0.1:80"}}, ""},
		{"upstream", command{}, "upstream needs a word: list, drain, up or down"},
		{"upstream stop app", command{}, "upstream stop: must be list, drain, up or down"},
		{"upstream up", command{}, "upstream up needs GROUP and PEER"},
		{"upstream up app", command{}, "upstream up needs PEER"},
		{"upstream down app ''", command{}, "upstream down: an argument is empty"},
		{"upstream list app peer", command{}, `upstream list: unexpected argument "peer"`},
		{"upstream list -t", command{}, "more than one of"},
		{"zone", command{}, "zone needs a word: list, show, del or check"},
		{"zone drop addr", command{}, "zone drop: must be list, show, del or check"},
		{"zone show", command{}, "zone show needs NAME"},
		{"zone del", command{}, "zone del needs NAME and KEY"},
		{"zone del addr", command{}, "zone del needs KEY"},
		{"zone del addr ''", command{}, "zone del: KEY is empty"},
		{"zone list addr", command{}, `zone list: unexpected argument "addr"`},
		{"zone check addr --top 5", command{}, "--top goes with zone show"},
		{"zone show addr --top many", command{}, "--top goes with zone show, and needs a number"},
		{"zone show addr --top ''", command{}, "--top goes with zone show, and needs a number"},
		{"status --top 5", command{}, "--top goes with zone show"},
		{"-t zone list", command{}, "more than one of"},
		{"-h", command{}, "help"},
		{"--help", command{}, "help"},
		{"help", command{}, "help"},
		{"status --help", command{}, "help"},
		{"-t -c x -h", command{}, "help"},
		{"-s reload --help", command{}, "help"},
		{"-x", command{}, "unknown flag -x"},
		{"--nonsense", command{}, "unknown flag -nonsense"},
		{"-c", command{}, "-c needs an argument"},
		{"-c ''", command{}, "-c needs the name of a file"},
		{"-e ''", command{}, "-e needs the name of a file"},
		{"-s", command{}, "-s needs an argument"},
		{"-s restart", command{}, `-s "restart": must be one of reload, upgrade, reopen, drain, quit, stop`},
		{"-s ''", command{}, "must be one of"},
		{"start", command{}, `unknown command "start"`},
		{"status now", command{}, `unexpected argument "now"`},
		{"-t -s reload", command{}, "more than one of"},
		{"-t -v", command{}, "more than one of"},
		{"-T status", command{}, "more than one of"},
		{"-t --json", command{}, "--json goes with status, zone and upstream"},
	} {
		var args []string
		for _, arg := range strings.Fields(c.args) {
			args = append(args, strings.ReplaceAll(strings.Trim(arg, "'"), "_", " "))
			if i := len(args) - 1; strings.HasPrefix(args[i], "worker ") {
				args[i] = "worker_processes = 2"
			}
		}
		got, err := parseArgs(args)
		switch {
		case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("weir %s: got the error %v, want %q", c.args, err, c.err)
		case err == nil && got != c.want:
			t.Errorf("weir %s: got %+v, want %+v", c.args, got, c.want)
		}
	}
}

// TestRun checks exit codes and what goes to which stream.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("good.toml", "[[http.server]]\nlisten = '127.0.0.1:1'\n")
	bad := write("bad.toml", "worker_processes = 0\n[[http.server]]\nlisen = '127.0.0.1:1'\n")
	warns := write("warns.toml", "worker_processes = 1\n")
	write("prefix/conf/weir.toml", "worker_processes = 7\n[[http.server]]\n")
	zones := write("zones.toml", "[http.limit_conn_zone]\naddr = { key = '$binary_remote_addr', size = '10m' }\nb = { key = '$host', size = 33000 }\n[[http.server]]\n")
	const tenMegabytes = "zone \"addr\": 10m holds 162,624 IPv4 or 162,624 IPv6 keys\n"
	prefix := filepath.Join(dir, "prefix")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string // a part; "": nothing at all
	}{
		{[]string{"-h"}, 0, "usage:", ""},
		{[]string{"--nonsense"}, 2, "", "weir: unknown flag -nonsense\n\nusage:"},
		{[]string{"-v"}, 0, "weir dev\n", ""},
		{[]string{"-V"}, 0, "built with go", ""},
		{[]string{"-V"}, 0, "directives as of nginx version: nginx/1.31.0\nconfigure arguments: --with-http_realip_module ", ""},
		{[]string{"-t", "-c", good}, 0, "weir: " + good + ": OK\n", ""},
		{[]string{"-t", "-q", "-c", good}, 0, "", ""},
		{[]string{"-t", "-p", dir, "-c", "good.toml"}, 0, "weir: good.toml: OK\n", ""},
		{[]string{"-T", "-c", good}, 0, "# " + good + ": OK\n# memory of each worker, at most:\n#     128.1 MiB  buffers: 8194 blocks of 16k\n", ""},
		{[]string{"-T", "-q", "-c", good}, 0, "\n\nworker_processes = \"auto\"\n", ""},
		{[]string{"-t", "-c", good, "-g", "worker_processes = 3"}, 0, "MiB  in all, with 3 workers\n", ""},
		{[]string{"-t", "-c", bad}, 1, "", bad + ":1: worker_processes: must be at least 1, not 0\n" + bad + ":3: http.server[0].lisen: unknown key (did you mean \"listen\"?)\n"},
		{[]string{"-t", "-c", zones}, 0, "weir: " + zones + ": OK\n" + tenMegabytes + "zone \"b\": 33000 holds 192 IPv4 or 192 IPv6 keys\n", ""},
		{[]string{"-t", "-q", "-c", zones}, 0, "", ""},
		{[]string{"-T", "-c", zones}, 0, "# " + zones + ": OK\n# " + tenMegabytes, ""},
		{[]string{"-T", "-c", bad}, 1, "", bad + ":1: "},
		{[]string{"-t", "-c", good, "-g", "worker_processes = 0"}, 1, "", "-g:1: worker_processes: must be at least 1, not 0\n"},
		{[]string{"-t", "-c", warns}, 0, "OK", "(warning)"},
		{[]string{"-t", "-q", "-c", warns}, 0, "", ""},
		{[]string{"-t", "-c", filepath.Join(dir, "none.toml")}, 1, "", "no such file"},
		{[]string{"-t", "-c", dir}, 1, "", "is not a file"},
		{[]string{"-T", "-p", prefix}, 0, "worker_processes = 7", ""},
		{[]string{"-T", "-p", prefix}, 0, "pid = \"" + prefix + "/run/weir.pid\"", ""},
		{[]string{"-T", "-p", prefix, "-g", "worker_processes = 8"}, 0, "worker_processes = 8", ""},
	} {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		if code != c.code {
			t.Errorf("weir %q: exit code %d, want %d", c.args, code, c.code)
		}
		checkOutput(t, c.args, "stdout", stdout.String(), c.stdout)
		checkOutput(t, c.args, "stderr", stderr.String(), c.stderr)
	}

	if _, err := os.Stat(systemConfig); err != nil { // else that one is found
		var stdout, stderr bytes.Buffer
		if code := run([]string{"-t", "-p", empty}, &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "weir: embedded weir.toml: OK\n"+tenMegabytes) {
			t.Errorf("the embedded default: %d, %q, %q", code, stdout.String(), stderr.String())
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if diff := cmp.Diff([]string{filepath.Join(prefix, "conf")}, left); diff != "" || err != nil {
		t.Errorf("-t and -T made files (-want +got):\n%s", diff)
	}
}

func checkOutput(t *testing.T, args []string, stream, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("weir %q: %s is %q, want %q", args, stream, got, want)
	}
}

// TestSource checks how the configuration's text is found and named.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte("worker_processes = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := command{config: "a.toml", prefix: dir, overrides: "x = 1"}
	src, err := c.source()
	if err != nil || src.Name != "a.toml" || string(src.Text) != "worker_processes = 1" || src.Overrides != "x = 1" || src.Prefix != dir {
		t.Errorf("got %+v, %v", src, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte("worker_processes = 2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if src, err = c.source(); err != nil || string(src.Text) != "worker_processes = 2" {
		t.Errorf("a changed file: got %q, %v", src.Text, err)
	}
	for given, want := range map[string]string{"": "", "stderr": "stderr", "e.log": filepath.Join(dir, "e.log"), "/e.log": "/e.log"} {
		if got := (command{prefix: dir, errorLog: given}).errorLogPath(); got != want {
			t.Errorf("-e %q: got %q, want %q", given, got, want)
		}
	}
}
