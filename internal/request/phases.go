// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"math/bits"
	"slices"
	"strconv"

	"go.uber.org/zap"
	"weir/internal/logfile"

	"weir/internal/route"
)

// phase is how far a request has come on the way to its answer. The order is nginx's (ngx_http_phases).
//
//	server rewrite -> find location -> rewrite -> rates -> limits -> access -> precontent -> content
//	  ^                 ^                 |                                        |
//	  |                 '-- changed path -'                                        |
//	  '------------------------------- internal redirect ---------------------------'
//
// A phase whose features the location does not have is left out: see findPhases.
type phase uint8

// The phases. Whatever makes a request wait sets the phase at which it goes on.
const (
	phaseServerRewrite phase = iota // the rules of the server (set, if, rewrite, return, break)
	phaseFindLocation               // the location for the path
	phaseRewrite                    // the rules of the location; a path that they change leads back to phaseFindLocation
	phaseRates                      // limit_req; as in nginx, of the request as it came first: once
	phaseLimits                     // limit_conn, likewise
	phaseAccess                     // access checks, which may wait for a subrequest or for a password to be checked
	phasePrecontent                 // try_files, which may send the request elsewhere, and mirror, which sends a copy of it
	phaseContent                    // the answer
)

// enterPhases starts the phases, or starts them again.
func (r *Request) enterPhases() verdict {
	r.phase = phaseServerRewrite
	r.program.changed, r.wholePath = false, false
	return r.become(StatePhases)
}

// passPhases takes the request through its phases. A phase returns false when the request does not go on to the next one for now: it has its
// answer, has another phase set, or waits; the verdict is the step's then. One that waits in StatePhases is asked again when something has happened.
func (r *Request) passPhases() verdict {
	for {
		v, pass := again, true
		switch r.phase {
		case phaseServerRewrite:
			if r.server.Rules != nil {
				v, pass = r.runRules(r.server.Rules)
				r.program.changed = false
			}
		case phaseFindLocation:
			v, pass = r.findLocation()
		case phaseRewrite:
			if r.loc.Rules != nil {
				if v, pass = r.runRules(r.loc.Rules); pass {
					v, pass = r.relocate()
				}
			}
		case phaseRates:
			if r.loc.RealIP != nil {
				r.findClient(r.loc.RealIP)
			}
			v, pass = r.limitRequests()
		case phaseLimits:
			v, pass = r.limit()
		case phaseAccess:
			if r.loc.Access != nil && r.sub == nil {
				v, pass = r.access()
			}
		case phasePrecontent:
			if r.loc.TryFiles != nil {
				v, pass = r.tryFiles()
			}
			if pass && r.loc.Mirror != nil && r.sub == nil {
				r.mirror(r.loc.Mirror)
			}
		default:
			return r.content()
		}
		if !pass {
			return v
		}
		r.phase = r.loc.phaseAfter(r.phase)
	}
}

// findPhases finds the phases that have something to do in the location: what passPhases asks it for.
func (l *Location) findPhases() {
	used := [...]bool{
		phaseFindLocation: true,
		phaseRewrite:      l.Rules != nil,
		phaseRates:        l.RealIP != nil || l.Rates != nil,
		phaseLimits:       l.Limits != nil,
		phaseAccess:       l.Access != nil,
		phasePrecontent:   l.TryFiles != nil || l.Mirror != nil,
		phaseContent:      true,
	}
	for phase, is := range used {
		if is {
			l.phases |= 1 << phase
		}
	}
}

// phaseAfter is the next phase that has something to do.
func (l *Location) phaseAfter(p phase) phase {
	if l.phases == 0 { // its first request
		l.findPhases()
	}
	return p + 1 + phase(bits.TrailingZeros8(l.phases>>((p+1)&7)))
}

// findLocation finds the location for the path.
func (r *Request) findLocation() (v verdict, pass bool) {
	i, outcome := r.server.Locations.Match(r.path)
	switch outcome {
	case route.None:
		return r.enter(r.server.Default)
	case route.Redirect:
		r.loc = r.server.List[i]
		return r.answerSlash(), false
	case route.Failed:
		r.loc = r.server.Default
		r.logAt(logfile.LevelAlert, "a regular expression of a location takes too long")
		return r.answer(500), false
	}
	loc := r.server.List[i]
	for _, p := range loc.Outer {
		r.matched(p, r.path)
	}
	if loc.Pattern != nil && r.matched(loc.Pattern, r.path) != route.Matches {
		return r.noMemory(), false
	}
	if loc.Internal && !r.internal {
		r.loc = loc
		return r.answer(404), false
	}
	return r.enter(loc)
}

// enter makes loc the request's location.
func (r *Request) enter(loc *Location) (v verdict, pass bool) {
	if loc.Except != nil && !slices.Contains(loc.Except.Methods, string(r.methodText())) {
		loc = loc.Except.Location
	}
	r.loc, r.belowAlias = loc, false
	if loc.MaxBody > 0 && !r.internal && r.head.ContentLength > loc.MaxBody {
		r.logError("client intended to send too large a body", zap.Int64("bytes", r.head.ContentLength))
		return r.answer(413), false
	}
	return again, true
}

// content has the location answer the request.
func (r *Request) content() verdict {
	loc := r.loc
	switch {
	case loc.Proxy != nil:
		return r.startProxy()
	case loc.StubStatus || loc.Page != nil || loc.EmptyGIF:
		return r.answerOwn()
	case loc.Files != nil:
		return r.answerFile()
	}
	return r.answer(404)
}

// answerOwn answers with what weir itself knows. A body is dropped only where it is sure that nothing else answers, as an error page or an index may be what wants it.
func (r *Request) answerOwn() verdict {
	if v, ok := r.refuseBody(); !ok {
		return v
	}
	switch loc := r.loc; {
	case loc.StubStatus:
		return r.answerStatus()
	case loc.Page != nil:
		return r.answerWithPage(loc.Page)
	}
	return r.answerGIF()
}

// changesMax is how often the path of one request may change, by rules and by internal redirects (NGX_HTTP_MAX_URI_CHANGES).
const changesMax = 10

// countChange counts a change of the request's path, or of its location. False: there have been too many, which ends a cycle.
func (r *Request) countChange(how string, to []byte) bool {
	if r.changes == changesMax {
		r.logError("rewrite or internal redirection cycle while " + how + " " + strconv.Quote(string(to)))
		r.fixed = true
		return false
	}
	r.changes++
	return true
}

// redirectTo handles the request anew as one for another path ("/x?args"), which is in its arena; nil: there was no memory for it. It is nginx's
// ngx_http_internal_redirect: all phases come again, the server's rules too, but a limit counts a request once.
func (r *Request) redirectTo(uri []byte) verdict {
	if uri == nil {
		return r.noMemory()
	}
	path, args := uri, []byte(nil)
	if q := bytes.IndexByte(uri, '?'); q >= 0 {
		path = uri[:q]
		if args = r.arena.End(appendEscapedArgs(r.arena.Begin(len(uri)), uri[q+1:])); args == nil {
			return r.noMemory()
		}
	}
	return r.redirectPath(path, args)
}

// redirectPath is redirectTo for a path and arguments that have been separated already.
func (r *Request) redirectPath(path, args []byte) verdict {
	if path == nil {
		return r.noMemory()
	}
	if !r.countChange("internally redirecting to", path) {
		return r.answer(500)
	}
	r.internal, r.redirected = true, true
	r.path, r.args = path, args
	r.loc = r.server.Default
	return r.enterPhases()
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

// redirectToNamed handles the request anew, with the path that it has, in a named location: from the location's rules on. It is nginx's
// ngx_http_named_location.
func (r *Request) redirectToNamed(name string) verdict {
	i := r.server.Locations.Named(name)
	if i < 0 {
		r.logError("could not find named location " + strconv.Quote(name))
		return r.answer(500)
	}
	if len(r.path) == 0 {
		r.logError("empty URI in redirect to named location " + strconv.Quote(name))
		return r.answer(500)
	}
	if !r.countChange("redirecting to a named location with", r.path) {
		return r.answer(500)
	}
	r.internal, r.program.changed = true, false
	if v, pass := r.enter(r.server.List[i]); !pass {
		return v
	}
	r.phase = phaseRewrite
	return r.become(StatePhases)
}
