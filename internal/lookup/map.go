// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lookup

import (
	"bytes"
	"fmt"
	"strings"

	"weir/internal/route"
)

// Default is the number of the value for what no entry has.
const Default = -1

// Map is a table of nginx's map. Letter case is ignored but by expressions.
type Map struct {
	exact     map[string]int32
	hosts     *route.ServerNames // entries with wildcards, by their place in ofHost, from 1; nil: none
	ofHost    []int
	hostnames bool
	patterns  []mapPattern
	longest   int // of exact
}

type mapPattern struct {
	pattern *route.Pattern
	value   int
}

// NewMap makes a table of entries, whose values are numbered in their order: texts, "~expression" and "~*expression", with a backslash before a text that begins with "~";
// with hostnames also "*.name", ".name" and "name.*".
func NewMap(keys []string, hostnames bool) (*Map, error) {
	m := &Map{exact: make(map[string]int32, len(keys)), hostnames: hostnames}
	hosts := []route.Server{{Default: true}}
	for i, key := range keys {
		if text, ok := strings.CutPrefix(key, "~"); ok {
			text, fold := strings.CutPrefix(text, "*")
			p, err := route.NewPattern(text, fold)
			if err != nil {
				return nil, err
			}
			m.patterns = append(m.patterns, mapPattern{p, i})
			continue
		}
		if hostnames && (strings.HasPrefix(key, "*.") || strings.HasPrefix(key, ".") || strings.HasSuffix(key, ".*")) {
			if err := route.CheckServerName(key); err != nil {
				return nil, err
			}
			hosts, m.ofHost = append(hosts, route.Server{Names: []string{key}}), append(m.ofHost, i)
			continue
		}
		if hostnames && strings.Contains(key, "*") {
			return nil, fmt.Errorf("invalid hostname or wildcard %q", key)
		}
		text := strings.ToLower(strings.TrimPrefix(key, `\`))
		if _, ok := m.exact[text]; ok {
			return nil, fmt.Errorf("conflicting parameter %q", key)
		}
		m.exact[text] = int32(i)
		m.longest = max(m.longest, len(text))
	}
	if len(m.ofHost) == 0 {
		return m, nil
	}
	var err error
	m.hosts, err = route.NewServerNames(hosts)
	return m, err
}

// Patterns are the expressions, for those who bind their groups to variables.
func (m *Map) Patterns() []*route.Pattern {
	all := make([]*route.Pattern, len(m.patterns))
	for i := range m.patterns {
		all[i] = m.patterns[i].pattern
	}
	return all
}

// Find returns the number of the value for key, or Default. pattern is the expression that matched, if one had to: its groups may be wanted. lower is memory for key
// in lower case, and may be nil.
func (m *Map) Find(lower, key []byte) (value int, pattern *route.Pattern) {
	text := key
	if m.hostnames {
		text = bytes.TrimSuffix(key, dot)
	}
	if len(text) <= m.longest || m.hosts != nil {
		text = appendLower(lower[:0], text)
		if i, ok := m.exact[string(text)]; ok {
			return int(i), nil
		}
		if m.hosts != nil && len(text) > 0 {
			if i := m.hosts.Lookup(text); i > 0 {
				return m.ofHost[i-1], nil
			}
		}
	}
	for i := range m.patterns {
		if p := m.patterns[i].pattern; p.Match(key) == route.Matches {
			return m.patterns[i].value, p
		}
	}
	return Default, nil
}

var dot = []byte(".") // read-only

func appendLower(dst, text []byte) []byte {
	for _, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
