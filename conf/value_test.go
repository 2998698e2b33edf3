// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"bytes"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What is loaded from values is what is loaded from the same in TOML, with the places that the values have.
func TestValues(t *testing.T) {
	server := Value{Of: []Field{
		{"listen", Value{Of: []Value{{Of: "127.0.0.1:81", Line: 3}}, Line: 3}},
		{"client_max_body_size", Value{Of: int64(5), Line: 4}},
		{"etag", Value{Of: false, Line: 1}},
	}, Line: 2}
	src := Source{Name: "nginx.conf", Prefix: "/prefix", Overrides: "worker_processes = 3", Lines: []Place{{"a", 10, "x"}, {"b", 20, "x"}, {"a", 30, "x"}, {"b", 40, "x"}}}
	src.Packed = Value{Of: []Field{{"http", Value{Of: []Field{{"server", Value{Of: []Value{server}}}}}}}}.Pack()
	got, _, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	want := mustLoad(t, "worker_processes = 3\n[[http.server]]\nlisten = ['127.0.0.1:81']\nclient_max_body_size = 5\netag = false")
	if !bytes.Equal(got.TOML(), want.TOML()) {
		t.Errorf("from values:\n%s\nfrom TOML:\n%s", got.TOML(), want.TOML())
	}
	for line, bad := range map[string]Value{
		" in a:10": {Of: []Field{{"http", Value{Of: "x", Line: 1}}}},
		" in b:40": {Of: []Field{{"http", Value{Of: []Field{{"etag", Value{Of: true, Line: 3}}, {"etag", Value{Of: true, Line: 4}}}}}}},
	} {
		src.Packed = bad.Pack()
		if _, _, err := Load(src); err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("%+v: got %v, want a fault at %s", bad, err, line)
		}
	}
}

// What is packed to harm who unpacks it is refused.
func TestUnpackIsBounded(t *testing.T) {
	deep := Value{Of: []Value{}}
	for range 2 * maxDepth {
		deep = Value{Of: []Value{deep}}
	}
	if _, err := Unpack(Value{Of: []Field{{"a", deep}}}.Pack(), ""); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("lists in lists: %v", err)
	}
}

// Whatever a text is, as a TOML string it is that text.
func TestFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, name := rapid.String().Draw(t, "text"), rapid.String().Draw(t, "key")
		var got map[string]map[string][]string
		_, err := toml.Decode("a = "+FormatValue(Value{Of: []Field{{name, Value{Of: []Value{{Of: text}}}}}}), &got)
		require.NoError(t, err)
		require.Equal(t, []string{text}, got["a"][name])
	})
}
