// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func entries() []Entry {
	const at = 1704164645
	return []Entry{
		{Name: "big.bin", MtimeSec: at, Size: 20000}, {Name: "sub", Kind: KindDir, MtimeSec: at}, {Name: `a&b<c>".txt`, MtimeSec: at, Size: 1},
		{Name: "fifo", Kind: KindOther, MtimeSec: at}, {Name: "huge", MtimeSec: at, Size: 3 << 30}, {Name: "m.bin", MtimeSec: at, Size: 3_000_000},
		{Name: strings.Repeat("0123456789", 5), MtimeSec: at, Size: 9999}, {Name: strings.Repeat("0123456789", 5) + "x", MtimeSec: at, Size: 10000},
		{Name: "uml-ä.txt", MtimeSec: at, Size: 1},
	}
}

// The lines are nginx 1.22's.
func TestListingHTML(t *testing.T) {
	l := Listing{Path: "/<d>/"}
	require.Equal(t, strings.ReplaceAll(`<html>
<head><title>Index of /&lt;d&gt;/</title></head>
<body>
<h1>Index of /&lt;d&gt;/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                               02-Jan-2024 03:04                   -
<a href="01234567890123456789012345678901234567890123456789">01234567890123456789012345678901234567890123456789</a> 02-Jan-2024 03:04                9999
<a href="01234567890123456789012345678901234567890123456789x">01234567890123456789012345678901234567890123456..&gt;</a> 02-Jan-2024 03:04               10000
<a href="a%26b%3Cc%3E%22.txt">a&amp;b&lt;c&gt;&quot;.txt</a>                                        02-Jan-2024 03:04                   1
<a href="big.bin">big.bin</a>                                            02-Jan-2024 03:04               20000
<a href="fifo">fifo</a>                                               02-Jan-2024 03:04                   0
<a href="huge">huge</a>                                               02-Jan-2024 03:04          3221225472
<a href="m.bin">m.bin</a>                                              02-Jan-2024 03:04             3000000
<a href="uml-%C3%A4.txt">uml-ä.txt</a>                                         02-Jan-2024 03:04                   1
</pre><hr></body>
</html>
`, "\n", "\r\n"), string(l.Append(nil, entries())))
	l.Rounded, l.UTF8, l.Local = true, true, time.FixedZone("x", 3600)
	page := string(l.Append(nil, entries()))
	for _, line := range []string{
		"02-Jan-2024 04:04       -\r\n", "04:04    9999\r\n", "04:04     10K\r\n", "04:04      3G\r\n", "04:04      3M\r\n", "04:04     20K\r\n",
		"uml-ä.txt</a>                                          02-Jan",
	} {
		require.Contains(t, page, line)
	}
}

func TestListingForms(t *testing.T) {
	l := Listing{Format: FormatJSON}
	var list []struct {
		Name, Type, Mtime string
		Size              *int64
	}
	page := l.Append(nil, entries())
	require.NoError(t, json.Unmarshal(page, &list))
	require.Len(t, list, len(entries()))
	require.Equal(t, "directory", list[0].Type)
	require.Nil(t, list[0].Size)
	require.Equal(t, `a&b<c>".txt`, list[3].Name)
	require.Equal(t, "Tue, 02 Jan 2024 03:04:05 GMT", list[3].Mtime)
	require.Equal(t, "[\r\n]", string(l.Append(nil, nil)))

	l = Listing{Format: FormatJSONP, Callback: "f.x"}
	require.Equal(t, "/* callback */\r\nf.x("+string(page)+");", string(l.Append(nil, entries())))
	require.Equal(t, "application/javascript", l.ContentType())
	l.Callback = ""
	require.Equal(t, string(page), string(l.Append(nil, entries())))
	require.Equal(t, "application/json", l.ContentType())

	l = Listing{Format: FormatXML}
	page = l.Append(nil, entries())
	require.Contains(t, string(page), "<file mtime=\"2024-01-02T03:04:05Z\" size=\"20000\">big.bin</file>\r\n")
	d := xml.NewDecoder(strings.NewReader(string(page)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
	}
	require.True(t, IsCallback([]byte("a.b_1")))
	require.False(t, IsCallback([]byte("a(b")))
}
