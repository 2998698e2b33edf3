// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package route

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Server is what ServerNames needs to know of a server that listens on the address.
type Server struct {
	// Names as the config has them: "example.com", "*.example.com", "www.example.*", ".example.com"
	// (the name and everything below), "~regex", "" (requests without a host). None means "".
	Names []string
	// Default makes it the server for hosts that no name matches (nginx: listen ... default_server).
	Default bool
}

// ServerNames finds the server for a host among those that share a listen address. Immutable.
type ServerNames struct {
	exact map[string]int32
	// suffixes and prefixes hold the wildcard names without "*", cut at every label: "example.com"
	// of "*.example.com", and "com", which belongs to no server, because a walk comes by it.
	suffixes  map[string]int32
	prefixes  map[string]int32
	patterns  []serverPattern
	fallback  int
	alone     bool // one server without expressions: every host is its
	conflicts []Conflict
}

type serverPattern struct {
	pattern *Pattern
	server  int
}

// Conflict is a name that two servers of one address have, or one has twice. nginx warns of it.
type Conflict struct {
	Name   string
	Winner int // the server that keeps the name: the first
	Loser  int
}

// noServer marks a place in suffixes and prefixes that only leads to longer ones.
const noServer = -1

// NewServerNames builds the table for one address. The default is the server that says so, else
// the first. Errors: no server, two defaults, malformed names; all of them, joined.
func NewServerNames(servers []Server) (*ServerNames, error) {
	if len(servers) == 0 {
		return nil, errors.New("an address needs at least one server")
	}
	n := &ServerNames{
		exact:    make(map[string]int32),
		suffixes: make(map[string]int32),
		prefixes: make(map[string]int32),
	}
	var faults []error
	defaults := 0
	for i, server := range servers {
		if server.Default {
			if defaults++; defaults > 1 {
				faults = append(faults, fmt.Errorf("servers %d and %d are both the default", n.fallback, i))
			}
			n.fallback = i
		}
		if len(server.Names) == 0 {
			n.put(n.exact, "", "", i)
		}
		for _, name := range server.Names {
			if err := n.add(name, i); err != nil {
				faults = append(faults, err)
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	n.alone = len(servers) == 1 && len(n.patterns) == 0
	return n, nil
}

// CheckServerName says what is wrong with a name.
func CheckServerName(name string) error {
	_, err := NewServerNames([]Server{{Names: []string{name}}})
	return err
}

func (n *ServerNames) add(name string, server int) error {
	if expression, ok := strings.CutPrefix(name, "~"); ok {
		if expression == "" {
			return errors.New(`server name "~" has no regular expression`)
		}
		// As nginx: a capital in the expression means "in any case". Hosts are in lower case.
		pattern, err := NewPattern(expression, strings.ToLower(expression) != expression)
		if err != nil {
			return err
		}
		n.patterns = append(n.patterns, serverPattern{pattern, server})
		return nil
	}
	lower := strings.TrimSuffix(strings.ToLower(name), ".")
	head, isHead := strings.CutPrefix(lower, "*.")
	tail, isTail := strings.CutSuffix(lower, ".*")
	both, isBoth := strings.CutPrefix(lower, ".")
	core := lower
	switch {
	case isHead:
		core = head
	case isTail:
		core = tail
	case isBoth:
		core = both
	}
	wild := isHead || isTail || isBoth
	if core == "" && (wild || name != "") || strings.ContainsAny(core, "*\x00") || core != "" && (core[0] == '.' || strings.Contains(core, "..")) {
		return fmt.Errorf("server name %q is invalid: \"*\" stands only at the start or end, for whole labels", name)
	}
	if !isTail && !isHead {
		n.put(n.exact, core, name, server)
	}
	if isHead || isBoth {
		for dot := strings.LastIndexByte(core, '.'); dot >= 0; dot = strings.LastIndexByte(core[:dot], '.') {
			lead(n.suffixes, core[dot+1:])
		}
		n.put(n.suffixes, core, name, server)
	}
	if isTail {
		for dot := range len(core) {
			if core[dot] == '.' {
				lead(n.prefixes, core[:dot])
			}
		}
		n.put(n.prefixes, core, name, server)
	}
	return nil
}

// lead makes key a place that a walk goes on from.
func lead(places map[string]int32, key string) {
	if _, ok := places[key]; !ok {
		places[key] = noServer
	}
}

// put gives key to server unless an earlier one has it.
func (n *ServerNames) put(places map[string]int32, key, name string, server int) {
	if owner, ok := places[key]; ok && owner != noServer {
		c := Conflict{Name: name, Winner: int(owner), Loser: server}
		if !slices.Contains(n.conflicts, c) { // ".example.com" has two places
			n.conflicts = append(n.conflicts, c)
		}
		return
	}
	places[key] = int32(server)
}

// Conflicts returns the names that were given away already, in the order of the config, for a
// warning each. The slice must not be changed.
func (n *ServerNames) Conflicts() []Conflict { return n.conflicts }

// Default returns the server for hosts that no name matches.
func (n *ServerNames) Default() int { return n.fallback }

// Patterns returns the expressions in their order, for those who want their group names.
func (n *ServerNames) Patterns() []*Pattern {
	all := make([]*Pattern, len(n.patterns))
	for i := range n.patterns {
		all[i] = n.patterns[i].pattern
	}
	return all
}

// Lookup returns the server for host: in lower case, without port and without a dot at its end
// (http1.RequestHead.Host, lowered); empty if the request has none. It does not allocate.
func (n *ServerNames) Lookup(host []byte) int {
	server, _ := n.LookupPattern(host)
	return server
}

// LookupPattern is Lookup; pattern is the expression that matched, or nil if none had to.
func (n *ServerNames) LookupPattern(host []byte) (server int, pattern *Pattern) {
	if n.alone {
		return n.fallback, nil
	}
	if owner, ok := n.exact[string(host)]; ok {
		return int(owner), nil
	}
	if len(host) == 0 {
		return n.fallback, nil
	}
	if len(n.suffixes) > 0 {
		if owner := n.longestSuffix(host); owner != noServer {
			return owner, nil
		}
	}
	if len(n.prefixes) > 0 {
		if owner := n.longestPrefix(host); owner != noServer {
			return owner, nil
		}
	}
	for i := range n.patterns {
		if n.patterns[i].pattern.Match(host) == Matches {
			return n.patterns[i].server, n.patterns[i].pattern
		}
	}
	return n.fallback, nil
}

// longestSuffix walks from the right, label by label, as long as a wildcard leads on. "*" stands
// for what is left of the suffix and its dot.
func (n *ServerNames) longestSuffix(host []byte) int {
	best := int32(noServer)
	for end := len(host); ; {
		dot := bytes.LastIndexByte(host[:end], '.')
		if dot < 0 {
			return int(best)
		}
		owner, ok := n.suffixes[string(host[dot+1:])]
		if !ok {
			return int(best)
		}
		if owner != noServer {
			best = owner
		}
		end = dot
	}
}

// longestPrefix is longestSuffix from the left. The "*" stands for at least one byte.
func (n *ServerNames) longestPrefix(host []byte) int {
	best := int32(noServer)
	for from := 0; ; {
		dot := bytes.IndexByte(host[from:], '.')
		if dot < 0 || from+dot+1 == len(host) {
			return int(best)
		}
		dot += from
		owner, ok := n.prefixes[string(host[:dot])]
		if !ok {
			return int(best)
		}
		if owner != noServer {
			best = owner
		}
		from = dot + 1
	}
}
