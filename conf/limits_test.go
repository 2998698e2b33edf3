// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"net/netip"
	"slices"
	"testing"
)

// TestLimits checks that a level's limits replace its parent's as nginx documents it, and that every limit finds its zone.
func TestLimits(t *testing.T) {
	c := mustLoad(t, `
[http]
limit_conn = [{ zone = "b", max = 1 }, { zone = "a", max = 2 }]
limit_conn_bypass = "10.0.0.0/8"
limit_conn_zone.a = { key = "$remote_addr", size = "1m" }
limit_conn_zone.b = { key = "$host", size = "1m", on_full = "allow" }
[[http.server]]
listen = [81, { address = 82, limit_conn = { zone = "a", max = 5 }, limit_conn_bypass = ["::1", "10.0.0.0/8"] }]
[[http.server.location]]
path = "/inherits"
limit_conn_status = 429
[[http.server.location]]
path = "/own"
limit_conn = { zone = "a", max = 3 }
limit_conn_log_level = "info"
[[http.server.location]]
path = "/none"
limit_conn = []
limit_conn_bypass = []
`)
	if a, b := c.HTTP.LimitConnZones[0], c.HTTP.LimitConnZones[1]; a != (LimitConnZone{"a", "$remote_addr", 1 << 20, OnFullReject}) ||
		b != (LimitConnZone{"b", "$host", 1 << 20, OnFullAllow}) {
		t.Errorf("zones %+v, %+v", a, b)
	}
	server := &c.HTTP.Servers[0]
	both := []LimitConn{{"b", 1, nil, 1}, {"a", 2, nil, 0}}
	for _, l := range []struct {
		name   string
		got    *Settings
		want   []LimitConn
		status int
		level  Level
		bypass int
	}{
		{"http", &c.HTTP.Settings, both, 503, LevelError, 1},
		{"server", &server.Settings, both, 503, LevelError, 1},
		{"/inherits", &server.Locations[0].Settings, both, 429, LevelError, 1},
		{"/own", &server.Locations[1].Settings, []LimitConn{{"a", 3, nil, 0}}, 503, LevelInfo, 1},
		{"/none", &server.Locations[2].Settings, nil, 503, LevelError, 0},
	} {
		if !slices.Equal(l.got.LimitConns, l.want) || l.got.LimitConnStatus != l.status || l.got.LimitConnLogLevel.Level() != l.level ||
			len(l.got.LimitConnBypass) != l.bypass {
			t.Errorf("%s: got %v, %d, %v, %v", l.name, l.got.LimitConns, l.got.LimitConnStatus, l.got.LimitConnLogLevel, l.got.LimitConnBypass)
		}
	}
	plain, limited := c.Listeners[0], c.Listeners[1]
	if len(plain.LimitConns) != 0 || !slices.Equal(limited.LimitConns, []LimitConn{{"a", 5, nil, 0}}) || len(limited.LimitConnBypass) != 2 {
		t.Errorf("listeners %+v, %+v", plain, limited)
	}
}

// TestLimitLevels checks that the levels for refusals are those of the error log, by number and name.
func TestLimitLevels(t *testing.T) {
	for level, name := range LimitLevel(0).names() {
		if name != "" && LimitLevel(level).Level().String() != name {
			t.Errorf("level %d is %q, and %q in the error log", level, name, Level(level))
		}
	}
}

func TestParseNetwork(t *testing.T) {
	for _, c := range []struct{ text, want, inside, outside string }{
		{"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.8"},
		{"10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
		{"0.0.0.0/0", "0.0.0.0/0", "255.255.255.255", "::"},
		{"::1", "::1", "::1", "::2"},
		{"2001:db8::/32", "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
		{"::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "11.0.0.1"},
		{"", "", "", ""}, {"10", "", "", ""}, {"10.0.0.0/", "", "", ""}, {"10.0.0.0/08", "", "", ""}, {"/8", "", "", ""},
		{"localhost", "", "", ""}, {"fe80::1%lo", "", "", ""}, {"fe80::%lo/64", "", "", ""}, {"[::1]", "", "", ""}, {"unix:", "", "", ""},
	} {
		n, ok := parseNetwork(c.text)
		switch {
		case !ok && c.want != "", ok && n.String() != c.want:
			t.Errorf("parseNetwork(%q) = %q, %v, want %q", c.text, n, ok, c.want)
		case ok && (!n.Contains(netip.MustParseAddr(c.inside)) || n.Contains(netip.MustParseAddr(c.outside))):
			t.Errorf("%s: %s is inside, %s is not", n, c.inside, c.outside)
		}
	}
}
