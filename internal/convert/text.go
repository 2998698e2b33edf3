// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/conf"
)

// document is a TOML text that is being written, for people.
type document struct {
	strings.Builder
	arrays map[string]bool // the keys that have been written as arrays of named values, with their indents: see entry
}

// writeText is the configuration as TOML.
func writeText(root *block) []byte {
	d := &document{arrays: map[string]bool{}}
	d.WriteString("# Converted from an nginx.conf by weir-convert.\n\n")
	d.block(root, "", "")
	return []byte(d.String())
}

func (d *document) line(indent, text string) {
	d.WriteString(indent)
	d.WriteString(text)
	d.WriteByte('\n')
}

// block writes a table; around is the path of the one that it is in. Its header tells where it comes from.
func (d *document) block(b *block, around, indent string) {
	path := around
	if b.key != "" {
		path += b.key
		if b.kind == named {
			path += "." + conf.FormatKey(b.name)
		}
		header := "[" + path + "]"
		if b.kind == listed {
			header = "[" + header + "]"
			if b.key == "location" {
				indent += "  "
			}
		}
		if b.by != nil {
			header += fmt.Sprintf("  # %s:%d", comment(b.by.file), b.by.line)
		}
		d.line("", "")
		d.line(indent, header)
		path += "."
	}
	for _, e := range b.entries {
		d.entry(e, indent)
	}
	for _, inner := range b.blocks {
		d.block(inner, path, indent)
	}
}

// maxWidth is how long a line with a list may be; a longer one has a line for each value.
const maxWidth = 120

func (d *document) entry(e *entry, indent string) {
	tail := ""
	if e.comment != "" {
		tail = "  # " + e.comment
	}
	switch {
	case e.shape == scalar:
		d.line(indent, e.key+" = "+inline(e.items[0].value)+tail)
	case e.shape == names && e.distinct() && !d.arrays[indent+e.key]: // behind an array of that key the parser of TOML keeps only the last of such lines
		for _, it := range e.items {
			d.line(indent, e.key+"."+conf.FormatKey(it.name)+" = "+inline(it.byName()))
		}
	default:
		if e.shape == names {
			d.arrays[indent+e.key] = true
		}
		all := make([]any, len(e.items))
		oneLine := true
		for i, it := range e.items {
			all[i] = e.element(it)
			oneLine = oneLine && it.by == e.items[0].by
		}
		if text := e.key + " = " + inline(all); oneLine && len(text) <= maxWidth || len(all) == 1 {
			d.line(indent, text)
			return
		}
		d.line(indent, e.key+" = [")
		for _, value := range all {
			d.line(indent, "  "+inline(value)+",")
		}
		d.line(indent, "]")
	}
}

// inline is a value as it stands behind "=".
func inline(value any) string { return conf.FormatValue(new(values).value(value, 0)) }

// comment is a text that may stand behind "#": the name of a file may have anything in it.
func comment(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(s)
	}
	return s
}
