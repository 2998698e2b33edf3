// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// quickTexts are texts that quickTree knows, and then texts that it leaves to the library, most of them no TOML.
var quickTexts = [2][]string{
	{
		"", "\n\n# c", "a = 1", "a = 1 # c\nb = 'x'\n", "a.b.c = 1\na . \"d e\" = 2\n'f' = 3", "[t]\na = 1\n[t.u]\nb = 2\n[t.u.v]\n[w.x]\n[w.y]", "[[s]]\na = 1\n[[s]]\n[[s.l]]\np = 1\n[[s.l]]\n[s.x]\ny = 1",
		"a = [ [1, 2],\n [ # x\n 3 ] , ]\nb = []\nc = [{ d = 1 },\n\t{ e.f = 2, e.g = [1,\n2], h = {} }]\nd = 1", `a = "\b\t\n\f\r\"\\ \u00e9"` + "\nb = '\\'\nc = ''\nd = \"\"\ne = \"\t#\"", "a=true\nb=false\nc=0\nd=999999999999999999",
		"[ a . b ] # c\n[[ a . c ]]", "\"\" = 1\n[x.\"\"]\n", "a = \"é\"",
	},
	{
		"a", "a =", "a = \n1", "a = 1 b = 2", "a = 1\na = 2", "a = 1\na.b = 2", "a.b = 1\n[a]", "[a]\n[a]", "[a.b]\n[a]", "[a]\n[[a]]", "[[a]]\n[a]", "a = []\n[[a]]", "a = {}\na.b = 1", "a = {}\n[a.b]", "a = { b = 1, }", "a = { b = 1\n}", "a = { b = 1, b = 2 }",
		"a = [1 2]", "a = [1", "a = {", "[a", "[a]]", "[[a]", "[]", "[a.]", "a. = 1", "a = 01", "a = +1", "a = -1", "a = 1_0", "a = 1.5", "a = 0x1", "a = 1979-05-27", "a = inf", "a = tru", "a = \"\\q\"", "a = \"\\ud800\"", "a = \"\\u12\"", "a = \"\\U0001F600\"",
		"a = \"x", "a = \"x\ny\"", "a = 'x\ny'", "a = '''x'''", "a = \"\"\"x\"\"\"", "'''a''' = 1", "\"a\\n\" = 1", "a = 1\r\n", "\ufeffa = 1", "a = \"\x00\"", "a = 1 # \x01", "a = \"\xff\"", "a = 9223372036854775807", "[a.b]\n[a]\nc = 1", "a.b = 1\n[x]\n[a.c]", "=", "\"\"\"\"\"\" = 1", "a = '",
	},
}

// compareTrees fails the test unless quickTree says of a text what the library and indexText do, or nothing. It says which.
func compareTrees(t *testing.T, text []byte) bool {
	t.Helper()
	got, ok := quickTree("f", text)
	if !ok {
		return false
	}
	want, fault := libraryTree("f", text)
	if fault != nil {
		if strings.Contains(fault.Text, "cannot be written like this") { // see lostKey: it is TOML nevertheless
			return true
		}
		t.Fatalf("%q is read, and the library says %v", text, fault)
	}
	if diff := cmp.Diff(dump(want), dump(got)); diff != "" {
		t.Fatalf("%q: -library +quick:\n%s", text, diff)
	}
	return true
}

// dump is a tree as text, with its places and the order of its keys.
func dump(n *node) string {
	var b strings.Builder
	var write func(n *node, indent string)
	write = func(n *node, indent string) {
		fmt.Fprintf(&b, "%s:%d list=%v table=%v %T %v\n", n.file, n.line, n.list, n.kids != nil, n.value, n.value)
		for _, key := range n.keys {
			fmt.Fprintf(&b, "%s %q: ", indent, key)
			write(n.kids[key], indent+" ")
		}
		if len(n.kids) != len(n.keys) {
			fmt.Fprintf(&b, "%d keys, %d in order\n", len(n.kids), len(n.keys))
		}
		for _, e := range n.elems {
			fmt.Fprintf(&b, "%s - ", indent)
			write(e, indent+" ")
		}
	}
	write(n, "")
	return b.String()
}

func TestQuickTree(t *testing.T) {
	for known, texts := range map[bool][]string{true: quickTexts[0], false: quickTexts[1]} {
		for _, text := range texts {
			if got := compareTrees(t, []byte(text)); got != known {
				t.Errorf("%q: known %v, want %v", text, got, known)
			}
		}
	}
	files := []string{"weir.toml", "../packaging/container.toml"}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !compareTrees(t, text) {
			t.Errorf("%s is left to the library", name)
		}
	}
}

func FuzzQuickTree(f *testing.F) {
	for _, texts := range quickTexts {
		for _, text := range texts {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte(everything))
	f.Fuzz(func(t *testing.T, text []byte) { compareTrees(t, text) })
}
