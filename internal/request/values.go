// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import "weir/internal/route"

// Defined is a variable that the config defines itself. Its number is its place in Options.Defined, its vars.ID vars.NumIDs more.
type Defined struct {
	Name string
}

// value is what such a variable holds in one request. The zero value: nothing yet.
type value struct {
	text []byte // in the request's arena, or of the config
	set  bool
}

// captures are the groups of the regular expression that matched last: $1 and the others.
type captures struct {
	subject []byte // a copy in the request's arena: what was matched may move
	index   []int  // pairs, as regexp has them; empty: no expression with groups
}

// matched notes the groups of pattern, which matches subject: those that are variables keep their text until another match. False: there is no
// memory for it.
func (r *Request) matched(pattern *route.Pattern, subject []byte) bool {
	c := &r.captures
	c.index = c.index[:0]
	if pattern == nil || pattern.Groups() == 0 {
		return true
	}
	if c.subject = r.arena.Copy(subject); c.subject == nil {
		return false
	}
	c.index = pattern.AppendCaptures(c.index, c.subject)
	for _, g := range pattern.Named() {
		text, _ := c.group(g.Group)
		r.setValue(g.Variable, text)
	}
	return true
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
	return append(dst, v.text...), v.set
}
