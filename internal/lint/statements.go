// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import "go/ast"

// checkStatements finds goroutines and sleeps outside the packages that layers.txt allows them to. A worker is one thread: a
// goroutine there would need locks that nothing else needs, and a sleep would stop every connection it serves.
func checkStatements(t *tree, p *policy) []finding {
	var found []finding
	for _, f := range t.files {
		if !f.product() {
			continue
		}
		name := policyName(f.folder)
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GoStmt:
				if !p.only["go"][name] {
					found = append(found, t.at(f, node.Pos(), "go statement: only %s may start goroutines", list(p.only["go"])))
				}
			case *ast.SelectorExpr:
				if isSelector(node, "time", "Sleep") && !p.only["time.Sleep"][name] {
					found = append(found, t.at(f, node.Pos(), "time.Sleep: wait for the event, or arm a timer"))
				}
			}
			return true
		})
	}
	return found
}

// isSelector reports whether e is written pkg.name.
func isSelector(e ast.Expr, pkg, name string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}
