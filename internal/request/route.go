// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"weir/internal/buffer"
	"weir/internal/http1"
	"weir/internal/route"
)

// captures are the groups of the regular expressions that matched: the server's and the location's.
type captures struct {
	server, location groups
}

type groups struct {
	pattern *route.Pattern
	subject []byte // a copy in the request's arena: what was matched may move
	index   []int  // pairs, as regexp has them
}

// set notes what p, which may be nil, matched in subject. False: there is no memory for it.
func (g *groups) set(p *route.Pattern, subject []byte, arena *buffer.Arena) bool {
	g.pattern = nil
	if p == nil || p.Groups() == 0 {
		return true
	}
	if g.subject = arena.Copy(subject); g.subject == nil {
		return false
	}
	g.pattern = p
	g.index = p.AppendCaptures(g.index[:0], g.subject)
	return true
}

// group is the text of group n; false when there is none.
func (g *groups) group(n int) ([]byte, bool) {
	if g.pattern == nil || 2*n+1 >= len(g.index) || g.index[2*n] < 0 {
		return nil, false
	}
	return g.subject[g.index[2*n]:g.index[2*n+1]], true
}

func (g *groups) named(name string) ([]byte, bool) {
	if g.pattern == nil {
		return nil, false
	}
	for i, n := range g.pattern.GroupNames() {
		if n == name {
			return g.group(i)
		}
	}
	return nil, false
}

func (c *captures) reset() { c.server.pattern, c.location.pattern = nil, nil }

// route works out path and arguments of the request's target, and begins its phases.
func (r *Request) route() verdict {
	head := &r.head
	if head.MethodID == http1.MethodTrace {
		return r.answer(405)
	}
	if head.Form == http1.AsteriskForm {
		// RFC 9110 section 9.3.7: about the server as a whole. weir itself is what it is about.
		return r.answerEmpty(200, "")
	}
	r.args = nil
	if head.HasQuery {
		r.args = r.headOf(head.Query)
	}
	r.path = r.headOf(head.Path)
	if !head.PlainPath {
		path, ok := http1.NormalizePath(r.arena.Begin(len(r.path)), r.path, true)
		path = r.arena.End(path)
		if !ok {
			r.closeClient = true
			return r.answer(400)
		}
		if path == nil {
			return r.noMemory()
		}
		r.path = path
	}
	return r.enterPhases()
}
