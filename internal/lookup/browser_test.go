// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Fields as browsers send them.
const (
	msie6     = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"
	firefox   = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	opera     = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; en) Opera 8.50"
	konqueror = "Mozilla/5.0 (compatible; Konqueror/3.1; Linux)"
	netscape  = "Mozilla/4.75 [en] (X11)"
)

func TestBrowsers(t *testing.T) {
	b, err := NewBrowsers([]string{"msie 5.5", "gecko 1.0.0", "opera 9.0", "konqueror 3.2", "unlisted"}, []string{"Links", "Lynx", "netscape4"})
	require.NoError(t, err)
	for agent, want := range map[string]bool{
		msie6: true, firefox: true, opera: false, konqueror: false, netscape: false, "Links (2.8)": false, "curl/8.1": true, "": true,
		"Mozilla/4.0 (compatible; MSIE 5.01; Windows)": false, "Mozilla/4.0 (compatible; MSIE 5.5; Windows)": true,
		"Opera/9": true, "Opera/10.00 (X11)": true, "Mozilla/5.0 (compatible; Konqueror/3.2": true,
	} {
		require.Equal(t, want, b.Modern([]byte(agent)), agent)
	}
	require.True(t, b.Modern(nil))
	none, err := NewBrowsers(nil, nil)
	require.NoError(t, err)
	require.False(t, none.Modern([]byte(firefox)))
	require.False(t, none.Modern(nil))
	for _, text := range []string{"mosaic 1", "msie", "msie x", "msie 4001", "msie 1.100", "msie 1.1.1.1.1", "msie -1"} {
		_, err := NewBrowsers([]string{text}, nil)
		require.Error(t, err, text)
	}
	_, err = NewBrowsers(nil, []string{""})
	require.Error(t, err)
	require.True(t, IsMSIE([]byte(msie6)))
	require.False(t, IsMSIE([]byte(opera)))
	require.False(t, IsMSIE([]byte(firefox)))
}

func TestBrowsersThatKeepNoConnection(t *testing.T) {
	const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_7) AppleWebKit/534.48 (KHTML, like Gecko) "
	for agent, want := range map[string][2]bool{
		msie6: {true, false}, opera: {}, firefox: {}, "": {}, "MSIE 5.0": {true, false}, "MSIE 4.01": {true, false}, "MSIE 6.0; SV1": {}, "MSIE 7.0": {}, "MSIE 10.0": {}, "MSIE 6.": {},
		mac + "Version/5.1 Safari/534.48": {false, true}, mac + "Chrome/24 Safari/537.4": {}, "Mac OS X Gecko/2 Safari/1": {}, "Windows Safari/1": {},
	} {
		require.Equal(t, want, [2]bool{IsMSIE6([]byte(agent)), IsMacSafari([]byte(agent))}, agent)
	}
}
