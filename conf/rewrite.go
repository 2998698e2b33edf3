// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"weir/internal/vars"
)

// The values of rewrite: rules, and the conditions in them.

// inheritor is a value with tables in it that inherit from the struct around them, in another way than a list of tables does.
type inheritor interface {
	decodeWithin(d *decoder, n *node, p *path, around reflect.Value)
}

// decodeWithin decodes rules: an element with the key "if" is an If, which inherits from the server or location around.
func (r *Rules) decodeWithin(d *decoder, n *node, p *path, around reflect.Value) {
	if !n.list {
		n = &node{file: n.file, line: n.line, list: true, elems: []*node{n}}
	}
	*r = make(Rules, len(n.elems))
	for i, e := range n.elems {
		rule, at := &(*r)[i], p.at(i)
		if e.kids["if"] == nil {
			d.table(e, at, reflect.ValueOf(rule).Elem(), reflect.Value{})
			d.checkRule(e, at, rule)
			continue
		}
		rule.If = new(If)
		d.table(e, at, reflect.ValueOf(rule.If).Elem(), around)
		if around.Type() != reflect.TypeFor[Location]() { // of a server: it has no settings
			rule.If.Settings = Settings{}
		}
	}
}

// checkRule checks which keys of a rule go together, and defines the variables that it sets.
func (d *decoder) checkRule(n *node, p *path, r *Rule) {
	if n.kids == nil {
		return
	}
	kind := ""
	for _, key := range []string{"set", "regex", "break", "return"} {
		switch {
		case n.kids[key] == nil:
		case kind != "":
			d.fault(n.kids[key], p.key(key), "does not go together with %s: each is a rule of its own", kind)
			return
		default:
			kind = key
		}
	}
	if kind == "" {
		d.fault(n, p, "is no rule: one has one of the keys \"set\", \"regex\", \"if\", \"break\" and \"return\"")
		return
	}
	for _, pair := range []struct{ key, of string }{{"value", "set"}, {"replacement", "regex"}, {"flag", "regex"}} {
		switch given := n.kids[pair.key]; {
		case given != nil && kind != pair.of:
			d.fault(given, p.key(pair.key), "goes together with %s only", pair.of)
		case given == nil && kind == pair.of && pair.key != "flag":
			d.lacks(n, p, pair.key)
		}
	}
	switch kind {
	case "break":
		if !r.Break && n.kids["break"].value == false {
			d.fault(n.kids["break"], p.key("break"), "must be true")
		}
	case "set":
		d.defineSet(n.kids["set"], p.key("set"), r.Set)
	case "regex":
		if r.Replacement == "" && n.kids["replacement"] != nil {
			d.fault(n.kids["replacement"], p.key("replacement"), "must not be empty")
		}
		d.regex(n.kids["regex"], p.key("regex"), r.Regex, false)
	}
}

// defineSet defines the variable that a rule sets.
func (d *decoder) defineSet(n *node, p *path, text string) {
	name, ok := strings.CutPrefix(text, "$")
	if !ok {
		d.fault(n, p, "must be a variable such as \"$x\", not %s", quote(text))
		return
	}
	if _, ok := vars.Assignable(name); ok {
		return
	}
	if _, err := d.variables.Define(name); err != nil {
		d.fault(n, p, "%v", err)
	}
}

func (c *Condition) decodeTOML(d *decoder, n *node, p *path) bool {
	text, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be a condition such as \"$request_method = POST\", not %s", n.describe())
		return false
	}
	parsed, err := parseCondition(text)
	if err != nil {
		d.fault(n, p, "%v", err)
		return false
	}
	*c = parsed
	for _, t := range []Template{c.Variable, c.Operand} {
		d.templates = append(d.templates, templateUse{n, p, string(t)})
	}
	if c.Regex != "" {
		return d.regex(n, p, c.Regex, c.Test == TestMatchFold || c.Test == TestNoMatchFold)
	}
	return true
}

// parseCondition splits a condition at its blanks: a variable, or a variable, an operator and the rest, or an operator and the rest.
func parseCondition(text string) (Condition, error) {
	c := Condition{Text: text}
	word, rest, _ := strings.Cut(text, " ")
	if !strings.HasPrefix(word, "$") {
		for t := TestFile; t <= TestNotExecutable; t++ {
			if word == c.Test.names()[t] {
				c.Test, c.Operand = t, Template(strings.TrimLeft(rest, " "))
			}
		}
		switch {
		case c.Test == TestTrue:
			return c, fmt.Errorf("must begin with a variable, or with -f, -d, -e, -x or one of these with \"!\", not %s", quote(text))
		case c.Operand == "":
			return c, fmt.Errorf("%s needs the path of a file", word)
		}
		return c, nil
	}
	c.Variable = Template(word)
	if rest = strings.TrimLeft(rest, " "); rest == "" {
		return c, nil
	}
	operator, operand, _ := strings.Cut(rest, " ")
	for t := TestEqual; t <= TestNoMatchFold; t++ {
		if operator == c.Test.names()[t] {
			c.Test = t
		}
	}
	switch c.Test {
	case TestTrue:
		return c, fmt.Errorf("unexpected %s: a variable is followed by =, !=, ~, ~*, !~ or !~*", quote(operator))
	case TestEqual, TestUnequal:
		c.Operand = Template(operand)
	default:
		if c.Regex = operand; operand == "" {
			return c, fmt.Errorf("%s needs a regular expression", operator)
		}
	}
	return c, nil
}

// Blocks are all that may answer a request of the server: its locations, those in them, and what their ifs and limit_excepts make of them. A block comes before
// those in it.
func (s *Server) Blocks() iter.Seq[*Location] {
	return func(yield func(*Location) bool) {
		for i := range s.Locations {
			if !s.Locations[i].blocks(yield) {
				return
			}
		}
	}
}

// AllLocations are the locations of the server, and those in them, each before those in it.
func (s *Server) AllLocations() iter.Seq[*Location] {
	return func(yield func(*Location) bool) {
		for l := range s.Blocks() {
			if !l.Derived && !yield(l) {
				return
			}
		}
	}
}

func (l *Location) blocks(yield func(*Location) bool) bool {
	if !yield(l) {
		return false
	}
	for i := range l.Rules {
		if c := l.Rules[i].If; c != nil && c.Location != nil && !yield(c.Location) {
			return false
		}
	}
	if e := l.LimitExcept; e != nil && e.Location != nil && !yield(e.Location) {
		return false
	}
	for i := range l.Locations {
		if !l.Locations[i].blocks(yield) {
			return false
		}
	}
	return true
}

// derive makes the locations of the ifs and the limit_except of a location: what it is, with their settings.
func (l *Location) derive() {
	with := func(s *Settings, pass *ProxyPass) *Location {
		inner := *l
		inner.Derived, inner.Settings = true, *s
		inner.Rules, inner.Return, inner.LimitExcept, inner.Locations, inner.TryFiles = nil, nil, nil, nil, nil
		if pass != nil {
			inner.ProxyPass, inner.StubStatus, inner.Metrics, inner.StatusAPI, inner.Dashboard = pass, false, false, false, false
		}
		if inner.ProxyPass != nil {
			own := *inner.ProxyPass
			inner.ProxyPass = &own
		}
		return &inner
	}
	for i := range l.Rules {
		if c := l.Rules[i].If; c != nil {
			c.Location = with(&c.Settings, c.ProxyPass)
		}
	}
	if e := l.LimitExcept; e != nil {
		e.Location = with(&e.Settings, e.ProxyPass)
	}
}
