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
}

// Outcome is what Match found.
type Outcome uint8

// The outcomes of Match.
const (
	None     Outcome = iota // no location: 404
	Found                   // the location handles the request
	Redirect                // answer 301 to the location's path, which is the request's and a "/"
)

// Locations finds the location for a path. Immutable.
type Locations struct {
	tree     radix
	patterns []locationPattern
	byIndex  map[int]*Pattern
	named    map[string]int
}

type locationPattern struct {
	pattern  *Pattern
	location int
}

// NewLocations builds the table of one server. Errors: malformed paths and expressions, two
// locations with the same path (an exact one and a prefix may share it); all of them, joined.
func NewLocations(locations []Location) (*Locations, error) {
	l := &Locations{byIndex: make(map[int]*Pattern), named: make(map[string]int)}
	l.tree.init()
	var faults []error
	for i, location := range locations {
		if err := l.add(location, i); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

func (l *Locations) add(location Location, i int) error {
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
		l.patterns = append(l.patterns, locationPattern{pattern, i})
		l.byIndex[i] = pattern
	default:
		node := l.tree.insert(path)
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
// if it is "^~"; the first expression that matches; the longest prefix. It does not allocate.
func (l *Locations) Match(path []byte) (location int, outcome Outcome) {
	location, outcome, final := l.prefix(path)
	if !final {
		if i, ok := l.regex(path); ok {
			return i, Found
		}
	}
	return location, outcome
}

// prefix is the part of Match without expressions. final: they are not to be asked.
func (l *Locations) prefix(path []byte) (location int, outcome Outcome, final bool) {
	m := l.tree.match(path)
	switch {
	case m.exact != noLocation:
		return int(m.exact), Found, true
	case m.redirect != noLocation:
		return int(m.redirect), Redirect, true
	case m.prefix != noLocation:
		return int(m.prefix), Found, m.prefixOnly
	}
	return noLocation, None, false
}

// regex returns the first location whose expression matches.
func (l *Locations) regex(path []byte) (location int, ok bool) {
	for i := range l.patterns {
		if l.patterns[i].pattern.Match(path) {
			return l.patterns[i].location, true
		}
	}
	return noLocation, false
}

// Pattern returns the expression of a location, or nil if it has none.
func (l *Locations) Pattern(location int) *Pattern { return l.byIndex[location] }

// Named returns the location "@name" (name with its "@"), or -1.
func (l *Locations) Named(name string) int {
	if i, ok := l.named[name]; ok {
		return i
	}
	return noLocation
}
