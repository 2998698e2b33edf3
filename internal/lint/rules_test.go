// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package lint

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const testPolicy = `
ground : sys clock
middle : event
top    : worker
never worker : clock
only unsafe     : sys
only go         : offload
only time.Sleep : offload
`

// treeOf parses files given as path and text; a Go file gets its licence lines unless it has them.
func treeOf(t *testing.T, files map[string]string) *tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, text := range files {
		if strings.HasSuffix(path, ".go") && !strings.HasPrefix(text, "//") {
			text = licence + text
		}
		fsys[path] = &fstest.MapFile{Data: []byte(text)}
	}
	parsed, err := loadTree(fsys)
	require.NoError(t, err)
	return parsed
}

// rule is one row: a tree, and the findings that it must give (a part of each line, in order), no more and no fewer.
type rule struct {
	name  string
	files map[string]string
	want  []string
}

func checkRules(t *testing.T, rules []rule, check func(*tree) []finding) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			got := sorted(check(treeOf(t, r.files)))
			require.Len(t, got, len(r.want), "%q", got)
			for i, want := range r.want {
				require.Contains(t, got[i], want)
			}
		})
	}
}

func TestImports(t *testing.T) {
	order, err := parsePolicy(testPolicy)
	require.NoError(t, err)
	checkRules(t, []rule{
		{"downwards", map[string]string{"internal/event/a.go": "package event\n\nimport \"weir/internal/sys\"\n"}, nil},
		{"earlier on the line", map[string]string{"internal/clock/a.go": "package clock\n\nimport \"weir/internal/sys\"\n"}, nil},
		{"later on the line", map[string]string{"internal/sys/a.go": "package sys\n\nimport \"weir/internal/clock\"\n"},
			[]string{"internal/sys/a.go:6: sys imports clock: it stands above"}},
		{"upwards", map[string]string{"internal/event/a.go": "package event\n\nimport \"weir/internal/worker\"\n"},
			[]string{"event imports worker: it stands above"}},
		{"upwards in a test", map[string]string{"internal/event/a_test.go": "package event\n\nimport \"weir/internal/worker\"\n"},
			[]string{"event imports worker: it stands above"}},
		{"never", map[string]string{"internal/worker/a.go": "package worker\n\nimport \"weir/internal/clock\"\n"},
			[]string{"worker imports clock: layers.txt says never"}},
		{"not listed", map[string]string{"internal/util/a.go": "package util\n"}, []string{"package util has no place"}},
		{"imports what is not listed", map[string]string{"internal/event/a.go": "package event\n\nimport \"weir/internal/util\"\n"},
			[]string{"event imports util: it has no place"}},
		{"a command imports what it likes", map[string]string{"cmd/worker/a.go": "package main\n\nimport \"weir/internal/clock\"\n"}, nil},
		{"unsafe in its place", map[string]string{"internal/sys/a.go": "package sys\n\nimport \"unsafe\"\n"}, nil},
		{"unsafe elsewhere", map[string]string{"internal/event/a.go": "package event\n\nimport \"unsafe\"\n"},
			[]string{"imports unsafe, which only sys may"}},
		{"unsafe in a command", map[string]string{"cmd/worker/a.go": "package main\n\nimport \"unsafe\"\n"},
			[]string{"imports unsafe, which only sys may"}},
	}, func(tree *tree) []finding { return checkImports(tree, order) })
}

func TestPolicyIsCurrent(t *testing.T) {
	order, err := parsePolicy("a : sys\nb : gone\n")
	require.NoError(t, err)
	got := sorted(checkPolicyIsCurrent(treeOf(t, map[string]string{"internal/sys/a.go": "package sys\n"}), order))
	require.Equal(t, []string{"internal/lint/layers.txt: no package gone"}, got)
}

func TestParsePolicyRefuses(t *testing.T) {
	_, err := parsePolicy("ground : sys\nmiddle : sys\n")
	require.EqualError(t, err, "layers.txt: sys stands twice")
	_, err = parsePolicy("ground sys\n")
	require.ErrorContains(t, err, "layers.txt:1")
}

func TestStatements(t *testing.T) {
	order, err := parsePolicy(testPolicy)
	require.NoError(t, err)
	const goes = "package p\n\nfunc f() { go f() }\n"
	const sleeps = "package p\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"
	checkRules(t, []rule{
		{"go in its place", map[string]string{"internal/offload/a.go": goes}, nil},
		{"go elsewhere", map[string]string{"internal/event/a.go": goes}, []string{"a.go:6: go statement: only offload may"}},
		{"go in a test", map[string]string{"internal/event/a_test.go": goes}, nil},
		{"go in a benchmark", map[string]string{"tests/bench/a.go": goes}, nil},
		{"sleep in its place", map[string]string{"internal/offload/a.go": sleeps}, nil},
		{"sleep elsewhere", map[string]string{"internal/event/a.go": sleeps}, []string{"a.go:8: time.Sleep"}},
	}, func(tree *tree) []finding { return checkStatements(tree, order) })
}

func TestVariables(t *testing.T) {
	one := func(text string) map[string]string {
		return map[string]string{"internal/event/a.go": "package event\n\n" + text + "\n"}
	}
	checkRules(t, []rule{
		{"state", one("var n int"), []string{"a.go:6: var n: package-level state"}},
		{"state in a command", map[string]string{"cmd/worker/a.go": "package main\n\nvar version string\n"}, nil},
		{"state in a test", map[string]string{"internal/event/a_test.go": "package event\n\nvar n int\n"}, nil},
		{"error", one(`var errFull = errors.New("full")`), nil},
		{"error without a value", one("var errFull error"), []string{"var errFull: package-level state"}},
		{"blank", one("var _ fmt.Stringer = T{}"), nil},
		{"embedded", one("//go:embed a.txt\nvar text string"), nil},
		{"array", one("var names = [...]string{1: \"a\"}"), nil},
		{"map", one("var names = map[int]string{1: \"a\"}"), nil},
		{"built on the spot", one("var names = func() [9]string { return [9]string{} }()"), nil},
		{"one struct", one("var now = T{1}"), []string{"var now: package-level state"}},
		{"pointer", one("var now = &T{1}"), []string{"var now: package-level state"}},
		{"said to be read-only", one("// now is read-only.\nvar now = T{1}"), nil},
		{"in a group", one("var (\n\t// now is read-only.\n\tnow = T{1}\n\tcount int\n)"), []string{"var count"}},
		{"array written", one("var names = [9]string{}\n\nfunc f() { names[1] = \"a\" }"), []string{"a.go:8: var names is read-only"}},
		{"map written", one("var names = map[int]string{}\n\nfunc f() { names[1] = \"a\" }"), []string{"a.go:8: var names is read-only"}},
		{"lock", one("// Read-only.\nvar mu sync.Mutex"), []string{"a lock or an atomic at package level"}},
		{"locks in an array", one("var mu = [2]sync.Mutex{}"), []string{"a lock or an atomic at package level"}},
		{"table filled by init", one("// Read-only.\nvar names [9]string\n\nfunc init() { names[1] = \"a\" }"), nil},
		{"table written", one("// Read-only.\nvar names [9]string\n\nfunc f() { names[1] = \"a\" }"), []string{"a.go:9: var names is read-only"}},
		{"table counted", one("// Read-only.\nvar counts [9]int\n\nfunc f() { counts[1]++ }"), []string{"a.go:9: var counts is read-only"}},
		{"a local of the same name", one("// Read-only.\nvar names [9]string\n\nfunc f() { var names [2]string; names[1] = \"a\" }"), nil},
		{"a parameter of the same name", one("// Read-only.\nvar names [9]string\n\nfunc f(names []string) { names[1] = \"a\" }"), nil},
		{"written from another file", map[string]string{
			"internal/event/a.go": "package event\n\n// Read-only.\nvar names [9]string\n",
			"internal/event/b.go": "package event\n\nfunc f() { names[1] = \"a\" }\n",
		}, []string{"b.go:6: var names is read-only"}},
	}, checkVariables)
}

func TestLengths(t *testing.T) {
	long := "func f() {\n" + strings.Repeat("\t_ = 0\n", maxFunctionLines) + "}\n"
	longer, err := parseExceptions("func internal/event T.g 80 a switch\nfile internal/event/gone.go 700 a table\n")
	require.NoError(t, err)
	checkRules(t, []rule{
		{"short", map[string]string{"internal/event/a.go": "package event\n\nfunc f() {}\n"},
			[]string{"no longer needed: file internal/event/gone.go", "no longer needed: func internal/event T.g"}},
		{"long function, long method with an exception", map[string]string{"internal/event/a.go": "package event\n\n" + long + strings.Replace(long, "f()", "(t *T[int]) g()", 1)},
			[]string{"internal/event/a.go:6: func internal/event f has 72 lines, 70 allowed", "gone.go"}},
		{"long test", map[string]string{"internal/event/a_test.go": "package event\n\n" + long}, []string{"gone.go", "T.g"}},
		{"long file", map[string]string{"internal/event/a.go": "package event\n" + strings.Repeat("\n", maxFileLines)},
			[]string{"a.go: file internal/event/a.go has 604 lines", "gone.go", "T.g"}},
	}, func(tree *tree) []finding { return checkLengths(tree, longer) })
}

func TestParseExceptionsRefuses(t *testing.T) {
	for _, line := range []string{"file a.go 700", "func internal/a f 80", "dir a 1 reason", "file a.go many reason"} {
		_, err := parseExceptions(line)
		require.Error(t, err, line)
	}
}

func TestLicence(t *testing.T) {
	checkRules(t, []rule{
		{"there", map[string]string{"internal/event/a.go": "package event\n", "Makefile": "# SPDX-License-Identifier: Apache-2.0\n"}, nil},
		{"missing", map[string]string{"internal/event/a.go": "// Package event.\npackage event\n"}, []string{"a.go:1: want the two licence lines"}},
		{"missing in a script", map[string]string{".ci/run": "#!/bin/sh\n"}, []string{".ci/run:1: want an SPDX"}},
		{"not asked of a document", map[string]string{"README.md": "# weir\n"}, nil},
	}, checkLicence)
}

func TestPackageDocs(t *testing.T) {
	checkRules(t, []rule{
		{"there", map[string]string{"internal/event/doc.go": licence + "// Package event.\npackage event\n"}, nil},
		{"missing", map[string]string{"internal/event/a.go": "package event\n"}, []string{"internal/event: no doc.go"}},
		{"empty", map[string]string{"internal/event/doc.go": "package event\n"}, []string{"internal/event: no doc.go"}},
		{"elsewhere", map[string]string{
			"internal/event/doc.go": licence + "// Package event.\npackage event\n",
			"internal/event/a.go":   licence + "// Package event.\npackage event\n",
		}, []string{"a.go:4: the package comment belongs in doc.go"}},
		{"only tests", map[string]string{"tests/e2e/a_test.go": "package e2e\n"}, nil},
	}, checkPackageDocs)
}

func TestExportedDocs(t *testing.T) {
	one := func(text string) map[string]string {
		return map[string]string{"internal/event/a.go": "package event\n\n" + text + "\n"}
	}
	checkRules(t, []rule{
		{"function", one("func F() {}"), []string{"a.go:6: F has no comment"}},
		{"function with a comment", one("// F does.\nfunc F() {}"), nil},
		{"method", one("func (t *T) F() {}"), []string{"T.F has no comment"}},
		{"method of what nobody sees", one("func (t *t) F() {}"), nil},
		{"type", one("type T int"), []string{"type T has no comment"}},
		{"constants under one comment", one("// Kinds.\nconst (\n\tA = 1\n\n\tB = 2\n)"), nil},
		{"constants", one("const (\n\tA = 1 // a\n\tB = 2\n\n\tC = 3\n)"), []string{"const C has no comment"}},
		{"fields", one("// T is.\ntype T struct {\n\tA int\n\tB int\n\n\tC int\n\td int\n\n\t// E covers two.\n\tE int\n\tF int\n}"), []string{"field T.C has no comment"}},
	}, checkExportedDocs)
}

func TestWords(t *testing.T) {
	checkRules(t, []rule{
		{"clean", map[string]string{"a.md": "the user agent, the TODOS\n"}, nil},
		{"left undone", map[string]string{"a.md": "x\nTO" + "DO: y\n"}, []string{"a.md:2: \"TO" + "DO\": finish it"}},
		{"a path of one machine", map[string]string{"a.go": "package a\n\nconst p = \"/ho" + "me/x\"\n"}, []string{"a path of one machine"}},
		{"what is made is not read", map[string]string{"tmp/a.md": "TO" + "DO\n"}, nil},
	}, checkWords)
}

func TestInvariants(t *testing.T) {
	const test = "package event\n\nfunc TestThere(*testing.T) {}\n"
	with := func(text string) map[string]string {
		return map[string]string{"INVARIANTS.md": text, "internal/event/a_test.go": test, "internal/event/a.go": "package event\n\nfunc TestNot() {}\n"}
	}
	checkRules(t, []rule{
		{"there", with("1. **It holds.**\n   Test: `TestThere`\n   (internal/event).\n"), nil},
		{"gone", with("\n1. x `FuzzGone` (internal/event)\n"), []string{"INVARIANTS.md:2: no test FuzzGone in internal/event"}},
		{"elsewhere", with("1. `TestThere` (internal/event, tests/e2e)\n"), []string{"none of these tests is in tests/e2e: `TestThere`"}},
		{"not in a test file", with("1. `TestNot` (internal/event)\n"), []string{"no test TestNot in internal/event"}},
		{"no folder", with("1. `TestThere`\n"), []string{"say in which folder"}},
		{"no test", with("1. It holds.\n2. `TestThere` (internal/event)\n"), []string{"INVARIANTS.md:1: names no test"}},
		{"a number twice", with("1. `TestThere` (internal/event)\n1. `TestThere` (internal/event)\n"), []string{"INVARIANTS.md:2: invariant 1 stands where number 2 is due"}},
	}, checkInvariants)
}

func TestReferences(t *testing.T) {
	const text = "package event\n\n// Loop is.\ntype Loop struct{ maxTasks int }\n\nfunc (*Loop) Turn() {}\n"
	with := func(path, words string) map[string]string {
		return map[string]string{path: words, "internal/event/loop.go": text, "docs/a.md": ""}
	}
	checkRules(t, []rule{
		{"there", with("ARCHITECTURE.md", "[a](docs/a.md), [b](docs/a.md#x), [c](https://example.org/x), [d](#d)\n`event.Loop`, `Loop.Turn`, `maxTasks`, `loop.go`, `internal/event`, `proxy_pass`, `GOMEMLIMIT`\n"), nil},
		{"a link", with("docs/b.md", "\n[a](a.md), [b](c.md)\n"), []string{"docs/b.md:2: the link leads nowhere: c.md"}},
		{"a name", with("ARCHITECTURE.md", "`Loop.Spin`\n`minTasks`\n"), []string{"ARCHITECTURE.md:1: the code has no Loop.Spin", "ARCHITECTURE.md:2: the code has no minTasks"}},
		{"a file", with("INVARIANTS.md", "`turn.go` and `internal/gone`\n"), []string{"no file or folder internal/gone", "no file turn.go"}},
		{"a file that doc.go names", map[string]string{"internal/event/doc.go": licence + "// Package event.\n//\n//	loop.go  the loop\n//	turn.go, other.go\npackage event\n", "internal/event/loop.go": "package event\n", "internal/event/other.go": "package event\n"},
			[]string{"internal/event/doc.go:7: no file turn.go in this folder"}},
		{"a name in a document for users", with("docs/b.md", "`Loop.Spin`\n"), nil},
	}, checkReferences)
}
