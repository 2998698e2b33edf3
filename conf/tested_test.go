// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testedFile names, for each key of the schema, a test that fails when the key is ignored.
const testedFile = "testdata/tested.txt"

// testFolders are where tests are looked for that run weir, or what a key is for, with a configuration. The first that has one is named.
var testFolders = []string{"../tests/e2e", "../tests/interop/testdata", "../internal/master", "../internal/worker", "../internal/request", "../internal/budget", "../cmd/master", "."}

// TestEveryKeyIsTested fails when a key of the schema has no line in testdata/tested.txt, when a line is for a key that is gone, or when the test that it names does not
// exist or does not name the key. With -update a line is added for a key that a test uses; that this test fails without the key is to be seen to by
// who adds it.
func TestEveryKeyIsTested(t *testing.T) {
	text, err := os.ReadFile(testedFile)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, test, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			tested[key] = strings.TrimSpace(test)
		}
	}
	tests := readTests(t)
	keys := schemaKeys()
	for _, key := range keys {
		name := key[strings.LastIndexByte(key, '.')+1:]
		where, listed := tested[key]
		if !listed && *update {
			if where = findTest(tests, name); where != "" {
				tested[key], listed = where, true
			}
		}
		switch body, exists := tests[where]; {
		case !listed:
			t.Errorf("%s: no test is named for it in %s", key, testedFile)
		case !exists:
			t.Errorf("%s: there is no test %s", key, where)
		case strings.HasSuffix(where, ".txt"): // nginx's syntax, in which what is a key here may be a parameter without a name
		case !strings.Contains(body, name):
			t.Errorf("%s: the test %s does not name it", key, where)
		}
	}
	for key := range tested {
		if !slices.Contains(keys, key) {
			t.Errorf("%s: %s is no key", testedFile, key)
		}
	}
	if *update {
		writeTested(t, tested)
	}
}

// schemaKeys are the keys of the schema as struct and key, each once: a key that is inherited is one of the struct of settings that it stands in.
func schemaKeys() []string {
	keys := map[string]bool{}
	all := specs{}
	var visit func(t reflect.Type)
	seen := map[reflect.Type]bool{}
	visit = func(t reflect.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		for _, f := range all.of(t).fields {
			if f.tag.Get("key") != "true" {
				keys[structOf(t, f.index)+"."+f.key] = true
			}
			if below := tableBelow(f.typ); below != nil {
				visit(below)
			}
		}
	}
	visit(reflect.TypeFor[Config]())
	return slices.Sorted(maps.Keys(keys))
}

// structOf is the name of the struct that the field at index is written in.
func structOf(t reflect.Type, index []int) string {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
	}
	return t.Name()
}

// readTests are the texts of all tests, by file and name; a case of tests/interop is its file.
func readTests(t *testing.T) map[string]string {
	t.Helper()
	tests := map[string]string{}
	for _, folder := range testFolders {
		cases, err := filepath.Glob(folder + "/*/*.txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range cases {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tests[strings.TrimPrefix(name, "../")] = string(text)
		}
		files, err := filepath.Glob(folder + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			addTests(t, tests, name)
		}
	}
	return tests
}

// addTests adds the tests of a Go file, with what its other functions say, which they may use.
func addTests(t *testing.T, tests map[string]string, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	shared := ""
	var own []*ast.FuncDecl
	at := func(n ast.Node) string {
		return string(text[files.Position(n.Pos()).Offset:files.Position(n.End()).Offset])
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
			own = append(own, f)
		} else {
			shared += at(d) + "\n"
		}
	}
	for _, f := range own {
		tests[strings.TrimPrefix(name, "../")+" "+f.Name.Name] = at(f) + "\n" + shared
	}
}

// findTest finds a test that uses a key: in the first of the folders that has one, the one that uses it most.
func findTest(tests map[string]string, key string) string {
	for _, form := range []string{`("? *=| [^\n;]*;|=)`, `\b`} {
		use := regexp.MustCompile(`\b` + key + form)
		for _, folder := range testFolders {
			best, most := "", 0
			for _, where := range slices.Sorted(maps.Keys(tests)) {
				if !strings.HasPrefix(where, strings.TrimPrefix(folder, "../")+"/") || !strings.Contains(tests[where], key) {
					continue
				}
				if n := len(use.FindAllString(tests[where], -1)); n > most {
					best, most = where, n
				}
			}
			if best != "" {
				return best
			}
		}
	}
	return ""
}

func writeTested(t *testing.T, tested map[string]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# For each key of the schema (struct and key) a test that fails when the key is ignored. See TestEveryKeyIsTested.\n")
	for _, key := range slices.Sorted(maps.Keys(tested)) {
		fmt.Fprintf(&b, "%s  %s\n", key, tested[key])
	}
	if err := os.WriteFile(testedFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
