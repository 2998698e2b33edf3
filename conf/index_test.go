// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// TestIndexText lists the places of texts that use every way to write keys and values.
func TestIndexText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"flat", "a = 1\nb = 'x' # c = 2\n\n# d = 3\ne = true", "a:1 b:2 e:5"},
		{"table", "[t]\na = 1\n[t.u]\nb = 2\n", "t:1 t.a:2 t.u:3 t.u.b:4"},
		{"table made by its child", "[t.u]\na = 1\n[t]\nb = 2", "t:3 t.u:1 t.u.a:2 t.b:4"},
		{"array of tables", "[[s]]\na = 1\n[[s]]\na = 2\n[[s.l]]\np = 1\n[[s.l]]\np = 2\n[s.x]\ny = 1",
			"s:1 s[0]:1 s[0].a:2 s[1]:3 s[1].a:4 s[1].l:5 s[1].l[0]:5 s[1].l[0].p:6 s[1].l[1]:7 s[1].l[1].p:8 s[1].x:9 s[1].x.y:10"},
		{"dotted keys", "a.b.c = 1\na . d = 2\n[x]\ny.z = 3", "a:1 a.b:1 a.b.c:1 a.d:2 x:3 x.y:4 x.y.z:4"},
		{"quoted keys", "\"a.b\" = 1\n'c d' = 2\n\"e\\\"f\\u00e9\\U0001F600\\t\" = 3\n[\"g]h\".'i']\nj = 4\n\"\" = 5",
			`"a.b":1 "c d":2 "e\"fé😀\t":3 "g]h":4 "g]h".i:4 "g]h".i.j:5 "g]h".i."":6`},
		{"inline tables", "a = { b = 1, c = { d = 2 } }\ne = { f.g = 3 }", "a:1 a.b:1 a.c:1 a.c.d:1 e:2 e.f:2 e.f.g:2"},
		{"inline tables over lines", "a = {\n  b = 1, # x = 1\n  c = [\n    { d = 2 },\n    3,\n  ],\n}\ne = 1",
			"a:1 a.b:2 a.c:3 a.c[0]:4 a.c[0].d:4 a.c[1]:5 e:8"},
		{"arrays", "a = [ [1, 2],\n [ # x\n 3 ] ]\nb = []\nc = [ '''\n]''', \"]\" ]\nd = 1",
			"a:1 a[0]:1 a[0][0]:1 a[0][1]:1 a[1]:2 a[1][0]:3 b:4 c:5 c[0]:5 c[1]:6 d:7"},
		{"multi-line strings", "a = \"\"\"\nb = 1\n\\\"\"\"\nc = 2\"\"\"\"\"\nd = '''\n''''\ne = ''''''\nf = \"\"\"\"\"\"\ng = 1",
			"a:1 d:5 e:7 f:8 g:9"},
		{"strings", "a = \"\\\\\"\nb = \"\\\"]#\"\nc = '\\'\nd = '#'", "a:1 b:2 c:3 d:4"},
		{"dates", "a = 1979-05-27 07:32:00\nb = [1979-05-27T07:32:00Z, 07:32:00]\nc = 1e5", "a:1 b:2 b[0]:2 b[1]:2 c:3"},
		{"carriage returns", "a = 1\r\n[b]\r\nc = '''\r\n'''\r\nd = 2\r\n", "a:1 b:2 b.c:3 b.d:5"},
		{"byte order mark", "\ufeffa = 1", "a:1"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var values map[string]any
			if _, err := toml.Decode(c.text, &values); err != nil {
				t.Fatalf("not TOML: %v", err)
			}
			var got []string
			listPlaces(indexText([]byte(c.text)), nil, &got)
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func listPlaces(p *place, at *path, out *[]string) {
	if at != nil {
		*out = append(*out, fmt.Sprintf("%s:%d", at, p.line))
	}
	for _, key := range p.keys {
		listPlaces(p.kids[key], at.key(key), out)
	}
	for i, e := range p.elems {
		listPlaces(e, at.at(i), out)
	}
}

// FuzzIndexText checks on any text that the parser accepts that the indexer finds exactly the keys and elements that the parser finds, each
// on a line that exists; on other texts that it ends without a panic.
func FuzzIndexText(f *testing.F) {
	f.Add(string(Default()))
	f.Add("a = { b = [ { c = 1 }, 2 ] }\n[x.y]\nz = \"\"\"\n\"\"\"\n[[s]]\n[[s.t]]\nu=1")
	f.Add("\"\\u00e9\".'b' = 1979-05-27 07:32:00 # c\r\n")
	f.Add("a = [[{},[]],\n'''\n''''']\nb=inf")
	f.Fuzz(func(t *testing.T, text string) {
		root := indexText([]byte(text))
		var values map[string]any
		if _, err := toml.Decode(text, &values); err != nil {
			return
		}
		comparePlaces(t, values, root, nil, strings.Count(text, "\n")+1)
	})
}

func comparePlaces(t *testing.T, value any, p *place, at *path, lines int) {
	if p.line < 1 || p.line > lines {
		t.Errorf("%s: line %d of %d", at, p.line, lines)
	}
	switch v := value.(type) {
	case map[string]any:
		keys := slices.Clone(p.keys)
		for key, kid := range v {
			i := slices.Index(keys, key)
			if i < 0 {
				t.Errorf("%s: not found", at.key(key))
				continue
			}
			keys = slices.Delete(keys, i, i+1)
			comparePlaces(t, kid, p.kids[key], at.key(key), lines)
		}
		if len(keys) > 0 || len(p.elems) > 0 {
			t.Errorf("%s: found the keys %q and %d elements that are not there", at, keys, len(p.elems))
		}
	case []map[string]any:
		compareElems(t, len(v), func(i int) any { return v[i] }, p, at, lines)
	case []any:
		compareElems(t, len(v), func(i int) any { return v[i] }, p, at, lines)
	default:
		if len(p.keys)+len(p.elems) > 0 {
			t.Errorf("%s: found %q and %d elements in a scalar", at, p.keys, len(p.elems))
		}
	}
}

func compareElems(t *testing.T, n int, elem func(int) any, p *place, at *path, lines int) {
	if n != len(p.elems) || len(p.keys) > 0 {
		t.Errorf("%s: found %d elements and the keys %q, want %d elements", at, len(p.elems), p.keys, n)
		return
	}
	for i := range n {
		comparePlaces(t, elem(i), p.elems[i], at.at(i), lines)
	}
}
