// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func network(text string) Net {
	switch text {
	case "all":
		return Net{All: true}
	case "unix:":
		return Net{Unix: true}
	}
	return Net{Prefix: netip.MustParsePrefix(text)}
}

// addr is an address, or that of a unix socket's client.
func addr(text string) netip.Addr {
	if text == "unix:" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

func TestRules(t *testing.T) {
	rules := Rules{
		{Net: network("192.168.1.1/32"), Deny: true}, {Net: network("192.168.1.0/24")}, {Net: network("2001:db8::/32")}, {Net: network("unix:")},
		{Net: network("10.0.0.0/8"), Deny: true},
	}
	for client, want := range map[string]Verdict{
		"192.168.1.1": Denied, "192.168.1.2": Allowed, "2001:db8::7": Allowed, "unix:": Allowed, "10.1.2.3": Denied, "127.0.0.1": NoRule, "::1": NoRule,
	} {
		require.Equal(t, want, rules.Check(addr(client)), client)
	}
	rules = append(rules, Rule{Net: network("all"), Deny: true})
	for client, want := range map[string]Verdict{"192.168.1.2": Allowed, "127.0.0.1": Denied, "::1": Denied, "unix:": Allowed} {
		require.Equal(t, want, rules.Check(addr(client)), client)
	}
	require.Equal(t, Denied, Rules{{Net: network("all"), Deny: true}}.Check(addr("unix:")))
	require.Equal(t, NoRule, Rules(nil).Check(addr("127.0.0.1")))
}

func TestForwarded(t *testing.T) {
	trusted := Networks{network("10.0.0.0/8"), network("2001:db8::/32"), network("unix:")}
	for _, c := range []struct {
		peer, list string
		recursive  bool
		want       string // "": none
		more       bool
	}{
		{"10.0.0.1:99", "192.0.2.1", false, "192.0.2.1:0", false},
		{"10.0.0.1:99", "192.0.2.1, 192.0.2.2", false, "192.0.2.2:0", false},
		{"10.0.0.1:99", "192.0.2.1, 10.0.0.2", false, "10.0.0.2:0", false},
		{"10.0.0.1:99", "192.0.2.1, 10.0.0.2", true, "192.0.2.1:0", false},
		{"10.0.0.1:99", "198.51.100.1, 192.0.2.1,10.0.0.3 10.0.0.2 , ", true, "192.0.2.1:0", false},
		{"10.0.0.1:99", "10.0.0.3, 10.0.0.2", true, "10.0.0.3:0", true},
		{"10.0.0.1:99", "192.0.2.1:8080", false, "192.0.2.1:8080", false},
		{"10.0.0.1:99", "[2001:db8::7]:443", false, "[2001:db8::7]:443", false},
		{"10.0.0.1:99", "[2001:db8::7]", false, "[2001:db8::7]:0", false},
		{"10.0.0.1:99", "2001:DB8::7", false, "[2001:db8::7]:0", false},
		{"10.0.0.1:99", "::ffff:192.0.2.9", false, "192.0.2.9:0", false},
		{"[2001:db8::1]:99", "192.0.2.1", false, "192.0.2.1:0", false},
		{"10.0.0.1:99", "192.0.2.1, nonsense", false, "", false},
		{"10.0.0.1:99", "nonsense, 10.0.0.9", true, "10.0.0.9:0", false},
		{"10.0.0.1:99", "unix:", true, "", false},
		{"10.0.0.1:99", "fe80::1%eth0", true, "", false},
		{"10.0.0.1:99", "192.0.2.1:99999", true, "", false},
		{"10.0.0.1:99", "192.0.2.1:0", true, "", false},
		{"10.0.0.1:99", "[2001:db8::7]:0", true, "", false},
		{"10.0.0.1:99", "", true, "", true},
		{"10.0.0.1:99", " , ", true, "", true},
		{"172.16.0.1:99", "192.0.2.1", true, "", false},
		{"", "192.0.2.1", false, "192.0.2.1:0", false}, // a unix socket's client
	} {
		var peer netip.AddrPort
		if c.peer != "" {
			peer = netip.MustParseAddrPort(c.peer)
		}
		got, ok, more := trusted.Forwarded(peer, []byte(c.list), c.recursive)
		require.Equal(t, c.want != "", ok, "%+v", c)
		require.Equal(t, c.more, more, "%+v", c)
		if ok {
			require.Equal(t, c.want, got.String(), "%+v", c)
		}
	}
}

func TestBasic(t *testing.T) {
	for value, want := range map[string][2]string{
		"Basic dXNlcjpwYXNz":           {"user", "pass"},
		"basic  dXNlcjpwYXNz":          {"user", "pass"},
		"BASIC dXNlcjpwYTpzcw==":       {"user", "pa:ss"},
		"Basic dXNlcjpwYTpzcw":         {"user", "pa:ss"},
		"Basic dXNlcjo=":               {"user", ""},
		"Basic OnBhc3M=":               {"", "pass"},
		"Basic dXNlcg==":               {},
		"Basic":                        {},
		"Basic ":                       {},
		"Basic !!!!":                   {},
		"Bearer dXNlcjpwYXNz":          {},
		"Basic dXNlcjpwYXNz and so on": {},
	} {
		user, password, ok := Basic(make([]byte, len(value)), []byte(value))
		require.Equal(t, want != [2]string{}, ok, value)
		if ok {
			require.Equal(t, want, [2]string{string(user), string(password)}, value)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	trusted := Networks{network("10.0.0.0/8")}
	rules := Rules{{Net: network("10.0.0.0/8"), Deny: true}, {Net: network("all")}}
	peer := netip.MustParseAddrPort("10.0.0.1:99")
	list, nonsense := []byte("192.0.2.1:80, 10.0.0.3, 10.0.0.2"), []byte("nonsense")
	value, room := []byte("Basic dXNlcjpwYXNz"), make([]byte, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		trusted.Forwarded(peer, list, true)
		trusted.Forwarded(peer, nonsense, true)
		rules.Check(peer.Addr())
		Basic(room, value)
	}))
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"192.0.2.1, 10.0.0.2", "[2001:db8::7]:443", "[", "]", ":", "[]", "1.2.3.4:", "::ffff:1.2.3.4", ", ,"} {
		f.Add(seed)
	}
	trusted := Networks{network("10.0.0.0/8")}
	peer := netip.MustParseAddrPort("10.0.0.1:99")
	f.Fuzz(func(t *testing.T, list string) {
		one, ok, _ := trusted.Forwarded(peer, []byte(list), false)
		all, okAll, _ := trusted.Forwarded(peer, []byte(list), true)
		require.Equal(t, ok, okAll)
		if ok && !trusted.Has(one.Addr()) {
			require.Equal(t, one, all, "what is not trusted is not asked")
		}
	})
}
