// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package worker

import (
	"fmt"
	"slices"
	"strings"

	"weir/conf"
	"weir/internal/request"
	"weir/internal/route"
	"weir/internal/vars"
)

// rules are the rewrite rules of a server or location, the answer that it gives without a condition behind them; nil: it has none.
func (b *builder) rules(list conf.Rules, ret *conf.Return, log bool, server *conf.Server) (*request.Rules, error) {
	if ret != nil {
		list = append(slices.Clip(list), conf.Rule{Return: ret})
	}
	if len(list) == 0 {
		return nil, nil
	}
	r := &request.Rules{Log: log}
	if err := b.addRules(r, list, server); err != nil {
		return nil, err
	}
	for i := range r.List {
		if c := r.List[i].If; c != nil && c.Location != nil {
			c.Location.Rules = r // those behind the if go on
		}
	}
	return r, nil
}

func (b *builder) addRules(r *request.Rules, list conf.Rules, server *conf.Server) error {
	for i := range list {
		var err error
		switch c := &list[i]; {
		case c.If != nil:
			err = b.addIf(r, c.If, server)
		case c.Set != "":
			err = b.addSet(r, c)
		case c.Regex != "":
			err = b.addRewrite(r, c)
		case c.Return != nil:
			var ret *request.Return
			ret, err = b.newReturn(c.Return)
			r.List = append(r.List, request.Rule{Return: ret})
		default:
			r.List = append(r.List, request.Rule{Break: true})
		}
		if err != nil {
			return fmt.Errorf("rewrite[%d]: %w", i, err)
		}
	}
	return nil
}

func (b *builder) addSet(r *request.Rules, c *conf.Rule) error {
	name := strings.TrimPrefix(c.Set, "$")
	id, ok := vars.Assignable(name)
	if !ok {
		number := b.number(name)
		b.defined[number].Assigned = true
		id = vars.ID(vars.NumIDs + number)
	}
	t, err := b.compile(string(*c.Value))
	r.List = append(r.List, request.Rule{Set: &request.Set{Variable: id, Value: t}})
	return err
}

// pattern compiles a regular expression whose named groups are variables.
func (b *builder) pattern(text string, fold bool) (*route.Pattern, error) {
	p, err := route.NewPattern(text, fold)
	if err == nil {
		p.Bind(b.number)
	}
	return p, err
}

func (b *builder) addRewrite(r *request.Rules, c *conf.Rule) error {
	w := &request.Rewrite{AddArgs: true, Last: c.Flag != conf.FlagNone, Break: c.Flag == conf.FlagBreak}
	var err error
	if w.Pattern, err = b.pattern(c.Regex, false); err != nil {
		return err
	}
	text := string(c.Replacement)
	if short, ok := strings.CutSuffix(text, "?"); ok {
		text, w.AddArgs = short, false
	}
	switch {
	case c.Flag == conf.FlagPermanent:
		w.Code = 301
	case c.Flag == conf.FlagRedirect, strings.HasPrefix(text, "http://"), strings.HasPrefix(text, "https://"), strings.HasPrefix(text, "$scheme"):
		w.Code = 302
	}
	path, args, hasArgs := strings.Cut(text, "?")
	if w.Code != 0 {
		path, w.HasArgs = text, hasArgs
	} else if hasArgs {
		if w.Args, err = b.compile(args); err != nil {
			return err
		}
	}
	w.Path, err = b.compile(path)
	r.List = append(r.List, request.Rule{Rewrite: w})
	return err
}

// tests are the tests of conditions, as requests know them.
var tests = map[conf.Test]request.If{
	conf.TestTrue:          {Test: request.TestTrue},
	conf.TestEqual:         {Test: request.TestEqual},
	conf.TestUnequal:       {Test: request.TestEqual, Negate: true},
	conf.TestMatch:         {Test: request.TestMatch},
	conf.TestMatchFold:     {Test: request.TestMatch},
	conf.TestNoMatch:       {Test: request.TestMatch, Negate: true},
	conf.TestNoMatchFold:   {Test: request.TestMatch, Negate: true},
	conf.TestFile:          {Test: request.TestFile},
	conf.TestNoFile:        {Test: request.TestFile, Negate: true},
	conf.TestDirectory:     {Test: request.TestDirectory},
	conf.TestNoDirectory:   {Test: request.TestDirectory, Negate: true},
	conf.TestExists:        {Test: request.TestExists},
	conf.TestNotExists:     {Test: request.TestExists, Negate: true},
	conf.TestExecutable:    {Test: request.TestExecutable},
	conf.TestNotExecutable: {Test: request.TestExecutable, Negate: true},
} // read-only

func (b *builder) addIf(r *request.Rules, c *conf.If, server *conf.Server) error {
	test := tests[c.Test.Test]
	var err error
	if test.Variable, err = b.compile(string(c.Test.Variable)); err != nil {
		return err
	}
	if test.Operand, err = b.compile(string(c.Test.Operand)); err != nil {
		return err
	}
	if c.Test.Regex != "" {
		fold := c.Test.Test == conf.TestMatchFold || c.Test.Test == conf.TestNoMatchFold
		if test.Pattern, err = b.pattern(c.Test.Regex, fold); err != nil {
			return err
		}
	}
	if c.Location != nil {
		if test.Location, err = b.fullLocation(c.Location, server); err != nil {
			return err
		}
	}
	r.List = append(r.List, request.Rule{If: &test})
	from := len(r.List)
	err = b.addRules(r, c.Rules, server)
	test.Skip = len(r.List) - from
	return err
}

// limitExcept is where requests with other methods than some go; nil: nowhere else.
func (b *builder) limitExcept(c *conf.LimitExcept, server *conf.Server) (*request.LimitExcept, error) {
	if c == nil {
		return nil, nil
	}
	e := &request.LimitExcept{Methods: c.Methods}
	if slices.Contains(e.Methods, "GET") {
		e.Methods = append(slices.Clip(e.Methods), "HEAD")
	}
	var err error
	e.Location, err = b.fullLocation(c.Location, server)
	return e, err
}

// redirects sets how requests are sent elsewhere.
func redirects(l *request.Location, c *conf.RewriteSettings) {
	l.WarnUninitialized, l.RecursivePages = c.UninitializedVariableWarn, c.RecursiveErrorPages
	l.RelativeRedirect, l.NoPortInRedirect, l.ServerNameInRedirect = !c.AbsoluteRedirect, !c.PortInRedirect, c.ServerNameInRedirect
}

// outer tells locations which expressions with named groups stand around them. list begins with the locations of level, each before those in it; the rest
// is returned.
func outer(list []*request.Location, level []conf.Location, around []*route.Pattern) []*request.Location {
	for i := range level {
		l := list[0]
		l.Outer = around
		inner := around
		if l.Pattern != nil && len(l.Pattern.Named()) > 0 {
			inner = append(slices.Clip(around), l.Pattern)
		}
		list = outer(list[1:], level[i].Locations, inner)
	}
	return list
}

// paths are locations as package route needs to know them.
func paths(list []conf.Location) []route.Location {
	all := make([]route.Location, len(list))
	for i := range list {
		l := &list[i]
		all[i] = route.Location{Path: pathText(l.Path), AutoRedirect: l.ProxyPass != nil, Inner: paths(l.Locations)}
	}
	return all
}
