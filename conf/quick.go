// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// quick makes the tree of a text in one pass, a tenth of what it takes to parse it with the library, find the places in a second pass, and join them: an nginx.conf of ten thousand servers becomes
// a hundred thousand lines of TOML. It knows the part of TOML in which nearly all configs are written, and all that weir-convert writes. Where it meets anything
// else, and every text with a fault is that, it gives up, and the library has the word: what it says of the fault, too.
//
// What it leaves to the library: strings of several lines, numbers that are no plain integers, times, carriage returns, escapes in keys, and tables that are opened in more than one place.
type quick struct {
	file string
	text string
	pos  int
	line int
	free []node // made in advance
}

// How a table came to be, in node.how: it says who may put more into it.
const (
	byValue  uint8 = iota // scalar, list, inline table: nobody
	byHeader              // [a]: those behind it, and headers below
	byWay                 // the a of [a.b]: headers below
	byDots                // the a of a.b = 1: those behind it in the same table
	byArray               // the list of [[a]]: headers
)

// quickTree is the tree of a text; false where the library is needed to tell.
func quickTree(file string, text []byte) (*node, bool) {
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return nil, false
		}
	}
	if !utf8.Valid(text) || len(text) >= 3 && text[0] == 0xef { // a byte order mark
		return nil, false
	}
	q := &quick{file: file, text: string(text), line: 1}
	root := q.table(1, byHeader)
	for table := root; ; {
		q.skipLines()
		var ok bool
		switch {
		case q.pos == len(q.text):
			return root, true
		case q.text[q.pos] == '[':
			table, ok = q.header(root)
		default:
			ok = q.keyValue(table)
		}
		if !ok || !q.endOfLine() {
			return nil, false
		}
	}
}

func (q *quick) node(line int) *node {
	if len(q.free) == 0 {
		q.free = make([]node, 256)
	}
	n := &q.free[0]
	q.free = q.free[1:]
	n.file, n.line = q.file, line
	return n
}

func (q *quick) table(line int, how uint8) *node {
	n := q.node(line)
	n.kids, n.how = map[string]*node{}, how
	return n
}

// put puts a new value into a table.
func (n *node) put(key string, kid *node) {
	n.keys = append(n.keys, key)
	n.kids[key] = kid
}

func (q *quick) peek() byte {
	if q.pos < len(q.text) {
		return q.text[q.pos]
	}
	return 0
}

// take passes over a byte if it is the next one.
func (q *quick) take(c byte) bool {
	if q.peek() != c {
		return false
	}
	q.pos++
	return true
}

func (q *quick) blanks() {
	for q.pos < len(q.text) && (q.text[q.pos] == ' ' || q.text[q.pos] == '\t') {
		q.pos++
	}
}

// endOfLine passes over blanks and a comment, and says whether the line ends there.
func (q *quick) endOfLine() bool {
	q.blanks()
	if q.peek() == '#' {
		if end := strings.IndexByte(q.text[q.pos:], '\n'); end >= 0 {
			q.pos += end
		} else {
			q.pos = len(q.text)
		}
	}
	return q.pos == len(q.text) || q.text[q.pos] == '\n'
}

// skipLines passes over blanks, comments and line ends.
func (q *quick) skipLines() {
	for q.endOfLine() && q.pos < len(q.text) {
		q.pos++
		q.line++
	}
}

// key reads one part of a key.
func (q *quick) key() (string, bool) {
	q.blanks()
	start := q.pos
	switch c := q.peek(); {
	case c == '"' || c == '\'':
		end := strings.IndexByte(q.text[start+1:], c) + start + 1
		key := q.text[start+1 : max(end, start+1)]
		if end <= start || strings.ContainsAny(key, "\n\\") || strings.HasPrefix(q.text[start:], `"""`) || strings.HasPrefix(q.text[start:], `'''`) {
			return "", false
		}
		q.pos = end + 1
		return key, true
	}
	for q.pos < len(q.text) && bareByte(q.text[q.pos]) {
		q.pos++
	}
	return q.text[start:q.pos], q.pos > start
}

// header reads [a.b] or [[a.b]]: a new table, of which nothing has been said before.
func (q *quick) header(root *node) (*node, bool) {
	q.pos++
	array := q.take('[')
	for table := root; ; {
		key, ok := q.key()
		if !ok {
			return nil, false
		}
		q.blanks()
		if q.take('.') {
			if table, ok = q.way(table, key); !ok {
				return nil, false
			}
			continue
		}
		if !q.take(']') || array && !q.take(']') {
			return nil, false
		}
		n, there := q.table(q.line, byHeader), table.kids[key]
		switch {
		case !array && there == nil:
			table.put(key, n)
		case array && there == nil:
			list := q.node(q.line)
			list.list, list.how = true, byArray
			list.elems = append(list.elems, n)
			table.put(key, list)
		case array && there.how == byArray:
			there.elems = append(there.elems, n)
		default:
			return nil, false
		}
		return n, true
	}
}

// way is the table that a header leads through.
func (q *quick) way(table *node, key string) (*node, bool) {
	there := table.kids[key]
	switch {
	case there == nil:
		there = q.table(q.line, byWay)
		table.put(key, there)
	case there.how == byArray:
		there = there.elems[len(there.elems)-1]
	case there.how != byHeader && there.how != byWay:
		return nil, false
	}
	return there, true
}

// keyValue reads "a.b = value" into a table.
func (q *quick) keyValue(table *node) bool {
	for line := q.line; ; {
		key, ok := q.key()
		if !ok {
			return false
		}
		q.blanks()
		there := table.kids[key]
		switch {
		case q.take('.'):
			if there == nil {
				there = q.table(line, byDots)
				table.put(key, there)
			} else if there.how != byDots {
				return false
			}
			table = there
		case there != nil || !q.take('='):
			return false
		default:
			q.blanks()
			n := q.node(line)
			table.put(key, n)
			return q.value(n)
		}
	}
}

// value reads a value into n.
func (q *quick) value(n *node) (ok bool) {
	switch c := q.peek(); {
	case c == '"':
		n.value, ok = q.basic()
	case c == '\'':
		n.value, ok = q.literal()
	case c == '[':
		q.pos++
		n.list = true
		return q.elements(n)
	case c == '{':
		q.pos++
		n.kids = map[string]*node{}
		return q.inline(n)
	default:
		n.value, ok = q.word()
	}
	return ok
}

// word reads true, false, or a plain integer.
func (q *quick) word() (any, bool) {
	start := q.pos
	for q.pos < len(q.text) && !strings.ContainsRune(" \t\n,]}#", rune(q.text[q.pos])) {
		q.pos++
	}
	switch word := q.text[start:q.pos]; {
	case word == "true":
		return true, true
	case word == "false":
		return false, true
	case word == "0" || word != "" && word[0] >= '1' && word[0] <= '9' && len(word) <= 18 && strings.Trim(word, "0123456789") == "":
		v, err := strconv.ParseInt(word, 10, 64)
		return v, err == nil
	}
	return nil, false
}

func (q *quick) literal() (string, bool) {
	start := q.pos + 1
	end := strings.IndexByte(q.text[start:], '\'')
	if end < 0 || strings.HasPrefix(q.text[start:], "''") {
		return "", false
	}
	q.pos = start + end + 1
	text := q.text[start : start+end]
	return text, strings.IndexByte(text, '\n') < 0
}

// basic reads a string in double quotes. One without escapes is a part of the text.
func (q *quick) basic() (string, bool) {
	start := q.pos + 1
	if strings.HasPrefix(q.text[start:], `""`) {
		return "", false
	}
	for i := start; i < len(q.text); i++ {
		switch q.text[i] {
		case '"':
			q.pos = i + 1
			return q.text[start:i], true
		case '\\':
			return q.escaped(start, i)
		case '\n':
			return "", false
		}
	}
	return "", false
}

// escaped is basic for a string whose first escape stands at i.
func (q *quick) escaped(start, i int) (string, bool) {
	b := []byte(q.text[start:i])
	for i < len(q.text) && q.text[i] != '\n' {
		c := q.text[i]
		i++
		switch {
		case c == '"':
			q.pos = i
			return string(b), true
		case c != '\\':
			b = append(b, c)
			continue
		case i == len(q.text):
			return "", false
		}
		at := strings.IndexByte(`btnfr"\`, q.text[i])
		switch {
		case at >= 0:
			b = append(b, "\b\t\n\f\r\"\\"[at])
			i++
		case q.text[i] == 'u' && i+5 <= len(q.text):
			v, err := strconv.ParseUint(q.text[i+1:i+5], 16, 32)
			if err != nil || !utf8.ValidRune(rune(v)) {
				return "", false
			}
			b = utf8.AppendRune(b, rune(v))
			i += 5
		default:
			return "", false
		}
	}
	return "", false
}

// elements reads what is left of a list.
func (q *quick) elements(n *node) bool {
	for {
		q.skipLines()
		if q.take(']') {
			return true
		}
		elem := q.node(q.line)
		n.elems = append(n.elems, elem)
		if !q.value(elem) {
			return false
		}
		q.skipLines()
		if !q.take(',') {
			return q.take(']')
		}
	}
}

// inline reads what is left of an inline table. It stands on one line.
func (q *quick) inline(n *node) bool {
	q.blanks()
	if q.take('}') {
		return true
	}
	for {
		if !q.keyValue(n) {
			return false
		}
		q.blanks()
		if !q.take(',') {
			return q.take('}')
		}
	}
}
