// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package access

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The checksums were made with openssl, as nginx's documentation shows.
func TestCheckLink(t *testing.T) {
	const expression = "2147483647/s/link127.0.0.1 secret"
	for _, c := range []struct {
		value     string
		ok, valid bool
	}{
		{"_e4Nc3iduzkWRm01TBBNYw,2147483647", true, true},
		{"_e4Nc3iduzkWRm01TBBNYw==,2147483647", true, true},
		{"_e4Nc3iduzkWRm01TBBNYw", true, true},
		{"_e4Nc3iduzkWRm01TBBNYw,99", true, false},
		{"_e4Nc3iduzkWRm01TBBNaw,2147483647", false, true},
		{"_e4Nc3iduzkWRm01TBBNYw,", false, false},
		{"_e4Nc3iduzkWRm01TBBNYw,+5", false, false},
		{"_e4Nc3iduzkWRm01TBBNYw,0", false, false},
		{"", false, true},
		{"_e4Nc3iduzkWRm01TBBNYw_e4Nc3iduzkWRm01TBBNYw", false, false},
	} {
		sum, expires := SplitLink([]byte(c.value))
		ok, valid := CheckLink(sum, expires, []byte(expression), 100)
		require.Equal(t, c.ok, ok, c.value)
		if ok {
			require.Equal(t, c.valid, valid, c.value)
		}
	}
}

func TestOldLink(t *testing.T) {
	link, ok := OldLink([]byte("/p/5e814704a28d9bc1914ff19fa0c4a00a/link"), "secret")
	require.True(t, ok)
	require.Equal(t, "link", string(link))
	for _, target := range []string{"", "/", "/p", "/p/", "/p/5e814704a28d9bc1914ff19fa0c4a00a", "/p/5e814704a28d9bc1914ff19fa0c4a00a/", "/p/5e814704a28d9bc1914ff19fa0c4a00a/lin", "/p/zz814704a28d9bc1914ff19fa0c4a00a/link", "/p/5e81/link"} {
		_, ok := OldLink([]byte(target), "secret")
		require.False(t, ok, target)
	}
}
