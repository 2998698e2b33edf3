// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strings"
)

// The directives of nginx's rewrite module, which keep their order, and limit_except.

// unreachable notes a return that another one before it keeps from being reached.
func (c *converter) unreachable(l *level, d *directive) bool {
	if l.table.byKey["return"] == nil {
		return false
	}
	c.without(d, "the return before it answers")
	return true
}

// rule adds one rule to those of the level. A return before it becomes one of them: it answers, but what is behind it may be where a variable is from.
func (c *converter) rule(l *level, d *directive, fields ...field) {
	if answer := l.table.byKey["return"]; answer != nil {
		l.table.drop("return")
		c.add(l, answer.items[0].by, "rewrite", list, item{value: table{{"return", answer.items[0].value}}})
	}
	c.add(l, d, "rewrite", list, item{value: table(fields)})
}

// returns converts return: a code, a code with a text or an address, or an address. Where rules stand before it, it is the last of them.
func (c *converter) returns(l *level, d *directive) {
	code, rest := d.args[0], d.args[1:]
	fields := table{{"code", number(code)}}
	switch {
	case !isDigits(code) && len(rest) == 0:
		if !strings.HasPrefix(code, "http://") && !strings.HasPrefix(code, "https://") && !strings.HasPrefix(code, "$scheme") {
			c.refuse(l, d, "invalid return code \"%s\"", code)
			return
		}
		fields = table{{"code", int64(302)}, {"url", code}}
	case slices.Contains([]string{"301", "302", "303", "307", "308"}, code):
		fields = append(fields, field{"url", strings.Join(rest, "")})
	case len(rest) > 0:
		fields = append(fields, field{"text", rest[0]})
	}
	if l.in&(inServerIf|inLocationIf) != 0 {
		c.rule(l, d, field{"return", fields})
		return
	}
	if !c.unreachable(l, d) {
		c.setKey(l, d, "return", fields)
	}
}

func (c *converter) setVariable(l *level, d *directive) {
	c.rule(l, d, field{"set", d.args[0]}, field{"value", d.args[1]})
}

func (c *converter) breaks(l *level, d *directive) { c.rule(l, d, field{"break", true}) }

func (c *converter) rewrite(l *level, d *directive) {
	fields := table{{"regex", d.args[0]}, {"replacement", d.args[1]}}
	if len(d.args) == 3 {
		fields = append(fields, field{"flag", d.args[2]})
	}
	c.rule(l, d, fields...)
}

// condition is what stands between the parentheses of an if, as weir has it; false when it is not nginx's syntax.
func condition(args []string) (string, bool) {
	args = slices.Clone(args)
	if len(args) == 0 || !strings.HasPrefix(args[0], "(") || !strings.HasSuffix(args[len(args)-1], ")") {
		return "", false
	}
	if args[0] = args[0][1:]; args[0] == "" {
		args = args[1:]
	}
	if last := len(args) - 1; last >= 0 {
		if args[last] = strings.TrimSuffix(args[last], ")"); args[last] == "" {
			args = args[:last]
		}
	}
	switch {
	case len(args) == 1 && strings.HasPrefix(args[0], "$"):
		return args[0], true
	case len(args) == 2 && !strings.HasPrefix(args[0], "$"):
		return args[0] + " " + args[1], true
	case len(args) == 4 && args[3] == "", len(args) == 3:
		return args[0] + " " + args[1] + " " + args[2], true
	}
	return "", false
}

// ifBlock converts if, with the rules in it; in a location with the settings in it.
func (c *converter) ifBlock(l *level, d *directive) {
	test, ok := condition(d.args)
	if !ok {
		c.refuse(l, d, "invalid condition \"%s\"", strings.Join(d.args, " "))
		return
	}
	in := inServerIf
	if l.in == inLocation {
		in = inLocationIf
	}
	c.rule(l, d, append(table{{"if", test}}, c.inner(in, d)...)...)
}

func (c *converter) limitExcept(l *level, d *directive) {
	methods := make([]any, len(d.args))
	for i, m := range d.args {
		if !slices.Contains(methodsOfNginx, strings.ToUpper(m)) {
			c.refuse(l, d, "invalid method \"%s\"", m)
			return
		}
		methods[i] = strings.ToUpper(m)
	}
	c.set(l, d, append(table{{"methods", methods}}, c.inner(inLimitExcept, d)...))
}

// inner converts a block that is a table within a line.
func (c *converter) inner(in context, d *directive) table {
	inner := newBlock("", d)
	c.walk(&level{in: in, table: inner, keys: c.keys[in], by: d}, d.block)
	fields := make(table, len(inner.entries))
	for i, e := range inner.entries {
		fields[i] = field{e.key, e.inline()}
	}
	return fields
}

// inline is an entry's value within a line.
func (e *entry) inline() any {
	if e.shape == scalar {
		return placed{e.items[0].by, e.items[0].value}
	}
	values := make([]any, len(e.items))
	for i, it := range e.items {
		values[i] = placed{it.by, e.element(it)}
	}
	return values
}
