// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is how a location is matched.
type Kind uint8

// The kinds of nginx's location directive.
const (
	KindPrefix     Kind = iota // "/path"
	KindPrefixOnly             // "^~ /path": if it is the longest prefix, no expression is tried
	KindExact                  // "= /path"
	KindRegex                  // "~ expression"
	KindRegexFold              // "~* expression", in any case
	KindNamed                  // "@name", for internal redirects
)

// ParseLocation splits a location's path, "^~ /static/", into its kind and what follows. Blanks
// between the two may be left out. Prefixes and exact paths start with "/". Expressions are not
// compiled here.
func ParseLocation(text string) (Kind, string, error) {
	if strings.ContainsRune(text, 0) {
		return 0, "", fmt.Errorf("location %q holds a zero byte", text)
	}
	kind, rest := KindPrefix, text
	for _, m := range []struct {
		mark string
		kind Kind
	}{{"^~", KindPrefixOnly}, {"=", KindExact}, {"~*", KindRegexFold}, {"~", KindRegex}} {
		if after, ok := strings.CutPrefix(text, m.mark); ok {
			kind, rest = m.kind, strings.TrimLeft(after, " \t")
			break
		}
	}
	if kind == KindPrefix && strings.HasPrefix(text, "@") {
		kind = KindNamed
	}
	switch {
	case kind == KindNamed && len(rest) == 1, rest == "":
		return 0, "", fmt.Errorf("location %q has no path", text)
	case kind <= KindExact && rest[0] != '/':
		return 0, "", fmt.Errorf("location %q: a path starts with \"/\"", text)
	}
	return kind, rest, nil
}

// Location is what Locations needs to know of a location.
type Location struct {
	// Path as the config has it: see ParseLocation.
	Path string
	// AutoRedirect: a path that lacks only the slash at the end of this one gets a redirect to it,
	// as nginx does where the location has proxy_pass.
	AutoRedirect bool
	// Inner are the locations in it.
	Inner []Location
}

// Outcome is what Match found.
type Outcome uint8

// The outcomes of Match.
const (
	None     Outcome = iota // no location: 404
	Found                   // the location handles the request
	Redirect                // answer 301 to the location's path, which is the request's and a "/"
	Failed                  // a regular expression took too long
)

// Locations finds the location for a path. Immutable.
type Locations struct {
	level
	patterns []*Pattern // by location; nil for one without an expression
	named    map[string]int
}

// level is the locations of a server, or those in a location.
type level struct {
	tree        radix
	expressions []locationPattern
	inner       map[int]*level // of the locations that have some; mostly nil
}

type locationPattern struct {
	pattern  *Pattern
	location int
}

// NewLocations builds the table of one server. Locations are numbered in their order, those in a location behind it. Errors: malformed paths and expressions, two
// locations with the same path at one level (an exact one and a prefix may share it); all of them, joined.
func NewLocations(locations []Location) (*Locations, error) {
	l := &Locations{named: make(map[string]int)}
	if faults := l.fill(&l.level, locations); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

func (l *Locations) fill(v *level, locations []Location) (faults []error) {
	v.tree.init()
	for _, location := range locations {
		i := len(l.patterns)
		l.patterns = append(l.patterns, nil)
		if err := l.add(v, location, i); err != nil {
			faults = append(faults, err)
		}
		if len(location.Inner) > 0 {
			if v.inner == nil {
				v.inner = map[int]*level{}
			}
			v.inner[i] = &level{}
			faults = append(faults, l.fill(v.inner[i], location.Inner)...)
		}
	}
	return faults
}

func (l *Locations) add(v *level, location Location, i int) error {
	kind, path, err := ParseLocation(location.Path)
	if err != nil {
		return err
	}
	duplicate := false
	switch kind {
	case KindNamed:
		if _, duplicate = l.named[path]; !duplicate {
			l.named[path] = i
		}
	case KindRegex, KindRegexFold:
		pattern, err := NewPattern(path, kind == KindRegexFold)
		if err != nil {
			return err
		}
		v.expressions = append(v.expressions, locationPattern{pattern, i})
		l.patterns[i] = pattern
	default:
		node := v.tree.insert(path)
		slot := &node.prefix
		if kind == KindExact {
			slot = &node.exact
		}
		if duplicate = *slot != noLocation; !duplicate {
			*slot = int32(i)
			node.prefixOnly = node.prefixOnly || kind == KindPrefixOnly
			if location.AutoRedirect && strings.HasSuffix(path, "/") && node.redirect == noLocation {
				node.redirect = int32(i)
			}
		}
	}
	if duplicate {
		return fmt.Errorf("two locations %q", location.Path)
	}
	return nil
}

// Match returns the location for path, which is decoded and normalized, without arguments, in
// nginx's order: an exact location; a redirect to one that is path and a slash; the longest prefix
// if it is "^~"; the first expression that matches; the longest prefix. Of a location that has others in it, those are asked
// in the same order before the expressions beside it. It does not allocate.
func (l *Locations) Match(path []byte) (location int, outcome Outcome) {
	location, outcome, _ = l.find(path)
	return location, outcome
}

// find is Match at one level. final: no expression of a level around is to be asked.
func (v *level) find(path []byte) (location int, outcome Outcome, final bool) {
	m := v.tree.match(path)
	switch {
	case m.exact != noLocation:
		return int(m.exact), Found, true
	case m.redirect != noLocation:
		return int(m.redirect), Redirect, true
	}
	location = noLocation
	if m.prefix != noLocation {
		location, outcome = int(m.prefix), Found
		if v.inner != nil {
			if location, outcome, final = v.within(location, path); final {
				return location, outcome, true
			}
		}
	}
	if m.prefixOnly {
		return location, outcome, false
	}
	for i := range v.expressions {
		switch v.expressions[i].pattern.Match(path) {
		case Matches:
			location, outcome, _ = v.within(v.expressions[i].location, path)
			return location, outcome, true
		case GaveUp:
			return noLocation, Failed, true
		}
	}
	return location, outcome, false
}

// within is the location for a path that a location takes: one in it, or itself.
func (v *level) within(location int, path []byte) (int, Outcome, bool) {
	if inner := v.inner[location]; inner != nil {
		if i, outcome, final := inner.find(path); outcome != None {
			return i, outcome, final
		}
	}
	return location, Found, false
}

// Pattern returns the expression of a location, or nil if it has none.
func (l *Locations) Pattern(location int) *Pattern { return l.patterns[location] }

// Named returns the location "@name" (name with its "@"), or -1.
func (l *Locations) Named(name string) int {
	if i, ok := l.named[name]; ok {
		return i
	}
	return noLocation
}
