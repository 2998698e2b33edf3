// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package convert

import (
	"slices"
	"strconv"
	"strings"
)

// block is a table of the configuration: its keys, then the tables in it.
type block struct {
	key     string // in the table around it; "": the whole configuration, or a table within a line
	kind    kind
	name    string // of a named one
	by      *directive
	entries []*entry
	byKey   map[string]*entry
	blocks  []*block
	byName  map[string]*block // of blocks, those with a name, by key and name
}

// kind is how a table is found under its key.
type kind uint8

const (
	single kind = iota // it is the key's value
	named              // it is one of the tables that the key has by name
	listed             // it is one of the list that the key has
)

// shape is how an entry's items make a value.
type shape uint8

const (
	scalar shape = iota // the one item
	list                // a list of them
	names               // a table of them by name; a list when a name comes twice
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
	value  any        // a string, int64, bool, []any or table; in names what the table's short form is
	fields table      // of names: the table, when the short form does not do
}

// table is a table that is written within a line, in order.
type table []field

// field is a key of a table with its value, as in an item.
type field struct {
	key   string
	value any
}

// placed is a value that comes from elsewhere than the table that it is in.
type placed struct {
	by    *directive
	value any
}

func newBlock(key string, by *directive) *block {
	return &block{key: key, by: by, byKey: map[string]*entry{}}
}

// addNamed adds a table with a name to those in b; nil when there is one of that name.
func (b *block) addNamed(key, name string, by *directive) *block {
	if b.find(key, name) != nil {
		return nil
	}
	inner := newBlock(key, by)
	inner.kind, inner.name = named, name
	if b.byName == nil {
		b.byName = map[string]*block{}
	}
	b.byName[nameKey(key, name)] = inner
	b.blocks = append(b.blocks, inner)
	return inner
}

// dropNamed takes a table with a name out. False: there is none.
func (b *block) dropNamed(key, name string) bool {
	inner := b.find(key, name)
	if inner != nil {
		b.blocks = slices.DeleteFunc(b.blocks, func(other *block) bool { return other == inner })
		delete(b.byName, nameKey(key, name))
	}
	return inner != nil
}

// find is the table of that name; nil when there is none.
func (b *block) find(key, name string) *block { return b.byName[nameKey(key, name)] }

// nameKey is where a table is found by its name, whose case says nothing: neither that of a group nor that of a variable does with nginx.
func nameKey(key, name string) string { return key + " " + strings.ToLower(name) }

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

// texts are strings as values.
func texts(all []string) []any {
	values := make([]any, len(all))
	for i, s := range all {
		values[i] = s
	}
	return values
}

// element is a value as one of a list: a named one has its name as a key.
func (e *entry) element(it item) any {
	if e.shape != names {
		return it.value
	}
	fields := it.fields
	if len(fields) == 0 {
		fields = table{{e.short(), it.value}}
	}
	return append(table{{"name", it.name}}, fields...)
}

// byName is a value as one of a table by name.
func (it item) byName() any {
	if len(it.fields) > 0 {
		return it.fields
	}
	return it.value
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

// number is the number that a text is, or else the text, of which the configuration's check says what it should be.
func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && isDigits(s) {
		return n
	}
	return s
}

// seconds is a time; one without a unit gets nginx's, which reads better.
func seconds(s string) string {
	if isDigits(s) {
		return s + "s"
	}
	return s
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
