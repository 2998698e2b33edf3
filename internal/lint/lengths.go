// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"bufio"
	"fmt"
	"go/ast"
	"strconv"
	"strings"
)

// Limits of length. A file is read in one sitting, a function on one screen.
const (
	maxFileLines     = 600
	maxFunctionLines = 70
)

// exceptions is exceptions.txt, parsed: what is longer than the limit, and how long it may be.
type exceptions struct {
	limits map[string]int // "file PATH" or "func FOLDER NAME" -> lines
}

// parseExceptions reads the text of exceptions.txt. Every line needs a reason.
func parseExceptions(text string) (*exceptions, error) {
	e := &exceptions{limits: make(map[string]int)}
	scanner := bufio.NewScanner(strings.NewReader(text))
	for number := 1; scanner.Scan(); number++ {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		keyWords := map[string]int{"file": 2, "func": 3}[words[0]]
		if keyWords == 0 || len(words) < keyWords+2 {
			return nil, fmt.Errorf("exceptions.txt:%d: want `file PATH LINES reason` or `func FOLDER NAME LINES reason`", number)
		}
		lines, err := strconv.Atoi(words[keyWords])
		if err != nil {
			return nil, fmt.Errorf("exceptions.txt:%d: %w", number, err)
		}
		e.limits[strings.Join(words[:keyWords], " ")] = lines
	}
	return e, scanner.Err()
}

// checkLengths finds files and functions over their limit, and exceptions that nothing needs any more: the list only shrinks.
// The functions of tests are not measured: a table is as long as its rows.
func checkLengths(t *tree, e *exceptions) []finding {
	var found []finding
	needed := make(map[string]bool)
	check := func(f finding, key string, lines, limit int) {
		if lines <= limit {
			return
		}
		needed[key] = true
		if allowed := max(limit, e.limits[key]); lines > allowed {
			f.text = fmt.Sprintf("%s has %d lines, %d allowed", key, lines, allowed)
			found = append(found, f)
		}
	}
	for _, f := range t.files {
		check(finding{path: f.path}, "file "+f.path, f.lines, maxFileLines)
		if f.test {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := t.positions.Position(function.Pos()).Line, t.positions.Position(function.End()).Line
			key := "func " + f.folder + " " + functionName(function)
			check(finding{path: f.path, line: first}, key, last-first+1, maxFunctionLines)
		}
	}
	for key := range e.limits {
		if !needed[key] {
			found = append(found, finding{path: "internal/lint/exceptions.txt", text: "no longer needed: " + key})
		}
	}
	return found
}

// functionName is Name, or Type.Name for a method.
func functionName(function *ast.FuncDecl) string {
	if receiver := receiverName(function); receiver != "" {
		return receiver + "." + function.Name.Name
	}
	return function.Name.Name
}

// receiverName is the type a method belongs to, or "" for a function.
func receiverName(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	e := function.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
