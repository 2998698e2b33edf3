// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"regexp"
	"strings"
	"testing"
)

// What weir finds in a configuration that was an nginx.conf is said in nginx's words where it has some, else as a sentence about the directive.
func TestNginxWords(t *testing.T) {
	for _, c := range []struct{ directive, toml, want string }{
		{"return", "[[http.server]]\nreturn = { code = 200, text = '$nosuch' }", `unknown "nosuch" variable`},
		{"return", "[[http.server]]\nreturn = { code = 1000 }", `invalid return code "1000"`},
		{"listen", "[[http.server]]\nlisten = '127.0.0.1:99999'", `invalid port in "127.0.0.1:99999" of the "listen" directive`},
		{"listen", "[[http.server]]\nlisten = '[::1:80'", `invalid host in "[::1:80" of the "listen" directive`},
		{"server", "[http.upstream.a]\nserver = '127.0.0.1:99999'", `invalid port in upstream "127.0.0.1:99999"`},
		{"allow", "[http]\naccess = 'allow 10.0.0.0/33'", `invalid parameter "10.0.0.0/33"`},
		{"location", "[[http.server]]\n[[http.server.location]]\npath = '= /a'\n[[http.server.location]]\npath = '= /a'", `duplicate location "/a"`},
		{"location", "[[http.server]]\n[[http.server.location]]\npath = '~ ('", `pcre2_compile() failed: missing closing ) in "("`},
		{"limit_conn", "[http]\nlimit_conn = { zone = 'x', max = 1 }", `zero size shared memory zone "x"`},
		{"gzip_proxied", "[http]\ngzip_proxied = 'foo'", `invalid value "foo" (must be "off", "expired", `},
		{"access_log", "[http]\naccess_log = { path = 'x', format = 'y' }", `unknown log format "y"`},
		{"limit_req_status", "[http]\nlimit_req_status = 5", `"limit_req_status" directive must be at least 400, not 5`},
		{"set", "[[http.server]]\nrewrite = { set = '$host', value = 'a' }", `the duplicate "host" variable`},
	} {
		_, _, err := Load(Source{Name: "x", Text: []byte(c.toml)})
		faults, _ := err.(Faults)
		if len(faults) != 1 {
			t.Errorf("%s: %v", c.toml, err)
			continue
		}
		got := Place{File: "nginx.conf", Line: 3, Directive: c.directive}.Fault(LevelEmerg, faults[0].Text).String()
		if !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, " in nginx.conf:3") {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	for line := range strings.Lines(nginxWords) {
		if pattern, words, _ := strings.Cut(strings.TrimSpace(line), "  "); pattern != "" {
			if _, err := regexp.Compile(pattern); err != nil || strings.TrimSpace(words) == "" {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}
