// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"bytes"

	"weir/internal/http1"
	"weir/internal/route"
	"weir/internal/vars"
)

// What proxy_redirect and proxy_cookie_* change in an origin's response.

// Redirect changes a value: the beginning that From gives, or all of it where Pattern matches, becomes To. One of From and Pattern is set.
type Redirect struct {
	From    *vars.Template
	Pattern *route.Pattern
	To      *vars.Template
}

// Cookies are the changes to the fields Set-Cookie of a response.
type Cookies struct {
	Domains []Redirect // proxy_cookie_domain: a From is the whole domain, letter case ignored
	Paths   []Redirect // proxy_cookie_path
	Flags   []CookieFlags
}

// CookieFlags are the flags of proxy_cookie_flags for cookies of a name. One of Name and Pattern is set.
type CookieFlags struct {
	Name    *vars.Template
	Pattern *route.Pattern
	Flags   []*vars.Template
}

// cookieFlags is a set of flags.
type cookieFlags uint8

const (
	secureOn cookieFlags = 1 << iota
	secureOff
	httpOnlyOn
	httpOnlyOff
	sameSiteStrict
	sameSiteLax
	sameSiteNone
	sameSiteOff
)

// parseCookieFlag is the flag that a text names, in letters of either case; 0: none.
func parseCookieFlag(text []byte) cookieFlags {
	for i, name := range [...]string{"secure", "nosecure", "httponly", "nohttponly", "samesite=strict", "samesite=lax", "samesite=none", "nosamesite"} {
		if equalLower(text, name) {
			return 1 << i
		}
	}
	return 0
}

// matches says whether an expression matches; its groups are the request's captures then, as in nginx. Without memory for them nothing matches.
func (r *Request) matches(p *route.Pattern, subject []byte) bool {
	return r.matched(p, subject) == route.Matches
}

// replaced is how many bytes of value a rule replaces; -1: it does not fit. free is memory for the text to compare with.
func (r *Request) replaced(rule *Redirect, free, value []byte) int {
	if rule.Pattern != nil {
		if r.matches(rule.Pattern, value) {
			return len(value)
		}
		return -1
	}
	from := rule.From.Append(free, r)[len(free):]
	if !bytes.HasPrefix(value, from) {
		return -1
	}
	return len(from)
}

// appendRewritten appends the value of Location or Refresh after proxy_redirect: the first rule that fits the address applies.
func (r *Request) appendRewritten(dst []byte, id http1.FieldID, value []byte) []byte {
	address := 0
	if id == http1.FieldRefresh {
		if i := indexURL(value); i >= 0 {
			address = i + len("url=")
		}
	}
	rules := r.loc.Proxy.Redirects
	for i := range rules {
		n := r.replaced(&rules[i], dst, value[address:])
		if n < 0 {
			continue
		}
		dst = append(dst, value[:address]...)
		start := len(dst)
		dst = rules[i].To.Append(dst, r)
		clean(dst[start:])
		if end := len(dst); id == http1.FieldLocation && end > start && dst[start] == '/' {
			dst = r.absolute(dst, dst[start:end])
			dst = dst[:start+copy(dst[start:], dst[end:])]
		}
		return append(dst, value[address+n:]...)
	}
	return append(dst, value...)
}

// indexURL finds "url=" in the value of a Refresh field, in letters of either case; -1 when it is not there.
func indexURL(value []byte) int {
	const name = "url="
	for i := 0; i+len(name) <= len(value); i++ {
		if equalLower(value[i:i+len(name)], name) {
			return i
		}
	}
	return -1
}

// attribute is a part of Set-Cookie: what stands between two semicolons.
type attribute struct {
	key, value []byte
	valued     bool // there is a "="
	gone       bool // a flag of proxy_cookie_flags has taken it out
}

// cutAttribute takes the first attribute off text; more says whether another one follows.
func cutAttribute(text []byte) (a attribute, rest []byte, more bool) {
	text, rest, more = bytes.Cut(text, []byte{';'})
	key, value, valued := bytes.Cut(text, []byte{'='})
	return attribute{key: bytes.Trim(key, " "), value: bytes.Trim(value, " "), valued: valued}, rest, more
}

// appendSetCookie appends the value of Set-Cookie after proxy_cookie_domain, _path and _flags. It is written anew only if one of them changes it.
func (r *Request) appendSetCookie(dst, value []byte) []byte {
	start := len(dst)
	a, rest, more := cutAttribute(value)
	if !a.valued {
		return append(dst, value...)
	}
	flags := r.cookieFlags(a.key, dst)
	dst = append(append(append(dst, a.key...), '='), a.value...)
	changed := false
	for more {
		a, rest, more = cutAttribute(rest)
		flagged, ruled := a.changeFlag(&flags), false
		if !a.gone {
			dst, ruled = r.appendAttribute(dst, &a)
		}
		changed = changed || flagged || ruled
	}
	for _, flag := range [...]struct {
		flag cookieFlags
		text string
	}{{secureOn, "; Secure"}, {httpOnlyOn, "; HttpOnly"}, {sameSiteStrict, "; SameSite=Strict"}, {sameSiteLax, "; SameSite=Lax"}, {sameSiteNone, "; SameSite=None"}} {
		if flags&flag.flag != 0 {
			dst, changed = append(dst, flag.text...), true
		}
	}
	if !changed {
		return append(dst[:start], value...)
	}
	return dst
}

// cookieFlags are the flags for a cookie of a name: those of the first entry that fits. free is memory to compare in.
func (r *Request) cookieFlags(name, free []byte) (flags cookieFlags) {
	list := r.loc.Proxy.Cookies.Flags
	for i := range list {
		f := &list[i]
		if f.Pattern != nil {
			if !r.matches(f.Pattern, name) {
				continue
			}
		} else if !bytes.EqualFold(f.Name.Append(free, r)[len(free):], name) {
			continue
		}
		for _, t := range f.Flags {
			flags |= parseCookieFlag(t.Append(free, r)[len(free):])
		}
		return flags
	}
	return 0
}

// changeFlag applies flags to an attribute that is one: it may be taken out, or get another value. What a flag asks for and is there already is taken
// off flags. It says whether the attribute is another one now.
func (a *attribute) changeFlag(flags *cookieFlags) (changed bool) {
	switch {
	case *flags == 0:
	case equalLower(a.key, "secure"):
		a.toggle(flags, secureOn, secureOff)
	case equalLower(a.key, "httponly"):
		a.toggle(flags, httpOnlyOn, httpOnlyOff)
	case equalLower(a.key, "samesite"):
		for i, value := range sameSites {
			if *flags&(sameSiteStrict<<i) == 0 {
				continue
			}
			*flags &^= sameSiteStrict | sameSiteLax | sameSiteNone
			if bytes.EqualFold(a.value, value) {
				return false
			}
			a.key, a.value, a.valued = sameSite, value, true
			return true
		}
		a.toggle(flags, 0, sameSiteOff)
	}
	return a.gone
}

// Read-only.
var (
	sameSite  = []byte("SameSite")
	sameSites = [...][]byte{[]byte("Strict"), []byte("Lax"), []byte("None")} // in the order of their flags
)

// toggle keeps the attribute where it is asked for, and takes it out where it is not wanted.
func (a *attribute) toggle(flags *cookieFlags, on, off cookieFlags) {
	a.gone = *flags&on == 0 && *flags&off != 0
	*flags &^= on
}

// appendAttribute appends an attribute, a domain or a path by its rules.
func (r *Request) appendAttribute(dst []byte, a *attribute) (out []byte, changed bool) {
	dst = append(append(dst, "; "...), a.key...)
	if !a.valued {
		return dst, false
	}
	dst = append(dst, '=')
	c := r.loc.Proxy.Cookies
	switch {
	case equalLower(a.key, "domain"):
		return r.appendDomain(dst, c.Domains, a.value)
	case equalLower(a.key, "path"):
		for i := range c.Paths {
			if n := r.replaced(&c.Paths[i], dst, a.value); n >= 0 {
				return append(r.appendClean(dst, c.Paths[i].To), a.value[n:]...), true
			}
		}
	}
	return append(dst, a.value...), false
}

// appendDomain appends a domain by the first rule that fits. A dot in front of it, or of a rule's texts, says nothing, and stays.
func (r *Request) appendDomain(dst []byte, rules []Redirect, domain []byte) (out []byte, changed bool) {
	for i := range rules {
		rule := &rules[i]
		if rule.Pattern != nil {
			if r.matches(rule.Pattern, domain) {
				return r.appendClean(dst, rule.To), true
			}
			continue
		}
		bare, dotted := bytes.CutPrefix(domain, []byte{'.'})
		from := rule.From.Append(dst, r)[len(dst):]
		if !bytes.EqualFold(bytes.TrimPrefix(from, []byte{'.'}), bare) || len(bare) == 0 {
			continue
		}
		if dotted {
			dst = append(dst, '.')
		}
		start := len(dst)
		dst = r.appendClean(dst, rule.To)
		if len(dst) > start && dst[start] == '.' {
			dst = append(dst[:start], dst[start+1:]...)
		}
		return dst, true
	}
	return append(dst, domain...), false
}

// appendClean appends a template's text, less what would end the field.
func (r *Request) appendClean(dst []byte, t *vars.Template) []byte {
	start := len(dst)
	dst = t.Append(dst, r)
	clean(dst[start:])
	return dst
}
