// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/logfile"
	"weir/internal/route"
)

// Defined is a variable that the config defines itself. Its number is its place in Options.Defined, its vars.ID vars.NumIDs more.
type Defined struct {
	Name string
	// Assigned says that a rule sets it. Before that it is empty, and asking for it is logged; of others there is no value then.
	Assigned bool
	// Lookup is how it gets its value, where that is not by a rule or an expression; nil: it is.
	Lookup *Lookup
}

// value is what such a variable holds in one request. The zero value: nothing yet.
type value struct {
	text []byte // in the request's arena, or of the config
	set  bool
	busy bool // it is being worked out
}

// captures are the groups of the regular expression that matched last: $1 and the others.
type captures struct {
	subject []byte // a copy in the request's arena: what was matched may move
	index   []int  // pairs, as regexp has them; empty: no expression with groups
}

// matched matches subject, and notes the groups where it matches: those that are variables keep their text until another match. Without memory for
// them it is as if the match had taken too long.
func (r *Request) matched(p *route.Pattern, subject []byte) route.Verdict {
	c := &r.captures
	if p.Groups() == 0 {
		v := p.Match(subject)
		if v == route.Matches {
			c.index = c.index[:0]
		}
		return v
	}
	index, v := p.AppendCaptures(r.engine.groups[:0], subject)
	r.engine.groups = index
	if v != route.Matches {
		return v
	}
	c.index = append(c.index[:0], index...)
	if c.subject = r.arena.Copy(subject); c.subject == nil {
		r.logShortage()
		c.index = c.index[:0]
		return route.GaveUp
	}
	for _, g := range p.Named() {
		text, _ := c.group(g.Group)
		r.setValue(g.Variable, text)
	}
	return v
}

// group is the text of group n; false when there is none, or it took no part.
func (c *captures) group(n int) ([]byte, bool) {
	if 2*n+1 >= len(c.index) || c.index[2*n] < 0 {
		return nil, false
	}
	return c.subject[c.index[2*n]:c.index[2*n+1]], true
}

// setValue gives a variable of the config's own its text, which is in the request's arena, or the config's.
func (r *Request) setValue(number int, text []byte) {
	r.values[number] = value{text: text, set: true}
	r.valued = true
}

// forgetValues has all variables of the config's own hold nothing.
func (r *Request) forgetValues() {
	r.captures.index = r.captures.index[:0]
	if r.valued {
		clear(r.values)
		r.valued = false
	}
}

// appendDefined appends the value of a variable that the config defines.
func (r *Request) appendDefined(dst []byte, number int) ([]byte, bool) {
	v := &r.values[number]
	if v.set {
		return append(dst, v.text...), true
	}
	d := &r.engine.Defined[number]
	if d.Lookup != nil {
		return r.appendLooked(dst, number, d.Lookup)
	}
	if d.Assigned {
		r.setValue(number, nil)
		if r.loc.WarnUninitialized {
			r.logAt(logfile.LevelWarn, "using uninitialized \""+d.Name+"\" variable")
		}
	}
	return dst, d.Assigned
}
