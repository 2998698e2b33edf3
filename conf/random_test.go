// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRandomSettings writes random values, within and out of bounds, at random levels, and compares what Load makes of them with the rule.
func TestRandomSettings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(level string) (string, int, bool) {
			set := rapid.Bool().Draw(t, level)
			value := rapid.IntRange(-3, 2000).Draw(t, level+" value")
			if !set {
				return "", 0, false
			}
			return fmt.Sprintf("proxy_next_upstream_tries = %d\n", value), value, true
		}
		text, want, good := "[http]\n", 0, true
		for _, level := range []string{"http", "server", "location"} {
			line, value, set := draw(level)
			if set {
				want = value
				good = good && value >= 0 && value <= 1024
			}
			text += line
			text += map[string]string{"http": "[[http.server]]\n", "server": "[[http.server.location]]\npath = '/'\n"}[level]
		}
		cfg, _, err := Load(Source{Text: []byte(text)})
		switch {
		case (err == nil) != good:
			t.Fatalf("%v for\n%s", err, text)
		case good && cfg.HTTP.Servers[0].Locations[0].ProxyNextUpstreamTries != want:
			t.Fatalf("got %d, want %d for\n%s", cfg.HTTP.Servers[0].Locations[0].ProxyNextUpstreamTries, want, text)
		}
	})
}

// large is a configuration of 10,000 servers with 20,000 locations.
func large() Source {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "[[http.server]]\nlisten = '127.0.0.1:8080'\nserver_name = 's%d.example'\n", i)
		for j := range 2 {
			fmt.Fprintf(&text, "[[http.server.location]]\npath = '/%d'\nproxy_pass = 'http://127.0.0.1:%d'\nproxy_set_header = { X = '$host' }\n", j, 9000+j)
		}
	}
	return Source{Name: "large", Text: []byte(text.String())}
}

// BenchmarkLoad loads 10,000 servers with 20,000 locations, as the master does.
func BenchmarkLoad(b *testing.B) {
	src := large()
	for b.Loop() {
		if _, _, _, err := LoadPacked(src); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnpack makes the same configuration of what the master has packed, as each worker does.
func BenchmarkUnpack(b *testing.B) {
	_, packed, _, err := LoadPacked(large())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Unpack(packed, ""); err != nil {
			b.Fatal(err)
		}
	}
}
