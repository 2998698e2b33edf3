// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What the documents name. Read-only.
var (
	// item is the first line of an invariant.
	item = regexp.MustCompile(`^(\d+)\. `)
	// namedTests are tests and the folders that they stand in: `TestA`, `TestB` (internal/event, tests/e2e).
	namedTests = regexp.MustCompile("((?:`(?:Test|Fuzz)[A-Za-z0-9]+`[,\\s]*)+)(?:\\(([^)]*)\\))?")
	testName   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	// link is what a document leads to.
	link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	// code is what a document says in the code's own words: one word, perhaps with dots and slashes.
	code = regexp.MustCompile("`([A-Za-z][A-Za-z0-9_./-]*)`")
	// word is a name of the code: event.Loop, NextGeneration, readHead; not proxy_pass, nor GOMEMLIMIT.
	word = regexp.MustCompile(`^(?:[a-z][a-z0-9]*\.)?[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)?$`)
	// goFileName is what a package's doc.go calls a file of its folder.
	goFileName = regexp.MustCompile(`(?:^|[\s(,])([a-z0-9_]+\.go)\b`)
	// hump is what tells a name of the code from any other word.
	hump = regexp.MustCompile(`[a-z][A-Z]|[a-z]\.[A-Z]`)
)

// ofTheCode are the documents for those who work on the code; what they call by its name must be there. Read-only.
var ofTheCode = []string{"ARCHITECTURE.md", "INVARIANTS.md"}

// checkInvariants finds invariants out of their numbers, without a test, or with one that is not where INVARIANTS.md says.
func checkInvariants(t *tree) []finding {
	have := t.tests()
	var found []finding
	for _, f := range t.texts {
		if f.path != "INVARIANTS.md" {
			continue
		}
		number, line, text := 0, 0, ""
		end := func() {
			if number > 0 {
				found = append(found, testsOf(finding{path: f.path, line: line}, text, have)...)
			}
			text = ""
		}
		for i, l := range strings.Split(string(f.text), "\n") {
			if m := item.FindStringSubmatch(l); m != nil {
				end()
				number, line = number+1, i+1
				if m[1] != strconv.Itoa(number) {
					found = append(found, finding{path: f.path, line: line, text: fmt.Sprintf("invariant %s stands where number %d is due", m[1], number)})
				}
			}
			text += l + "\n"
		}
		end()
	}
	return found
}

// testsOf finds what is wrong with the tests that one invariant names.
func testsOf(at finding, text string, have map[string][]string) []finding {
	var found []finding
	report := func(format string, args ...any) {
		found = append(found, finding{path: at.path, line: at.line, text: fmt.Sprintf(format, args...)})
	}
	groups := namedTests.FindAllStringSubmatch(text, -1)
	if len(groups) == 0 {
		report("names no test")
	}
	for _, group := range groups {
		if group[2] == "" {
			report("%s: say in which folder, in parentheses", strings.TrimSpace(group[1]))
			continue
		}
		folders := strings.Split(strings.Join(strings.Fields(group[2]), ""), ",")
		used, missing := make(map[string]bool), false
		for _, m := range testName.FindAllStringSubmatch(group[1], -1) {
			in := 0
			for _, folder := range folders {
				if slices.Contains(have[m[1]], folder) {
					used[folder] = true
					in++
				}
			}
			if in == 0 {
				missing = true
				report("no test %s in %s", m[1], strings.Join(folders, ", "))
			}
		}
		for _, folder := range folders {
			if !missing && !used[folder] {
				report("none of these tests is in %s: %s", folder, strings.TrimSpace(group[1]))
			}
		}
	}
	return found
}

// tests are the folders that each test stands in.
func (t *tree) tests() map[string][]string {
	have := make(map[string][]string)
	for _, f := range t.files {
		for _, declaration := range f.syntax.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && f.test {
				have[function.Name.Name] = append(have[function.Name.Name], f.folder)
			}
		}
	}
	return have
}

// checkReferences finds links of documents that lead nowhere, and names in those for people who work on the code that the code does not have:
// files, folders, and whatever is declared. Also files that a package's doc.go names and its folder does not have.
func checkReferences(t *tree) []finding {
	paths, declared := t.paths(), t.declared()
	var found []finding
	for _, f := range t.files {
		if path.Base(f.path) != "doc.go" {
			continue
		}
		for number, line := range strings.Split(string(f.text), "\n") {
			for _, m := range goFileName.FindAllStringSubmatch(line, -1) {
				if !paths[f.folder+"/"+m[1]] {
					found = append(found, finding{path: f.path, line: number + 1, text: "no file " + m[1] + " in this folder"})
				}
			}
		}
	}
	for _, f := range t.texts {
		if path.Ext(f.path) != ".md" {
			continue
		}
		for number, line := range strings.Split(string(f.text), "\n") {
			report := func(format string, args ...any) {
				found = append(found, finding{path: f.path, line: number + 1, text: fmt.Sprintf(format, args...)})
			}
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if !paths[path.Join(path.Dir(f.path), m[1])] {
					report("the link leads nowhere: %s", m[1])
				}
			}
			if !slices.Contains(ofTheCode, f.path) {
				continue
			}
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				name := m[1]
				last := name[strings.LastIndexByte(name, '.')+1:]
				switch {
				case strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "tests/") || strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "docs/"):
					if !paths[strings.TrimSuffix(name, "/")] {
						report("no file or folder %s", name)
					}
				case strings.HasSuffix(name, ".go"):
					if !paths["base:"+path.Base(name)] {
						report("no file %s", name)
					}
				case word.MatchString(name) && hump.MatchString(name) && !declared[last]:
					report("the code has no %s", name)
				}
			}
		}
	}
	return found
}

// paths are all files and folders; "base:NAME" for the last part of each.
func (t *tree) paths() map[string]bool {
	have := make(map[string]bool)
	add := func(name string) {
		have["base:"+path.Base(name)] = true
		for ; name != "."; name = path.Dir(name) {
			have[name] = true
		}
	}
	for _, f := range t.files {
		add(f.path)
	}
	for _, f := range t.texts {
		add(f.path)
	}
	return have
}

// declared are the names of all functions, methods, types, fields, variables and constants, those of tests among them.
func (t *tree) declared() map[string]bool {
	have := make(map[string]bool)
	for _, f := range t.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				have[d.Name.Name] = true
				return false
			case *ast.TypeSpec:
				have[d.Name.Name] = true
			case *ast.Field:
				for _, name := range d.Names {
					have[name.Name] = true
				}
			case *ast.ValueSpec:
				for _, name := range d.Names {
					have[name.Name] = true
				}
			}
			return true
		})
	}
	return have
}
