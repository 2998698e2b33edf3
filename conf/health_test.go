// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"net/http"
	"testing"
)

// What passes which expectation.
func TestExpectation(t *testing.T) {
	answer := http.Header{"Content-Type": {"text/html; charset=utf-8"}, "X-A": {"b"}}
	for _, x := range []struct {
		e    HealthExpect
		code int
		want string // what is wrong; "" for nothing
	}{
		{HealthExpect{Status: "200-399"}, 302, ""},
		{HealthExpect{Status: "200-399"}, 404, "status code 404"},
		{HealthExpect{Status: "200 204, 301-303"}, 302, ""},
		{HealthExpect{Status: "200 204 301-303"}, 304, "status code 304"},
		{HealthExpect{Status: "! 500-599 404"}, 403, ""},
		{HealthExpect{Status: "! 500-599 404"}, 404, "status code 404"},
		{HealthExpect{Status: "200", Header: []string{"x-a", "! X-B", "X-A = b", "X-A != c", "Content-Type ~ ^text/", "X-A !~ c"}}, 200, ""},
		{HealthExpect{Status: "200", Header: []string{"X-B"}}, 200, "header field X-B"},
		{HealthExpect{Status: "200", Header: []string{"! X-A"}}, 200, "header field X-A"},
		{HealthExpect{Status: "200", Header: []string{"X-B = b"}}, 200, "header field X-B"},
		{HealthExpect{Status: "200", Header: []string{"X-A != b"}}, 200, "header field X-A"},
		{HealthExpect{Status: "200", Header: []string{"X-A !~ b"}}, 200, "header field X-A"},
		{HealthExpect{Status: "200", Header: []string{"X-C != d"}}, 200, "header field X-C"},
		{HealthExpect{Status: "200", Header: []string{"X-C !~ d"}}, 200, "header field X-C"},
		{HealthExpect{Status: "200", Body: "~ wel+"}, 200, ""},
		{HealthExpect{Status: "200", Body: "!~ wel+"}, 200, "body"},
	} {
		e, err := x.e.Parse()
		if err != nil {
			t.Errorf("%+v: %v", x.e, err)
			continue
		}
		got := ""
		if err := e.Check(x.code, func(name string) (string, bool) {
			values := answer.Values(name)
			return answer.Get(name), len(values) > 0
		}, []byte("welcome")); err != nil {
			got = err.Error()
		}
		if got != x.want {
			t.Errorf("%+v, code %d: %q, want %q", x.e, x.code, got, x.want)
		}
	}
}
