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

func locationsOf(t require.TestingT, paths ...string) *Locations {
	var all []Location
	for _, p := range paths {
		path, redirects := strings.CutSuffix(p, " (redirects)")
		all = append(all, Location{Path: path, AutoRedirect: redirects})
	}
	l, err := NewLocations(all)
	require.NoError(t, err)
	return l
}

// The example of nginx's documentation of location, and what it says around it.
func TestLocationsDocumented(t *testing.T) {
	l := locationsOf(t, "= /", "/", "/documents/", "^~ /images/", `~* \.(gif|jpg|jpeg)$`)
	for path, want := range map[string]int{
		"/":                        0,
		"/index.html":              1,
		"/documents/document.html": 2,
		"/images/1.gif":            3,
		"/documents/1.jpg":         4,
		"/documents/1.JPG":         4,
		"/images":                  1,
	} {
		got, outcome := l.Match([]byte(path))
		require.Equal(t, Found, outcome, path)
		require.Equal(t, want, got, path)
	}
}

func TestLocations(t *testing.T) {
	l := locationsOf(t, []string{
		0:  "/app/ (redirects)",
		1:  "/app/static",
		2:  "= /app/static",
		3:  "= /exact/ (redirects)",
		4:  `~ ^/re/(\d+)$`,
		5:  "~ ^/re",
		6:  "@named",
		7:  "/both",
		8:  "/both/ (redirects)",
		9:  "^~ /re/only",
		10: "/a b/ö (redirects)",
		11: "/apple",
		12: "=/tight",
		13: "~/re2",
		14: "/app/static/deep/ (redirects)",
	}...)
	for _, c := range []struct {
		path    string
		want    int
		outcome Outcome
	}{
		{"/app/", 0, Found},
		{"/app/x", 0, Found},
		{"/app", 0, Redirect},
		{"/ap", -1, None},
		{"/appl", -1, None},
		{"/apple", 11, Found},
		{"/app/static", 2, Found},
		{"/app/static/", 1, Found},
		{"/app/statically", 1, Found}, // a prefix of bytes, not of segments
		{"/app/static/deep", 14, Redirect},
		{"/app/static/dee", 1, Found},
		{"/exact", 3, Redirect},
		{"/exact/", 3, Found},
		{"/exact/x", -1, None},
		{"/re/12", 4, Found},
		{"/re/x", 5, Found},
		{"/re/only", 9, Found},
		{"/re/only/12", 9, Found},
		{"/both", 7, Found}, // a location of its own: no redirect
		{"/both/", 8, Found},
		{"/a b/ö", 10, Found},
		{"/tight", 12, Found},
		{"/x/re2", 13, Found},
		{"", -1, None},
		{"/", -1, None},
		{"*", -1, None},
	} {
		got, outcome := l.Match([]byte(c.path))
		require.Equal(t, c.outcome, outcome, c.path)
		require.Equal(t, c.want, got, c.path)
	}
	require.Equal(t, 6, l.Named("@named"))
	require.Equal(t, -1, l.Named("@nobody"))
	require.Nil(t, l.Pattern(0))
	require.Equal(t, `^/re/(\d+)$`, l.Pattern(4).String())
}

func TestPatternCaptures(t *testing.T) {
	p, err := NewPattern(`^/(?<first>[^/]+)(/x)?/(.*)$`, true)
	require.NoError(t, err)
	require.Equal(t, 3, p.Groups())
	require.Equal(t, []string{"", "first", "", ""}, p.GroupNames())
	subject := []byte("/AB/cd")
	require.Equal(t, []int{7, 0, 6, 1, 3, -1, -1, 4, 6}, firstOf(p.AppendCaptures([]int{7}, subject)))
	require.Equal(t, []int{7}, firstOf(p.AppendCaptures([]int{7}, []byte("no"))))
	require.Equal(t, `^/(?<first>[^/]+)(/x)?/(.*)$`, p.String())

	// An alternative at the top stays one under the flag that ignores case.
	p, err = NewPattern(`^/a$|^/b$`, true)
	require.NoError(t, err)
	require.True(t, p.Match([]byte("/B")) == Matches)
	require.Equal(t, NoMatch, p.Match([]byte("/bc")))
}

func firstOf(index []int, _ Verdict) []int { return index }

func TestParseLocation(t *testing.T) {
	for _, c := range []struct {
		text string
		kind Kind
		rest string
	}{
		{"/x", KindPrefix, "/x"},
		{"^~ /x", KindPrefixOnly, "/x"},
		{"= /x", KindExact, "/x"},
		{"=   /x y", KindExact, "/x y"},
		{"~ ^/x$", KindRegex, "^/x$"},
		{"~* ^/x$", KindRegexFold, "^/x$"},
		{"~*x", KindRegexFold, "x"},
		{"@x", KindNamed, "@x"},
	} {
		kind, rest, err := ParseLocation(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.kind, kind, c.text)
		require.Equal(t, c.rest, rest, c.text)
	}
	for text, want := range map[string]string{
		"":         `location "" has no path`,
		"=":        `location "=" has no path`,
		"~ ":       `location "~ " has no path`,
		"@":        `location "@" has no path`,
		"x":        `location "x": a path starts with "/"`,
		"= x":      `location "= x": a path starts with "/"`,
		"^~ x":     `location "^~ x": a path starts with "/"`,
		"/\x00":    `location "/\x00" holds a zero byte`,
		" /x":      `location " /x": a path starts with "/"`,
		"^~/x\x00": `location "^~/x\x00" holds a zero byte`,
	} {
		_, _, err := ParseLocation(text)
		require.EqualError(t, err, want)
	}
}

func TestLocationsRefuses(t *testing.T) {
	_, err := NewLocations([]Location{
		{Path: "/a"}, {Path: "^~ /a"}, {Path: "= /a"}, {Path: "=/a"}, {Path: "@n"}, {Path: "@n"}, {Path: "~ ("}, {Path: "b"}, {Path: "~ x"}, {Path: "~ x"},
	})
	require.EqualError(t, err, strings.Join([]string{
		`two locations "^~ /a"`,
		`two locations "=/a"`,
		`two locations "@n"`,
		`regular expression "(": missing closing ): "("`,
		`location "b": a path starts with "/"`,
	}, "\n"))
}

// naiveLocation is nginx's documentation of location, over all of them.
func naiveLocation(locations []Location, path string) (int, Outcome) {
	best, bestLength, only, redirect := -1, -1, false, -1
	covered := false // a location has exactly this path: no redirect
	for i, location := range locations {
		kind, rest, _ := ParseLocation(location.Path)
		if kind > KindExact {
			continue
		}
		if kind == KindExact && rest == path {
			return i, Found
		}
		covered = covered || rest == path
		if location.AutoRedirect && rest == path+"/" && redirect < 0 {
			redirect = i
		}
		if kind != KindExact && strings.HasPrefix(path, rest) && len(rest) > bestLength {
			best, bestLength, only = i, len(rest), kind == KindPrefixOnly
		}
	}
	if redirect >= 0 && !covered {
		return redirect, Redirect
	}
	if !only {
		for i, location := range locations {
			if kind, rest, _ := ParseLocation(location.Path); kind == KindRegex && regexp.MustCompile(rest).MatchString(path) {
				return i, Found
			}
		}
	}
	if best < 0 {
		return -1, None
	}
	return best, Found
}

func TestLocationsModel(t *testing.T) {
	piece := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		var locations []Location
		for _, p := range rapid.SliceOfNDistinct(piece, 1, 12, rapid.ID).Draw(t, "paths") {
			mark := rapid.SampledFrom([]string{"", "^~ ", "= ", "~ ^", "~ ", "both"}).Draw(t, "mark")
			redirects := rapid.Bool().Draw(t, "redirects")
			if mark == "both" {
				locations = append(locations, Location{Path: "= /" + p, AutoRedirect: redirects})
				mark = ""
			}
			locations = append(locations, Location{Path: mark + "/" + p, AutoRedirect: redirects})
		}
		locations = rapid.Permutation(locations).Draw(t, "order")
		l, err := NewLocations(locations)
		require.NoError(t, err)
		for range 20 {
			path := "/" + piece.Draw(t, "path")
			got, outcome := l.Match([]byte(path))
			want, wantOutcome := naiveLocation(locations, path)
			if got != want || outcome != wantOutcome {
				t.Fatalf("Match(%q) = %d, %d, want %d, %d of %+v", path, got, outcome, want, wantOutcome, locations)
			}
		}
	})
}

// Any set of texts builds or is refused, and what was built agrees with the documentation.
func FuzzLocations(f *testing.F) {
	f.Add("/\n= /\n^~ /a/\n/ab\n~ a$", "/ab")
	f.Add("/\xff\n/\xff\xfe", "/\xff\xfe\xfd")
	f.Fuzz(func(t *testing.T, config, path string) {
		var locations []Location
		for line := range strings.SplitSeq(config, "\n") {
			if kind, _, err := ParseLocation(line); err != nil || kind <= KindExact {
				locations = append(locations, Location{Path: line, AutoRedirect: true})
			}
		}
		l, err := NewLocations(locations)
		if err != nil {
			return
		}
		got, outcome := l.Match([]byte(path))
		want, wantOutcome := naiveLocation(locations, path)
		if got != want || outcome != wantOutcome {
			t.Fatalf("Match(%q) = %d, %d, want %d, %d of %+v", path, got, outcome, want, wantOutcome, locations)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		var paths []string
		for i := range n {
			paths = append(paths, fmt.Sprintf("/api/v%d/resource%05d/", i%7, i))
		}
		l := locationsOf(b, paths...)
		path := []byte(paths[n/2] + "items/17")
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, _ := l.Match(path); got != n/2 {
					b.Fatal(got)
				}
			}
		})
	}
}

func BenchmarkMatchRegex(b *testing.B) {
	l := locationsOf(b, "/", `~ \.php$`, `~* \.(gif|jpg|png)$`)
	path := []byte("/images/logo.png")
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := l.Match(path); got != 2 {
			b.Fatal(got)
		}
	}
}

func benchmarkLookup(b *testing.B, form, hostForm string) {
	for _, n := range []int{10, 10_000} {
		var servers []Server
		for i := range n {
			servers = append(servers, Server{Names: []string{fmt.Sprintf(form, i)}})
		}
		names, err := NewServerNames(servers)
		require.NoError(b, err)
		host := fmt.Appendf(nil, hostForm, n/2)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := names.Lookup(host); got != n/2 {
					b.Fatal(got)
				}
			}
		})
	}
}

func BenchmarkLookupExact(b *testing.B) {
	benchmarkLookup(b, "www.site%05d.example.com", "www.site%05d.example.com")
}
func BenchmarkLookupHead(b *testing.B) {
	benchmarkLookup(b, "*.site%05d.example.com", "www.site%05d.example.com")
}
func BenchmarkLookupTail(b *testing.B) {
	benchmarkLookup(b, "www.site%05d.*", "www.site%05d.example.com")
}
