// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Pattern is a regular expression of a config, in PCRE's syntax. One that RE2 can express is matched by package regexp, in time linear in its subject; the
// others backtrack, with a limit of time.
type Pattern struct {
	linear    *regexp.Regexp
	backtrack *backtracker // where linear is nil
	text      string
	dollar    bool // "$" in it matches before a final line feed too
	named     []NamedGroup
}

// NamedGroup is a named group of an expression, and the variable of the config that it sets.
type NamedGroup struct {
	Group    int // its number
	Variable int
}

// Verdict is what came of a match.
type Verdict uint8

// The verdicts.
const (
	NoMatch Verdict = iota
	Matches
	GaveUp // it took too long; nginx calls that pcre_exec() failed
)

// NewPattern compiles an expression as a config has it, without "~". ignoreCase is "~*".
func NewPattern(text string, ignoreCase bool) (*Pattern, error) {
	source := text
	if ignoreCase {
		source = "(?i:" + text + ")"
	}
	tree, err := syntax.Parse(text, syntax.Perl) // what regexp.Compile uses
	if err == nil {
		p := &Pattern{text: text, dollar: hasDollar(tree)}
		if p.linear, err = regexp.Compile(source); err == nil {
			return p, nil
		}
	}
	b, errBack := newBacktracker(text, ignoreCase)
	if errBack != nil {
		why := errBack.Error()
		if fault, ok := err.(*syntax.Error); ok && fault.Code != syntax.ErrInvalidPerlOp && fault.Code != syntax.ErrInvalidEscape {
			why = fmt.Sprintf("%s: %q", fault.Code, fault.Expr) // which says more than the other library
		}
		return nil, fmt.Errorf("regular expression %q: %s", text, why)
	}
	return &Pattern{text: text, backtrack: b, dollar: strings.Contains(text, "$")}, nil
}

// hasDollar says whether a tree has a "$" that PCRE lets match before a final line feed.
func hasDollar(tree *syntax.Regexp) bool {
	if tree.Op == syntax.OpEndText && tree.Flags&syntax.WasDollar != 0 {
		return true
	}
	for _, sub := range tree.Sub {
		if hasDollar(sub) {
			return true
		}
	}
	return false
}

// Match says whether the expression matches anywhere in subject. One that RE2 can express allocates nothing.
func (p *Pattern) Match(subject []byte) Verdict {
	if p.linear == nil {
		_, v := p.AppendCaptures(nil, subject)
		return v
	}
	if p.linear.Match(subject) || p.final(subject) && p.linear.Match(subject[:len(subject)-1]) {
		return Matches
	}
	return NoMatch
}

// final says whether subject is to be tried without its final line feed.
func (p *Pattern) final(subject []byte) bool {
	return p.dollar && len(subject) > 0 && subject[len(subject)-1] == '\n'
}

// AppendCaptures is Match, and appends the places of the groups in subject, as pairs of indices: group n is
// subject[dst[2n]:dst[2n+1]], or took no part if dst[2n] is -1. If subject does not match, dst
// is returned as it is. It allocates.
func (p *Pattern) AppendCaptures(dst []int, subject []byte) ([]int, Verdict) {
	index, v := p.captures(dst, subject)
	if v == NoMatch && p.final(subject) {
		return p.captures(dst, subject[:len(subject)-1])
	}
	return index, v
}

func (p *Pattern) captures(dst []int, subject []byte) ([]int, Verdict) {
	if p.linear != nil {
		index := p.linear.FindSubmatchIndex(subject)
		if index == nil {
			return dst, NoMatch
		}
		return append(dst, index...), Matches
	}
	index, ok, err := p.backtrack.match(dst, subject)
	switch {
	case err != nil:
		return dst, GaveUp
	case !ok:
		return dst, NoMatch
	}
	return index, Matches
}

// Groups returns the number of groups, without group 0, the whole match.
func (p *Pattern) Groups() int { return len(p.GroupNames()) - 1 }

// GroupNames returns the names of the groups: [n] is that of group n, "" if it has none; [0] is "".
// The slice must not be changed.
func (p *Pattern) GroupNames() []string {
	if p.linear == nil {
		return p.backtrack.names
	}
	return p.linear.SubexpNames()
}

// Bind tells which variable each named group sets, by a function from names to numbers. Call it before the pattern is used.
func (p *Pattern) Bind(number func(name string) int) {
	p.named = nil
	for i, name := range p.GroupNames() {
		if name != "" {
			p.named = append(p.named, NamedGroup{i, number(name)})
		}
	}
}

// Named returns the named groups that Bind has found. The slice must not be changed.
func (p *Pattern) Named() []NamedGroup { return p.named }

// String returns the expression as the config has it.
func (p *Pattern) String() string { return p.text }
