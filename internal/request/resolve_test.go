// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// heapMemory is a copier without bounds.
type heapMemory struct{}

func (heapMemory) Begin(n int) []byte  { return make([]byte, 0, n) }
func (heapMemory) End(p []byte) []byte { return p }

// How the text of a proxy_pass with variables is split.
func TestTarget(t *testing.T) {
	for text, want := range map[string][5]string{ // why, authority, host, shown, URI
		"http://a.example":         {"", "a.example", "a.example", "a.example", ""},
		"HTTP://A.Example:81/":     {"", "a.example:81", "a.example", "A.Example:81", "/"},
		"http://a/b?c#d":           {"", "a", "a", "a", "/b?c#d"},
		"http://a?c":               {"", "a", "a", "a", "/?c"},
		"http://a/b c\r\nX: y\x7f": {"", "a", "a", "a", "/b%20c%0D%0AX:%20y%7F"},
		"http://[::1]":             {"", "[::1]", "[::1]", "[::1]", ""},
		"http://[::1]:82/x":        {"", "[::1]:82", "[::1]", "[::1]:82", "/x"},
		"http://unix:/Run/a.sock":  {"", "unix:/Run/a.sock", "unix:/Run/a.sock", "localhost", ""},
		"http://unix:/a.sock:/x?y": {"", "unix:/a.sock", "unix:/a.sock", "localhost", "/x?y"},
		"http://":                  {"invalid URL prefix"},
		"http://:80":               {"no host"},
		"http://a:":                {"invalid port"},
		"http://a:0":               {"invalid port"},
		"http://a:65536":           {"invalid port"},
		"http://a b/":              {"invalid host"},
		"http://a\r\nX: y/":        {"invalid host"},
		"https://a":                {"https is not possible"},
		"ftp://a":                  {"invalid URL prefix"},
		"a":                        {"invalid URL prefix"},
		"":                         {"invalid URL prefix"},
	} {
		var x target
		why := x.parse([]byte(text), heapMemory{})
		if why != "" {
			require.Equal(t, want[0], why, "%q", text)
			continue
		}
		require.Equal(t, want, [5]string{"", string(x.authority), string(x.host), string(x.shown), string(x.uri)}, "%q", text)
	}
}

// Nothing that comes of a text can end a line of the request's head.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"http://a.example:80/b?c", "http://[::1]:1/", "http://unix:/a:/b", "http://a\r\n", "http://A/\n", "http://a:99999"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var x target
		if x.parse(text, heapMemory{}) != "" {
			return
		}
		if !bytes.HasPrefix(x.host, []byte("unix:")) {
			require.NotZero(t, x.port)
			require.False(t, bytes.ContainsAny(x.shown, " \r\n\t\x00\x7f"), "%q", x.shown)
			require.True(t, bytes.HasPrefix(x.authority, x.host))
		}
		if x.uri != nil {
			require.Equal(t, byte('/'), x.uri[0])
			require.False(t, bytes.ContainsAny(x.uri, " \r\n\t\x00\x7f"), "%q", x.uri)
		}
	})
}
