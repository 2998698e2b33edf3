// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fixed is a Source as cheap as a Source can be, so that a benchmark shows the template's own cost.
type fixed struct {
	value [NumIDs]string
}

func (f *fixed) AppendVariable(dst []byte, id ID, _ string) ([]byte, bool) {
	return append(dst, f.value[id]...), true
}

func newFixed() *fixed {
	f := &fixed{}
	f.value[RemoteAddr] = "192.0.2.17"
	f.value[RemoteUser] = "-"
	f.value[TimeLocal] = "21/Nov/2026:22:50:15 +0000"
	f.value[Request] = "GET /api/v1/items?limit=20&offset=40 HTTP/1.1"
	f.value[Status] = "200"
	f.value[BodyBytesSent] = "1234"
	f.value[HTTPField] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	f.value[Scheme], f.value[Host], f.value[RequestURI] = "http", "example.com", "/api/v1/items"
	return f
}

func benchmarkAppend(b *testing.B, t *Template, err error) {
	require.NoError(b, err)
	src, buf := newFixed(), make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(t.Append(buf, src))))
	for b.Loop() {
		buf = t.Append(buf[:0], src)
	}
}

func BenchmarkCombined(b *testing.B) {
	t, err := CompileLog(CombinedText, EscapeDefault)
	benchmarkAppend(b, t, err)
}

func BenchmarkCombinedJSON(b *testing.B) {
	t, err := CompileLog(CombinedText, EscapeJSON)
	benchmarkAppend(b, t, err)
}

func BenchmarkCombinedNone(b *testing.B) {
	t, err := CompileLog(CombinedText, EscapeNone)
	benchmarkAppend(b, t, err)
}

func BenchmarkURL(b *testing.B) {
	t, err := Compile("$scheme://$host$request_uri")
	benchmarkAppend(b, t, err)
}

func BenchmarkOneVariable(b *testing.B) {
	t, err := Compile("$host")
	benchmarkAppend(b, t, err)
}

func TestAppendDoesNotAllocate(t *testing.T) {
	src, buf := newFixed(), make([]byte, 0, 4096)
	src.value[Request] = "GET /\"\\\xff\n HTTP/1.1"
	for _, esc := range []Escape{EscapeNone, EscapeDefault, EscapeJSON} {
		tmpl, err := CompileLog(CombinedText, esc)
		require.NoError(t, err)
		require.Zero(t, testing.AllocsPerRun(100, func() { buf = tmpl.Append(buf[:0], src) }), esc.String())
	}
}
