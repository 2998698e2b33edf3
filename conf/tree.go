// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// node is one value of a configuration with its place: a table (kids is not nil), an array (list), or a scalar.
type node struct {
	file  string
	line  int
	keys  []string // of a table, in the order of the text
	kids  map[string]*node
	list  bool
	elems []*node
	value any // of a scalar: string, int64, float64, bool or time.Time
}

// parseTree parses a text into a tree. A text that is not TOML has one fault, that of the parser.
func parseTree(file string, text []byte) (*node, *Fault) {
	var values map[string]any
	if _, err := toml.Decode(string(text), &values); err != nil {
		f := &Fault{File: file, Text: err.Error()}
		var parse toml.ParseError
		if errors.As(err, &parse) {
			f.Line, f.Text = parse.Position.Line, strings.TrimSuffix(lowerFirst(parse.Message), ".")
			if parse.LastKey != "" {
				f.Key = parse.LastKey
			}
		}
		return nil, f
	}
	places := indexText(text)
	if key, line := lostKey(values, places); key != "" {
		return nil, &Fault{File: file, Line: line, Text: fmt.Sprintf("the key %s cannot be written like this behind a table in which what is before its dot is a list: write one pair of braces with all such keys", quote(key))}
	}
	return newNode(file, values, places, 1), nil
}

// lostKey finds a key that stands in the text and is not among the values: BurntSushi/toml 1.6 keeps only the last of several dotted keys of a table ("a.b = 1", "a.c = 2") where
// an earlier table of the same name has an array for what is before the dot.
func lostKey(value any, p *place) (string, int) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range p.keys {
			kid, ok := v[key]
			if !ok {
				return key, p.kids[key].line
			}
			if lost, line := lostKey(kid, p.kids[key]); lost != "" {
				return lost, line
			}
		}
	case []map[string]any:
		for i, elem := range v {
			if at := p.elem(i); at != nil {
				if lost, line := lostKey(elem, at); lost != "" {
					return lost, line
				}
			}
		}
	}
	return "", 0
}

// newNode joins a value with its place. Where the place is not known, line is the best guess.
func newNode(file string, value any, p *place, line int) *node {
	if p == nil {
		p = &place{line: line}
	}
	n := &node{file: file, line: p.line}
	switch v := value.(type) {
	case map[string]any:
		n.kids = make(map[string]*node, len(v))
		for _, key := range p.keys {
			if _, ok := v[key]; ok {
				n.keys = append(n.keys, key)
			}
		}
		if len(n.keys) < len(v) { // the indexer missed some: sorted, so that the order is stable
			known := len(n.keys)
			for key := range v {
				if p.kids[key] == nil {
					n.keys = append(n.keys, key)
				}
			}
			slices.Sort(n.keys[known:])
		}
		for _, key := range n.keys {
			n.kids[key] = newNode(file, v[key], p.kids[key], p.line)
		}
	case []map[string]any:
		n.list = true
		for i, elem := range v {
			n.elems = append(n.elems, newNode(file, elem, p.elem(i), p.line))
		}
	case []any:
		n.list = true
		for i, elem := range v {
			n.elems = append(n.elems, newNode(file, elem, p.elem(i), p.line))
		}
	default:
		n.value = value
	}
	return n
}

// elem is the place of element i, nil when it is not known.
func (p *place) elem(i int) *place {
	if i < len(p.elems) {
		return p.elems[i]
	}
	return nil
}

// merge lays over on the tree n: tables are merged key by key, everything else is replaced.
func (n *node) merge(over *node) {
	for _, key := range over.keys {
		kid, old := over.kids[key], n.kids[key]
		switch {
		case old == nil:
			n.keys = append(n.keys, key)
			n.kids[key] = kid
		case old.kids != nil && kid.kids != nil:
			old.merge(kid)
		default:
			n.kids[key] = kid
		}
	}
}

// locate returns the node at p in the tree whose root is n, or when there is none the nearest one around it and false.
func (n *node) locate(p *path) (*node, bool) {
	switch {
	case p == nil:
		return n, true
	case p.node != nil:
		return p.node, true
	}
	around, ok := n.locate(p.parent)
	if !ok {
		return around, false
	}
	switch {
	case p.index < 0:
		p.node = around.kids[p.name]
	case p.index < len(around.elems):
		p.node = around.elems[p.index]
	case !around.list && p.index == 0: // one value written in place of a list of one
		p.node = around
	}
	if p.node == nil {
		return around, false
	}
	return p.node, true
}

// describe says what a value is, for "must be a time, not ...".
func (n *node) describe() string {
	switch {
	case n.kids != nil:
		return "a table"
	case n.list:
		return "a list"
	}
	switch v := n.value.(type) {
	case string:
		return quote(v)
	case time.Time:
		return "a date"
	default:
		return fmt.Sprint(v)
	}
}

// lowerFirst is a sentence of the TOML parser as the second half of a fault.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
