// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// modulePath is the import path that every package of this module starts with.
const modulePath = "weir"

// skippedFolders hold what is made, not written, and are not part of the tree. Read-only.
var skippedFolders = map[string]bool{".git": true, "bin": true, "run": true, "logs": true, "tmp": true}

// finding is one broken rule at one place.
type finding struct {
	path string // slash-separated, from the root of the tree
	line int    // from 1; 0 when the whole file or folder is meant
	text string // what is wrong and what the rule wants
}

func (f finding) String() string {
	if f.line == 0 {
		return fmt.Sprintf("%s: %s", f.path, f.text)
	}
	return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text)
}

// goFile is one parsed Go file.
type goFile struct {
	path   string // from the root: internal/event/loop.go
	folder string // internal/event
	test   bool   // its name ends in _test.go
	lines  int
	text   []byte
	syntax *ast.File
}

// textFile is any file that is not Go.
type textFile struct {
	path string
	text []byte
}

// tree is the repository: its Go files parsed, the rest as text.
type tree struct {
	positions *token.FileSet
	files     []*goFile
	texts     []textFile
}

// loadTree reads everything under fsys except skippedFolders. It fails on the first file that cannot be read or parsed.
func loadTree(fsys fs.FS) (*tree, error) {
	t := &tree{positions: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skippedFolders[name]:
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(name, ".go") {
			t.texts = append(t.texts, textFile{path: name, text: text})
			return nil
		}
		syntax, err := parser.ParseFile(t.positions, name, text, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse(%s): %w", name, err)
		}
		t.files = append(t.files, &goFile{
			path:   name,
			folder: path.Dir(name),
			test:   strings.HasSuffix(name, "_test.go"),
			lines:  strings.Count(string(text), "\n"),
			text:   text,
			syntax: syntax,
		})
		return nil
	})
	return t, err
}

// at makes a finding at the line of a node.
func (t *tree) at(f *goFile, pos token.Pos, format string, args ...any) finding {
	return finding{path: f.path, line: t.positions.Position(pos).Line, text: fmt.Sprintf(format, args...)}
}

// product reports whether a file is part of what users run: not a test, and not the lint or the benchmark.
func (f *goFile) product() bool {
	return !f.test && f.folder != "internal/lint" && !strings.HasPrefix(f.folder, "tests/")
}

// folders groups the files by folder, in the order of the walk.
func (t *tree) folders() map[string][]*goFile {
	byFolder := make(map[string][]*goFile)
	for _, f := range t.files {
		byFolder[f.folder] = append(byFolder[f.folder], f)
	}
	return byFolder
}
