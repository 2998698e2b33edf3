// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Pattern is a regular expression of a server_name or a location.
type Pattern struct {
	expression *regexp.Regexp
	text       string
	named      []NamedGroup
}

// NamedGroup is a named group of an expression, and the variable of the config that it sets.
type NamedGroup struct {
	Group    int // its number
	Variable int
}

// NewPattern compiles an expression as a config has it, without "~". ignoreCase is "~*".
func NewPattern(text string, ignoreCase bool) (*Pattern, error) {
	flags := syntax.Perl // what regexp.Compile uses
	if _, err := syntax.Parse(text, flags); err != nil {
		return nil, explain(text, err)
	}
	source := text
	if ignoreCase {
		source = "(?i:" + text + ")"
	}
	expression, err := regexp.Compile(source)
	if err != nil {
		return nil, explain(text, err)
	}
	return &Pattern{expression: expression, text: text}, nil
}

// explain says about a valid PCRE that weir is the one that does not know it.
func explain(text string, err error) error {
	var fault *syntax.Error
	if !errors.As(err, &fault) {
		return fmt.Errorf("regular expression %q: %w", text, err)
	}
	switch fault.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape:
		return fmt.Errorf("regular expression %q: %s: %q (the syntax is RE2's: no look-around, no back-references)", text, fault.Code, fault.Expr)
	}
	return fmt.Errorf("regular expression %q: %s: %q", text, fault.Code, fault.Expr)
}

// Match says whether the expression matches anywhere in subject. It does not allocate.
func (p *Pattern) Match(subject []byte) bool { return p.expression.Match(subject) }

// Groups returns the number of groups, without group 0, the whole match.
func (p *Pattern) Groups() int { return p.expression.NumSubexp() }

// GroupNames returns the names of the groups: [n] is that of group n, "" if it has none; [0] is "".
// The slice must not be changed.
func (p *Pattern) GroupNames() []string { return p.expression.SubexpNames() }

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

// AppendCaptures appends the places of the groups in subject, as pairs of indices: group n is
// subject[dst[2n]:dst[2n+1]], or took no part if dst[2n] is -1. If subject does not match, dst
// is returned as it is. It allocates.
func (p *Pattern) AppendCaptures(dst []int, subject []byte) []int {
	return append(dst, p.expression.FindSubmatchIndex(subject)...)
}

// String returns the expression as the config has it.
func (p *Pattern) String() string { return p.text }
