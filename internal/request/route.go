// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import "weir/internal/http1"

// route works out path and arguments of the request's target, and begins its phases.
func (r *Request) route() verdict {
	head := &r.head
	if head.MethodID == http1.MethodTrace {
		r.closeClient = true // as nginx
		return r.answer(405)
	}
	if head.WholeServer {
		return r.answerOptions()
	}
	r.args = nil
	if head.HasQuery && head.Query.Len > 0 {
		r.args = r.headOf(head.Query)
	}
	r.path = r.headOf(head.Path)
	if !head.PlainPath {
		path, ok := http1.NormalizePath(r.arena.Begin(len(r.path)), r.path, !r.server.KeepSlashes)
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
	if r.loc.RealIP != nil { // the server's: nginx's post-read phase
		r.findClient(r.loc.RealIP)
	}
	return r.enterPhases()
}
