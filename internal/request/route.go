// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

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

// route decides what answers the request.
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
	if r.server.Return != nil {
		return r.answerReturn(r.server.Return)
	}
	return r.locate()
}

// locate finds the location for the path and has it answer.
func (r *Request) locate() verdict {
	i, outcome := r.server.Locations.Match(r.path)
	switch outcome {
	case route.None:
		r.loc = r.server.Default
		return r.answer(404)
	case route.Redirect:
		r.loc = r.server.List[i]
		return r.answerSlash()
	}
	if !r.captures.location.set(r.server.Locations.Pattern(i), r.path, &r.arena) {
		return r.noMemory()
	}
	return r.enter(r.server.List[i])
}

// enter has a location answer the request.
func (r *Request) enter(loc *Location) verdict {
	r.loc = loc
	if loc.MaxBody > 0 && r.head.ContentLength > loc.MaxBody && !r.bodyOpen {
		r.logInfo("client intended to send too large a body")
		return r.answer(413)
	}
	if loc.Return != nil { // as in nginx, before limits are asked
		return r.answerReturn(loc.Return)
	}
	if v, ok := r.limitRate(); !ok { // before limit_conn, as in nginx
		return v
	}
	return r.admit()
}

// admit goes on with a request that no rate holds up.
func (r *Request) admit() verdict {
	if v, ok := r.limit(); !ok {
		return v
	}
	loc := r.loc
	switch {
	case loc.Proxy != nil:
		return r.startProxy()
	case loc.StubStatus:
		return r.answerStatus()
	case loc.Page != nil:
		return r.answerWithPage(loc.Page)
	}
	return r.answer(404)
}

// redirectTo handles the request anew as one for another path ("/x?args"), or as it is in a named location.
func (r *Request) redirectTo(uri []byte) verdict {
	if uri == nil {
		return r.noMemory()
	}
	r.redirected = true
	path := uri
	r.args = nil
	if q := bytes.IndexByte(uri, '?'); q >= 0 {
		path = uri[:q]
		if r.args = r.arena.End(appendEscapedArgs(r.arena.Begin(len(uri)), uri[q+1:])); r.args == nil {
			return r.noMemory()
		}
	}
	r.path = path
	r.captures.location.pattern = nil
	return r.locate()
}

// appendEscapedArgs escapes what cannot stand in a request line: a variable in the address of an error page may have brought it.
func appendEscapedArgs(dst, args []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range args {
		if c <= ' ' || c == 0x7f {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// enterNamed is redirectTo for a named location; the path stays.
func (r *Request) enterNamed(i int) verdict {
	r.redirected = true
	return r.enter(r.server.List[i])
}
