// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// licence opens every Go file; its first line stands in every other file that takes comments.
const licence = "// SPDX-License-Identifier: Apache-2.0\n// Copyright The weir authors\n\n"

// checkLicence finds files without their licence lines.
func checkLicence(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		if !bytes.HasPrefix(f.text, []byte(licence)) {
			found = append(found, finding{path: f.path, line: 1, text: "want the two licence lines and a blank line first"})
		}
	}
	for _, f := range t.texts {
		if !takesLicence(f) {
			continue
		}
		head := f.text[:min(len(f.text), 200)]
		if !bytes.Contains(head, []byte("SPDX-License-Identifier: Apache-2.0")) {
			found = append(found, finding{path: f.path, line: 1, text: "want an SPDX-License-Identifier line near the top"})
		}
	}
	return found
}

func takesLicence(f textFile) bool {
	return f.path == "Makefile" || bytes.HasPrefix(f.text, []byte("#!")) ||
		slices.Contains([]string{".sh", ".toml", ".yaml", ".yml", ".service"}, path.Ext(f.path)) && !strings.Contains(f.path, "testdata/")
}

// checkPackageDocs finds packages without a doc.go, and package comments that stand elsewhere.
func checkPackageDocs(t *tree) []finding {
	var found []finding
	for folder, files := range t.folders() {
		var product, documented bool
		for _, f := range files {
			product = product || !f.test
			isDoc := path.Base(f.path) == "doc.go"
			if isDoc && f.syntax.Doc != nil {
				documented = true
			}
			if !isDoc && f.syntax.Doc != nil {
				found = append(found, t.at(f, f.syntax.Doc.Pos(), "the package comment belongs in doc.go"))
			}
		}
		if product && !documented && !strings.Contains(folder, "testdata") {
			found = append(found, finding{path: folder, text: "no doc.go with a package comment"})
		}
	}
	return found
}

// checkExportedDocs finds exported identifiers without a comment. Constants, variables and struct fields may share one with those
// directly above them: a comment covers the run of lines up to the next blank one, a type's comment its first run of fields.
func checkExportedDocs(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		if !f.product() {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				receiver := receiverName(d)
				if d.Name.IsExported() && d.Doc == nil && (receiver == "" || ast.IsExported(receiver)) {
					found = append(found, t.at(f, d.Pos(), "%s has no comment", functionName(d)))
				}
			case *ast.GenDecl:
				found = append(found, t.undocumentedSpecs(f, d)...)
			}
		}
	}
	return found
}

func (t *tree) undocumentedSpecs(f *goFile, group *ast.GenDecl) []finding {
	if group.Tok == token.IMPORT {
		return nil
	}
	var found []finding
	run := t.newRun(group.Doc != nil)
	for _, s := range group.Specs {
		switch spec := s.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && group.Doc == nil && spec.Doc == nil {
				found = append(found, t.at(f, spec.Pos(), "type %s has no comment", spec.Name.Name))
			}
			if fields, ok := spec.Type.(*ast.StructType); ok && spec.Name.IsExported() {
				found = append(found, t.undocumentedFields(f, spec.Name.Name, fields)...)
			}
		case *ast.ValueSpec:
			documented := run.covers(spec, spec.Doc, spec.Comment)
			for _, name := range spec.Names {
				if name.IsExported() && !documented && group.Doc == nil {
					found = append(found, t.at(f, name.Pos(), "%s %s has no comment", group.Tok, name.Name))
				}
			}
		}
	}
	return found
}

func (t *tree) undocumentedFields(f *goFile, owner string, fields *ast.StructType) []finding {
	var found []finding
	run := t.newRun(true)
	run.lastLine = t.positions.Position(fields.Pos()).Line
	for _, field := range fields.Fields.List {
		documented := run.covers(field, field.Doc, field.Comment)
		for _, name := range field.Names {
			if name.IsExported() && !documented {
				found = append(found, t.at(f, name.Pos(), "field %s.%s has no comment", owner, name.Name))
			}
		}
	}
	return found
}

// run follows declarations line by line and remembers whether a comment covers them.
type run struct {
	t        *tree
	covered  bool
	lastLine int
}

func (t *tree) newRun(covered bool) *run { return &run{t: t, covered: covered} }

// covers reports whether the node has a comment of its own or follows, without a blank line, one that is covered.
func (r *run) covers(node ast.Node, doc, comment *ast.CommentGroup) bool {
	first := r.t.positions.Position(node.Pos()).Line
	last := r.t.positions.Position(node.End()).Line
	adjacent := r.lastLine != 0 && first <= r.lastLine+1
	r.covered = doc != nil || comment != nil || r.covered && adjacent
	r.lastLine = last
	return r.covered
}

// checkWords finds words that have no place in the tree.
func checkWords(t *tree) []finding {
	var found []finding
	check := func(path string, text []byte) {
		for number, line := range strings.Split(string(text), "\n") {
			for _, banned := range bannedWords {
				if word := banned.pattern.FindString(line); word != "" {
					found = append(found, finding{path: path, line: number + 1, text: fmt.Sprintf("%q: %s", word, banned.why)})
				}
			}
		}
	}
	for _, f := range t.files {
		check(f.path, f.text)
	}
	for _, f := range t.texts {
		check(f.path, f.text)
	}
	return found
}
