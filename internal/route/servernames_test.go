// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestServerNames(t *testing.T) {
	n, err := NewServerNames([]Server{
		0: {Names: []string{"example.com", "WWW.Example.com"}},
		1: {Names: []string{"*.example.com"}},
		2: {Names: []string{"*.deep.example.com", "mail.*"}},
		3: {Names: []string{"mail.example.*"}},
		4: {Names: []string{".both.org"}},
		5: {Names: []string{`~^www\d+\.(?<site>.+)\.net$`, `~^API\.`}},
		6: {Names: []string{`~^www`}},
		7: {Names: []string{""}},
		8: {Names: []string{"fallback"}, Default: true},
		9: {Names: []string{"*.com"}},
	})
	require.NoError(t, err)
	require.Equal(t, 8, n.Default())
	require.Empty(t, n.Conflicts())
	require.Len(t, n.Patterns(), 3)
	for _, c := range []struct {
		host, pattern string
		want          int
	}{
		{"example.com", "", 0},
		{"www.example.com", "", 0}, // exact before wildcards
		{"a.example.com", "", 1},
		{"a.b.example.com", "", 1},
		{"deep.example.com", "", 1}, // the wildcard does not match its own core
		{"a.deep.example.com", "", 2},
		{"notexample.com", "", 9},
		{"com", "", 8},
		{"mail.example.com", "", 1},   // a wildcard at the start before one at the end
		{"mail.example.org", "", 3},   // the longer one
		{"mail.example.co.uk", "", 3}, // "*" is any number of labels
		{"mail.example", "", 2},       // "mail.*"
		{"mail", "", 8},               // "*" is at least something
		{"both.org", "", 4},           // "." is the name itself
		{"x.both.org", "", 4},         // and what is below
		{"xboth.org", "", 8},          // whole labels
		{"www1.shop.net", `^www\d+\.(?<site>.+)\.net$`, 5},
		{"api.net", `^API\.`, 5}, // a capital means any case
		{"www.net", `^www`, 6},
		{"", "", 7},
		{"nobody.net", "", 8},
		{"[::1]", "", 8},
		{"*.example.com", "", 1},
	} {
		server, pattern := n.LookupPattern([]byte(c.host))
		require.Equal(t, c.want, server, c.host)
		require.Equal(t, c.want, n.Lookup([]byte(c.host)), c.host)
		if c.pattern == "" {
			require.Nil(t, pattern, c.host)
		} else {
			require.Equal(t, c.pattern, pattern.String(), c.host)
		}
	}
}

// A request without a host is nobody's but that of "", not even an expression's.
func TestServerNamesEmptyHost(t *testing.T) {
	n, err := NewServerNames([]Server{{Names: []string{"a"}}, {Names: []string{"~.*"}}})
	require.NoError(t, err)
	require.Equal(t, 0, n.Lookup(nil))
	require.Equal(t, 1, n.Lookup([]byte("b")))
	n, err = NewServerNames([]Server{{Names: []string{"a"}}, {}})
	require.NoError(t, err)
	require.Equal(t, 1, n.Lookup(nil), "a server without names has the name \"\"")
}

func TestServerNamesConflicts(t *testing.T) {
	n, err := NewServerNames([]Server{
		{Names: []string{"a.com", "*.a.com", "b.*"}},
		{Names: []string{"A.COM", ".a.com", "b.*", "c.com", "c.com"}},
	})
	require.NoError(t, err)
	require.Equal(t, []Conflict{
		{Name: "A.COM", Winner: 0, Loser: 1},
		{Name: ".a.com", Winner: 0, Loser: 1},
		{Name: "b.*", Winner: 0, Loser: 1},
		{Name: "c.com", Winner: 1, Loser: 1},
	}, n.Conflicts())
	require.Equal(t, 0, n.Lookup([]byte("a.com")))
	require.Equal(t, 0, n.Lookup([]byte("b.org")))
}

func TestServerNamesRefuses(t *testing.T) {
	_, err := NewServerNames(nil)
	require.EqualError(t, err, "an address needs at least one server")

	for _, name := range []string{
		"*", "*.", ".", ".*", "*.*", "*.a.*", ".a.*", "a*.com", "*a.com", "w*.a.com", "a.*.com", "a..b", "*..a", "..a", "a.b*", "**.a",
	} {
		require.EqualError(t, CheckServerName(name),
			fmt.Sprintf("server name %q is invalid: \"*\" stands only at the start or end, for whole labels", name))
	}
	require.EqualError(t, CheckServerName("~"), `server name "~" has no regular expression`)
	require.EqualError(t, CheckServerName("~(a"), `regular expression "(a": missing closing ): "(a"`)

	_, err = NewServerNames([]Server{{Default: true, Names: []string{"*"}}, {Default: true}})
	require.ErrorContains(t, err, "servers 0 and 1 are both the default")
	require.ErrorContains(t, err, `server name "*" is invalid`)
}

// naiveServer is nginx's documentation of server_name, over all names.
func naiveServer(servers []Server, host string) int {
	best, bestRank, bestLength, fallback := -1, 0, 0, 0
	better := func(server, rank, length int) {
		if rank > bestRank || rank == bestRank && length > bestLength {
			best, bestRank, bestLength = server, rank, length
		}
	}
	for i, server := range servers {
		if server.Default {
			fallback = i
		}
		for _, name := range server.Names {
			core := strings.ToLower(strings.Trim(name, "*"))
			switch {
			case strings.HasPrefix(name, "~"):
				if host != "" && regexp.MustCompile(name[1:]).MatchString(host) {
					better(i, 1, 0) // the first stays
				}
			case strings.HasPrefix(name, "."):
				if host == core[1:] {
					better(i, 4, 0)
				}
				if strings.HasSuffix(host, core) {
					better(i, 3, len(core))
				}
			case strings.HasPrefix(name, "*"):
				if strings.HasSuffix(host, core) {
					better(i, 3, len(core))
				}
			case strings.HasSuffix(name, "*"):
				if strings.HasPrefix(host, core) && len(host) > len(core) {
					better(i, 2, len(core))
				}
			case core == host:
				better(i, 4, 0)
			}
		}
	}
	if best < 0 {
		return fallback
	}
	return best
}

func TestServerNamesModel(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "aa", "ab", "www"})
	core := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
	})
	name := rapid.Custom(func(t *rapid.T) string {
		c := core.Draw(t, "core")
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			return "*." + c
		case 1:
			return c + ".*"
		case 2:
			return "." + c
		case 3:
			return "~^" + regexp.QuoteMeta(c)
		case 4:
			return ""
		case 5:
			return strings.ToUpper(c)
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		servers := make([]Server, rapid.IntRange(1, 8).Draw(t, "servers"))
		byDefault := rapid.IntRange(-1, len(servers)-1).Draw(t, "default")
		for i := range servers {
			servers[i] = Server{Names: rapid.SliceOfN(name, 1, 5).Draw(t, "names"), Default: i == byDefault}
		}
		n, err := NewServerNames(servers)
		require.NoError(t, err)
		for range 20 {
			host := rapid.OneOf(core, rapid.Just("")).Draw(t, "host")
			if got, want := n.Lookup([]byte(host)), naiveServer(servers, host); got != want {
				t.Fatalf("Lookup(%q) = %d, want %d of %+v", host, got, want, servers)
			}
		}
	})
}
