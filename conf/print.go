// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TOML is the whole configuration with every default spelled out, as `weir -T` prints it. A server and a location show the settings in
// which they differ from the level around them. Loaded with the same prefix the text gives an equal Config.
func (c *Config) TOML() []byte {
	w := &printer{specs: specs{}}
	w.block("", reflect.ValueOf(c).Elem(), reflect.Value{})
	return []byte(strings.TrimPrefix(w.String(), "\n"))
}

// printer writes schema structs as TOML.
type printer struct {
	strings.Builder
	specs specs
}

// block writes the keys of a table, then the tables in it. name is the table's own, "" for the root. parent is the struct that v
// inherited its settings from, or the zero Value.
func (w *printer) block(name string, v, parent reflect.Value) {
	spec := w.specs.of(v.Type())
	fields := slices.Clone(spec.fields)
	slices.SortStableFunc(fields, func(a, b *fieldSpec) int { return len(a.index) - len(b.index) }) // the table's own keys first
	var blocks []*fieldSpec
	for _, f := range fields {
		field := v.FieldByIndex(f.index)
		switch {
		case f.isBlock():
			blocks = append(blocks, f)
		case f == spec.name || w.same(spec, f, v, parent):
		case f.def == nil && field.IsZero() && !f.inherited(), field.Kind() == reflect.Pointer && field.IsNil():
		default:
			fmt.Fprintf(w, "%s = %s\n", f.key, w.within(field, f, v))
		}
	}
	for _, f := range blocks {
		field := v.FieldByIndex(f.index)
		path := f.key
		if name != "" {
			path = name + "." + f.key
		}
		if field.Kind() == reflect.Struct {
			fmt.Fprintf(w, "\n[%s]\n", path)
			w.block(path, field, reflect.Value{})
			continue
		}
		for i := range field.Len() {
			elem := field.Index(i)
			if entry := w.specs.of(elem.Type()).name; entry != nil {
				each := path + "." + FormatKey(elem.FieldByIndex(entry.index).String())
				fmt.Fprintf(w, "\n[%s]\n", each)
				w.block(each, elem, reflect.Value{})
				continue
			}
			fmt.Fprintf(w, "\n[[%s]]\n", path)
			w.block(path, elem, v)
		}
	}
}

// inherited says whether the field is one of an embedded struct of settings.
func (f *fieldSpec) inherited() bool { return len(f.index) > 1 }

// same says whether a field of embedded settings has the value it has in parent.
func (w *printer) same(spec *tableSpec, f *fieldSpec, v, parent reflect.Value) bool {
	if !parent.IsValid() || !f.inherited() {
		return false
	}
	for _, e := range spec.embeds {
		if e.index != f.index[0] {
			continue
		}
		for _, from := range w.specs.of(parent.Type()).embeds {
			if from.typ == e.typ {
				above := parent.FieldByIndex(append([]int{from.index}, f.index[1:]...))
				return reflect.DeepEqual(above.Interface(), v.FieldByIndex(f.index).Interface())
			}
		}
	}
	return false
}

// within is inline for a value that may have tables that inherit from the struct around.
func (w *printer) within(v reflect.Value, f *fieldSpec, around reflect.Value) string {
	switch x := v.Interface().(type) {
	case Rules:
		items := make([]string, len(x))
		for i := range x {
			if c := x[i].If; c != nil {
				own := reflect.ValueOf(c).Elem()
				if c.Location == nil { // of a server: it has no settings
					around = own
				}
				items[i] = braces(w.items(own, around))
			} else {
				items[i] = braces(w.items(reflect.ValueOf(&x[i]).Elem(), reflect.Value{}))
			}
		}
		return brackets(items)
	case *LimitExcept:
		return braces(w.items(reflect.ValueOf(x).Elem(), around))
	}
	return w.inline(v, f)
}

// inline is a value as it stands behind "=".
func (w *printer) inline(v reflect.Value, f *fieldSpec) string {
	switch x := v.Interface().(type) {
	case Redirects:
		return w.redirects(x)
	case CookieRules:
		return w.redirects(Redirects(x))
	case NextUpstream:
		return formatSet(x)
	case Auto:
		if x == 0 {
			return `"auto"`
		}
	case time.Duration, Size:
		if text := formatNumber(v); !isDigits(text) {
			return formatText(text)
		}
	case *time.Duration:
		return w.inline(v.Elem(), f)
	case fmt.Stringer: // addresses, paths, enums
		return formatText(x.String())
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.String:
		return formatText(v.String())
	case reflect.Int, reflect.Int64:
		return formatNumber(v)
	case reflect.Pointer:
		return w.inline(v.Elem(), f)
	case reflect.Struct:
		return w.inlineTable(v)
	case reflect.Slice:
		return w.inlineList(v, f)
	}
	panic(fmt.Sprintf("conf: no TOML for %s", v.Type()))
}

// inlineTable is a struct as { a = 1, b = 2 }.
func (w *printer) inlineTable(v reflect.Value) string {
	return braces(w.items(v, reflect.Value{}))
}

// items are the keys of a struct with their values, without an entry's name, and without what it has inherited from parent.
func (w *printer) items(v, parent reflect.Value) []string {
	spec := w.specs.of(v.Type())
	var items []string
	for _, f := range spec.fields {
		field := v.FieldByIndex(f.index)
		if f == spec.name || w.same(spec, f, v, parent) || f.def == nil && field.IsZero() && !f.required && !f.inherited() {
			continue
		}
		items = append(items, f.key+" = "+w.within(field, f, v))
	}
	return items
}

// inlineList is a slice as an array; of named entries as a table, unless a name comes twice.
func (w *printer) inlineList(v reflect.Value, f *fieldSpec) string {
	if !isTableList(v.Type()) || w.specs.of(v.Type().Elem()).name == nil {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = w.inline(v.Index(i), f)
		}
		return brackets(items)
	}
	entry := w.specs.of(v.Type().Elem()).name
	var asTable, asArray []string
	seen := map[string]bool{}
	for i := range v.Len() {
		elem := v.Index(i)
		name := elem.FieldByIndex(entry.index).String()
		seen[name] = true
		items := w.items(elem, reflect.Value{})
		asTable = append(asTable, FormatKey(name)+" = "+braces(items))
		asArray = append(asArray, braces(append([]string{entry.key + " = " + formatText(name)}, items...)))
	}
	if len(seen) == v.Len() {
		return braces(asTable)
	}
	return brackets(asArray)
}

func (w *printer) redirects(rules Redirects) string {
	items := make([]string, len(rules))
	for i, r := range rules {
		items[i] = fmt.Sprintf("{ from = %s, to = %s }", formatText(r.From), formatText(string(r.To)))
		if r.Default {
			items[i] = `"default"`
		}
	}
	switch {
	case len(rules) == 0:
		return `"off"`
	case len(rules) == 1 && rules[0].Default:
		return items[0]
	}
	return brackets(items)
}

func formatSet(s NextUpstream) string {
	var items []string
	for i, name := range s.names() {
		if s.Has(1 << i) {
			items = append(items, formatText(name))
		}
	}
	if len(items) == 0 {
		return `"off"`
	}
	return brackets(items)
}

// formatNumber is a number in its unit.
func formatNumber(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatTime(x)
	case Size:
		return x.String()
	}
	return strconv.FormatInt(v.Int(), 10)
}
