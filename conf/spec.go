// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// tableSpec is what a schema struct says about its TOML table.
type tableSpec struct {
	fields   []*fieldSpec          // in the order of the struct, embedded structs spelled out
	byKey    map[string]*fieldSpec // by TOML key, without the field that holds an entry's name
	embeds   []embed
	name     *fieldSpec    // the field that holds an entry's name, in a table of named entries
	short    *fieldSpec    // the field that a value in place of the table sets
	defaults reflect.Value // the struct with every key at its default; set when it is needed first
}

// embed is an embedded struct of settings, which a nested table inherits from the one around it.
type embed struct {
	typ   reflect.Type
	index int
}

// fieldSpec is what a schema struct's field says about its TOML key.
type fieldSpec struct {
	key      string
	index    []int // for reflect.Value.FieldByIndex
	typ      reflect.Type
	tag      reflect.StructTag
	def      *node // the default as TOML; nil: the zero value
	min, max int64 // bounds of numbers, in bytes or nanoseconds for sizes and times
	off      bool
	path     bool
	required bool
}

// specs holds the table specs of a program's schema structs.
type specs map[reflect.Type]*tableSpec

// of returns the spec of a schema struct. It panics on tags that make no sense: those are bugs.
func (s specs) of(t reflect.Type) *tableSpec {
	if spec := s[t]; spec != nil {
		return spec
	}
	spec := &tableSpec{byKey: map[string]*fieldSpec{}}
	s[t] = spec
	spec.add(t, nil)
	return spec
}

func (spec *tableSpec) add(t reflect.Type, index []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		at := append(append([]int(nil), index...), i)
		if field.Anonymous {
			if len(index) == 0 { // what is embedded deeper goes along
				spec.embeds = append(spec.embeds, embed{field.Type, i})
			}
			spec.add(field.Type, at)
			continue
		}
		if key := field.Tag.Get("toml"); key != "-" {
			spec.addField(newFieldSpec(t, field, at))
		}
	}
}

func (spec *tableSpec) addField(f *fieldSpec) {
	spec.fields = append(spec.fields, f)
	if f.tag.Get("key") == "true" {
		spec.name = f
	} else {
		spec.byKey[f.key] = f
	}
	if f.tag.Get("short") == "true" {
		spec.short = f
	}
}

func newFieldSpec(t reflect.Type, field reflect.StructField, index []int) *fieldSpec {
	f := &fieldSpec{
		key: field.Tag.Get("toml"), index: index, typ: field.Type, tag: field.Tag, max: math.MaxInt64,
		off:      field.Tag.Get("off") == "true",
		path:     field.Tag.Get("path") == "true",
		required: field.Tag.Get("required") == "true",
	}
	if f.key == "" {
		panic(fmt.Sprintf("conf: %s.%s has no toml tag", t, field.Name))
	}
	if text, ok := field.Tag.Lookup("min"); ok {
		f.min = f.mustBound(text)
	}
	if text, ok := field.Tag.Lookup("max"); ok {
		f.max = f.mustBound(text)
	}
	if text, ok := field.Tag.Lookup("default"); ok {
		f.def = f.mustNode(text)
	}
	return f
}

// number is the type of a field that holds a number, or may hold one: a pointer to it.
func (f *fieldSpec) number() reflect.Type {
	if f.typ.Kind() == reflect.Pointer {
		return f.typ.Elem()
	}
	return f.typ
}

// mustBound parses a min or max tag.
func (f *fieldSpec) mustBound(text string) int64 {
	parse := ParseSize
	if f.number() == reflect.TypeFor[time.Duration]() {
		parse = func(s string) (int64, error) {
			d, err := ParseTime(s)
			return int64(d), err
		}
	}
	negative := strings.HasPrefix(text, "-")
	n, err := parse(strings.TrimPrefix(text, "-"))
	if err != nil {
		panic(fmt.Sprintf("conf: bound of %s: %v", f.key, err))
	}
	if negative {
		return -n
	}
	return n
}

// mustNode parses a default tag: TOML for lists and tables, else the text of a boolean, an integer or a string.
func (f *fieldSpec) mustNode(text string) *node {
	n := &node{file: "default", value: text}
	var err error
	switch kind := f.typ.Kind(); {
	case strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{"):
		table, fault := parseTree("default", []byte(f.key+" = "+text))
		if fault != nil {
			panic(fmt.Sprintf("conf: default of %s: %v", f.key, fault))
		}
		return table.kids[f.key]
	case kind == reflect.Bool:
		n.value, err = strconv.ParseBool(text)
	case kind == reflect.Int && f.typ != reflect.TypeFor[Auto]():
		n.value, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic(fmt.Sprintf("conf: default of %s: %v", f.key, err))
	}
	return n
}

// isBlock says whether the field is a table, or holds tables, printed under a [header] and not as inline tables.
func (f *fieldSpec) isBlock() bool {
	t := f.typ
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Buffers](), reflect.TypeFor[HTTP](), reflect.TypeFor[LimitConnZone](), reflect.TypeFor[LimitReqZone](), reflect.TypeFor[Upstream](),
		reflect.TypeFor[Server](), reflect.TypeFor[Location](), reflect.TypeFor[Map](), reflect.TypeFor[Geo](), reflect.TypeFor[SplitClients]():
		return true
	}
	return false
}

// keys are the keys that a table may have.
func (spec *tableSpec) keys() []string {
	keys := make([]string, 0, len(spec.fields))
	for _, f := range spec.fields {
		if f != spec.name {
			keys = append(keys, f.key)
		}
	}
	return keys
}
