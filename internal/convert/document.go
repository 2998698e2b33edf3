// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/internal/convert/wire"
)

// block is a table of the TOML text: its keys, then the tables in it.
type block struct {
	header  string // "[http]"; "" for the top level
	by      *directive
	entries []*entry
	byKey   map[string]*entry
	blocks  []*block
	indent  string
}

// shape is how an entry's items are written.
type shape uint8

const (
	scalar shape = iota // key = item
	list                // key = [item, item]
	names               // key.name = item
)

// entry is a key of a table.
type entry struct {
	key     string
	shape   shape
	items   []item
	comment string
}

// item is a value, or one of the values, of an entry.
type item struct {
	by     *directive // where it comes from; nil for a default of nginx's
	name   string     // of names
	text   string     // a TOML value; in names what the fields' short form is
	fields []string   // of names: further keys, "always = true"
}

func newBlock(header string, by *directive) *block {
	return &block{header: header, by: by, byKey: map[string]*entry{}}
}

// set gives a key its one value. It returns false when the key has one.
func (b *block) set(key string, it item) bool {
	if b.byKey[key] != nil {
		return false
	}
	return b.add(key, scalar, it)
}

// add adds a value to a key. It returns false when the key has a value of another shape.
func (b *block) add(key string, s shape, it item) bool {
	e := b.byKey[key]
	if e == nil {
		e = &entry{key: key, shape: s}
		b.byKey[key] = e
		b.entries = append(b.entries, e)
	}
	if e.shape != s {
		return false
	}
	e.items = append(e.items, it)
	return true
}

// replace makes it the only value of a key, in the place that the key has.
func (b *block) replace(key string, it item) {
	if e := b.byKey[key]; e != nil {
		e.shape, e.items = scalar, []item{it}
		return
	}
	b.add(key, scalar, it)
}

// moveOut takes an entry out of the text: it is written elsewhere. The key counts as set.
func (b *block) moveOut(key string) *entry {
	e := b.byKey[key]
	b.entries = slices.DeleteFunc(b.entries, func(other *entry) bool { return other == e })
	return e
}

// drop takes an entry out. False: there is none.
func (b *block) drop(key string) bool {
	if b.byKey[key] == nil {
		return false
	}
	b.moveOut(key)
	delete(b.byKey, key)
	return true
}

// lead puts an entry before all others.
func (b *block) lead(e *entry) {
	b.entries = append([]*entry{e}, b.entries...)
	b.byKey[e.key] = e
}

// document is a TOML text being written, with where each line comes from.
type document struct {
	strings.Builder
	by     []*directive    // of each line
	arrays map[string]bool // the keys that have been written as arrays of named values, with their indents: see entry
}

func (d *document) line(by *directive, indent, text string) {
	if text != "" {
		d.WriteString(indent)
		d.WriteString(text)
	}
	d.WriteByte('\n')
	d.by = append(d.by, by)
}

// places are the places of all lines.
func (d *document) places() wire.Places {
	var p wire.Places
	for _, by := range d.by {
		if by == nil {
			p.Add("", 0)
			continue
		}
		p.Add(by.file, by.line)
	}
	return p
}

// block writes a table. Its header tells where it comes from.
func (d *document) block(b *block) {
	if b.header != "" {
		text := b.header
		if b.by != nil {
			text += fmt.Sprintf("  # %s:%d", comment(b.by.file), b.by.line)
		}
		d.line(nil, "", "")
		d.line(b.by, b.indent, text)
	}
	for _, e := range b.entries {
		d.entry(e, b.indent)
	}
	for _, inner := range b.blocks {
		d.block(inner)
	}
}

// maxWidth is how long a line with a list may be; a longer one has a line for each value.
const maxWidth = 120

func (d *document) entry(e *entry, indent string) {
	first := e.items[0].by
	tail := ""
	if e.comment != "" {
		tail = "  # " + e.comment
	}
	switch {
	case e.shape == scalar:
		d.line(first, indent, e.key+" = "+e.items[0].text+tail)
	case e.shape == names && e.distinct() && !d.arrays[indent+e.key]: // behind an array of that key the parser of TOML keeps only the last of such lines
		for _, it := range e.items {
			text := it.text
			if len(it.fields) > 0 {
				text = braces(it.fields)
			}
			d.line(it.by, indent, e.key+"."+key(it.name)+" = "+text)
		}
	default:
		if e.shape == names {
			d.arrays[indent+e.key] = true
		}
		texts := make([]string, len(e.items))
		oneLine := true
		for i, it := range e.items {
			texts[i] = e.element(it)
			oneLine = oneLine && it.by == first
		}
		if all := e.key + " = [" + strings.Join(texts, ", ") + "]"; oneLine && len(all) <= maxWidth || len(texts) == 1 {
			d.line(first, indent, all)
			return
		}
		d.line(first, indent, e.key+" = [")
		for i, text := range texts {
			d.line(e.items[i].by, indent, "  "+text+",")
		}
		d.line(first, indent, "]")
	}
}

// element is a value as one of an array: a named one has its name as a key.
func (e *entry) element(it item) string {
	if e.shape != names {
		return it.text
	}
	fields := it.fields
	if len(fields) == 0 {
		fields = []string{e.short() + " = " + it.text}
	}
	return braces(append([]string{"name = " + quote(it.name)}, fields...))
}

// short is the key that a named entry's short form stands for.
func (e *entry) short() string {
	if e.key == "log_format" {
		return "format"
	}
	return "value"
}

// distinct says whether no name comes twice, so that the names can be keys.
func (e *entry) distinct() bool {
	seen := map[string]bool{}
	for _, it := range e.items {
		seen[it.name] = true
	}
	return len(seen) == len(e.items)
}

func braces(fields []string) string { return "{ " + strings.Join(fields, ", ") + " }" }

// quote is a text as a TOML string: a literal one where that spares backslashes.
func quote(s string) string {
	if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || r < ' ' || r == 0x7f }) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// key is a name as a TOML key.
func key(s string) string {
	bare := s != ""
	for i := range len(s) {
		c := s[i]
		bare = bare && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if bare {
		return s
	}
	return quote(s)
}

// comment is a text that may stand behind "#": the name of a file may have anything in it.
func comment(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(s)
	}
	return s
}

// number is a text as a TOML number if it is one that TOML can hold, else as a string, of which the configuration's check says what it should be.
func number(s string) string {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && isDigits(s) {
		return strconv.FormatInt(n, 10)
	}
	return quote(s)
}

// seconds is a time; one without a unit gets nginx's, which reads better.
func seconds(s string) string {
	if isDigits(s) {
		return quote(s + "s")
	}
	return quote(s)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
