// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"bytes"
	"strconv"
	"strings"
)

// place is where in a text a value stands, and where the values in it stand.
type place struct {
	line  int
	keys  []string // of a table, in the order of the text
	kids  map[string]*place
	elems []*place // of an array
}

// kid returns the place of key in the table p; a new one, on the given line, when there is none yet.
func (p *place) kid(key string, line int) *place {
	if k := p.kids[key]; k != nil {
		return k
	}
	if p.kids == nil {
		p.kids = map[string]*place{}
	}
	k := &place{line: line}
	p.kids[key] = k
	p.keys = append(p.keys, key)
	return k
}

// last is the table that a header's key means: the newest element when p is an array of tables.
func (p *place) last() *place {
	for len(p.elems) > 0 {
		p = p.elems[len(p.elems)-1]
	}
	return p
}

// indexer finds the places of all values in a text that a TOML parser has accepted; BurntSushi/toml says what the values
// are but not where. It knows only as much of TOML as it takes to tell keys from values, and on a text that is not TOML it returns
// some places, without a panic.
type indexer struct {
	text []byte
	pos  int
	line int
}

// indexText returns the place of the text's root table.
func indexText(text []byte) *place {
	x := &indexer{text: bytes.TrimPrefix(text, []byte("\ufeff")), line: 1}
	root := &place{line: 1}
	table := root
	for {
		x.skip(true)
		switch {
		case x.pos >= len(x.text):
			return root
		case x.peek() == '[':
			table = x.header(root)
		default:
			before := x.pos
			x.keyValue(table)
			if x.pos == before {
				x.advance() // not TOML
			}
		}
	}
}

func (x *indexer) peek() byte {
	if x.pos < len(x.text) {
		return x.text[x.pos]
	}
	return 0
}

func (x *indexer) advance() {
	if x.pos < len(x.text) {
		if x.text[x.pos] == '\n' {
			x.line++
		}
		x.pos++
	}
}

// skip passes over blanks, and with lines over line ends and comments too.
func (x *indexer) skip(lines bool) {
	for x.pos < len(x.text) {
		switch c := x.text[x.pos]; {
		case c == ' ' || c == '\t':
		case lines && (c == '\n' || c == '\r'):
		case lines && c == '#':
			for x.pos < len(x.text) && x.text[x.pos] != '\n' {
				x.pos++
			}
			continue
		default:
			return
		}
		x.advance()
	}
}

// header reads [a.b] or [[a.b]] and returns the place of the table that begins there.
func (x *indexer) header(root *place) *place {
	line := x.line
	x.advance()
	array := x.peek() == '['
	if array {
		x.advance()
	}
	keys := x.dotted()
	for x.peek() == ']' {
		x.advance()
	}
	table := root
	for i, key := range keys {
		table = table.kid(key, line)
		if i < len(keys)-1 || !array {
			table = table.last()
		}
	}
	if array {
		table.elems = append(table.elems, &place{line: line})
		return table.last()
	}
	table.line = line
	return table
}

// keyValue reads "a.b = value" into table.
func (x *indexer) keyValue(table *place) {
	line := x.line
	for _, key := range x.dotted() {
		table = table.kid(key, line)
	}
	if x.peek() != '=' {
		return
	}
	x.advance()
	x.skip(false)
	x.value(table)
}

// dotted reads a key of one or more parts and the blanks behind it.
func (x *indexer) dotted() []string {
	var keys []string
	for {
		x.skip(false)
		key, ok := x.simpleKey()
		if !ok {
			return keys
		}
		keys = append(keys, key)
		x.skip(false)
		if x.peek() != '.' {
			return keys
		}
		x.advance()
	}
}

func (x *indexer) simpleKey() (string, bool) {
	switch c := x.peek(); {
	case c == '"' || c == '\'':
		return x.str(), true
	case !bareByte(c):
		return "", false
	}
	start := x.pos
	for bareByte(x.peek()) {
		x.advance()
	}
	return string(x.text[start:x.pos]), true
}

// value reads a value whose place is p.
func (x *indexer) value(p *place) {
	switch x.peek() {
	case '"', '\'':
		x.str()
	case '[':
		x.items(']', func() {
			elem := &place{line: x.line}
			p.elems = append(p.elems, elem)
			x.value(elem)
		})
	case '{':
		x.items('}', func() { x.keyValue(p) })
	default: // a number, a time, true or false
		for x.pos < len(x.text) && !strings.ContainsRune(",]}#\r\n", rune(x.text[x.pos])) {
			x.advance()
		}
	}
}

// items reads the bracket before, and everything up to, the one given, calling item at the start of every item.
func (x *indexer) items(end byte, item func()) {
	x.advance()
	for {
		x.skip(true)
		switch {
		case x.pos >= len(x.text):
			return
		case x.peek() == end:
			x.advance()
			return
		case x.peek() == ',':
			x.advance()
		default:
			before := x.pos
			item()
			if x.pos == before {
				x.advance() // not TOML
			}
		}
	}
}

// str reads a string of any of the four kinds and returns its text; of a multi-line string, which is no key, only the raw text.
func (x *indexer) str() string {
	quote := x.peek()
	if triple := bytes.Repeat([]byte{quote}, 3); bytes.HasPrefix(x.text[x.pos:], triple) {
		return x.multiline(quote, triple)
	}
	x.advance()
	start := x.pos
	escaped := false
	for x.pos < len(x.text) && x.text[x.pos] != quote && x.text[x.pos] != '\n' {
		if x.text[x.pos] == '\\' && quote == '"' {
			escaped = true
			x.advance()
		}
		x.advance()
	}
	text := string(x.text[min(start, x.pos):x.pos])
	if x.peek() == quote {
		x.advance()
	}
	if escaped {
		return unescape(text)
	}
	return text
}

func (x *indexer) multiline(quote byte, triple []byte) string {
	x.pos += len(triple)
	start := x.pos
	for x.pos < len(x.text) && !bytes.HasPrefix(x.text[x.pos:], triple) {
		if x.text[x.pos] == '\\' && quote == '"' {
			x.advance()
		}
		x.advance()
	}
	text := string(x.text[min(start, x.pos):x.pos])
	for range 5 { // up to two quotes may stand before the closing three
		if x.peek() == quote {
			x.advance()
		}
	}
	return text
}

// unescape replaces the escapes of a basic string.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := 0
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'f':
			b.WriteByte('\f')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default: // a quote or a backslash
			b.WriteByte(s[i])
		}
		if end := i + 1 + digits; digits > 0 && end <= len(s) {
			if r, err := strconv.ParseUint(s[i+1:end], 16, 32); err == nil {
				b.WriteRune(rune(r))
			}
			i = end - 1
		}
	}
	return b.String()
}

// bareByte says whether c may stand in a key without quotes.
func bareByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// bareKey says whether a key needs no quotes.
func bareKey(key string) bool {
	for i := range len(key) {
		if !bareByte(key[i]) {
			return false
		}
	}
	return key != ""
}
