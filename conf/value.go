// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"strings"
)

// Value is a value of a configuration that a program makes: package convert, of an nginx.conf.
type Value struct {
	Of   any // a string, int64 or bool, a []Value, or a []Field: a table
	Line int // where it comes from, as Fault.Line; 0: from nowhere in particular
}

// Field is a key of a table with its value.
type Field struct {
	Key   string
	Value Value
}

// Pack is the packed form of a configuration, for Source.Packed. It panics on a value of a type that Of may not have. A key that a table has twice is a fault
// when the Source is loaded, as it is in TOML.
func (v Value) Pack() []byte { return v.node().pack(nil, new(int)) }

func (v Value) node() *node {
	n := &node{line: v.Line}
	switch of := v.Of.(type) {
	case []Field:
		n.keys, n.kids = make([]string, 0, len(of)), make(map[string]*node, len(of))
		for _, f := range of {
			n.keys = append(n.keys, f.Key)
			n.kids[f.Key] = f.Value.node()
		}
	case []Value:
		n.list, n.elems = true, make([]*node, len(of))
		for i, e := range of {
			n.elems[i] = e.node()
		}
	case string, int64, bool:
		n.value = of
	default:
		panic(fmt.Sprintf("conf: a configuration has no values of the type %T", of))
	}
	return n
}

// FormatValue is a value as TOML has it behind "=".
func FormatValue(v Value) string {
	switch of := v.Of.(type) {
	case string:
		return formatText(of)
	case []Value:
		items := make([]string, len(of))
		for i, e := range of {
			items[i] = FormatValue(e)
		}
		return brackets(items)
	case []Field:
		items := make([]string, len(of))
		for i, f := range of {
			items[i] = FormatKey(f.Key) + " = " + FormatValue(f.Value)
		}
		return braces(items)
	}
	return fmt.Sprint(v.Of) // an int64, a bool
}

// FormatKey is a key as TOML has it: in quotes if it needs them.
func FormatKey(key string) string {
	if bareKey(key) {
		return key
	}
	return formatText(key)
}

// formatText is a text as a TOML string: a literal one where that spares backslashes.
func formatText(s string) string {
	if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || r < ' ' || r == 0x7f }) {
		return "'" + s + "'"
	}
	return quote(s)
}

func brackets(items []string) string { return "[" + strings.Join(items, ", ") + "]" }

func braces(items []string) string {
	if len(items) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(items, ", ") + " }"
}
