// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package http1

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The field that a response is refused for, as the log has it.
func TestRefusedField(t *testing.T) {
	for _, c := range []struct{ fields, line, value, before string }{
		{"Content-Length: foo\r\n", "Content-Length: foo", "foo", ""},
		{"Content-Length: 0\r\nContent-Length:  1\r\n", "Content-Length:  1", "", "Content-Length: 0"},
		{"Content-Length: 0\nContent-Length: 0\n", "Content-Length: 0", "", "Content-Length: 0"},
		{"A: b\r\nTransfer-Encoding: foo \r\n", "Transfer-Encoding: foo", "foo", ""},
		{"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "", "", ""},
		{"A b\r\n", "", "", ""},
	} {
		var h ResponseHead
		text := []byte("HTTP/1.1 200 OK\r\n" + c.fields + "\r\n")
		require.Equal(t, Bad, h.Parse(text, &Limits{LineBytes: 1000, HeadBytes: 1000, Fields: 10}), c.fields)
		line, value, before := h.RefusedField(text)
		require.Equal(t, [3]string{c.line, c.value, c.before}, [3]string{string(line), string(value), string(before)}, c.fields)
	}
}
