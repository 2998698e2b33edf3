// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// lastLines are lines that can be taken for one another: of equal length, with the colon elsewhere, with more in front of it.
var lastLines = []string{
	"Host: a\r\n", "Host: b\r\n", "Host: ab\r\n", "X-Ab: cd\r\n", "X-A: bcd\r\n", "X-Abc: d\r\n", "X: Y: zz\r\n", "Xa:b: zz\r\n",
	"Date: 1\r\n", "Date: 2\r\n", "ETag: 1\r\n", "Connection: close\r\n", "Connection: X-Abc\r\n", "Connection: keep-alive\r\n",
	"Content-Length: 1\r\n", "Content-Length: 2\r\n", "A_B: 12\r\n", "A-B: 12\r\n", "A-B:  12\r\n", "A-B: 12\n", "A-B: 12 \r\n",
	"Long: " + strings.Repeat("x", 600) + "\r\n", "Host: a:80\r\n", "Host: a.b.c\r\n", "Host: a b\r\n",
}

// A head that has read other heads before gives what a new one gives, whatever it remembers of them.
func TestLastHeadModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var used RequestHead
		var response ResponseHead
		for range rapid.IntRange(1, 8).Draw(t, "heads") {
			fields := strings.Join(rapid.SliceOfN(rapid.SampledFrom(lastLines), 0, 30).Draw(t, "lines"), "") + "\r\n"
			target := rapid.SampledFrom([]string{"/", "/a", "/abc", "http://h/"}).Draw(t, "target")
			lim := DefaultLimits()
			lim.IgnoreInvalid = rapid.Bool().Draw(t, "ignore invalid")
			lim.Underscores = rapid.Bool().Draw(t, "underscores")
			text := []byte("GET " + target + " HTTP/1.1\r\n" + fields)
			used.Reset()
			if got, want := readRequest(&used, text, nil, &lim), requestText(text, nil, &lim); got != want {
				t.Fatalf("after other heads:\n%s\nalone:\n%s\nof\n%s", got, want, text)
			}
			text = []byte("HTTP/1.1 200 OK\r\n" + fields)
			response.Reset()
			var fresh ResponseHead
			got, want := response.Parse(text, &lim), fresh.Parse(text, &lim)
			if got != want || got == Done && headText(&response.Head, text) != headText(&fresh.Head, text) {
				t.Fatalf("after other heads: %v\n%s\nalone: %v\n%s\nof\n%s", got, headText(&response.Head, text), want, headText(&fresh.Head, text), text)
			}
		}
	})
}

// headText is what a head says of its fields.
func headText(h *Head, text []byte) string {
	var b strings.Builder
	for i := range h.Fields {
		f := &h.Fields[i]
		b.Write(f.Name.Of(text))
		b.WriteString(" | ")
		b.Write(f.Value.Of(text))
		b.WriteString(" | " + f.ID.Name())
		if f.Hop {
			b.WriteString(" hop")
		}
		if f.Plain {
			b.WriteString(" plain")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// FuzzLastHead reads two heads into one RequestHead; the second must come out as if it were the first.
func FuzzLastHead(f *testing.F) {
	for _, a := range requestSeeds[:min(8, len(requestSeeds))] {
		for _, b := range requestSeeds[:min(8, len(requestSeeds))] {
			f.Add([]byte(a), []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first) > largestInput || len(second) > largestInput {
			return
		}
		lim := DefaultLimits()
		var used RequestHead
		used.Parse(first, &lim)
		used.Reset()
		if got, want := readRequest(&used, second, nil, &lim), requestText(second, nil, &lim); got != want {
			t.Fatalf("after another head:\n%s\nalone:\n%s", got, want)
		}
	})
}
