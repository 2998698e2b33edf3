// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"reflect"
	"slices"
	"time"
)

// Key is one key of a table of the schema, for programs that write configurations.
type Key struct {
	Name     string
	Form     Form
	Names    []string // what a text has to be one of; nil: anything
	Min, Max int64    // bounds of a number, in bytes or nanoseconds for sizes and times
	Auto     bool     // a number may be "auto"
}

// Form is what a key's value looks like.
type Form uint8

// Forms of values.
const (
	FormOther      Form = iota // a table, or a list of tables
	FormFlag                   // true or false
	FormNumber                 // a number; or "auto", where that is possible
	FormSize                   // "16k"
	FormTime                   // "30s"
	FormText                   // a string, or one of some names
	FormTexts                  // a list of strings
	FormNumberSize             // { number = 4, size = "8k" }
	FormNames                  // a table of names and strings
)

// Keys describes the keys of T, a struct of the schema, by name: those of its embedded settings too, but not the key that holds an entry's name.
func Keys[T any]() map[string]Key {
	keys := map[string]Key{}
	all := specs{}
	for name, f := range all.of(reflect.TypeFor[T]()).byKey {
		k := Key{Name: name, Form: all.form(f.typ), Min: f.min, Max: f.max, Auto: f.typ == reflect.TypeFor[Auto]()}
		if e, ok := reflect.Zero(f.typ).Interface().(enum); ok && k.Form == FormText {
			k.Names = slices.DeleteFunc(e.names(), func(name string) bool { return name == "" })
		}
		keys[name] = k
	}
	return keys
}

// form is the form of a type's values.
func (s specs) form(t reflect.Type) Form {
	switch t {
	case reflect.TypeFor[Size]():
		return FormSize
	case reflect.TypeFor[time.Duration]():
		return FormTime
	case reflect.TypeFor[NumberSize]():
		return FormNumberSize
	case reflect.TypeFor[Address](), reflect.TypeFor[Origin](), reflect.TypeFor[NameServer](), reflect.TypeFor[Path](), reflect.TypeFor[*ProxyPass](), reflect.TypeFor[Network](),
		reflect.TypeFor[Rate](), reflect.TypeFor[SoKeepalive](), reflect.TypeFor[CookieExpires]():
		return FormText
	case reflect.TypeFor[Redirects](), reflect.TypeFor[CookieRules]():
		return FormOther
	}
	_, named := reflect.Zero(t).Interface().(enum)
	decodes := reflect.PointerTo(t).Implements(reflect.TypeFor[valueDecoder]())
	switch kind := t.Kind(); {
	case named && decodes: // a set of names
		return FormTexts
	case named, kind == reflect.String:
		return FormText
	case kind == reflect.Bool:
		return FormFlag
	case kind == reflect.Int, kind == reflect.Int64:
		return FormNumber
	case kind == reflect.Pointer:
		return s.form(t.Elem())
	case kind == reflect.Slice:
		return s.formOfList(t.Elem())
	case isTable(t) && s.of(t).short != nil:
		return s.form(s.of(t).short.typ)
	}
	return FormOther
}

// formOfList is the form of a list of elements of the type t.
func (s specs) formOfList(t reflect.Type) Form {
	if isTable(t) {
		if spec := s.of(t); spec.name != nil && spec.short != nil {
			return FormNames
		}
		return FormOther
	}
	if s.form(t) == FormText {
		return FormTexts
	}
	return FormOther
}
