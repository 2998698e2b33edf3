// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"go.uber.org/zap"

	"weir/internal/logfile"
	"weir/internal/route"
	"weir/internal/vars"
)

// program is how far a request has come with the rules of a server or location.
type program struct {
	next    int  // index of the rule that comes next
	changed bool // the path has changed: a location has to be looked for
	file    *fileTest
}

// reset readies it for another request. A file that is being looked at is nobody's any more.
func (p *program) reset() {
	p.next, p.changed = 0, false
	switch f := p.file; {
	case f == nil:
	case f.away:
		f.request = nil
		p.file = nil
	default:
		f.done = false // what was found out, and not asked for any more, is about another file
	}
}

// runRules applies rules, in their order. See passPhases. As with nginx, the rules of a location go on when an if has changed it.
func (r *Request) runRules(rules *Rules) (v verdict, pass bool) {
	for p := &r.program; p.next < len(rules.List); {
		rule := &rules.List[p.next]
		p.next++
		over := false
		switch {
		case rule.Set != nil:
			v, pass = r.set(rule.Set)
		case rule.Rewrite != nil:
			over, v, pass = r.rewrite(rule.Rewrite, rules.Log)
		case rule.If != nil:
			v, pass = r.test(rule.If, rules.Log)
		case rule.Return != nil:
			p.next = 0
			return r.answerReturn(rule.Return), false
		default: // break
			r.wholePath = r.wholePath || p.changed
			p.changed = false
			over, pass = true, true
		}
		if !pass {
			if v != wait {
				p.next = 0
			}
			return v, false
		}
		if over {
			break
		}
	}
	r.program.next = 0
	return again, true
}

// relocate has the request look for a location again, if the rules of the one that it is in have changed its path.
func (r *Request) relocate() (v verdict, pass bool) {
	if !r.program.changed {
		return again, true
	}
	r.program.changed = false
	if !r.countChange("processing", r.path) {
		return r.answer(500), false
	}
	r.loc = r.server.Default
	r.phase = phaseFindLocation
	return again, false
}

// set gives a variable its value.
func (r *Request) set(s *Set) (v verdict, pass bool) {
	text := r.render(s.Value)
	if text == nil {
		return r.noMemory(), false
	}
	if !r.assign(s.Variable, text) {
		return r.noMemory(), false
	}
	return again, true
}

// assign gives a variable a text, which is in the request's arena. False: there is no memory for what it makes of it.
func (r *Request) assign(id vars.ID, text []byte) bool {
	switch id {
	case vars.Args:
		r.args, r.ownArgs = r.escapedArgs(text), true
		return r.args != nil
	case vars.LimitRate:
		if rate, ok := parseSize(text); ok {
			r.limitRateBytes, r.limitRateSet = rate, true
		} else {
			r.logError("invalid $limit_rate", zap.ByteString("value", text))
		}
	default:
		r.setValue(int(id)-vars.NumIDs, text)
	}
	return true
}

// rewrite replaces the path, if it matches. over: no further rules.
func (r *Request) rewrite(w *Rewrite, log bool) (over bool, v verdict, pass bool) {
	switch r.match(w.Pattern, r.path, log) {
	case route.NoMatch:
		return false, again, true
	case route.GaveUp:
		return false, r.answer(500), false
	}
	if w.Code != 0 {
		return true, r.rewriteAway(w, log), false
	}
	r.internal, r.redirected = true, true
	r.program.changed = !w.Break
	if w.Break {
		r.wholePath = true
	}
	path := r.render(w.Path)
	if path == nil {
		return false, r.noMemory(), false
	}
	args := r.args
	if w.Args != nil {
		args = r.renderEscaped(w.Args)
		if w.AddArgs && len(r.args) > 0 {
			args = r.concat(args, '&', r.args)
		}
		if args = r.escapedArgs(args); args == nil {
			return false, r.noMemory(), false
		}
	} else if !w.AddArgs {
		args = nil
	}
	r.path, r.args = path, args
	if log {
		r.logNotice("rewritten data", zap.ByteString("uri", path), zap.ByteString("args", args))
	}
	if len(path) == 0 {
		r.logError("the rewritten URI has a zero length")
		return false, r.answer(500), false
	}
	return w.Last, again, true
}

// rewriteAway sends the client to the address that a rule gives.
func (r *Request) rewriteAway(w *Rewrite, log bool) verdict {
	target := r.renderEscaped(w.Path)
	if target != nil {
		target = unescapeRedirect(target)
		if w.AddArgs && len(r.args) > 0 {
			mark := byte('?')
			if w.HasArgs {
				mark = '&'
			}
			target = r.concat(target, mark, r.args)
		}
	}
	if log {
		r.logNotice("rewritten redirect", zap.ByteString("location", target))
	}
	r.answerPage.reset()
	return r.redirectClient(w.Code, target)
}

// match matches the path, or a value, and notes the groups. Where it does not match there are none, as with nginx.
func (r *Request) match(p *route.Pattern, subject []byte, log bool) route.Verdict {
	v := r.matched(p, subject)
	switch v {
	case route.NoMatch:
		r.captures.index = r.captures.index[:0]
		if log {
			r.logNotice("does not match", zap.Stringer("pattern", p), zap.ByteString("subject", subject))
		}
	case route.GaveUp:
		r.logAt(logfile.LevelAlert, "a regular expression takes too long", zap.Stringer("pattern", p), zap.ByteString("subject", subject))
	default:
		if log {
			r.logNotice("matches", zap.Stringer("pattern", p), zap.ByteString("subject", subject))
		}
	}
	return v
}

// test works out a condition, and skips what stands in its if when it is false.
func (r *Request) test(c *If, log bool) (v verdict, pass bool) {
	var holds bool
	switch c.Test {
	case TestTrue:
		holds = r.isTrue(c.Variable)
	case TestEqual:
		text := r.renderScratch(c.Variable)
		n := len(text)
		text = c.Operand.Append(text, r)
		holds = bytes.Equal(text[:n], text[n:])
	case TestMatch:
		text := r.render(c.Variable)
		if text == nil {
			return r.noMemory(), false
		}
		found := r.match(c.Pattern, text, log)
		if found == route.GaveUp {
			return r.answer(500), false
		}
		holds = found == route.Matches
	default:
		var known bool
		if holds, known = r.testFile(c); !known {
			r.program.next--
			return wait, false
		}
	}
	if holds == c.Negate {
		r.program.next += c.Skip
		return again, true
	}
	if c.Location != nil {
		r.loc = c.Location
	}
	return again, true
}

// concat makes one text of two, in the arena; nil: there is no memory for it.
func (r *Request) concat(a []byte, mark byte, b []byte) []byte {
	all := r.arena.Alloc(len(a) + 1 + len(b))
	if all == nil || a == nil {
		return nil
	}
	n := copy(all, a)
	all[n] = mark
	copy(all[n+1:], b)
	return all
}

// renderEscaped is render for a text in which groups of expressions are escaped as arguments have to be, if the client's path was.
func (r *Request) renderEscaped(t *vars.Template) []byte {
	r.escapeGroups = bytes.ContainsAny(r.headOf(r.head.Path), "%+")
	text := r.render(t)
	r.escapeGroups = false
	return text
}

// escapedArgs is args without what cannot stand in a request line; nil: there is no memory for it.
func (r *Request) escapedArgs(args []byte) []byte {
	if args == nil || !bytes.ContainsFunc(args, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return args
	}
	return r.arena.End(appendEscapedArgs(r.arena.Begin(len(args)), args))
}

// appendEscapedGroup escapes a group as nginx does what goes into arguments: what would end an argument, or mean something else there.
func appendEscapedGroup(dst, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte(argsEscaped, c) >= 0 {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

var argsEscaped = []byte("\"#%&+;<>?\\^`{|}") // read-only

// unescapeRedirect takes the escapes out of the path of a redirect's address, in its place, that need not be there, as nginx does.
func unescapeRedirect(text []byte) []byte {
	end := bytes.IndexByte(text, '?')
	if end < 0 {
		end = len(text)
	}
	out := text[:0]
	for i := 0; i < end; i++ {
		c, ok := unescaped(text[i:end])
		switch {
		case !ok:
			out = append(out, text[i])
			continue
		case c == '?':
			return append(append(out, c), text[i+3:]...)
		case c > '%' && c < 0x7f:
			out = append(out, c)
		default:
			out = append(out, text[i:i+3]...)
		}
		i += 2
	}
	return append(out, text[end:]...)
}

// unescaped is the byte that the escape stands for that text begins with.
func unescaped(text []byte) (c byte, ok bool) {
	if len(text) < 3 || text[0] != '%' {
		return 0, false
	}
	for _, d := range text[1:3] {
		switch lower := d | 0x20; {
		case '0' <= d && d <= '9':
			c = c<<4 | (d - '0')
		case 'a' <= lower && lower <= 'f':
			c = c<<4 | (lower - 'a' + 10)
		default:
			return 0, false
		}
	}
	return c, true
}
