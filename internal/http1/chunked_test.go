// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChunkedLimits(t *testing.T) {
	line := func(n int) string { return "1;a=" + strings.Repeat("b", n-len("1;a=\r\n")) + "\r\n" }
	chunk := "1;" + strings.Repeat("x", 98) + "\r\na\r\n" // 102 bytes of size line, 84 more than it justifies
	trailer := func(n int) string { return "0\r\nA:" + strings.Repeat("b", n-len("A:\r\n\r\n")) + "\r\n\r\n" }
	for _, tc := range []struct {
		name, text string
		want       Verdict
	}{
		{"size line", line(MaxChunkLine) + "a\r\n" + LastChunk, Done},
		{"size line too long", line(MaxChunkLine+1) + "a\r\n" + LastChunk, Bad},
		{"leading zeros", strings.Repeat("0", 100) + "1\r\na\r\n" + strings.Repeat("0", 100) + "\r\n\r\n", Done},
		{"too many leading zeros", strings.Repeat("0", MaxChunkLine+1), Bad},
		{"63 bits behind zeros", "000" + "7fffffffffffffff\r\n", More},
		{"64 bits behind zeros", "000" + "8000000000000000", Bad},
		{"space behind the size", "1 \t\r\na\r\n0 \r\n\r\n", Done},
		{"space behind extensions", "1;a \r\na\r\n1;a=b \r\na\r\n1;a=\"b\" ;c\t\r\na\r\n" + LastChunk, Done},
		{"space in the size", "1 1\r\na\r\n", Bad},
		{"excess", strings.Repeat(chunk, MaxChunkExcess/84) + LastChunk, Done},
		{"too much excess", strings.Repeat(chunk, MaxChunkExcess/84+1) + LastChunk, Bad},
		{"no excess in small chunks", strings.Repeat("1\r\na\r\n", 100_000) + LastChunk, Done},
		{"trailer section", trailer(MaxTrailerBytes), Done},
		{"trailer section too long", trailer(MaxTrailerBytes + 1), Bad},
		{"trailer fields", "0\r\n" + strings.Repeat("A:\r\n", MaxTrailerFields) + "\r\n", Done},
		{"too many trailer fields", "0\r\n" + strings.Repeat("A:\r\n", MaxTrailerFields+1) + "\r\n", Bad},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, _, v := decodeChunked([]byte(tc.text), nil)
			require.Equal(t, tc.want, v)
		})
	}
}

// A payload pays for the framing around it: extensions on large chunks never add up.
func TestChunkedPayloadPaysForExtensions(t *testing.T) {
	chunk := "64;signature=" + strings.Repeat("f", 150) + "\r\n" + strings.Repeat("d", 100) + "\r\n"
	payload, _, _, v := decodeChunked([]byte(strings.Repeat(chunk, 1000)+LastChunk), nil)
	require.Equal(t, Done, v)
	require.Len(t, payload, 100_000)
}

func TestChunkedSkip(t *testing.T) {
	var c Chunked
	require.Zero(t, c.Remaining())
	n, data, v := c.Next([]byte("a\r\n01"))
	require.Equal(t, 5, n)
	require.Equal(t, "01", string(data))
	require.Equal(t, More, v)
	require.Equal(t, int64(8), c.Remaining())
	c.Skip(3)
	require.Panics(t, func() { c.Skip(6) })
	require.Panics(t, func() { c.Skip(-1) })
	c.Skip(5)
	require.Zero(t, c.Remaining())
	c.Skip(0)
	n, data, v = c.Next([]byte("\r\n0\r\n\r\nX"))
	require.Equal(t, 7, n)
	require.Empty(t, data)
	require.Equal(t, Done, v)
	n, _, v = c.Next([]byte("X"))
	require.Zero(t, n)
	require.Equal(t, Done, v, "stays")
	c.Reset()
	_, _, v = c.Next([]byte("X"))
	require.Equal(t, Bad, v)
	_, _, v = c.Next([]byte("0\r\n\r\n"))
	require.Equal(t, Bad, v, "stays")
}

// One call takes one run with the framing on both sides; the run is inside the caller's buffer and cannot grow over it.
func TestChunkedRuns(t *testing.T) {
	var c Chunked
	buf := []byte("3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n")
	n, data, v := c.Next(buf)
	require.Equal(t, "3\r\nabc\r\n2\r\n", string(buf[:n]))
	require.Equal(t, "abc", string(data))
	require.Equal(t, 3, cap(data))
	require.Same(t, &buf[3], &data[0])
	require.Equal(t, More, v)
	buf = buf[n:]
	n, data, v = c.Next(buf)
	require.Equal(t, "de\r\n0\r\n", string(buf[:n]), "stops in front of the trailer section")
	require.Equal(t, "de", string(data))
	require.Equal(t, More, v)
	require.True(t, c.InTrailer())
	buf = buf[n:]
	n, data, v = c.Next(buf)
	require.Equal(t, "A: b\r\n\r\n", string(buf[:n]))
	require.Nil(t, data)
	require.Equal(t, Done, v)
	require.False(t, c.InTrailer())
}
