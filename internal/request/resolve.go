// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"
	"strconv"

	"go.uber.org/zap"

	"weir/internal/resolver"
)

// Where a request is passed when that is not known from the config alone: names that are still being looked up, and proxy_pass with variables.
//
//	proxy_pass: text --evalTarget--> authority, URI --resolveTarget--> a group of the config | an address | a host: resolver --> group
//
// A request that waits holds nothing but its head, and its body where that is read first.

// target is what a proxy_pass with variables came to for this request.
type target struct {
	text      []byte // the whole; the others are parts of it. Memory: the request's arena
	authority []byte // in lower case
	shown     []byte // as it was written: $proxy_host
	host      []byte // of authority; "unix:" and the path of a socket
	port      uint16
	portText  []byte
	uri       []byte // nil: the request's own
	entry     *resolver.Entry
}

// resolve waits for the peers of the request's group, or for the group itself.
func (r *Request) resolve() verdict {
	if r.group == nil {
		if v, ok := r.resolveTarget(); !ok {
			return v
		}
	}
	if r.group.Pending() {
		if !r.nameWait.Waiting() {
			r.group.Await(&r.nameWait, &r.task)
		}
		return wait
	}
	return r.become(StatePick)
}

// evalTarget works the target out. False: it is none, and the request is answered. What such a target is an error of the config in nginx is 500 there too.
func (r *Request) evalTarget() (verdict, bool) {
	r.target = target{}
	text := r.render(r.loc.Proxy.Target)
	if text == nil {
		return r.noMemory(), false
	}
	why := r.target.parse(text, &r.arena)
	if why != "" {
		if r.target.text != nil {
			text = text[len(targetScheme):]
		}
		r.logError(why+" in proxy_pass", zap.ByteString("url", text))
		return r.answer(500), false
	}
	return again, true
}

// copier is the memory for what cannot stay in its place.
type copier interface {
	Begin(n int) []byte
	End(p []byte) []byte
}

// targetScheme is what a target begins with.
const targetScheme = "http://"

// parse splits the text as nginx does; why says what is wrong with it, and t.text is nil when that is how it begins.
func (t *target) parse(text []byte, memory copier) (why string) {
	switch {
	case len(text) >= 8 && equalLower(text[:8], "https://"):
		return "https is not possible"
	case len(text) <= len(targetScheme) || !equalLower(text[:len(targetScheme)], targetScheme):
		return "invalid URL prefix"
	}
	t.text = text
	rest := text[len(targetScheme):]
	if bytes.HasPrefix(rest, []byte("unix:")) {
		end := bytes.IndexByte(rest[5:], ':')
		if end < 0 {
			end = len(rest) - 5
		}
		t.host, rest = rest[:5+end], rest[5+end:]
		t.authority, t.shown = t.host, []byte("localhost")
		if len(rest) > 0 {
			rest = rest[1:]
		}
	} else {
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if why := t.splitAuthority(rest[:end], memory); why != "" {
			return why
		}
		rest = rest[end:]
	}
	if len(rest) > 0 {
		if t.uri = memory.End(appendTargetURI(memory.Begin(len(rest)+1), rest)); t.uri == nil {
			return "no memory for the URI"
		}
	}
	return ""
}

// portHTTP is the port that needs no mention. Read-only.
var portHTTP = []byte("80")

// splitAuthority splits host and port.
func (t *target) splitAuthority(authority []byte, memory copier) (why string) {
	for _, c := range authority {
		if c <= ' ' || c == 0x7f {
			return "invalid host"
		}
	}
	t.shown, t.host, t.port, t.portText = authority, authority, 80, portHTTP
	if colon := bytes.LastIndexByte(authority, ':'); colon >= 0 && authority[len(authority)-1] != ']' {
		n, err := strconv.ParseUint(string(authority[colon+1:]), 10, 16)
		if err != nil || n == 0 {
			return "invalid port"
		}
		t.host, t.port, t.portText = authority[:colon], uint16(n), authority[colon+1:]
	}
	if len(t.host) == 0 {
		return "no host"
	}
	lower := memory.Begin(len(authority))
	for _, c := range authority {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	if t.authority = memory.End(lower); t.authority == nil {
		return "no memory for the host"
	}
	t.host = t.authority[:len(t.host)]
	return ""
}

// appendTargetURI appends the URI that a target has, as it is, but for what would end the request's line.
func appendTargetURI(dst, uri []byte) []byte {
	const hexDigits = "0123456789ABCDEF"
	if uri[0] != '/' {
		dst = append(dst, '/')
	}
	for _, c := range uri {
		if c <= ' ' || c == 0x7f {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// resolveTarget finds the group that the target means: one of the config, one for an address, one for a host. False: the request waits, or is answered.
func (r *Request) resolveTarget() (verdict, bool) {
	t, targets, by := &r.target, r.engine.Targets, r.loc.Proxy.Resolver
	if t.entry != nil {
		return r.onResolved(by)
	}
	if r.group = targets.Find(by, t.authority, r.nowMs()); r.group != nil {
		return again, true
	}
	g, err := targets.Literal(string(t.authority), string(t.host), t.port)
	switch {
	case err != nil:
		r.logError("invalid host in proxy_pass", zap.Error(err))
		return r.answer(500), false
	case g != nil:
		r.group = g
		return again, true
	case by == nil:
		r.logError("no resolver defined to resolve " + string(t.host))
		return r.answer(502), false
	}
	t.entry = by.Lookup(string(t.host), "")
	return r.onResolved(by)
}

// onResolved goes on when the host's addresses are known, or it is known that there are none.
func (r *Request) onResolved(by *resolver.Resolver) (verdict, bool) {
	t := &r.target
	if t.entry.Pending() {
		if !r.nameWait.Waiting() {
			t.entry.Await(&r.nameWait, &r.task)
		}
		return wait, false
	}
	if _, err := t.entry.Addresses(); err != nil {
		r.logError(string(t.host) + " could not be resolved (" + err.Error() + ")")
		return r.answer(502), false
	}
	r.group = r.engine.Targets.Resolved(by, string(t.authority), t.port, t.entry)
	return again, true
}
