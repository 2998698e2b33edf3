// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md and the golden files anew")

const referenceFile = "../docs/configuration.md"

// TestReference fails when docs/configuration.md is not what the schema says. `make docs` writes it.
func TestReference(t *testing.T) {
	r := &reference{specs: specs{}, comments: schemaComments(t)}
	text := r.write()
	for _, key := range r.undocumented {
		t.Errorf("%s has no comment", key)
	}
	if *update {
		if err := os.WriteFile(referenceFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != text {
		t.Errorf("%s is stale: run make docs", referenceFile)
	}
}

// TestDefaultNamesEveryKey fails when a key of the schema is missing in weir.toml.
func TestDefaultNamesEveryKey(t *testing.T) {
	text := string(Default())
	seen := map[string]bool{}
	forEachKey(specs{}, reflect.TypeFor[Config](), func(f *fieldSpec) {
		if seen[f.key] {
			return
		}
		seen[f.key] = true
		if !regexp.MustCompile(`(?m)(^|[ #{.\["])` + f.key + `("? *=|[\]."]|, )`).MatchString(text) {
			t.Errorf("weir.toml does not show the key %s", f.key)
		}
	})
}

// forEachKey calls visit for every key of a schema struct and the structs below it.
func forEachKey(s specs, t reflect.Type, visit func(*fieldSpec)) {
	if s[t] != nil { // seen already: locations have locations
		return
	}
	for _, f := range s.of(t).fields {
		if f.tag.Get("key") != "true" {
			visit(f)
		}
		if below := tableBelow(f.typ); below != nil {
			forEachKey(s, below, visit)
		}
	}
}

// tableBelow is the schema struct that a field's type holds, or nil.
func tableBelow(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isTable(t) {
		return t
	}
	return nil
}

// schemaComments are the comments of the fields of all structs in this package, as "Type.Field".
func schemaComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	names, err := filepath.Glob("schema*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, "types.go") {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if table, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range table.Fields.List {
					for _, id := range field.Names {
						comments[spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return comments
}

// reference writes docs/configuration.md.
type reference struct {
	strings.Builder
	specs        specs
	comments     map[string]string
	undocumented []string
}

func (r *reference) write() string {
	r.WriteString(`<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Generated from the schema in conf/ by make docs. Change it there. -->

# The configuration

weir reads TOML. Keys have the names and meanings of nginx's directives (HAProxy's for buffers); where one differs, its row says so. The file
[conf/weir.toml](../conf/weir.toml) shows every key in use. ` + "`weir -t`" + ` reports every fault of a file with its line, ` + "`weir -T`" + ` prints what is in effect.

**Times**: ` + "`\"500ms\"`, `\"30s\"`, `\"1m30s\"`, `\"1h\"`, `\"1d\"`" + ` (also w, M for 30 days, y for 365), or a number of seconds.
**Sizes**: a number of bytes, or ` + "`\"16k\"`, `\"10m\"`, `\"1g\"`" + ` with factors of 1024.
**Templates**: text with variables, ` + "`$name` or `${name}`" + `.
**Lists** of one element may be written as the element.
**Files**: relative paths start at the prefix (` + "`-p`" + `).

**Inheritance.** A setting of ` + "`[http]`" + ` holds in every server that does not name it, one of a server in all its locations. Lists and tables are inherited
as a whole: a location that names ` + "`proxy_set_header`" + ` has only the fields it names.

**-g** overrides the file: tables are merged key by key, everything else, lists of servers too, is replaced.
`)
	r.table("Top level", "", reflect.TypeFor[Config](), nil)
	r.table("[buffers]", "buffers", reflect.TypeFor[Buffers](), nil)
	r.table("[http]", "http", reflect.TypeFor[HTTP](), []string{"HTTP"})
	r.table("[http], server", "serversettings", reflect.TypeFor[ServerSettings](), nil)
	r.table("[http], server, location", "settings", reflect.TypeFor[Settings](), nil)
	r.table("[http.limit_conn_zone.NAME]", "limit_conn_zone", reflect.TypeFor[LimitConnZone](), nil)
	r.table("[http.map.NAME]", "map", reflect.TypeFor[Map](), nil)
	r.table("[http.geo.NAME]", "geo", reflect.TypeFor[Geo](), nil)
	r.table("[http.split_clients.NAME]", "split_clients", reflect.TypeFor[SplitClients](), nil)
	r.table("[http.upstream.NAME]", "upstream", reflect.TypeFor[Upstream](), nil)
	r.table("[[http.server]]", "server", reflect.TypeFor[Server](), []string{"Server"})
	r.table("[[http.server.location]]", "location", reflect.TypeFor[Location](), []string{"Location"})
	return r.String()
}

// table writes the keys of one struct; with own, only those that are not inherited.
func (r *reference) table(title, anchor string, t reflect.Type, own []string) {
	fmt.Fprintf(r, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", title)
	var below []*fieldSpec
	for _, f := range r.specs.of(t).fields {
		if len(own) > 0 && f.inherited() || f.isBlock() {
			continue
		}
		r.row(t, f)
		if tableBelow(f.typ) != nil {
			below = append(below, f)
		}
	}
	for _, f := range below {
		fmt.Fprintf(r, "\n### %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", f.key)
		r.rows(tableBelow(f.typ))
		if f.typ == reflect.TypeFor[Rules]() {
			fmt.Fprintf(r, "\n### rewrite, with if\n\n| key | value | default | meaning |\n|---|---|---|---|\n")
			r.rows(reflect.TypeFor[If]())
		}
	}
}

// rows writes the keys of a table below another one, without settings, which have a table of their own.
func (r *reference) rows(t reflect.Type) {
	for _, f := range r.specs.of(t).fields {
		if !f.inherited() {
			r.row(t, f)
		}
	}
}

func (r *reference) row(t reflect.Type, f *fieldSpec) {
	in := t // where the field is declared
	for _, i := range f.index[:len(f.index)-1] {
		in = in.Field(i).Type
	}
	name := in.Name() + "." + t.FieldByIndex(f.index).Name
	text := r.comments[name]
	if text == "" {
		r.undocumented = append(r.undocumented, name)
	}
	if as := f.tag.Get("as"); as != "" {
		text += " *As: " + as + ".*"
	}
	if example := f.tag.Get("example"); example != "" {
		text += " Example: `" + example + "`."
	}
	key := "`" + f.key + "`"
	if f.tag.Get("key") == "true" {
		key = "(the name)"
	}
	def := f.tag.Get("default")
	switch {
	case f.required:
		def = "required"
	case def != "":
		def = "`" + def + "`"
	}
	escape := strings.NewReplacer("|", "\\|", "\n", " ")
	fmt.Fprintf(r, "| %s | %s | %s | %s |\n", key, escape.Replace(kind(f)), escape.Replace(def), escape.Replace(text))
}

// kind says what a key's value is, and its bounds.
func kind(f *fieldSpec) string {
	text := kindOf(f.typ, f)
	bound := func(v int64) string {
		x := reflect.New(f.number()).Elem()
		if !x.CanInt() {
			return fmt.Sprint(v)
		}
		x.SetInt(v)
		return formatNumber(x)
	}
	_, hasMin := f.tag.Lookup("min")
	_, hasMax := f.tag.Lookup("max")
	switch {
	case hasMin && hasMax:
		text += fmt.Sprintf(", %s to %s", bound(f.min), bound(f.max))
	case hasMin:
		text += fmt.Sprintf(", from %s", bound(f.min))
	case hasMax:
		text += fmt.Sprintf(", up to %s", bound(f.max))
	}
	return text
}

func kindOf(t reflect.Type, f *fieldSpec) string {
	switch t {
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[*time.Duration]():
		return "time"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Auto]():
		return "`auto` or number"
	case reflect.TypeFor[Template](), reflect.TypeFor[*Template]():
		return "template"
	case reflect.TypeFor[SizeTemplate]():
		return "size or template"
	case reflect.TypeFor[Redirects]():
		return "`default`, `off` or list"
	case reflect.TypeFor[CookieRules]():
		return "`off` or list"
	case reflect.TypeFor[NextUpstream]():
		return "`off` or list of " + names(NextUpstream(0))
	case reflect.TypeFor[Address](), reflect.TypeFor[Origin](), reflect.TypeFor[NameServer](), reflect.TypeFor[*ProxyPass]():
		return "address"
	case reflect.TypeFor[Network]():
		return "network"
	case reflect.TypeFor[Condition]():
		return "condition"
	case reflect.TypeFor[Path]():
		return "path"
	case reflect.TypeFor[SoKeepalive]():
		return "boolean or string"
	}
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		return names(e)
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "number"
	case reflect.String:
		if f.path {
			return "file"
		}
		return "string"
	case reflect.Slice:
		if below := tableBelow(t); below != nil && (specs{}).of(below).name != nil {
			return "table of names"
		}
		return "list of " + kindOf(t.Elem(), f) + "s"
	}
	return "table"
}

func names(e enum) string {
	var all []string
	for _, name := range e.names() {
		if name != "" {
			all = append(all, "`"+name+"`")
		}
	}
	return strings.Join(all, ", ")
}
