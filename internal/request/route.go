// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import "weir/internal/http1"

// route splits the request's target into path and arguments, and starts the phases.
func (r *Request) route() verdict {
	switch ok := r.takeTarget(); {
	case !ok:
		r.closeClient = true
		return r.answer(400)
	case r.path == nil:
		return r.noMemory()
	case r.head.MethodID == http1.MethodTrace:
		r.closeClient = true // as nginx
		return r.answer(405)
	case r.head.WholeServer:
		return r.answerOptions()
	}
	if r.loc.RealIP != nil { // the server's: nginx's post-read phase
		r.findClient(r.loc.RealIP)
	}
	return r.enterPhases()
}

// takeTarget works out path and arguments of the request's target. False: the path is malformed. Without memory for it there is none.
func (r *Request) takeTarget() bool {
	head := &r.head
	r.path, r.args = r.headOf(head.Path), nil
	if head.HasQuery && head.Query.Len > 0 {
		r.args = r.headOf(head.Query)
	}
	if head.PlainPath {
		return true
	}
	path, ok := http1.NormalizePath(r.arena.Begin(len(r.path)), r.path, !r.server.KeepSlashes)
	if r.path = r.arena.End(path); !ok {
		r.path = nil
	}
	return ok
}
