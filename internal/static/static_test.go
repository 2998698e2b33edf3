// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package static

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDates(t *testing.T) {
	for _, sec := range []int64{0, 1704164645, 784111777, 951782400, 4107542399, 1709251199, 23349600, -1} {
		want := time.Unix(sec, 0).UTC()
		text := AppendDate(nil, sec)
		require.Equal(t, want.Format("Mon, 02 Jan 2006 15:04:05 GMT"), string(text))
		if sec < 0 {
			continue
		}
		for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", "Mon Jan _2 15:04:05 2006"} {
			if want.Year() < 1970 || want.Year() >= 2070 {
				continue
			}
			got, ok := ParseDate([]byte(want.Format(layout)))
			require.True(t, ok, want.Format(layout))
			require.Equal(t, sec, got, want.Format(layout))
		}
	}
	for _, bad := range []string{"", "x", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT"} {
		_, ok := ParseDate([]byte(bad))
		require.False(t, ok, bad)
	}
}

func FuzzDate(f *testing.F) {
	f.Add(int64(784111777))
	f.Fuzz(func(t *testing.T, sec int64) {
		sec %= 1 << 33
		want := time.Unix(sec, 0).UTC()
		text := AppendDate(nil, sec)
		if want.Year() < 0 || want.Year() > 9999 {
			return
		}
		require.Equal(t, want.Format("Mon, 02 Jan 2006 15:04:05 GMT"), string(text))
		got, ok := ParseDate(text)
		require.True(t, ok)
		require.Equal(t, sec, got)
	})
}

func field(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

// A file of 2024-01-02 03:04:05 with the tag "65937d25-c": what nginx 1.22 answers, but where RFC 9110 section 13.2.2 has another order.
func TestConditions(t *testing.T) {
	const mtime, etag = 1704164645, `"65937d25-c"`
	same, later, earlier := "Tue, 02 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2025 03:04:05 GMT", "Thu, 02 Jan 2020 03:04:05 GMT"
	for _, c := range []struct {
		match, noneMatch, modified, unmodified string
		since                                  Since
		want                                   int
	}{
		{"-", "-", "-", "-", SinceExact, 200},
		{"*", "-", "-", "-", SinceExact, 200},
		{etag, "-", "-", "-", SinceExact, 200},
		{`"a" , ` + etag + " ,", "-", "-", "-", SinceExact, 200},
		{`"a"`, "-", "-", "-", SinceExact, 412},
		{"W/" + etag, "-", "-", "-", SinceExact, 412},
		{etag + "x", "-", "-", "-", SinceExact, 412},
		{"-", "*", "-", "-", SinceExact, 304},
		{"-", etag, "-", "-", SinceExact, 304},
		{"-", "W/" + etag, "-", "-", SinceExact, 304},
		{"-", `"a", W/` + etag, "-", "-", SinceExact, 304},
		{"-", `"a"`, "-", "-", SinceExact, 200},
		{"-", "-", same, "-", SinceExact, 304},
		{"-", "-", later, "-", SinceExact, 200},
		{"-", "-", later, "-", SinceBefore, 304},
		{"-", "-", earlier, "-", SinceBefore, 200},
		{"-", "-", same, "-", SinceOff, 200},
		{"-", "-", "nonsense", "-", SinceBefore, 200},
		{"-", etag, earlier, "-", SinceExact, 304},
		{"-", `"a"`, same, "-", SinceBefore, 200},
		{"-", etag, same, "-", SinceOff, 304},
		{etag, "-", "-", earlier, SinceExact, 200},
		{etag, etag, earlier, earlier, SinceExact, 304},
		{"-", etag, "-", earlier, SinceExact, 412},
		{"-", `"a"`, same, "-", SinceExact, 200},
		{"-", etag, same, "-", SinceExact, 304},
		{"-", "-", "-", same, SinceExact, 200},
		{"-", "-", "-", later, SinceExact, 200},
		{"-", "-", "-", earlier, SinceExact, 412},
		{"-", "-", "-", "nonsense", SinceExact, 200},
		{`"a"`, etag, same, "-", SinceExact, 412},
	} {
		fields := Conditions{field(c.match), field(c.noneMatch), field(c.modified), field(c.unmodified)}
		require.Equal(t, c.want, fields.Check([]byte(etag), mtime, c.since), "%+v", c)
	}
	require.True(t, IfRange(nil, []byte(etag), mtime))
	for text, want := range map[string]bool{etag: true, "W/" + etag: false, `"a"`: false, same: true, later: false, earlier: false, "x": false, "": false} {
		require.Equal(t, want, IfRange([]byte(text), []byte(etag), mtime), text)
	}
	require.False(t, IfRange([]byte(`W/"x"`), []byte(`W/"x`), mtime))
}

// What nginx 1.22 does for a file of 12 bytes, but for empty elements and large numbers.
func TestRanges(t *testing.T) {
	for text, want := range map[string]string{
		"0-3": "0-3", "0-0": "0-0", "-3": "9-11", "3-": "3-11", "0-100": "0-11", "50-60": "416", "5-2": "416", "0-1,3-4": "0-1 3-4", "-1,-2": "11-11 10-11",
		"0-1,50-60": "0-1", "50-60,70-": "416", "0-11,0-1": "200", "0-5,6-11": "0-5 6-11", ",": "416", "0-1,,2-3": "0-1 2-3", ",\t,0-1": "0-1", "a-b": "416",
		"0-99999999999999999999": "0-11", "99999999999999999999-": "416", "99999999999999999999-99999999999999999999": "416", "-99999999999999999999": "0-11",
		"0-1,99999999999999999999-": "0-1", "-0": "416", "0-1, 4-5": "0-1 4-5", " 0 - 1 ": "0-1", "0-": "0-11", "-100": "0-11", "-": "416", "1": "416", "1-2x": "416",
		"0-1,": "0-1", "11-": "11-11", "12-": "416",
	} {
		r, o := ParseRange([]byte("bytes="+text), 12, 100)
		got := ""
		switch o {
		case Whole:
			got = "200"
		case Unsatisfiable:
			got = "416"
		default:
			n, sum := 0, int64(0)
			for at := 0; ; n++ {
				one, next, ok := r.Next(at)
				if !ok {
					break
				}
				if n == 0 {
					require.Equal(t, r.First, one)
				}
				got += fmt.Sprintf(" %d-%d", one.Start, one.End-1)
				sum += one.Len()
				at = next
			}
			require.Equal(t, r.Count, n)
			require.Equal(t, r.Bytes, sum)
			got = got[1:]
		}
		require.Equal(t, want, got, text)
	}
	for text, most := range map[string]int{"items=0-1": 9, "bytes": 9, "bytes=": 9, "bytes=0-1": 0, "bytes=0-1,2-3": 1, "": 9} {
		_, o := ParseRange([]byte(text), 12, most)
		require.Equal(t, Whole, o, text)
	}
	_, o := ParseRange([]byte("BYTES=0-1"), 12, 9)
	require.Equal(t, Partial, o)
	_, o = ParseRange([]byte("bytes=0-"), 0, 9)
	require.Equal(t, Whole, o)
}

func FuzzRanges(f *testing.F) {
	f.Add("0-1,3-4", int64(12), 9)
	f.Add("-5, 7-, 9-9", int64(10), 3)
	f.Add("0-9223372036854775807,1-", int64(1)<<62, 100)
	f.Fuzz(func(t *testing.T, text string, size int64, most int) {
		if size < 0 || most < 0 {
			return
		}
		r, o := ParseRange([]byte("bytes="+text), size, most)
		if o != Partial {
			return
		}
		require.Positive(t, r.Count)
		require.LessOrEqual(t, r.Count, most)
		parts := Parts{Boundary: 7, ContentType: "text/plain"}
		body, n, bytes := int64(0), 0, int64(0)
		for at := 0; ; n++ {
			one, next, ok := r.Next(at)
			if !ok {
				break
			}
			require.Greater(t, next, at)
			require.True(t, 0 <= one.Start && one.Start < one.End && one.End <= size, "%+v of %d", one, size)
			body += int64(len(parts.AppendHead(nil, one, size))) + one.Len()
			bytes += one.Len()
			at = next
		}
		require.Equal(t, r.Count, n)
		require.Equal(t, r.Bytes, bytes)
		require.LessOrEqual(t, bytes, size)
		require.Equal(t, body+int64(len(parts.AppendEnd(nil))), parts.Length(&r))
	})
}

func TestInside(t *testing.T) {
	for path, want := range map[string]bool{
		"": true, "/": true, "/a/b": true, "..": false, "/..": false, "/../x": false, "a/../x": false, "/a/..": false, "/..a": true, "/a..": true, "/...": true,
		"/a..b/c": true, "../x": false, "/a\x00b": false, "/....": true, "/.../..": false, "/./x": true,
	} {
		require.Equal(t, want, Inside([]byte(path)), "%q", path)
	}
}

// FuzzInside: what is inside stays below a folder when the kernel, or filepath.Join, follows it.
func FuzzInside(f *testing.F) {
	f.Add("/a/../b")
	f.Add("a/.../..b/..")
	f.Fuzz(func(t *testing.T, path string) {
		if !Inside([]byte(path)) {
			return
		}
		require.NotContains(t, path, "\x00")
		depth := 0
		for _, segment := range strings.Split(path, "/") {
			switch segment {
			case "..":
				depth--
			case "", ".":
			default:
				depth++
			}
			require.GreaterOrEqual(t, depth, 0)
		}
		clean := filepath.Clean("/r/" + path)
		require.True(t, clean == "/r" || strings.HasPrefix(clean, "/r/"), "%q leads to %q", path, clean)
	})
}

func TestTypes(t *testing.T) {
	table := NewTypes(map[string]string{"html": "text/html", "gz": "application/gzip"}, "application/octet-stream")
	for path, want := range map[string]string{
		"/x.html": "text/html", "/x.HTML": "text/html", "/x.tar.gz": "application/gzip", "/x": "application/octet-stream", "/.html": "application/octet-stream",
		"/a.html/x": "application/octet-stream", "/x.": "application/octet-stream", "/": "application/octet-stream", "/a.html/.gz": "application/octet-stream",
		"/x." + strings.Repeat("h", 100): "application/octet-stream",
	} {
		require.Equal(t, want, table.Of([]byte(path)), path)
	}
	set := NewTypeSet([]string{"text/html", "text/css"})
	for text, want := range map[string]bool{"text/html": true, "Text/HTML; charset=x": true, "text/html;x": true, "text/plain": false, "": false, "text/htm": false} {
		require.Equal(t, want, set.Has([]byte(text)), text)
	}
	require.True(t, NewTypeSet([]string{"*"}).Has([]byte("x/y")))
}

func TestExpires(t *testing.T) {
	const now, mtime = 1704164645, 1704161045 // 03:04:05, and an hour before
	date := func(sec int64) string { return string(AppendDate(nil, sec)) }
	for text, want := range map[string]string{
		"off":          "",
		"epoch":        "Thu, 01 Jan 1970 00:00:01 GMT no-cache",
		"max":          "Thu, 31 Dec 2037 23:55:55 GMT max-age=315360000",
		"1h":           date(now+3600) + " max-age=3600",
		"1d 2h":        date(now+26*3600) + " max-age=93600",
		"90":           date(now+90) + " max-age=90",
		"0":            date(now) + " max-age=0",
		"-1":           date(now-1) + " no-cache",
		"modified 2h":  date(mtime+7200) + " max-age=3600",
		"modified +1m": date(mtime+60) + " no-cache",
		"@3h4m6s":      date(now+1) + " max-age=1",
		"@3h4m5s":      date(now+86400) + " max-age=86400",
	} {
		e, err := ParseExpires(text)
		require.NoError(t, err, text)
		got := strings.NewReplacer("Expires: ", "", "\r\nCache-Control: ", " ", "\r\n", "").Replace(string(e.Append(nil, now, mtime, time.UTC)))
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "x", "1x", "modified", "@", "@25h", "@-1", "1h 1d", "1 1", "99999999999", "--1", "5ms"} {
		_, err := ParseExpires(bad)
		require.Error(t, err, bad)
	}
	e, err := ParseExpires("modified 2h")
	require.NoError(t, err)
	require.Contains(t, string(e.Append(nil, now, -1, time.UTC)), "max-age=7200", "without a time of last change it counts from now")
}

func TestAcceptsGzip(t *testing.T) {
	for text, want := range map[string]bool{
		"gzip": true, "gzip, deflate, br": true, "deflate, gzip": true, "deflate,gzip;q=0.5": true, "GZIP": true, "gzip;q=1": true, "gzip;q=0": false, "gzip;q=0.0": false,
		"gzip;q=0.000": false, "gzip;q=0.001": true, "gzip;q=1.000": true, "gzip;q=1.001": false, "gzip;q=0.0001": false, "gzip;q=x": false, "gzip ;q=1": true, "gzip; q=0": false,
		"xgzip": false, "x-gzip": false, "gzipx": false, "": false, "*": false, "identity": false, "gzip;": true, "gzip;x=1": false, "xgzip, gzip": true, "gzip;q=0, deflate": false,
	} {
		require.Equal(t, want, AcceptsGzip([]byte(text)), text)
	}
}
