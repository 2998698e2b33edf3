// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"weir/internal/invariant"
)

// naive is the documentation of nginx's log_format, byte by byte.
func naive(value []byte, esc Escape) []byte {
	var out []byte
	for _, c := range value {
		switch {
		case esc == EscapeDefault && (c < 32 || c > 126 || c == '"' || c == '\\'):
			out = fmt.Appendf(out, `\x%02X`, c)
		case esc == EscapeJSON && (c == '"' || c == '\\'):
			out = append(out, '\\', c)
		case esc == EscapeJSON && c < 32:
			if i := bytes.IndexByte([]byte("\n\r\t\b\f"), c); i >= 0 {
				out = append(out, '\\', "nrtbf"[i])
			} else {
				out = fmt.Appendf(out, `\u%04X`, c)
			}
		default:
			out = append(out, c)
		}
	}
	return out
}

func escaped(dst, value []byte, esc Escape) []byte {
	tmpl, err := CompileLog("<$request>", esc)
	if err != nil {
		panic(err)
	}
	return tmpl.Append(dst, request{"request": string(value)})
}

func checkEscapes(t require.TestingT, value []byte) {
	for _, esc := range []Escape{EscapeNone, EscapeDefault, EscapeJSON} {
		want := "before <" + string(naive(value, esc)) + ">"
		require.Equal(t, want, string(escaped([]byte("before "), value, esc)), esc.String()) // grows
		roomy := append(make([]byte, 0, 4096), "before "...)
		require.Equal(t, want, string(escaped(roomy, value, esc)), esc.String())
	}
}

// Every byte at every place of a value of every length up to three words, among bytes that are fine
// and of which some are just so: the masks carry from one byte into the next.
func TestEscapeEveryByteEverywhere(t *testing.T) {
	for _, filler := range []byte{' ', '~', 0x80} {
		for length := 1; length <= 24; length++ {
			value := bytes.Repeat([]byte{filler}, length)
			for at := range value {
				for c := range 256 {
					value[at] = byte(c)
					if got, want := needsDefault(value), !bytes.Equal(naive(value, EscapeDefault), value); got != want {
						t.Fatalf("needsDefault(%q) = %v", value, got)
					}
					if got, want := needsJSON(value), !bytes.Equal(naive(value, EscapeJSON), value); got != want {
						t.Fatalf("needsJSON(%q) = %v", value, got)
					}
				}
				value[at] = filler
			}
		}
	}
}

func TestEscapeModel(t *testing.T) {
	awkward := rapid.SliceOf(rapid.SampledFrom([]byte("a~ \"\\\n\r\t\b\f\x00\x1f\x7f\x80\xff")))
	rapid.Check(t, func(t *rapid.T) {
		checkEscapes(t, rapid.OneOf(awkward, rapid.SliceOf(rapid.Byte())).Draw(t, "value"))
	})
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("GET /\x22\\\xff HTTP/1.1"))
	f.Fuzz(func(t *testing.T, value []byte) {
		checkEscapes(t, value)
		if utf8.Valid(value) {
			var got string
			quoted := append(append([]byte{'"'}, naive(value, EscapeJSON)...), '"')
			require.NoError(t, json.Unmarshal(quoted, &got))
			require.Equal(t, string(value), got)
		}
	})
}

func TestAbsent(t *testing.T) {
	for esc, want := range map[Escape]string{EscapeNone: "[]", EscapeDefault: "[-]", EscapeJSON: "[]"} {
		tmpl, err := CompileLog("[$request]", esc)
		require.NoError(t, err)
		require.Equal(t, want, string(tmpl.Append(nil, request{})), esc)
		require.Equal(t, "[]", string(tmpl.Append(nil, request{"request": ""})), "an empty value is a value: %v", esc)
	}
}

// A variable marked as plain is not looked at, except where a build checks itself.
func TestPlain(t *testing.T) {
	tmpl, err := CompileLog("$status", EscapeDefault)
	require.NoError(t, err)
	wrong := request{"status": `"`}
	if invariant.Enabled {
		require.PanicsWithValue(t, `vars: $status is marked as plain but is "\""`, func() { tmpl.Append(nil, wrong) })
		return
	}
	require.Equal(t, `"`, string(tmpl.Append(nil, wrong)))
}
