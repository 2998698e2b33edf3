// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFaults loads every case of testdata/*.faults and compares what Load says. A file has cases between lines of "===": a configuration,
// a line "---", and the expected faults, or warnings marked as such. Lines "-g: TOML" above the configuration are overrides.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.faults")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, each := range strings.Split(string(text), "\n===\n") {
			have = append(have, runFaultCase(each))
		}
		got := strings.Join(have, "\n===\n")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(text), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// runFaultCase is a case with the faults that Load really finds.
func runFaultCase(text string) string {
	config, _, _ := strings.Cut(text, "\n---\n")
	src := Source{Name: "weir.toml", Prefix: "/prefix"}
	var lines, overrides []string
	for line := range strings.SplitSeq(config, "\n") {
		if over, ok := strings.CutPrefix(line, "-g: "); ok {
			overrides = append(overrides, over)
			continue
		}
		lines = append(lines, line)
	}
	src.Text, src.Overrides = []byte(strings.Join(lines, "\n")), strings.Join(overrides, "\n")
	cfg, warnings, err := Load(src)
	var said []string
	for _, w := range warnings {
		said = append(said, w.String()+" (warning)")
	}
	if err != nil {
		said = append(said, err.Error())
	} else if cfg != nil {
		said = append(said, "OK")
	}
	return config + "\n---\n" + strings.TrimSpace(strings.Join(said, "\n")) + "\n"
}

// TestFaultsAreAllReported makes many faults at once and counts them.
func TestFaultsAreAllReported(t *testing.T) {
	var text strings.Builder
	const n = 50
	for i := range n {
		fmt.Fprintf(&text, "[[http.server]]\nlisten = \"127.0.0.1:%d\"\nkeepalive_requests = -1\n", 9000+i)
	}
	_, _, err := Load(Source{Name: "weir.toml", Text: []byte(text.String())})
	faults, ok := err.(Faults)
	if !ok || len(faults) != n {
		t.Fatalf("got %v", err)
	}
	for i, f := range faults {
		want := Fault{File: "weir.toml", Line: 3*i + 3, Key: fmt.Sprintf("http.server[%d].keepalive_requests", i), Text: "must be at least 0, not -1"}
		if f != want {
			t.Errorf("fault %d: got %v, want %v", i, f, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"proxy_pass", "proxy_read_timeout", "return", "path", "listen"}
	for _, c := range []struct{ given, want string }{
		{"proxy_pas", "proxy_pass"},
		{"porxy_pass", "proxy_pass"},
		{"PROXY_PASS", "proxy_pass"},
		{"proxy_timeout", "proxy_read_timeout"[:0]},
		{"proxy_read_timout", "proxy_read_timeout"},
		{"retrun", "return"},
		{"pth", "path"},
		{"x", ""},
		{"", ""},
		{"something_else_entirely", ""},
	} {
		want := ""
		if c.want != "" {
			want = fmt.Sprintf(" (did you mean %q?)", c.want)
		}
		if got := suggest(c.given, names); got != want {
			t.Errorf("suggest(%q) = %q, want %q", c.given, got, want)
		}
	}
}
