// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"go/ast"
	"go/token"
	"strings"
)

// checkVariables finds package-level state. A package-level variable outside cmd is one of these, or a finding:
//
//   - an error value: its name starts with err or Err, and errors.New or fmt.Errorf makes it;
//   - blank: `var _ Interface = ...`;
//   - embedded: a //go:embed line stands above it;
//   - a table: a literal array, slice or map, or what a function literal called on the spot returns; or anything whose comment says
//     "read-only". Nothing but its own initializer and init functions writes to it.
//
// Whatever has a lock or an atomic in it changes, so it is never a table.
func checkVariables(t *tree) []finding {
	var found []finding
	for _, files := range t.folders() {
		tables := make(map[string]*ast.ValueSpec)
		for _, f := range files {
			if f.product() && !strings.HasPrefix(f.folder, "cmd/") {
				found = append(found, t.checkDeclarations(f, tables)...)
			}
		}
		for _, f := range files {
			if !f.test {
				found = append(found, t.checkWrites(f, tables)...)
			}
		}
	}
	return found
}

// checkDeclarations looks at a file's package-level variables and adds the tables among them to tables.
func (t *tree) checkDeclarations(f *goFile, tables map[string]*ast.ValueSpec) []finding {
	var found []finding
	for _, declaration := range f.syntax.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			comment := group.Doc.Text() + spec.Doc.Text() + spec.Comment.Text()
			readOnly := strings.Contains(strings.ToLower(comment), "read-only")
			for i, name := range spec.Names {
				switch {
				case name.Name == "_", isErrorValue(spec, i), isEmbedded(group, spec):
				case hasLock(spec):
					found = append(found, t.at(f, name.Pos(), "var %s: a lock or an atomic at package level", name.Name))
				case !readOnly && !isTable(spec, i):
					found = append(found, t.at(f, name.Pos(), "var %s: package-level state; if it never changes, say \"Read-only\" in its comment", name.Name))
				default:
					tables[name.Name] = spec
				}
			}
		}
	}
	return found
}

func isErrorValue(spec *ast.ValueSpec, i int) bool {
	name := spec.Names[i].Name
	if !strings.HasPrefix(name, "err") && !strings.HasPrefix(name, "Err") || i >= len(spec.Values) {
		return false
	}
	call, ok := spec.Values[i].(*ast.CallExpr)
	return ok && (isSelector(call.Fun, "errors", "New") || isSelector(call.Fun, "fmt", "Errorf"))
}

// isTable reports whether a variable is made by a literal array, slice or map, or by a function literal called on the spot.
func isTable(spec *ast.ValueSpec, i int) bool {
	if i >= len(spec.Values) {
		return false
	}
	switch value := spec.Values[i].(type) {
	case *ast.CompositeLit:
		switch value.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			return true
		}
	case *ast.CallExpr:
		_, ok := value.Fun.(*ast.FuncLit)
		return ok
	}
	return false
}

func isEmbedded(group *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, comments := range []*ast.CommentGroup{group.Doc, spec.Doc} {
		if comments == nil {
			continue
		}
		for _, comment := range comments.List {
			if strings.HasPrefix(comment.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

func hasLock(spec *ast.ValueSpec) bool {
	var has bool
	ast.Inspect(spec, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				has = true
			}
		}
		return !has
	})
	return has
}

// checkWrites finds assignments to tables outside init functions.
func (t *tree) checkWrites(f *goFile, tables map[string]*ast.ValueSpec) []finding {
	var found []finding
	for _, declaration := range f.syntax.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv == nil && function.Name.Name == "init" {
			continue
		}
		ast.Inspect(function, func(node ast.Node) bool {
			var written []ast.Expr
			switch node := node.(type) {
			case *ast.AssignStmt:
				if node.Tok != token.DEFINE {
					written = node.Lhs
				}
			case *ast.IncDecStmt:
				written = []ast.Expr{node.X}
			}
			for _, e := range written {
				name := rootOf(e)
				if name == nil || tables[name.Name] == nil || isLocal(name, tables[name.Name]) {
					continue
				}
				found = append(found, t.at(f, e.Pos(), "var %s is read-only; this writes to it", name.Name))
			}
			return true
		})
	}
	return found
}

// rootOf is x in x, x.f, x[i], *x and their combinations.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isLocal reports whether name is something declared inside a function. The parser resolves names within one file, without types:
// a name that it leaves open stands in another file of the package, so at package level.
func isLocal(name *ast.Ident, table *ast.ValueSpec) bool {
	object := name.Obj
	return object != nil && object.Decl != any(table)
}
