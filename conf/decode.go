// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"weir/internal/syslog"
	"weir/internal/vars"
)

// decoder fills the schema's structs from a tree of nodes. It goes by the structs' tags and types only; what a key means to the
// others is checked afterwards by checker.
type decoder struct {
	*collector
	specs     specs
	prefix    string
	templates []templateUse // to be compiled when all variables are known
	variables *vars.Names   // those that the config defines
}

// fault records a fault of a value that could not be decoded.
func (d *decoder) fault(n *node, p *path, format string, args ...any) {
	d.collector.fault(n, p, format, args...)
	d.spoil(p)
}

// lacks records that the table n has no key of that name.
func (d *decoder) lacks(n *node, p *path, key string) {
	d.collector.fault(n, p, "needs the key %q", key)
	d.spoil(p.key(key))
}

// valueDecoder is a type with a form of its own in TOML. decodeTOML sets the receiver from n, or records a fault and returns false.
type valueDecoder interface {
	decodeTOML(d *decoder, n *node, p *path) bool
}

// enum is a type whose values have names.
type enum interface{ names() []string }

// completer is a struct of settings that completes itself once its keys are decoded, before nested tables inherit it.
type completer interface{ complete() }

// table decodes a table into the struct v. parent is the struct around it, from which embedded settings are inherited, or the
// zero Value.
func (d *decoder) table(n *node, p *path, v, parent reflect.Value) {
	spec := d.specs.of(v.Type())
	d.begin(spec, v, parent)
	if n.kids == nil {
		if spec.short == nil {
			d.fault(n, p, "must be a table, not %s", n.describe())
			return
		}
		d.value(n, p, v.FieldByIndex(spec.short.index), spec.short)
		return
	}
	var nested []*fieldSpec
	for _, key := range n.keys {
		f := spec.byKey[key]
		switch {
		case f == nil:
			d.fault(n.kids[key], p.key(key), "%s", d.unknownKey(key, spec))
		case d.inherits(f):
			nested = append(nested, f)
		default:
			d.value(n.kids[key], p.key(key), v.FieldByIndex(f.index), f)
		}
	}
	for _, f := range spec.fields {
		if f.required && n.kids[f.key] == nil {
			d.lacks(n, p, f.key)
		}
	}
	for _, e := range spec.embeds {
		if c, ok := v.Field(e.index).Addr().Interface().(completer); ok {
			c.complete()
		}
	}
	for _, f := range nested {
		d.within(n.kids[f.key], p.key(f.key), v.FieldByIndex(f.index), f, v)
	}
}

// unknownKey says why a key is not one of a table's: it belongs to another one, or nowhere.
func (d *decoder) unknownKey(key string, spec *tableSpec) string {
	if why, ok := notHere[key]; ok {
		return why
	}
	var others []string
	for _, table := range []struct {
		typ  reflect.Type
		name string
	}{
		{reflect.TypeFor[Config](), "the top level"}, {reflect.TypeFor[Buffers](), "[buffers]"}, {reflect.TypeFor[HTTP](), "[http]"},
		{reflect.TypeFor[LimitConnZone](), "a limit_conn_zone"}, {reflect.TypeFor[LimitReqZone](), "a limit_req_zone"}, {reflect.TypeFor[Listen](), "a listen table"},
		{reflect.TypeFor[Upstream](), "an upstream"}, {reflect.TypeFor[Server](), "a server"}, {reflect.TypeFor[Location](), "a location"},
	} {
		if d.specs.of(table.typ).byKey[key] != nil {
			others = append(others, table.name)
		}
	}
	near := suggest(key, spec.keys())
	switch last := len(others) - 1; {
	case near != "" || len(others) == 0:
		return "unknown key" + near
	case last == 0:
		return "not allowed here, only in " + others[0]
	default:
		return "not allowed here, only in " + strings.Join(others[:last], ", ") + " and " + others[last]
	}
}

// notHere are keys of nginx that weir has another way for, or none. Read-only.
var notHere = map[string]string{
	"allow":                 "not a key of weir, because the order counts: access = [\"allow 10.0.0.0/8\", \"deny all\"]",
	"deny":                  "not a key of weir, because the order counts: access = [\"allow 10.0.0.0/8\", \"deny all\"]",
	"client_body_temp_path": "not a key of weir: all temporary files are in buffers.temp_path",
	"proxy_temp_path":       "not a key of weir: all temporary files are in buffers.temp_path",
}

// begin sets every field of v to what it is when no key is written: embedded settings to those of the struct around v if that has
// them too, everything else to its default.
func (d *decoder) begin(spec *tableSpec, v, parent reflect.Value) {
	if !spec.defaults.IsValid() {
		spec.defaults = reflect.New(v.Type()).Elem()
		for _, f := range spec.fields {
			d.setDefault(f, spec.defaults.FieldByIndex(f.index))
		}
	}
	v.Set(spec.defaults) // lists in it are shared, and never changed in place
	if !parent.IsValid() {
		return
	}
	for _, e := range spec.embeds {
		for _, from := range d.specs.of(parent.Type()).embeds {
			if from.typ == e.typ {
				v.Field(e.index).Set(parent.Field(from.index))
			}
		}
	}
}

func (d *decoder) setDefault(f *fieldSpec, v reflect.Value) {
	switch p := (*path)(nil).key(f.key); {
	case f.def != nil:
		d.value(f.def, p, v, f)
	case isTable(f.typ):
		d.table(&node{kids: map[string]*node{}}, p, v, reflect.Value{})
	}
}

// isTable says whether a type is a struct of the schema.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[valueDecoder]())
}

// isTableList says whether a type is a list of structs of the schema.
func isTableList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && isTable(t.Elem()) && !reflect.PointerTo(t).Implements(reflect.TypeFor[valueDecoder]())
}

// inherits says whether a field has tables that inherit from the one the field is in.
func (d *decoder) inherits(f *fieldSpec) bool {
	switch {
	case reflect.PointerTo(f.typ).Implements(reflect.TypeFor[inheritor]()):
		return true
	case isTableList(f.typ), f.typ.Kind() == reflect.Pointer && isTable(f.typ.Elem()):
		return len(d.specs.of(f.typ.Elem()).embeds) > 0
	}
	return false
}

// within decodes a value with tables that inherit from the struct around.
func (d *decoder) within(n *node, p *path, v reflect.Value, f *fieldSpec, around reflect.Value) {
	if i, ok := v.Addr().Interface().(inheritor); ok {
		i.decodeWithin(d, n, p, around)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.table(n, p, v.Elem(), around)
		return
	}
	d.list(n, p, v, f, around)
}

// value decodes one value of the field f into v.
func (d *decoder) value(n *node, p *path, v reflect.Value, f *fieldSpec) {
	if c, ok := v.Addr().Interface().(valueDecoder); ok {
		if c.decodeTOML(d, n, p) && v.CanInt() {
			d.bounds(n, p, v.Int(), f)
		}
		return
	}
	if e, ok := v.Interface().(enum); ok {
		d.enum(n, p, v, e.names())
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		d.boolean(n, p, v)
	case reflect.String:
		d.text(n, p, v, f)
	case reflect.Int:
		i, ok := n.value.(int64)
		if !ok {
			d.fault(n, p, "must be a whole number, not %s", n.describe())
			return
		}
		v.SetInt(i)
		d.bounds(n, p, i, f)
	case reflect.Int64: // time.Duration: all other types of this kind decode themselves
		d.duration(n, p, v, f)
	case reflect.Struct:
		d.table(n, p, v, reflect.Value{})
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, p, v.Elem(), f)
	case reflect.Slice:
		d.list(n, p, v, f, reflect.Value{})
	default:
		panic(fmt.Sprintf("conf: %s has the type %s, which no TOML value fits", f.key, v.Type()))
	}
}

func (d *decoder) boolean(n *node, p *path, v reflect.Value) {
	b, ok := n.value.(bool)
	if !ok {
		d.fault(n, p, "must be true or false, not %s", n.describe())
		return
	}
	v.SetBool(b)
}

func (d *decoder) text(n *node, p *path, v reflect.Value, f *fieldSpec) {
	s, ok := n.value.(string)
	if !ok {
		d.fault(n, p, "must be a string, not %s", n.describe())
		return
	}
	if f.path {
		s = d.file(n, p, s)
	}
	if v.Type() == reflect.TypeFor[Template]() {
		d.templates = append(d.templates, templateUse{n, p, s})
	}
	v.SetString(s)
}

// file resolves the name of a file against the prefix.
func (d *decoder) file(n *node, p *path, name string) string {
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			d.fault(n, p, "%s is not the name of a file", quote(name))
			return name
		}
	}
	if name == "" || name == "stderr" || name == "stdout" || syslog.Is(name) || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.prefix, name)
}

func (d *decoder) duration(n *node, p *path, v reflect.Value, f *fieldSpec) {
	var t time.Duration
	var err error
	switch value := n.value.(type) {
	case string:
		t, err = ParseTime(value)
	case int64: // seconds, as nginx
		t, err = ParseTime(strconv.FormatInt(value, 10))
	default:
		err = fmt.Errorf("must be a time such as \"30s\", \"500ms\" or \"1m30s\", not %s", n.describe())
	}
	if err != nil {
		d.fault(n, p, "%v", err)
		return
	}
	v.SetInt(int64(t))
	d.bounds(n, p, int64(t), f)
}

// bounds checks a number against the field's bounds.
func (d *decoder) bounds(n *node, p *path, value int64, f *fieldSpec) {
	format := func(i int64) string {
		v := reflect.New(f.number()).Elem()
		if v.Kind() == reflect.Slice {
			return strconv.FormatInt(i, 10)
		}
		v.SetInt(i)
		return formatNumber(v)
	}
	switch {
	case f.typ == reflect.TypeFor[Auto]() && value == 0:
	case value < f.min:
		d.fault(n, p, "must be at least %s, not %s", format(f.min), n.describe())
	case value > f.max:
		d.fault(n, p, "must be at most %s, not %s", format(f.max), n.describe())
	}
}

func (d *decoder) enum(n *node, p *path, v reflect.Value, names []string) {
	var given string
	switch value := n.value.(type) {
	case string:
		given = value
	case bool: // on and off, for a directive that has further choices
		given = map[bool]string{true: "on", false: "off"}[value]
	case float64: // a version
		given = strconv.FormatFloat(value, 'f', 1, 64)
	}
	for i, name := range names {
		if name == given && name != "" {
			v.SetUint(uint64(i))
			return
		}
	}
	d.fault(n, p, "must be %s, not %s%s", alternatives(names), n.describe(), suggest(given, names))
}

// list decodes an array, or a table of named entries, into the slice v; one value in place of an array is an array of one. parent is the
// struct that the elements inherit from, or the zero Value.
func (d *decoder) list(n *node, p *path, v reflect.Value, f *fieldSpec, parent reflect.Value) {
	elem := v.Type().Elem()
	v.SetZero()
	if f.off && n.value == false {
		return
	}
	var spec *tableSpec
	if isTable(elem) {
		spec = d.specs.of(elem)
	}
	switch {
	case n.list:
	case spec != nil && spec.name != nil:
		d.entries(n, p, v, spec)
		return
	case spec != nil && spec.short == nil && n.kids == nil:
		d.fault(n, p, "must be a list of tables, not %s", n.describe())
		return
	default:
		n = &node{file: n.file, line: n.line, list: true, elems: []*node{n}}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.elems), len(n.elems)))
	if len(n.elems) == 0 {
		v.SetZero()
	}
	for i, e := range n.elems {
		if spec == nil {
			d.value(e, p.at(i), v.Index(i), f)
			continue
		}
		if spec.name != nil {
			d.named(e, p.at(i), v.Index(i), spec)
			continue
		}
		d.table(e, p.at(i), v.Index(i), parent)
	}
}

// entries decodes a table of named entries into the slice v.
func (d *decoder) entries(n *node, p *path, v reflect.Value, spec *tableSpec) {
	if n.kids == nil {
		d.fault(n, p, "must be a table of names and values, not %s", n.describe())
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.keys), len(n.keys)))
	if len(n.keys) == 0 {
		v.SetZero()
	}
	for i, key := range n.keys {
		d.table(n.kids[key], p.key(key), v.Index(i), reflect.Value{})
		v.Index(i).FieldByIndex(spec.name.index).SetString(key)
	}
}

// named decodes an entry that is written as an element of an array with its name as a key, which is how one name can be given twice.
func (d *decoder) named(n *node, p *path, v reflect.Value, spec *tableSpec) {
	if n.kids == nil {
		d.fault(n, p, "must be a table with the key %q, not %s", spec.name.key, n.describe())
		return
	}
	rest := &node{file: n.file, line: n.line, kids: n.kids}
	for _, key := range n.keys {
		if key != spec.name.key {
			rest.keys = append(rest.keys, key)
		}
	}
	d.table(rest, p, v, reflect.Value{})
	name := n.kids[spec.name.key]
	if name == nil {
		d.lacks(n, p, spec.name.key)
		return
	}
	d.value(name, p.key(spec.name.key), v.FieldByIndex(spec.name.index), spec.name)
}
