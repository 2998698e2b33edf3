// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferers(t *testing.T) {
	r, err := NewReferers(strings.Fields(`none blocked server_names *.example.com example.* www.example.org/galleries/ .both.net ~\.google\./x`), []string{"own.test", "", "~^re\\d+$"})
	require.NoError(t, err)
	for value, want := range map[string]bool{
		"http://own.test/": true, "https://OWN.test:8080/x": true, "http://re12/abc": true, "http://a.example.com": true, "http://example.com/": true,
		"http://example.net/": true, "http://www.example.org/galleries/1": true, "http://www.example.org/": false, "http://www.example.org": false,
		"http://both.net/": true, "http://a.both.net/": true, "http://www.Google.de/x": false, "http://www.google./xy": true, "http://other.test/": false,
		"ftp://own.test/": true, "": true, "short": true, "HTTP://own.test": true, "http://" + strings.Repeat("a", 300) + ".com/": false,
	} {
		require.Equal(t, want, r.Valid([]byte(value), true), value)
	}
	require.True(t, r.Valid(nil, false))
	strict, err := NewReferers([]string{"own.test"}, nil)
	require.NoError(t, err)
	require.False(t, strict.Valid(nil, false))
	require.False(t, strict.Valid([]byte("gone"), true))
	require.True(t, strict.Valid([]byte("http://own.test"), true))
	nameless, err := NewReferers([]string{"server_names"}, []string{""})
	require.NoError(t, err)
	require.True(t, nameless.Valid([]byte("http://other.test"), true), "no host is named")
	for _, word := range []string{"", "~", "~(", "*", "/x", "a*b"} {
		_, err := NewReferers([]string{word}, nil)
		require.Error(t, err, word)
	}
}
