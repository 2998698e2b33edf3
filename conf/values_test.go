// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		text string
		want time.Duration // -1: a fault
	}{
		{"0", 0}, {"0s", 0}, {"60", time.Minute}, {"500ms", 500 * time.Millisecond}, {"30s", 30 * time.Second}, {"1m30s", 90 * time.Second},
		{"1h 30m", 90 * time.Minute}, {"1d", day}, {"1w", 7 * day}, {"1M", 30 * day}, {"1y", 365 * day},
		{"1y1M1w1d1h1m1s1ms", 403*day + time.Hour + time.Minute + time.Second + time.Millisecond}, {"1m30", 90 * time.Second},
		{"", -1}, {" ", -1}, {"s", -1}, {"1x", -1}, {"1s1m", -1}, {"1s1s", -1}, {"30 s", -1}, {"-1s", -1}, {"1.5s", -1}, {"1h  2m", -1}, {"30 30", -1},
		{"1us", -1}, {"99999999999999999999", -1}, {"9223372037s", -1}, {"293y", -1}, {"1S", -1},
	} {
		got, err := ParseTime(c.text)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", c.text, got, err, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64 // -1: a fault
	}{
		{"0", 0}, {"512", 512}, {"16k", 16 << 10}, {"16K", 16 << 10}, {"10m", 10 << 20}, {"1G", 1 << 30}, {"8589934591g", 8589934591 << 30},
		{"", -1}, {"k", -1}, {"1kb", -1}, {"1 k", -1}, {"-1", -1}, {"1.5k", -1}, {"1t", -1}, {"8589934592g", -1}, {"9223372036854775808", -1},
	} {
		got, err := ParseSize(c.text)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", c.text, got, err, c.want)
		}
	}
}

// TestUnitsRoundTrip prints times and sizes and parses them again.
func TestUnitsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<43).Draw(t, "ms")
		d := time.Duration(ms) * time.Millisecond
		if got, err := ParseTime(formatTime(d)); got != d || err != nil {
			t.Fatalf("%v is printed as %q, which is %v, %v", d, formatTime(d), got, err)
		}
		size := rapid.Int64Range(0, 1<<62).Draw(t, "size")
		if got, err := ParseSize(Size(size).String()); got != size || err != nil {
			t.Fatalf("%d is printed as %q, which is %d, %v", size, Size(size), got, err)
		}
	})
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"127.0.0.1:8080", "127.0.0.1:8080"}, {"127.0.0.1", "127.0.0.1:80"}, {"*:81", "0.0.0.0:81"}, {"*", "0.0.0.0:80"}, {"8000", "0.0.0.0:8000"},
		{"[::1]:82", "[::1]:82"}, {"[::]", "[::]:80"}, {"localhost:90", "127.0.0.1:90"}, {"LOCALHOST", "127.0.0.1:80"}, {"unix:/a b", "unix:/a b"},
		{"unix:/a", "unix:/a"}, {"unix:a:b", "unix:a:b"},
		{"[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5"},
		{"", ""}, {"::1", ""}, {"[127.0.0.1]", ""}, {"[::1", ""}, {"::1]", ""}, {"[fe80::1%eth0]:80", ""}, {"127.0.0.1:", ""}, {"127.0.0.1:0", ""},
		{"127.0.0.1:65536", ""}, {"127.0.0.1:+80", ""}, {"127.0.0.1:http", ""}, {"0", ""}, {"99999", ""}, {"1.2.3", ""}, {"1.2.3.4.5:80", ""},
		{"example.com", ""}, {"example.com:80", ""}, {"unix:", ""}, {"127.0.0.1:80 backlog=5", ""}, {"http://127.0.0.1", ""},
	} {
		a, err := parseAddress(c.text)
		got := ""
		if err == nil {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("parseAddress(%q) = %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		text string
		want Path
	}{
		{"/", Path{Prefix, "/"}}, {"/a b", Path{Prefix, "/a b"}}, {"= /", Path{Exact, "/"}}, {"=/", Path{Exact, "/"}}, {"^~ /a", Path{PrefixFinal, "/a"}},
		{"~ \\.php$", Path{Regex, "\\.php$"}}, {"~* \\.png$", Path{RegexFold, "\\.png$"}}, {"~*x", Path{RegexFold, "x"}}, {"@a", Path{Named, "@a"}},
	} {
		if got := parsePath(c.text); got != c.want {
			t.Errorf("parsePath(%q) = %v, want %v", c.text, got, c.want)
		}
		if got := parsePath(c.want.String()); got != c.want {
			t.Errorf("%q is printed as %q, which is %v", c.text, c.want, got)
		}
	}
}

func TestParseProxyPass(t *testing.T) {
	for _, c := range []struct{ text, authority, uri string }{
		{"http://app", "app", ""}, {"http://app/", "app", "/"}, {"HTTP://127.0.0.1:9000/a?b", "127.0.0.1:9000", "/a?b"}, {"http://app?x=1", "app", "/?x=1"},
		{"http://unix:/run/a.sock", "unix:/run/a.sock", ""}, {"http://unix:/run/a.sock:", "unix:/run/a.sock", ""},
		{"http://unix:a.sock:/x", "unix:a.sock", "/x"}, {"http://[::1]:80/", "[::1]:80", "/"},
	} {
		x, err := parseProxyPass(c.text)
		if err != nil || x.Authority != c.authority || x.URI != c.uri || x.HasURI != (c.uri != "") || x.Text != c.text {
			t.Errorf("parseProxyPass(%q) = %+v, %v", c.text, x, err)
		}
	}
}

// TestSoKeepalive checks the forms of so_keepalive and their printing.
func TestSoKeepalive(t *testing.T) {
	for _, c := range []struct {
		toml string
		want SoKeepalive
		text string
	}{
		{"true", SoKeepalive{Switch: On}, "on"}, {"false", SoKeepalive{Switch: Off}, "off"}, {"'on'", SoKeepalive{Switch: On}, "on"},
		{"'30m::10'", SoKeepalive{On, 30 * time.Minute, 0, 10}, "30m::10"}, {"':5s:'", SoKeepalive{On, 0, 5 * time.Second, 0}, ":5s:"},
	} {
		got := mustLoad(t, "[[http.server]]\nlisten = { address = 81, so_keepalive = "+c.toml+" }").HTTP.Servers[0].Listen[0].SoKeepalive
		if got != c.want || got.String() != c.text {
			t.Errorf("%s: got %+v, %q", c.toml, got, got)
		}
	}
	for _, bad := range []string{"1", "'::'", "'a::'", "':b:'", "'::c'", "'::-1'", "'1:2'", "[]"} {
		if _, _, err := Load(Source{Text: []byte("[[http.server]]\nlisten = { address = 81, so_keepalive = " + bad + " }")}); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
