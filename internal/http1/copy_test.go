// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestExceptions passes heads on without some of their fields, line by line and in runs.
func TestExceptions(t *testing.T) {
	lines := []string{"Date: now", "Server:  two spaces", "X-One: 1", "X-Two:none", "ETag: \"a\" ", "Accept: a", "Accept: b", "Connection: x-one, etag",
		"Transfer-Encoding: chunked", "Bad@Name: dropped", "Vary: a\tb", "Cookie: a"}
	rapid.Check(t, func(rt *rapid.T) {
		end := rapid.SampledFrom([]string{"\r\n", "\n"})
		text := "GET / HTTP/1.1\r\nHost: a\r\n"
		chunked := false
		for i := range rapid.IntRange(0, 80).Draw(rt, "lines") {
			line := rapid.SampledFrom(lines).Draw(rt, "line")
			if i > len(lines) {
				line = fmt.Sprintf("X-Many: %d", i)
			}
			if name, _, _ := strings.Cut(line, ":"); name == "Transfer-Encoding" {
				if chunked {
					continue
				}
				chunked = true
			}
			text += line + end.Draw(rt, "end")
		}
		text += "\r\n"
		lim := DefaultLimits()
		lim.IgnoreInvalid = true
		var h RequestHead
		require.Equal(rt, Done, h.Parse([]byte(text), &lim), "%v: %q", h.Refusal, text)
		set := uint64(0)
		for _, id := range rapid.SliceOf(rapid.SampledFrom([]FieldID{FieldOther, FieldDate, FieldETag, FieldAccept, FieldHost, FieldVary})).Draw(rt, "without") {
			set |= 1 << id
		}

		special := func(f *Field) bool { return f.Hop || !f.Plain || set>>f.ID&1 != 0 }
		var want, got []byte
		for i := range h.Fields {
			if f := &h.Fields[i]; !special(f) {
				want = append(want, text[f.Name.Off:f.Value.End()+2]...)
			}
		}
		e := h.Exceptions(set)
		for from := 0; ; from++ {
			i := e.Next(from)
			if i > from {
				got = append(got, h.Lines([]byte(text), from, i)...)
				from = i
			}
			if i >= len(h.Fields) {
				break
			}
			if f := &h.Fields[i]; !special(f) {
				got = append(got, text[f.Name.Off:f.Value.End()+2]...)
			}
		}
		require.Equal(rt, string(want), string(got))
	})
}
