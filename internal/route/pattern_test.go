// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// groupsOf are the texts of the groups, "-" for one that took no part; nil without a match.
func groupsOf(t *testing.T, p *Pattern, subject string) []string {
	t.Helper()
	index, v := p.AppendCaptures(nil, []byte(subject))
	require.Equal(t, p.Match([]byte(subject)), v)
	if v != Matches {
		return nil
	}
	var all []string
	for i := 0; i < len(index); i += 2 {
		if index[i] < 0 {
			all = append(all, "-")
		} else {
			all = append(all, subject[index[i]:index[i+1]])
		}
	}
	return all
}

// TestPatterns compares with what PCRE finds; the answers are those of pcre2test.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		text, subject string
		backtracks    bool
		want          []string
	}{
		{`^/a/(.*)$`, "/a/b/c", false, []string{"/a/b/c", "b/c"}},
		{`^/a/(.*)$`, "/a/b\n", false, []string{"/a/b", "b"}},
		{`\.php$`, "/x.php\n", false, []string{".php"}},
		{`\.php\z`, "/x.php\n", false, nil},
		{`^(?<y>\d+)-(?P<m>\d+)`, "2026-11", false, []string{"2026-11", "2026", "11"}},
		{`a(?=b)`, "ab", true, []string{"a"}},
		{`a(?!b)`, "ab", true, nil},
		{`^/(?!api/)(.+)$`, "/web/x", true, []string{"/web/x", "web/x"}},
		{`^/(?!api/)(.+)$`, "/api/x", true, nil},
		{`^/(?!api/)(.+)$`, "/web/x\n", true, []string{"/web/x", "web/x"}},
		{`(?<=/)x`, "/x", true, []string{"x"}},
		{`(?<!/)x`, "/x", true, nil},
		{`(.)\1`, "abba", true, []string{"bb", "b"}},
		{`(?<q>["'])(.*?)\k<q>`, `say "it's"`, true, []string{`"it's"`, `"`, "it's"}},
		{`(?P<q>a|b)(?P=q)`, "abb", true, []string{"bb", "b"}},
		{`(?'q'a|b)\k'q'`, "abb", true, []string{"bb", "b"}},
		{`(a)\g1`, "aa", true, []string{"aa", "a"}},
		{`(a)\g{1}b`, "aab", true, []string{"aab", "a"}},
		{`(x)(?<n>y)(z)(?=!)`, "xyz!", true, []string{"xyz", "x", "y", "z"}}, // numbered from left to right
		{`a++b`, "aab", true, []string{"aab"}},
		{`a++a`, "aaa", true, nil},
		{`(?:ab)*+a`, "abab", true, nil},
		{`[a-c]?+a`, "a", true, nil},
		{`a{1,2}+a`, "aa", true, nil},
		{`(?>a|ab)c`, "abc", true, nil},
		{`[[:alpha:]]+(?=\d)`, "é ab1", true, []string{"ab"}},
		{`\h+(?=x)`, "a \tx", true, []string{" \t"}},
		{`[\]\\]+(?=x)`, `]\x`, true, []string{`]\`}},
		{`[]a]+(?=x)`, `]ax`, true, []string{`]a`}},
		{`\Qa.b\E(?=c)`, "a.bc", true, []string{"a.b"}},
		{`a(?#why)(?=b)`, "ab", true, []string{"a"}},
		{`(?i)A(?=b)`, "aB", true, []string{"a"}},
		{`a{,2}(?=b)`, "a{,2}b", true, []string{"a{,2}"}},
		{`(a)|(b)(?!c)`, "bd", true, []string{"b", "-", "b"}},
		{`\d(?!\d)`, "٣1", true, []string{"1"}}, // bytes: only ASCII has digits
		{`^.(?=x)`, "\xe9x", true, []string{"\xe9"}},
	} {
		p, err := NewPattern(c.text, false)
		require.NoError(t, err, c.text)
		require.Equal(t, c.backtracks, p.linear == nil, c.text)
		require.Equal(t, c.want, groupsOf(t, p, c.subject), "%s on %q", c.text, c.subject)
	}
	fold, err := NewPattern(`/ADMIN(?!x)`, true)
	require.NoError(t, err)
	require.Equal(t, []string{"/admin"}, groupsOf(t, fold, "/admin"))
}

func TestPatternNames(t *testing.T) {
	p, err := NewPattern(`(x)(?<n>y)(?=!)`, false)
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "n"}, p.GroupNames())
	require.Equal(t, 2, p.Groups())
	p.Bind(func(name string) int { return len(name) + 40 })
	require.Equal(t, []NamedGroup{{2, 41}}, p.Named())
}

func TestPatternsThatNobodyKnows(t *testing.T) {
	for text, want := range map[string]string{
		"(":              `missing closing ): "("`,
		"a**":            `invalid nested repetition operator: "**"`,
		`a\Kb`:           `"\\K" is not possible`,
		`(?R)`:           `"(?R" is not possible`,
		`(?1)`:           `"(?1" is not possible`,
		`(?|a|b)`:        `"(?|" is not possible`,
		`(*VERB)a(?=b)`:  `missing argument to repetition operator: "*"`,
		`(?<n>a)\k<m>`:   `no group "m"`,
		`(?=a)\`:         `trailing backslash`,
		`a(?=b)\g{-1}`:   `"\\g" is not possible`,
		`(?(1)a|b)(?=c)`: `"(?(" is not possible`,
	} {
		_, err := NewPattern(text, false)
		require.ErrorContains(t, err, want, text)
	}
}

// What backtracks has a limit of time.
func TestPatternGivesUp(t *testing.T) {
	p, err := NewPattern(`^(a|a?)+(?=b)$`, false)
	require.NoError(t, err)
	from := time.Now()
	require.Equal(t, GaveUp, p.Match([]byte(strings.Repeat("a", 60))))
	require.Less(t, time.Since(from), 30*time.Second)
	l, err := NewLocations([]Location{{Path: "/"}, {Path: `~ ^/(a|a?)+(?=b)$`}})
	require.NoError(t, err)
	_, outcome := l.Match([]byte("/" + strings.Repeat("a", 60)))
	require.Equal(t, Failed, outcome)
}

// FuzzPattern: no expression and no subject makes compiling or matching panic, and the groups lie in the subject.
func FuzzPattern(f *testing.F) {
	f.Add(`^/(?!a)(?<n>[[:alpha:]]++)\k<n>(.*)$`, "/bb/c")
	f.Add(`(?<q>["'])(.*?)\g{1}\Qx\E`, `"a"x`)
	f.Fuzz(func(t *testing.T, text, subject string) {
		if len(text) > 200 || len(subject) > 50 {
			return
		}
		p, err := NewPattern(text, len(subject)%2 == 0)
		if err != nil {
			return
		}
		index, v := p.AppendCaptures(nil, []byte(subject))
		if v != Matches {
			return
		}
		require.Len(t, index, 2*(p.Groups()+1))
		for i := 0; i < len(index); i += 2 {
			if index[i] >= 0 {
				_ = subject[index[i]:index[i+1]]
			}
		}
	})
}
