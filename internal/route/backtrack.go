// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// matchTimeout is how long one backtracking match may take. What backtracks can take time exponential in its subject.
const matchTimeout = 100 * time.Millisecond

// backtracker matches what RE2 cannot express: look-around, back-references, atomic groups, possessive quantifiers. Its subjects are bytes, each taken for a
// character, as PCRE does without UTF.
type backtracker struct {
	expression *regexp2.Regexp
	names      []string // by number of the group, as regexp's SubexpNames
}

// newBacktracker compiles an expression of PCRE's syntax.
func newBacktracker(text string, ignoreCase bool) (*backtracker, error) {
	t := translation{text: text, names: []string{""}}
	if err := t.run(); err != nil {
		return nil, err
	}
	options := regexp2.RegexOptions(regexp2.RE2)
	if ignoreCase {
		options |= regexp2.IgnoreCase
	}
	expression, err := regexp2.Compile(latin(t.out.String()), options)
	if err != nil {
		return nil, err
	}
	expression.MatchTimeout = matchTimeout
	return &backtracker{expression, t.names}, nil
}

// latin is text with each byte as a character of its own.
func latin(text string) string { return string(runes([]byte(text))) }

func runes(subject []byte) []rune {
	all := make([]rune, len(subject))
	for i, c := range subject {
		all[i] = rune(c)
	}
	return all
}

// match appends the places of the groups in subject. False, and no error: it does not match.
func (b *backtracker) match(dst []int, subject []byte) ([]int, bool, error) {
	m, err := b.expression.FindRunesMatch(runes(subject))
	if err != nil || m == nil {
		return dst, false, err
	}
	for n := range b.names {
		from, to := -1, -1
		if g := m.GroupByNumber(n); g != nil && len(g.Captures) > 0 {
			from, to = g.Index, g.Index+g.Length
		}
		dst = append(dst, from, to)
	}
	return dst, true, nil
}

// translation rewrites what regexp2 writes otherwise than PCRE. All groups get their numbers, because regexp2 would number those with names last.
type translation struct {
	text  string
	out   strings.Builder
	names []string
	open  []int // where the groups that are open begin in out
	atom  int   // where the last atom begins in out: what a quantifier is about
}

func (t *translation) run() error {
	for i := 0; i < len(t.text); {
		n, err := t.step(t.text[i:])
		if err != nil {
			return err
		}
		i += n
	}
	return nil
}

// step rewrites the piece that rest begins with, and returns its length.
func (t *translation) step(rest string) (int, error) {
	switch rest[0] {
	case '\\':
		return t.escape(rest)
	case '[':
		n := classLength(rest)
		return t.take(rest[:n], rest[:n]), nil
	case '(':
		return t.group(rest)
	case ')':
		if last := len(t.open) - 1; last >= 0 {
			t.atom, t.open = t.open[last], t.open[:last]
		}
		t.out.WriteByte(')')
		return 1, nil
	case '*', '+', '?', '{':
		if n := quantifierLength(rest); n > 0 {
			return t.quantifier(rest, n), nil
		}
	}
	return t.take(rest[:1], rest[:1]), nil
}

// take writes an atom.
func (t *translation) take(from, to string) int {
	t.atom = t.out.Len()
	t.out.WriteString(to)
	return len(from)
}

// escape writes a backslash and what belongs to it.
func (t *translation) escape(rest string) (int, error) {
	if len(rest) < 2 {
		return 0, fmt.Errorf("trailing backslash")
	}
	switch rest[1] {
	case 'h':
		return t.take(rest[:2], `[\t ]`), nil
	case 'g':
		inner, n := strings.TrimPrefix(rest[2:], "{"), 2
		digits := inner[:len(inner)-len(strings.TrimLeft(inner, "0123456789"))]
		if n += len(rest[2:]) - len(inner) + len(digits); n > 2+len(digits) {
			n++ // the closing brace
		}
		if digits == "" || n > len(rest) {
			return 0, fmt.Errorf("%q is not possible", rest[:2])
		}
		return t.take(rest[:n], `\k<`+digits+`>`), nil
	case 'k':
		end := strings.IndexAny(rest, ">}'")
		if len(rest) > 3 && rest[2] == '\'' {
			end = strings.IndexByte(rest[3:], '\'') + 3
		}
		if end < 4 {
			return 0, fmt.Errorf("%q needs the name of a group", rest[:2])
		}
		number, err := t.number(rest[3:end])
		return t.take(rest[:end+1], `\k<`+number+`>`), err
	case 'K', 'R', 'X', 'C', 'N', 'H', 'V':
		return 0, fmt.Errorf("%q is not possible", rest[:2])
	case 'Q':
		end := strings.Index(rest, `\E`)
		if end < 0 {
			end = len(rest)
		}
		for _, c := range []byte(rest[2:end]) {
			t.take("", regexp2.Escape(string(rune(c))))
		}
		return min(end+2, len(rest)), nil
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		digits := rest[1 : len(rest)-len(strings.TrimLeft(rest[1:], "0123456789"))]
		return t.take(rest[:1+len(digits)], `\k<`+digits+`>`), nil
	}
	return t.take(rest[:2], rest[:2]), nil
}

// number is the number of a named group that has been opened.
func (t *translation) number(name string) (string, error) {
	for i, n := range t.names {
		if n == name && n != "" {
			return strconv.Itoa(i), nil
		}
	}
	return "", fmt.Errorf("no group %q", name)
}

// group writes what opens a group.
func (t *translation) group(rest string) (int, error) {
	at := t.out.Len()
	if !strings.HasPrefix(rest, "(?") {
		if strings.HasPrefix(rest, "(*") {
			return 0, fmt.Errorf("%q is not possible", "(*")
		}
		return t.capture(rest[:1], ""), nil
	}
	for _, form := range []struct{ open, end string }{{"(?P<", ">"}, {"(?'", "'"}, {"(?<", ">"}} {
		name, ok := strings.CutPrefix(rest, form.open)
		if !ok || form.open == "(?<" && name != "" && (name[0] == '=' || name[0] == '!') {
			continue
		}
		end := strings.Index(name, form.end)
		if end < 1 {
			return 0, fmt.Errorf("bad name of a group")
		}
		return t.capture(rest[:len(form.open)+end+1], name[:end]), nil
	}
	if name, ok := strings.CutPrefix(rest, "(?P="); ok {
		end := max(strings.IndexByte(name, ')'), 0)
		number, err := t.number(name[:end])
		return t.take(rest[:len("(?P=")+end+1], `\k<`+number+`>`), err
	}
	for _, open := range []string{"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"} {
		if strings.HasPrefix(rest, open) {
			t.open = append(t.open, at)
			t.out.WriteString(open)
			return len(open), nil
		}
	}
	end := strings.IndexAny(rest, ":)")
	switch {
	case strings.HasPrefix(rest, "(?#"):
		if end = strings.IndexByte(rest, ')'); end < 0 {
			return 0, fmt.Errorf("missing )")
		}
		return end + 1, nil
	case end < 0 || strings.Trim(rest[2:end], "imsx-") != "":
		return 0, fmt.Errorf("%q is not possible", rest[:min(3, len(rest))])
	case rest[end] == ':':
		t.open = append(t.open, at)
	}
	t.out.WriteString(rest[:end+1])
	return end + 1, nil
}

// capture writes what opens the next group that captures.
func (t *translation) capture(from, name string) int {
	t.open = append(t.open, t.out.Len())
	t.out.WriteString("(?<" + strconv.Itoa(len(t.names)) + ">")
	t.names = append(t.names, name)
	return len(from)
}

// quantifier writes a quantifier of n bytes. A possessive one makes its atom a group that gives nothing back.
func (t *translation) quantifier(rest string, n int) int {
	t.out.WriteString(rest[:n])
	if len(rest) == n || rest[n] != '+' {
		return n
	}
	all := t.out.String()
	t.out.Reset()
	t.out.WriteString(all[:t.atom] + "(?>" + all[t.atom:] + ")")
	return n + 1
}

// quantifierLength is the length of the quantifier that rest begins with, without what makes it lazy or possessive; 0 for a brace that is none.
func quantifierLength(rest string) int {
	if rest[0] != '{' {
		return 1
	}
	end := strings.IndexByte(rest, '}')
	if end < 2 || strings.Trim(rest[1:end], "0123456789,") != "" || rest[1] == ',' || strings.Count(rest[:end], ",") > 1 {
		return 0
	}
	return end + 1
}

// classLength is the length of the class that rest begins with.
func classLength(rest string) int {
	i := 1
	if i < len(rest) && rest[i] == '^' {
		i++
	}
	if i < len(rest) && rest[i] == ']' { // the first one is a character
		i++
	}
	for i < len(rest) && rest[i] != ']' {
		switch {
		case rest[i] == '\\':
			i++
		case strings.HasPrefix(rest[i:], "[:"):
			if end := strings.Index(rest[i:], ":]"); end > 0 {
				i += end + 1
			}
		}
		i++
	}
	return min(i+1, len(rest))
}
