// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBind renders texts both ways: a Bound and its Template give the same bytes, wherever they fit.
func TestBind(t *testing.T) {
	src := newFixed()
	src.value[Request] = "GET /\"\\\xff HTTP/1.1"
	src.value[ProxyHost] = "back\"end"
	bound := func(id ID, _ string) Getter[*fixed] {
		switch id {
		case ProxyHost:
			return Getter[*fixed]{Constant: src.value[id]}
		case RemoteUser:
			return Getter[*fixed]{Append: func(_ *fixed, dst []byte, _ string) ([]byte, bool) { return append(dst, "gone"...), false }}
		}
		return Getter[*fixed]{Append: func(src *fixed, dst []byte, arg string) ([]byte, bool) { return src.AppendVariable(dst, id, arg) }}
	}
	for _, text := range []string{"", "x", "12345678", "a longer literal", "$status", "-$proxy_host-", "$proxy_host", "$request $proxy_host $status",
		"one$status two $proxy_host three four $request", CombinedText} {
		for _, esc := range []Escape{EscapeNone, EscapeDefault, EscapeJSON} {
			tmpl, err := CompileLog(text, esc)
			require.NoError(t, err)
			want := string(tmpl.Append([]byte("<"), &withoutUser{*src}))
			b := Bind(tmpl, bound)
			for room := range len(want) + 10 {
				require.Equal(t, want, string(b.Append(append(make([]byte, 0, room), '<'), src)), "%q %v", text, esc)
			}
			if constant, ok := b.Constant(); ok {
				require.Equal(t, want, "<"+constant)
			}
			dst := make([]byte, 0, 4096)
			require.Zero(t, testing.AllocsPerRun(10, func() { dst = b.Append(dst[:0], src) }))
		}
	}
}

// withoutUser is fixed without a value for $remote_user.
type withoutUser struct{ fixed }

func (w *withoutUser) AppendVariable(dst []byte, id ID, arg string) ([]byte, bool) {
	if id == RemoteUser {
		return dst, false
	}
	return w.fixed.AppendVariable(dst, id, arg)
}
