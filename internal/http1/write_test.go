// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatusLine(t *testing.T) {
	for code, want := range map[int]string{
		100: "HTTP/1.1 100 Continue\r\n",
		101: "HTTP/1.1 101 Switching Protocols\r\n",
		200: "HTTP/1.1 200 OK\r\n",
		302: "HTTP/1.1 302 Moved Temporarily\r\n",
		404: "HTTP/1.1 404 Not Found\r\n",
		405: "HTTP/1.1 405 Not Allowed\r\n",
		408: "HTTP/1.1 408 Request Time-out\r\n",
		413: "HTTP/1.1 413 Request Entity Too Large\r\n",
		414: "HTTP/1.1 414 Request-URI Too Large\r\n",
		429: "HTTP/1.1 429 Too Many Requests\r\n",
		503: "HTTP/1.1 503 Service Temporarily Unavailable\r\n",
		504: "HTTP/1.1 504 Gateway Time-out\r\n",
		505: "HTTP/1.1 505 HTTP Version Not Supported\r\n",
		507: "HTTP/1.1 507 Insufficient Storage\r\n",
		599: "HTTP/1.1 599 \r\n",
		999: "HTTP/1.1 999 \r\n",
	} {
		require.Equal(t, want, string(AppendStatusLine(nil, code)))
	}
	require.Equal(t, "HTTP/1.1 200 Fine\r\n", string(AppendStatusLineReason(nil, 200, []byte("Fine"))))
	for _, code := range []int{-1, 0, 99, 102, 306, 418, 508, 1000} {
		require.Empty(t, ReasonPhrase(code))
	}
	for code := 100; code < 600; code++ {
		var h ResponseHead
		lim := DefaultLimits()
		require.Equal(t, Done, h.Parse(append(AppendStatusLine(nil, code), "\r\n"...), &lim))
		require.Equal(t, code, h.Status)
	}
}

func TestFields(t *testing.T) {
	dst := AppendField(nil, "A", []byte("b"))
	dst = AppendFieldString(dst, "Cd", "")
	dst = AppendFieldBytes(dst, []byte("E"), []byte("f g"))
	dst = AppendFieldInt(dst, "Content-Length", math.MaxInt64)
	require.Equal(t, "A: b\r\nCd: \r\nE: f g\r\nContent-Length: 9223372036854775807\r\n", string(dst))
	require.Equal(t, "-5", string(AppendDecimal(nil, -5)))
}

func TestHex(t *testing.T) {
	for shift := range 64 {
		for _, n := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1, math.MaxUint64} {
			require.Equal(t, fmt.Sprintf("%x", n), string(AppendHex(nil, n)))
		}
	}
	require.Equal(t, "4000\r\n", string(AppendChunkHead(nil, 16<<10)))
	require.Panics(t, func() { AppendChunkHead(nil, 0) }, "it would end the body")
	require.Panics(t, func() { AppendChunkHead(nil, -1) })
}

// What the writers make, the decoder takes.
func TestChunkRoundTrip(t *testing.T) {
	var body []byte
	want := ""
	for n := 1; n < 100; n += 7 {
		run := strings.Repeat("x", n)
		want += run
		body = append(AppendChunkHead(body, n), run+"\r\n"...)
	}
	got, _, used, v := decodeChunked(append(body, LastChunk...), nil)
	require.Equal(t, Done, v)
	require.Equal(t, want, string(got))
	require.Equal(t, len(body)+len(LastChunk), used)
}

func TestIsToken(t *testing.T) {
	for text, want := range map[string]bool{"GET": true, "x-y_z!": true, "": false, "a b": false, "a\r": false, "a:": false, "\xe4": false} {
		require.Equal(t, want, IsToken([]byte(text)), "%q", text)
	}
}

func TestUnescapePath(t *testing.T) {
	for raw, want := range map[string]string{"/a%20b%2f//../%3F": "/a b///../?", "/": "/", "": "", "/%41%4": "", "/%zz": "", "/%": ""} {
		out, ok := UnescapePath(nil, []byte(raw))
		require.Equal(t, want != "" || raw == "", ok, raw)
		if ok {
			require.Equal(t, want, string(out))
		}
	}
}
